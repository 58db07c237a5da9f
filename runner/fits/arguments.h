// The options that say how a fit is made, shared by the commands that fit (fit, fit compare, predict).
#pragma once
#include "base/options.h"
#include "fitting/fitting.h"

struct fit_arguments {
  const char *law, *map, *where, *holdout, *objective, *residual, *weight, *group, *best_over, *average_over, *interval,
      *leave_out;
  int64_t bootstrap, seed, threads, starts;
  double confidence;
  struct option_list fixes, frees, baselines, pools, profiles;
  bool profile_all;
};

enum { FIT_ARGUMENT_OPTIONS = 24 };  // room that fit_arguments_options needs
// Writes the options into `options`, targets in `arguments`; returns how many. The caller adds its own and the end.
size_t fit_arguments_options(struct fit_arguments *arguments, struct option *options);
// Checks the arguments of command `name` and makes fit options of them (texts in the arena).
bool fit_arguments_read(const char *name, const struct fit_arguments *arguments, struct arena *arena,
                        struct fit_options *options, struct error *error);
