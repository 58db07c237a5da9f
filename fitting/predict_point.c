// One point predicted: the law's value with its interval, the interval of a new run, how far outside the data it lies.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/law_bind_internal.h"
#include "fitting/table_internal.h"

enum { DRAWS = 8 };  // residuals drawn for each replicate

static struct replicates replicates_of(const struct fitted_law *fitted, const double *values) {
  return (struct replicates){
      values, fitted->replicate_count, 1, values + fitted->replicate_count, fitted->jackknife_count,
      1,      fitted->degrees};
}

struct estimate estimate_of(const struct fitted_law *fitted, double value, const double *values) {
  struct estimate estimate = {value, NAN, NAN};
  struct intervals both;
  double se;
  interval_of(replicates_of(fitted, values), value, fitted->confidence, fitted->interval, &both, &estimate.low,
              &estimate.high, &se);
  return estimate;
}

static double given_number(const struct law_input *inputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(column_canonical(inputs[i].name), name) == 0 && inputs[i].value.kind == VALUE_NUMBER)
      return inputs[i].value.number;
  return NAN;
}

size_t complete_inputs(const struct fitted_law *fitted, const struct law_input *inputs, size_t count,
                       struct law_input *all) {
  double n = given_number(inputs, count, "parameters"), d = given_number(inputs, count, "tokens");
  double c = given_number(inputs, count, "flops"), ratio = given_number(inputs, count, "tokens_per_parameter");
  size_t made = count;
  if (count) memcpy(all, inputs, count * sizeof *all);
  if (isnan(d) && !isnan(n) && (!isnan(ratio) || !isnan(c))) {
    d = isnan(ratio) ? c / cost_per_token(&fitted->cost, n) : ratio * n;
    all[made++] = (struct law_input){"tokens", {.kind = VALUE_NUMBER, .number = d}};
  }
  if (isnan(c) && !isnan(n) && !isnan(d))
    all[made++] = (struct law_input){"flops", {.kind = VALUE_NUMBER, .number = d * cost_per_token(&fitted->cost, n)}};
  if (isnan(ratio) && !isnan(n) && !isnan(d))
    all[made++] = (struct law_input){"tokens_per_parameter", {.kind = VALUE_NUMBER, .number = d / n}};
  return made;
}

static void find_outside(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                         size_t count, struct prediction *prediction) {
  struct outside *outside = arena_array(arena, fitted->range_count + 1, sizeof *outside);
  for (size_t i = 0; i < fitted->range_count; i++) {
    const struct column_range *range = &fitted->ranges[i];
    double value = given_number(inputs, count, range->name);
    // a hair's breadth is rounding, not extrapolation
    double slack = 1e-9 * fmax(fabs(range->low), fabs(range->high));
    if (isnan(value) || (value >= range->low - slack && value <= range->high + slack)) continue;
    struct outside *out = &outside[prediction->outside_count++];
    *out = (struct outside){range->name, value, range->low, range->high, NAN};
    if (value > range->high && range->high > 0) out->factor = value / range->high;
    if (value < range->low && value > 0) out->factor = range->low / value;
  }
  prediction->outside = outside;
}

// The value with a residual (ln(observed / predicted), or observed - predicted) put on it.
static double with_residual(enum law_residual kind, double value, double residual) {
  return kind == RESIDUAL_LOG ? value * exp(residual) : value + residual;
}

// Quantiles of the law's replicates, corrected as its interval is, with residuals of the fitted rows on them, drawn
// with replacement.
static void run_interval(const struct fitted_law *fitted, const double *values, struct prediction *prediction) {
  size_t count = fitted->replicate_count ? fitted->replicate_count : 1, kept = 0;
  double *draws = memory_get(count * DRAWS * sizeof *draws), *even = memory_get(count * sizeof *even);
  if (fitted->replicate_count &&
      replicates_even(replicates_of(fitted, values), fitted->interval, prediction->law.value, even))
    values = even;
  for (size_t b = 0; b < count; b++) {
    double value = fitted->replicate_count ? values[b] : prediction->law.value;
    for (uint64_t k = 0; k < DRAWS && isfinite(value); k++) {
      uint64_t drawn = random_below(fitted->seed, RANDOM_STREAM_BOOTSTRAP, (1ull << 32) + b, k, fitted->scatter_count);
      draws[kept++] = with_residual(fitted->residual, value, fitted->scatter[drawn]);
    }
  }
  if (kept >= 2) {
    qsort(draws, kept, sizeof *draws, compare_numbers);
    prediction->run_low = quantile(draws, kept, (1 - fitted->confidence) / 2);
    prediction->run_high = quantile(draws, kept, (1 + fitted->confidence) / 2);
  }
  free(even);
  free(draws);
}

void fitted_law_predict(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                        size_t input_count, struct prediction *prediction) {
  *prediction = (struct prediction){.law = {NAN, NAN, NAN}, .run_low = NAN, .run_high = NAN};
  struct arena scratch = {0};
  struct law_input *all = arena_array(&scratch, input_count + 4, sizeof *all);
  size_t count = complete_inputs(fitted, inputs, input_count, all);
  struct law_binding binding;
  struct error error = {0};
  if (law_bind(&scratch, fitted->law, fitted->coefficients, fitted->coefficient_count, all, count, false, &binding,
               &error)) {
    double *values = arena_array(&scratch, fitted->coefficient_count + 1, sizeof *values);
    for (size_t i = 0; i < fitted->coefficient_count; i++) values[i] = fitted->coefficients[i].value;
    prediction->law.value = law_bound_value(&binding, values, NAN, NAN, NAN);
    size_t rows = fitted->replicate_count + fitted->jackknife_count;
    double *replicates = arena_array(&scratch, rows + 1, sizeof *replicates);
    for (size_t b = 0; b < rows; b++)
      replicates[b] = law_bound_value(&binding, fitted->replicates + b * fitted->coefficient_count, NAN, NAN, NAN);
    prediction->law = estimate_of(fitted, prediction->law.value, replicates);
    if (fitted->scatter_count && isfinite(prediction->law.value)) run_interval(fitted, replicates, prediction);
    if (isnan(prediction->law.value)) prediction->missing = "the law gives no number here";
    find_outside(arena, fitted, all, count, prediction);
  } else {
    prediction->missing = arena_string(arena, error.text);
  }
  arena_free(&scratch);
}
