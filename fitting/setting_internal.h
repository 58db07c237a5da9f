// Settings of a fit as texts: "beta=alpha", "E=1", "alpha=0.34~0.05", "eff[a]/eff[b]", "alpha,beta", "E=1.69,A=406.4".
// One author of their forms, for what judges them by a law alone (fit_setting.c) and for the fit. Errors have the place
// in the text (error->offset).
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

// The equals sign that parts a name from what is said of it: the last outside brackets; NULL without.
const char *setting_equals(const char *text, size_t length);

// A name, `length` bytes at `name`, and what is said of it.
struct setting {
  const char *name;
  size_t length;
  const char *what;  // behind the equals sign
  double number;     // NAME=NUMBER; the mean of a prior
  double sd;         // of a prior
  bool of_logarithm;
};
// "NAME=NAME" of a tie.
bool setting_tie(const char *text, struct setting *setting, struct error *error);
// "NAME=NUMBER" of a bound; option: "low" or "high".
bool setting_bound(const char *option, const char *text, struct setting *setting, struct error *error);
// "NAME=MEAN~SD" or "log(NAME)=MEAN~SD".
bool setting_prior(const char *text, struct setting *setting, struct error *error);
// The item "NAME=NUMBER" of a list at text + *at, which continues to the next; a category may hold commas and equal
// signs. False without an error at the list's end.
bool setting_item(const char *text, size_t *at, struct setting *setting, struct error *error);
// The slash of "NAME/NAME", the comma of "NAME,NAME": the first outside brackets, or NULL with an error.
const char *setting_slash(const char *text, struct error *error);
const char *setting_comma(const char *text, struct error *error);
