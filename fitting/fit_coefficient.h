// Coefficients of a fit and quantities derived from them, with their intervals and what the rows say of each. Part of
// the public face (fit.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit_options.h"

enum coefficient_status {
  COEFFICIENT_FITTED,     // and determined
  COEFFICIENT_ONE_SIDED,  // the data set a limit on one side only
  COEFFICIENT_FIXED,      // by the law or the options
  COEFFICIENT_BASELINE,   // of a per-category parameter
  COEFFICIENT_TIED,
  COEFFICIENT_AT_LOW,  // at its bound (a positive parameter's 0 counts: its term has vanished)
  COEFFICIENT_AT_HIGH,
  COEFFICIENT_BY_PRIOR,      // fitted, but its interval is its prior's
  COEFFICIENT_UNFITTED,      // of a category that no fitted row has; its value is NAN
  COEFFICIENT_UNIDENTIFIED,  // the data do not determine it: a direction through it leaves the predictions unchanged
};
// "determined", "one-sided", "fixed", "baseline", "tied", "at bound", "set by its prior", "not fitted",
// "not determined"
const char *coefficient_status_name(enum coefficient_status status);
// The same of a derived quantity, for people.
const char *derived_status_name(enum coefficient_status status);

// All kinds of interval, and which of them is in low and high: the one asked for, or percentile where that one does not
// exist (BCa: every resample lies on one side of the estimate, as at a bound).
struct intervals {
  enum interval_kind kind;
  double percentile_low, percentile_high, bca_low, bca_high, t_low, t_high;  // NAN without
  double robust_se;  // from refits without each group (or row): the jackknife's, which holds whatever the errors'
                     // variances and whatever their dependence within groups (CR3, Bell and McCaffrey 2002)
};

struct coefficient {
  const char *name;       // "A", "eff[w4a4]"
  const char *parameter;  // "A", "eff"
  const char *category;   // "w4a4", or NULL
  enum coefficient_status status;
  double value;
  double low, high, se;  // interval and standard error; NAN without, and on a side where the data set no limit
  struct intervals intervals;
  const char *tied_to;  // the coefficient whose value it has, or NULL
  const char *note;     // what its status means here: "not determined: any value below 0.053 fits within 2 %"; or NULL
};

struct fit_derived {
  const char *name;  // "a", "parameters_optimal[flops=1e+21]"
  const char *about;
  double value, low, high, se;
  struct intervals intervals;
  enum coefficient_status status;  // determined, one-sided or not determined
  // How many times outside the fitted range it lies, by the value of a column that it is worked out at or by being a
  // value of a column; of quantities worked out at one place the largest. NAN: of no column.
  double outside;
  const char *outside_of;  // the column that is left farthest; NULL: within
  // What its status means here where it is not determined: "not determined: any value below 0.3 fits within 2 %"; or
  // NULL.
  const char *note;
};
