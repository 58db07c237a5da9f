// Compute-optimal sizes: the power laws of the optima in compute with their spread over the copies.
#include <math.h>
#include <stdlib.h>

#include "fitting/isoflop_internal.h"

// The power law of one quantity's optima, and its exponent for every copy that has enough optima.
static void regress(const struct isoflop_options *options, struct isoflop *result, enum isoflop_quantity quantity,
                    struct error *error) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  struct isoflop_exponent *exponent = &result->exponents[quantity];
  double *x = memory_get(3 * (result->used + 1) * sizeof *x), *y = x + result->used, *w = y + result->used;
  const struct isoflop_budget **used = memory_get((result->used + 1) * sizeof(struct isoflop_budget *));
  size_t n = 0;
  bool spreads = true;
  for (size_t b = 0; b < result->budget_count; b++) {
    const struct isoflop_budget *budget = &result->budgets[b];
    if (budget->rejected) continue;
    used[n] = budget;
    x[n] = budget->flops;
    y[n] = budget->optimum[quantity].value;
    w[n] = 1 / (budget->optimum[quantity].spread * budget->optimum[quantity].spread);
    spreads &= isfinite(w[n]) && w[n] > 0;
    n++;
  }
  *exponent = (struct isoflop_exponent){
      .name = names[quantity], .low = NAN, .high = NAN, .se = NAN, .coefficient_low = NAN, .coefficient_high = NAN};
  const struct isoflop_pins *pins = &options->pins;
  bool fine = isoflop_line(pins, quantity, x, y, NULL, n, result->confidence, &exponent->plain, error);
  if (fine && spreads) fine = isoflop_line(pins, quantity, x, y, w, n, result->confidence, &exponent->weighted, error);
  if (!spreads) exponent->weighted.points = 0;
  double *replicates = memory_get(((size_t)result->copies + 1) * sizeof *replicates);
  for (int copy = 0; fine && copy < result->copies; copy++) {
    double *u = memory_get(3 * n * sizeof *u), *v = u + n, *weight = v + n;
    size_t kept = 0;
    for (size_t b = 0; b < n; b++) {
      if (!isfinite(used[b]->copies[quantity][copy])) continue;
      u[kept] = x[b];
      v[kept] = used[b]->copies[quantity][copy];
      weight[kept++] = spreads ? w[b] : 1;
    }
    struct power_regression one;
    struct error few = {0};
    bool there = isoflop_line(pins, quantity, u, v, weight, kept, result->confidence, &one, &few);
    replicates[copy] = there ? line_value(&one) : NAN;
    exponent->copies += isfinite(replicates[copy]);
    free(u);
  }
  if (fine && result->copies) exponent_interval(replicates, (size_t)result->copies, result->confidence, exponent);
  free(replicates);
  free(used);
  free(x);
}

static bool solve(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                  struct error *error) {
  struct isoflop_rows rows;
  if (!isoflop_read(table, options, result, &rows, error)) return false;
  if (options->method == ISOFLOP_ENVELOPE) {
    if (!isoflop_envelope(options, result, &rows, error)) return false;
    isoflop_simulate(options, &rows, result);
    return true;
  }
  if (!isoflop_budgets(table, options, result, &rows, error)) return false;
  isoflop_minima(options, result);
  for (size_t b = 0; b < result->budget_count; b++) result->used += !result->budgets[b].rejected;
  result->regressed = result->used >= 3;
  if (!result->regressed)
    isoflop_warn(result, "%zu of %zu budgets have an optimum inside their sizes; a power law needs 3", result->used,
                 result->budget_count);
  for (int q = 0; q < ISOFLOP_QUANTITIES && result->regressed; q++) {
    regress(options, result, (enum isoflop_quantity)q, error);
    if (error->code) return false;
  }
  isoflop_simulate(options, &rows, result);
  return true;
}

bool isoflop_run(const struct table *table, const struct isoflop_options *options, struct isoflop *result,
                 struct error *error) {
  struct isoflop_options given = *options;
  if (given.tolerance <= 0) given.tolerance = 0.1;
  if (given.minimum_spread <= 0) given.minimum_spread = 0.33;
  if (given.confidence <= 0) given.confidence = 0.95;
  if (given.copies < 0) given.copies = 1000;
  *result = (struct isoflop){.method = given.method, .confidence = given.confidence, .copies = given.copies};
  result->source = arena_string(&result->arena, table->source);
  int parameters = table_find(table, "parameters");
  if (parameters >= 0)
    result->parameter_count =
        arena_format(&result->arena, "as in column %s of %s", table->columns[parameters].original, table->source);
  return solve(table, &given, result, error);
}
