// The design of sweeps: what intervals a fit will give on rows that have not been measured yet, from an assumed law and
// the noise between seeds. Part of the public face (fitting.h includes it).
//
// Two ways: linearised (the covariance of the M-estimator at the truth, from exact derivatives: milliseconds), and by
// simulation (losses are drawn, the real fit is made, again and again).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct table;
struct law;
struct fit_options;

struct design_assumption {
  const char *name;  // "A", "eff[w4a4]"; "eff" stands for all categories without one of their own
  double value;
};
// Reads "E=1.69,A=406.4,eff[w4a4]=0.7" (texts in the arena).
bool design_assumptions_parse(struct arena *arena, const char *text, struct design_assumption **assumptions,
                              size_t *count, struct error *error);

struct design_options {
  const struct design_assumption *assumptions;
  size_t assumption_count;
  bool extra_assumptions;  // from a fit: those that the law has no use for are passed over; else they are errors
  bool within;             // an assumption outside the bounds of this fit is moved inside; else it is an error
  double noise;            // standard deviation of ln(target) between runs that differ in their seed alone
  int repeats;             // simulated fits; 0: only the linearised intervals
  int starts;              // of each simulated fit; 0: 200
  int bootstrap;           // resamples of each simulated fit, for the coverage of its intervals; -1: 100; 0: none
  const char *target;      // parameter or derived quantity for which the best additional run is looked for; NULL: none
  uint64_t seed;
  int threads;
  // Called now and then from one of the threads, never two at once; false stops the simulation. NULL: none.
  bool (*progress)(void *context, int done, int repeats);
  void *context;
};

struct design_quantity {
  const char *name;
  bool derived, positive;  // positive: fitted through its logarithm
  double outside;  // of a derived one worked out at a value of a column: how many times outside the rows; or NAN
  double truth;
  // linearised; INFINITY where the rows do not determine it. The interval of a positive one is that of its logarithm.
  double linear_se, linear_low, linear_high;
  // over the repeats; NAN without
  double mean, bias, sd, low90, high90, low95, high95;
  double coverage90, coverage95;    // share of repeats whose own percentile interval holds the truth; NAN without
  double relative_width;            // of the 95 % range (simulated, else linearised), over |truth|
  double not_identified, at_bound;  // share of repeats in which the fit said so
};

// Two coefficients whose errors go together.
struct design_pair {
  const char *first, *second;
  double correlation;  // of the estimates' errors (of logarithms, for positive parameters); NAN: neither is identified
  bool separable;      // both are determined well in spite of it
};

// One run more.
struct design_addition {
  bool found;
  double parameters, tokens, flops;
  const char *category;        // "w4a4", or ""
  double se_before, se_after;  // of the target, linearised
  double sd_before, sd_after;  // simulated; NAN without
};

struct design_result {
  struct arena arena;
  const char *law, *source, *objective;
  size_t rows;
  double noise;
  struct design_quantity *quantities;  // fitted coefficients, then derived quantities
  size_t quantity_count, coefficient_count;
  double *covariance;      // [coefficient_count][coefficient_count], linearised, of internal coordinates (logarithms)
  double log_determinant;  // of it, over the coefficients; INFINITY when they are not all identified
  double condition;        // of the scaled information matrix
  struct design_pair *pairs;
  size_t pair_count;
  const char **unidentified;  // "E, A": combinations that leave every prediction unchanged
  size_t unidentified_count;
  int repeats, failed;  // done; without a result
  bool interrupted;
  struct design_addition addition, cheap_addition;  // that lowers the target's error most; most per FLOP
  double seconds;
};

// What a fit with these options of this law will tell from these rows. The table's target column is not read: losses
// come from the assumptions. A row that stands for several averaged runs (row_members) has less noise. Errors: a
// coefficient without assumption, an assumption that names nothing, a value outside the law's bounds; what fit_run
// says.
bool design_run(const struct law *law, const struct table *table, const struct fit_options *fit,
                const struct design_options *options, struct design_result *result, struct error *error);
void design_free(struct design_result *result);
// The members of one object: "law","rows","noise","parameters":{...},"derived":{...},"pairs":[...], ...
void design_json(const struct design_result *result, struct json_writer *writer);
