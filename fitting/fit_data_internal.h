// A fit in the making: what it holds. fit_internal.h has what is done with it.
#pragma once
#include "fitting/fitting.h"
#include "fitting/problem_internal.h"

struct stage_scale;
struct refit;

struct fit_stage {
  const struct law_stage *law_stage;
  size_t *rows, row_count;  // in the table
  int *free, free_count;    // elements
  int *free_of;             // [element_count]
  struct program *program;
  double *linear_residual;  // [row_count] at the minimum, and
  double *linear_jacobian;  // [row_count][free_count]; NULL: the stage is not dear (fit_linear.c)
  double row_cost;          // what a row takes to evaluate next to one of a law without sums over schedules
  double *target, *weight;  // [padded]
  double *row_scale;        // [row_count]; NULL: 1
  double *low, *high;       // [free_count]
  bool *linear;             // [element_count]: the formula is linear in these
  struct problem problem;
  // the minimum
  double *x;  // [free_count]
  double objective, stationarity;
  bool stationary;
  double **others;  // further minima, best first; [other_count][free_count]
  double *other_objectives;
  int other_count;
  int64_t starts, descended, agreeing;
  int64_t elsewhere;          // reached the same objective at other coefficients
  double **same;              // [elsewhere][free_count]: those
  int64_t unsettled;          // reached no stationary point
  struct stage_scale *scale;  // for the diagnosis; NULL before
  double trust_region_objective, bfgs_objective;
};

// What the rows say without priors; see fit_alone.c.
struct fit_alone {
  struct objective objective;       // with its scale
  double *slope;                    // [stages]: mean psi'
  double *scale;                    // [stages]: 2 / this times the rise of the objective is chi-squared
  double *value;                    // [element_count], NAN for a category without a row
  double *se;                       // [element_count], of the internal coordinate, from the curvature; NAN without
  enum coefficient_status *status;  // [element_count]
  int *row_group, group_count;      // as found in these residuals, not in those that a prior bends
  bool grouped;
  const char *grouped_by, *grouping;
  const char **warnings;  // of other columns that the residuals go with
  size_t warning_count;
};

struct fit_prior_term {
  int element;
  bool of_logarithm;
  double mean, sd;
};

struct fit_pool_term {
  int parameter, *elements, count;
  double spread, low, high;  // of the internal coordinates
  double *grid, *below;      // spreads, falling, and the share of the likelihood that is above each
  int grid_count;
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
  double *row_weight;          // [table rows]
  double *row_scale;           // [table rows]: multiplies the residual (--std); NULL: 1
  double *observed;            // [table rows]
  enum row_use *use;           // [table rows]
  bool *selected;              // [table rows]: takes part, is held out or unused
  size_t left_out_by_outcome;  // rows excluded for the value of the target
  bool rounding;               // residuals are nothing else, and no statistics are made of them
  int *row_group;              // [table rows]: resampled together
  int group_count;
  bool grouped;  // rows of a group depend on each other
  struct element *elements;
  int element_count;
  double *unit;         // [element_count]: see struct problem
  const char **pinned;  // [law parameters]: category pinned to the baseline value, or NULL
  struct fit_stage *stages;
  int stage_count;
  double *row_choice;      // [table rows]: standard deviation of the target as best_over chose it, in the unit of the
                           // residual; NULL: the law predicts nothing that was chosen
  double *row_offset;      // [table rows]: of it what is measured, which rows that lie near one another share
  double choice_variance;  // mean square of it over the fitted rows
  double choice_share;     // of row_choice that the scatter of the rows does not show, 0 to 1
  double *row_few;         // [table rows]: standard deviation of the shift that a category's few rows share; NULL: none
  int *row_few_of;         // [table rows]: the element that they are of
  bool *row_alone;         // [table rows]: that element rests on this row, or on its group, alone
  double *choice;          // [choice_count][element_count]: values with the target moved by that much
  size_t choice_count;
  double *jackknife;  // [jackknife_count][element_count]: values without each group, or block of groups
  size_t jackknife_count;
  struct fit_prior_term *priors;
  int prior_count;
  struct fit_pool_term *pools;
  int pool_count;
  const struct fit_alone *alone;  // NULL: nothing but the rows decides
  size_t dependence_warnings[2];  // the first one that fit_depend gave, and the first after it
  double *within;     // [within_count][element_count]: ends of walks on which the objective grows by at most 2 %
  bool *within_open;  // [within_count]: the walk met no end there
  size_t within_count;
  double *reached;  // [reached_count][element_count]: coefficients where profiles end, all others refitted
  size_t reached_count;
};
