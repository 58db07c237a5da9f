// Residuals by groups of rows: what the files share that look for rows which depend on each other (fit_dependence.c)
// and for what else goes with the residuals (fit_explained.c).
#pragma once
#include "fitting/fit_internal.h"

enum { LEAST_ROWS = 3 };  // of a run with checkpoints

// A partition of the fitted rows.
struct partition {
  int *of;  // [table rows]: group, -1 for rows that are not fitted
  int count;
};

struct dependence {
  struct fit *fit;
  struct arena *arena;
  size_t rows, *row;  // the fitted rows' places in the table
  bool *fitted;       // [table rows]
  double *residual;   // [rows], clipped: one outlier is no run
  double spread;      // of them, robust: 1.4826 times the median of their sizes
};

// By the values of columns.
struct partition partition_by(const struct dependence *d, const int *columns, int count);
bool same_partition(const struct dependence *d, struct partition a, struct partition b);
// Of values[count] in groups of[count]: the share of the variance that lies between groups, and how often independent
// values would show as large a one.
void intraclass(const int *of, int groups, const double *values, size_t count, double *correlation, double *p);
// Neighbours along tokens within a group: the correlation of their residuals and its one-sided significance, and
// whether the tokens of every group differ from row to row, with most rows in groups of LEAST_ROWS or more.
bool along_tokens(const struct dependence *d, struct partition partition, int tokens, double *correlation, double *p);
// Whether the law has the column as an argument.
bool is_of_law(const struct fit *fit, const char *name);
// Whether a column takes part at all: no outcome, no argument of the law, of few values.
bool may_explain(const struct dependence *d, int column);
// Warns of columns whose values go with the residuals, and of runs with checkpoints at the same tokens.
void fit_explain_residuals(struct dependence *d);
