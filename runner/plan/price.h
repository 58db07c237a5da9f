// What an hour of a machine costs, and what runs have taken of machines: money and energy in words.
#pragma once
#include <stddef.h>
#include <stdio.h>

#include "runner/spec/spec.h"

// What `run: {price_per_hour, require_clean}` of a spec says, else ~/.config/isoloss/run.yaml ($XDG_CONFIG_HOME).
struct run_terms {
  double per_hour;       // NAN: no price is stated
  const char *currency;  // "" when none is named
  const char *from;      // who states it, in words
  bool require_clean;
};
// Texts are the arena's or the spec's. False with an error where the file has mistakes, which are reported.
bool run_terms_find(const struct spec *spec, struct arena *arena, struct run_terms *terms, struct error *error);

// "3.01 EUR at 2.5 EUR an hour (price_per_hour of the spec)", in the arena; NULL where there is no price.
const char *run_terms_money(const struct run_terms *terms, double machine_seconds, struct arena *arena);

// What runs have taken, by the columns of the store.
struct expenses {
  double machine_seconds, joules;
  size_t timed, untimed, metered;  // runs with a share of their machine's time, ended ones without, with energy
};
// Adds a run; a number that is not known is NAN. `ended`: it has a result.
void expenses_add(struct expenses *expenses, double machine_seconds, double joules, bool ended);
// "1 h 12 min of machines (...), 3.01 EUR at ...; 0.420 kWh ..." in the arena; NULL where neither a price nor energy is
// known.
const char *expenses_words(const struct expenses *expenses, const struct run_terms *terms, struct arena *arena);
