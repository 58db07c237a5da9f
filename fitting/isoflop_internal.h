// What the files that find compute-optimal sizes share.
#pragma once
#include "fitting/fitting.h"

// The columns of the table as numbers a row; rows without them are left out.
struct isoflop_rows {
  size_t count;
  const size_t *row;                           // in the table
  double *parameters, *tokens, *flops, *loss;  // [count]
  int *curve;                                  // [count]: number of the training
  const char **curve_names;
  int curve_count;
};

// isoflop_budgets.c: reads the rows; sorts them into budgets with one loss a size.
bool isoflop_read(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                  struct isoflop_rows *rows, struct error *error);
bool isoflop_budgets(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                     const struct isoflop_rows *rows, struct error *error);
// A curve's ln loss and ln tokens at a FLOP value by interpolation in ln C; points [from, to) of one curve, ascending.
// False when it does not reach there (within `tolerance` beyond its ends the end counts).
bool curve_at(const struct isoflop_rows *rows, const size_t *points, size_t count, double flops, double tolerance,
              double *loss, double *tokens);
// The points of every curve, ascending in flops: points[start[c]] .. points[start[c + 1]].
void curve_points(struct arena *arena, const struct isoflop_rows *rows, size_t **points, size_t **start);

// isoflop_minimum.c: optima of the budgets.
void isoflop_minima(const struct isoflop_options *options, struct isoflop *result);
// The sizes within `window` of the best one, [from, from + count); all where it is 0.
void window_of(const struct isoflop_budget *budget, double window, size_t *from, size_t *count);
// envelope.c
bool isoflop_envelope(const struct isoflop_options *options, struct isoflop *result, const struct isoflop_rows *rows,
                      struct error *error);
// Summary of an optimum over its copies (NAN ones left out): median, interval, spread.
int optimum_of(const double *copies, int count, double confidence, double least_spread, struct isoflop_optimum *out);

// Percentiles and standard deviation of an exponent (of the coefficient, where it is held) over the copies; NAN ones
// are left out.
void exponent_interval(const double *copies, size_t count, double confidence, struct isoflop_exponent *exponent);
// The power law of a quantity, with its exponent held where the options say so.
bool isoflop_line(const struct isoflop_pins *pins, enum isoflop_quantity quantity, const double *x, const double *y,
                  const double *weight, size_t count, double confidence, struct power_regression *result,
                  struct error *error);
// What the copies give of it: the exponent, or the coefficient where that is held.
double line_value(const struct power_regression *line);

// isoflop_bias.c: fills result->bias and the budgets' bias, from a finished result.
void isoflop_simulate(const struct isoflop_options *options, const struct isoflop_rows *rows, struct isoflop *result);
