// What a fit is asked for. Part of the public face (fit.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct fit_fix {  // --fix A=406.4, --fix "eff[w4a4]=1"; a NaN frees what the law fixes
  const char *name;
  double value;
};
struct fit_baseline {  // --baseline format=BF16: the category that is pinned to the baseline's value
  const char *column, *category;
};

enum interval_kind {
  INTERVAL_BY_DEFAULT,  // BCa; t where rows are grouped or few
  INTERVAL_PERCENTILE,
  INTERVAL_BCA,      // bias-corrected and accelerated (Efron 1987)
  INTERVAL_PROFILE,  // the ends of the profile likelihood: of what looks loose, never asked for
  INTERVAL_T,        // Student's t times the jackknife's standard error, of the logarithm for positive quantities
};
const char *interval_kind_name(enum interval_kind kind);  // "percentile", "bca", "t"
bool interval_parse(const char *text, enum interval_kind *kind, struct error *error);

struct fit_options {
  const char *name;       // of the fit; NULL: the law's
  const char *where;      // rows that take part; NULL: all
  const char *holdout;    // rows kept from the fit to test it; NULL: none
  const char *objective;  // NULL: the law's
  const char *residual;   // NULL: the law's
  const char *weight;     // expression over columns: weight of a row in the objective; NULL: 1
  const char *std;        // expression over columns: standard deviation of a row's target; its residual is divided
                          // by it, times the median of all, so that delta keeps its unit; NULL: all alike
  const char *group;      // column whose equal rows are resampled together; "none": every row by itself; NULL:
                          // checkpoints of one run together, where the table tells of such
  const char *parameter_count;  // what N counts, for the report: "non-embedding"; NULL: "as in column X of SOURCE"
  int bootstrap;                // resamples; -1: 1000; 0: none
  double confidence;            // of intervals; 0: 0.95
  enum interval_kind interval;  // the kind of `low` and `high`; both kinds are computed
  const char *const *profiles;  // coefficients ("E", "eff[w4a4]", or "eff" for all of them) whose profile is wanted
  size_t profile_count;
  bool profile_all;
  const char *const *leave_out;  // columns: refit without each of their values, predict it
  size_t leave_out_count;
  const char *const *scores;    // coefficients to score on these rows: "E=1.69,A=406.4,...", or the path of a fit's
  size_t score_count;           // document, ending in .json
  const char *const *contours;  // pairs of coefficients whose joint profile is wanted: "alpha,beta"
  size_t contour_count;
  const char *const *ratios;  // of coefficients: "eff[w4a4]/eff[w3a3]"
  size_t ratio_count;
  const char *by;             // column: the law is fitted to each of its values by itself, which is for fit_run_by
  const char *part;           // the value that this fit is of
  const bool *part_rows;      // [rows of the table]: its rows; NULL: all
  const bool *held_out_rows;  // [rows of the table]: kept from the fit besides `holdout`; NULL: none
  bool global_check;          // look for lower minima on a grid; see fit_global.c
  bool bare;                  // coefficients, intervals and residuals; no diagnosis but what is asked for above
  uint64_t seed;
  int threads;  // 0: as many as cores; the result does not depend on it
  int starts;   // at most; 0: the law's whole grid up to 5000
  const struct fit_fix *fixes;
  size_t fix_count;
  const char *const *ties;   // "beta=alpha": the first has the second's value
  const char *const *lows;   // "E=1": bounds of values, in place of the law's
  const char *const *highs;  // likewise
  size_t tie_count, low_count, high_count;
  const char *const *priors;  // "alpha=0.34~0.05", "log(A)=6~0.5": mean and standard deviation of a normal prior
  size_t prior_count;
  const char *const *pooled;  // per-category parameters whose categories are pooled partially: "eff"
  size_t pooled_count;
  const struct fit_baseline *baselines;
  size_t baseline_count;
};
