// What predictions need of a fit: ranges of the fitted rows, scatter of the residuals, what a token costs.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/table_internal.h"

static bool *fitted_rows(struct arena *arena, const struct table *table, const struct fit_result *result) {
  bool *fitted = arena_array(arena, table->row_count + 1, sizeof *fitted);
  for (size_t i = 0; i < result->table_count; i++) fitted[result->table[i].place] = result->table[i].use == ROW_FITTED;
  return fitted;
}

static void find_scatter(struct arena *arena, const struct fit_result *result, struct fitted_law *law) {
  if (fit_residuals_are_rounding(result)) return;  // nothing says how runs scatter
  size_t count = 0, freed = 0;
  for (size_t i = 0; i < result->coefficient_count; i++) freed += result->coefficients[i].status == COEFFICIENT_FITTED;
  double *scatter = arena_array(arena, result->table_count + 1, sizeof *scatter);
  for (size_t i = 0; i < result->table_count; i++)
    if (result->table[i].use == ROW_FITTED && isfinite(result->table[i].residual))
      scatter[count++] = result->table[i].residual;
  // residuals at the minimum are smaller than the noise: the law has taken up as many degrees as it has coefficients
  double widened = count > freed ? sqrt((double)count / (double)(count - freed)) : 1;
  for (size_t i = 0; i < count; i++) scatter[i] *= widened;
  law->scatter = count ? scatter : NULL;
  law->scatter_count = count;
}

struct cost_point {
  double log_parameters, log_per_token;
};

static int by_parameters(const void *a, const void *b) {
  const struct cost_point *x = a, *y = b;
  return (x->log_parameters > y->log_parameters) - (x->log_parameters < y->log_parameters);
}

// The counted cost of a token by N: the mean of its logarithm over rows of equal N.
static void find_cost(struct arena *arena, const struct table *table, const bool *fitted, struct cost_model *cost) {
  int n = table_find(table, "parameters"), d = table_find(table, "tokens"), c = table_find(table, "flops");
  if (n < 0 || d < 0 || c < 0 || table->columns[n].kind != COLUMN_NUMBER || table->columns[d].kind != COLUMN_NUMBER ||
      table->columns[c].kind != COLUMN_NUMBER)
    return;
  struct cost_point *points = arena_array(arena, table->row_count + 1, sizeof *points);
  size_t count = 0, kept = 0;
  bool differs = false;
  for (size_t row = 0; row < table->row_count; row++) {
    double parameters = table->columns[n].numbers[row], tokens = table->columns[d].numbers[row],
           flops = table->columns[c].numbers[row];
    if (!fitted[row] || !(parameters > 0) || !(tokens > 0) || !(flops > 0) || !isfinite(parameters * tokens * flops))
      continue;
    differs |= fabs(flops / (6 * parameters * tokens) - 1) > 1e-3;  // 6ND written with few digits is 6ND
    points[count++] = (struct cost_point){log(parameters), log(flops / tokens)};
  }
  if (!differs) return;
  qsort(points, count, sizeof *points, by_parameters);
  double *x = arena_array(arena, count + 1, sizeof *x), *y = arena_array(arena, count + 1, sizeof *y);
  for (size_t i = 0; i < count; kept++) {
    size_t same = 0;
    double sum = 0;
    for (; i + same < count && points[i + same].log_parameters == points[i].log_parameters; same++)
      sum += points[i + same].log_per_token;
    x[kept] = points[i].log_parameters;
    y[kept] = sum / (double)same;
    i += same;
  }
  *cost = (struct cost_model){kept, x, y};
}

double cost_per_token(const struct cost_model *cost, double parameters) {
  if (!cost->count) return 6 * parameters;
  double x = log(parameters);
  const double *from = cost->log_parameters, *to = cost->log_per_token;
  size_t last = cost->count - 1;
  if (x <= from[0]) return exp(to[0] + x - from[0]);
  if (x >= from[last]) return exp(to[last] + x - from[last]);
  size_t low = 0, high = last;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (from[middle] <= x)
      low = middle;
    else
      high = middle;
  }
  return exp(to[low] + (to[high] - to[low]) * (x - from[low]) / (from[high] - from[low]));
}

static void find_replicates(struct arena *arena, const struct fit_result *result, struct fitted_law *fitted) {
  size_t n = result->coefficient_count, resampled = result->replicates ? (size_t)result->bootstrap : 0,
         left_out = result->replicates ? result->jackknife_count : 0;
  double *replicates = arena_array(arena, (resampled + left_out + result->open_count) * n + 1, sizeof *replicates);
  if (resampled) memcpy(replicates, result->replicates, resampled * n * sizeof *replicates);
  if (left_out) memcpy(replicates + resampled * n, result->jackknife, left_out * n * sizeof *replicates);
  for (size_t k = 0; k < result->open_count; k++)
    memcpy(replicates + (resampled + left_out + k) * n, result->open_ends[k].values, n * sizeof *replicates);
  fitted->replicates = replicates;
  fitted->replicate_count = resampled;
  fitted->jackknife_count = left_out;
  fitted->open_count = result->open_count;
  fitted->open_ends = result->open_ends;
}

size_t fitted_law_rows(const struct fitted_law *fitted) {
  return fitted->replicate_count + fitted->jackknife_count + fitted->open_count;
}

void fitted_law_of(struct arena *arena, const struct law *law, const struct table *table,
                   const struct fit_result *result, bool counted, uint64_t seed, struct fitted_law *fitted) {
  *fitted = (struct fitted_law){.law = law,
                                .coefficients = result->coefficients,
                                .coefficient_count = result->coefficient_count,
                                .interval = result->interval,
                                .degrees = result->interval_degrees,
                                .confidence = result->confidence,
                                .residual = result->residual,
                                .ranges = result->ranges,
                                .seed = seed};
  for (size_t i = 0; !result->stationary && i < result->coefficient_count && !fitted->unsettled; i++)
    if (result->coefficients[i].status == COEFFICIENT_UNIDENTIFIED) fitted->unsettled = &result->coefficients[i];
  find_replicates(arena, result, fitted);
  const bool *rows = fitted_rows(arena, table, result);
  find_scatter(arena, result, fitted);
  if (counted) find_cost(arena, table, rows, &fitted->cost);
}
