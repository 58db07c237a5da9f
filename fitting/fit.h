// A fit in the making, as the files that make it see it: setup (fit_setup.c), search for the minimum (fit_search.c),
// GSL's minimizers (fit_gsl.c), resampling (fit_bootstrap.c), what follows from the coefficients (fit_derived.c).
#pragma once
#include "fitting/fitting.h"
#include "fitting/problem.h"

struct fit_stage {
  const struct law_stage *law_stage;
  size_t *rows, row_count;  // in the table
  int *free, free_count;    // elements
  int *free_of;             // [element_count]
  struct program *program;
  double *target, *weight;  // [padded]
  double *low, *high;       // [free_count]
  struct problem problem;
  // the minimum
  double *x;  // [free_count]
  double objective, stationarity;
  bool stationary;
  double **others;  // further minima, best first; [other_count][free_count]
  double *other_objectives;
  int other_count;
  int64_t starts, descended, agreeing;
  double trust_region_objective, bfgs_objective;
};

struct fit {
  const struct law *law;
  const struct table *table;
  const struct fit_options *options;
  struct arena arena;
  struct fit_result *result;
  enum law_residual residual;
  struct objective objective;
  int target_column;
  double *row_weight;  // [table rows]
  double *observed;    // [table rows]
  enum row_use *use;   // [table rows]
  bool *selected;      // [table rows]: takes part, is held out or unused
  int *row_group;      // [table rows]: resampled together
  int group_count;
  struct element *elements;
  int element_count;
  const char **pinned;  // [law parameters]: category pinned to the baseline value, or NULL
  struct fit_stage *stages;
  int stage_count;
};

// Chooses rows, elements and stages and compiles the programs.
bool fit_setup(struct fit *fit, struct error *error);

// Finds the stage's minimum from many starts. elements (struct element.value) of earlier stages are set before.
bool fit_search(struct fit *fit, struct fit_stage *stage, struct error *error);
// Looks for lower minima around the one found, in rounds of random hops along the flat directions.
void fit_hop(const struct fit *fit, struct arena *arena, struct fit_stage *stage, struct workspace **spaces);
// Takes a lower minimum: the one held before becomes the first of the others.
void stage_lower(struct arena *arena, struct fit_stage *stage, const double *x, struct polish_result polished);
// What GSL's trust-region least squares (reweighted) and BFGS reach from x; x is moved to the better of the two. NAN
// for one that failed.
void fit_gsl(struct workspace *workspace, double *x, double *trust_region, double *bfgs);
// Resamples: fills result->replicates and the intervals of the coefficients.
void fit_bootstrap(struct fit *fit);
// Derived quantities with intervals from result->replicates.
bool fit_derive(struct fit *fit, struct error *error);
// Condition number, coefficients at bounds or not identified: their status and warnings.
void fit_identify(struct fit *fit);

enum { REMEMBERED_MINIMA = 3 };  // further minima of a stage, which resamples start from too

double element_value(const struct element *element, double internal);
double element_internal(const struct element *element, double value);
// The p-quantile of sorted values (linear interpolation).
double quantile(const double *sorted, size_t count, double p);
// Interval and standard error of replicates at stride (NAN ones are left out).
void interval_of(const double *replicates, size_t count, size_t stride, double confidence, double *low, double *high,
                 double *se);
