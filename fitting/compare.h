// Laws against each other on the same rows. Part of the public face (fitting.h includes it).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "fitting/fit.h"
#include "fitting/law.h"
#include "fitting/table.h"

// The largest log-likelihood of independent residuals whose density is that of the objective: exp(-rho(r) w / s^2) / Z,
// with rho = r^2/2 (normal), |r| (Laplace), Huber's or an asymmetric one (a side of each), and the scale s free; of
// Student's t its own density at its own scale. The minimum of the objective is the
// maximum of this likelihood at any s, so the coefficients of the fit are the most likely ones. `sum` is the objective,
// `weights` one a row or NULL. *scale (may be NULL) gets s.
double objective_log_likelihood(struct objective objective, double sum, size_t rows, const double *weights,
                                double *scale);
// ln of the integral of exp(-rho(r) precision) over r.
double objective_log_normalizer(struct objective objective, double precision);

struct compare_options {
  struct fit_options
      fit;    // where, holdout, objective, residual, weight, group, seed, threads, starts, fixes, baselines
  int folds;  // of the cross-validation; 0: 5; not used with a holdout, nor when 1
  struct table *const *tables;  // [count]: a law's own, of the same rows in the same order; NULL: one for all
  const char *const *labels;    // [count]: what a law is called here; NULL: its name
  void (*progress)(void *context, size_t done, size_t total);  // told before every fit; or NULL
  void *context;
};
// What one law's fit on all rows gives, made without resamples and profiles: of a state are what it holds, what lies at
// a bound and what can move without any change; of the others it is not known how sure they are.
struct law_estimate {
  const char *name;
  double value;
  enum coefficient_status status;
};
struct law_standing {
  const char *law, *formula;          // the law's name, or the label that it was given
  struct law_estimate *coefficients;  // and derived quantities without an argument
  size_t coefficient_count;
  size_t parameters;  // fitted coefficients and the scale
  double objective, residual_rms, log_likelihood, scale, aic, aicc, bic;
  double held_out_error, held_out_rms;  // mean |predicted - observed| / |observed|; r.m.s. of ln(observed / predicted)
  double held_out_loss;                 // mean of the objective's loss over held-out rows
  // against the law of the lowest AICc
  double aicc_behind, bic_behind;
  double held_out_behind, held_out_behind_se;  // of held_out_loss, row by row; standard error over groups
  bool told_apart, predicts_better;            // see laws_compare
  size_t warning_count;
  const char **warnings;
};
struct comparison {
  struct arena arena;
  const char *source, *target;
  struct law_standing *laws;             // by rising AICc
  size_t count, rows, groups, held_out;  // held_out: rows that every law predicts
  int folds;                             // 0: a holdout, or none
  bool holdout;
  enum law_residual residual;
  bool errors_absolute;  // held_out_error is of differences: the residual is plain and some observed value not positive
  struct objective objective;
  const char **warnings;
  size_t warning_count;
  size_t duplicates;  // rows that repeat others, left out before the fits
};
// Fits every law on the same rows, by its own table where there are several (other columns for N, say; conditions,
// weights and groups are read from the first) (rows that one of them cannot use are dropped from the table), on one
// residual and one objective: the options' or the first law's. A law is distinguished from the best one when its AICc
// lies at least 4 behind and its held-out loss is behind by more than two standard errors; without held-out rows AICc
// decides alone. `predicts_better`: its held-out loss is lower than the best one's by more than two standard errors.
// False with an error when the laws predict different columns or one cannot be fitted. comparison_free in either case.
bool laws_compare(const struct law *laws, size_t count, struct table *table, const struct compare_options *options,
                  struct comparison *comparison, struct error *error);
// Adds a warning.
void comparison_warn(struct comparison *comparison, const char *format, ...) __attribute__((format(printf, 2, 3)));
void comparison_free(struct comparison *comparison);
void comparison_json(const struct comparison *comparison, struct json_writer *writer);
