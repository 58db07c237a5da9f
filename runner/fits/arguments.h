// The options that say how a fit is made, shared by the commands that fit (fit, fit compare, predict). Most say what a
// key of a fit entry says (runner/spec/entries.h) and are derived from those.
#pragma once
#include "base/options.h"
#include "fitting/fitting.h"
#include "runner/spec/entries.h"
#include "runner/spec/spec.h"

// Writes the options of a kind's keys that `command` takes into `options`, targets in `entry`; returns how many.
size_t entry_options(const struct entry_kind *kind, enum entry_command command, void *entry, struct option *options);

struct fit_arguments {
  struct spec_fit entry;  // what the command line says of an entry's keys
  const char *map, *weight, *std, *group;
  int64_t seed, threads, starts;
  double confidence;
  struct option_list fixes, frees, baselines, pools;
  struct spec_choices choices;     // of a spec
  const char *schedules, *curves;  // of laws of loss curves
  int64_t points;                  // of each run, at most; 0: RUN_POINTS
  bool profile_all, keep_duplicates;
  const struct option_given *given;  // the options as they were given; NULL: the caller has none
  size_t given_count;
};

enum { FIT_ARGUMENT_OPTIONS = 56 };  // room that fit_arguments_options needs
// Makes the arguments say nothing and writes the options of a command into `options`, targets in `arguments`; returns
// how many. The caller adds its own and the end.
size_t fit_arguments_options(struct fit_arguments *arguments, enum entry_command command, struct option *options);
// Checks the arguments of command `name` and makes fit options of them (texts in the arena).
bool fit_arguments_read(const char *name, struct fit_arguments *arguments, struct arena *arena,
                        struct fit_options *options, struct error *error);
// NULL: none.
const char *fit_arguments_given(const struct fit_arguments *arguments, enum entry_command command,
                                const struct option *options);
