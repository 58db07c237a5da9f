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

// Where the rows do not limit a coefficient, its value at the end of the profile fits them as well. What moves out of
// the interval by more than its width between here and there is not limited on that side; by less, the interval is
// widened to hold it. What moves by much of its interval is said to hang on the coefficient in any case.
static void settle(const struct fitted_law *fitted, const double *values, struct estimate *estimate) {
  static const double least_move = 0.02;  // of the value: less is no move, whatever the interval
  static const double much = 0.25;        // of the interval
  static const double rounding = 1e-6;    // of the value: rows without noise have no interval to speak of
  const double *ends = values + fitted->replicate_count + fitted->jackknife_count;
  bool has = !isnan(estimate->low) && !isnan(estimate->high), below = false, above = false;
  double low = has ? estimate->low : estimate->value, high = has ? estimate->high : estimate->value, farthest = -1;
  double room = has ? fmax(high - low, rounding * fabs(estimate->value)) : least_move * fabs(estimate->value);
  double widened_low = low, widened_high = high;
  for (size_t k = 0; k < fitted->open_count; k++) {
    bool step = fitted->open_ends[k].step, nothing = isnan(ends[k]);
    bool down = step || nothing ? false : ends[k] < low - room, up = step || nothing ? false : ends[k] > high + room;
    if (nothing || (step && open_step_moves(estimate->value, ends[k]))) down = up = true;
    if (!step && !nothing) {
      widened_low = fmin(widened_low, ends[k]);
      widened_high = fmax(widened_high, ends[k]);
    }
    below |= down;
    above |= up;
    double moved = nothing ? INFINITY : fabs(ends[k] - estimate->value);
    bool moves = down || up || (moved > much * room && moved > least_move * fabs(estimate->value));
    if (!moves || !(moved > farthest)) continue;
    farthest = moved;
    estimate->hangs_on = &fitted->coefficients[fitted->open_ends[k].coefficient];
  }
  if (below || above) estimate->status = below && above ? COEFFICIENT_UNIDENTIFIED : COEFFICIENT_ONE_SIDED;
  if (!has) return;
  estimate->low = below ? NAN : widened_low;
  estimate->high = above ? NAN : widened_high;
}

struct estimate estimate_of(const struct fitted_law *fitted, double value, const double *values) {
  struct estimate estimate = {.value = value, .low = NAN, .high = NAN};
  struct intervals both;
  double se;
  interval_of(replicates_of(fitted, values), value, fitted->confidence, fitted->interval, &both, &estimate.low,
              &estimate.high, &se);
  if (!isnan(value)) settle(fitted, values, &estimate);
  if (fitted->unsettled) {
    estimate.status = COEFFICIENT_UNIDENTIFIED;
    estimate.low = estimate.high = NAN;
    estimate.hangs_on = fitted->unsettled;
  }
  return estimate;
}

void predictions_score(const struct prediction *predictions, const double *observed, size_t count,
                       struct prediction_score *score) {
  double mean = 0, about = 0, left = 0;
  for (size_t i = 0; i < count; i++) {
    double predicted = predictions[i].law.value, seen = observed[i], off = (predicted - seen) / fabs(seen);
    if (!isfinite(off)) continue;
    score->rows++;
    mean += seen;
    left += (predicted - seen) * (predicted - seen);
    score->mean_absolute += fabs(predicted - seen);
    score->mean_error += fabs(off);
    score->rms += off * off;
    if (fabs(off) > fabs(score->largest)) score->largest = off;
    if (isnan(predictions[i].run_low) || isnan(predictions[i].run_high)) continue;
    score->judged++;
    score->held += predictions[i].run_low <= seen && seen <= predictions[i].run_high;
  }
  double rows = (double)score->rows;
  mean /= rows;
  for (size_t i = 0; i < count; i++)
    if (isfinite((predictions[i].law.value - observed[i]) / fabs(observed[i])))
      about += (observed[i] - mean) * (observed[i] - mean);
  score->mean_absolute /= rows;
  score->mean_error /= rows;
  score->rms = sqrt(score->rms / rows);
  score->r_squared = about > 0 ? 1 - left / about : NAN;
}

bool prediction_cannot_tell(const struct prediction *prediction) {
  return prediction->law.status == COEFFICIENT_UNIDENTIFIED ||
         outside_hides(prediction->outside, prediction->outside_count);
}

double fitted_law_outside(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                          size_t input_count, const struct outside **outside, size_t *count) {
  struct outside *found;
  bool open = false;
  for (size_t i = 0; i < fitted->coefficient_count; i++)
    open |= fitted->coefficients[i].status == COEFFICIENT_UNIDENTIFIED;
  double most = ranges_outside(arena, &fitted->ranges, inputs, input_count, &found, count);
  for (size_t i = 0; i < *count; i++) found[i].open = open && !found[i].category && found[i].low == found[i].high;
  *outside = found;
  return most;
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

// How far residuals of the fitted rows reach to one side, at the level of the interval's ends.
static double scatter_reach(const struct fitted_law *fitted, bool below) {
  double *sorted = memory_get((fitted->scatter_count + 1) * sizeof *sorted);
  memcpy(sorted, fitted->scatter, fitted->scatter_count * sizeof *sorted);
  qsort(sorted, fitted->scatter_count, sizeof *sorted, compare_numbers);
  double end = quantile(sorted, fitted->scatter_count, (1 + (below ? -1 : 1) * fitted->confidence) / 2);
  free(sorted);
  return fmax(0, below ? -end : end);
}

// The law's interval may hold more than resamples show (where profiles end); a run lies no nearer to the law than that.
static void hold_law(const struct fitted_law *fitted, struct prediction *prediction) {
  bool logarithm = fitted->residual == RESIDUAL_LOG;
  double value = prediction->law.value;
  for (int below = 0; below < 2; below++) {
    double law = below ? prediction->law.low : prediction->law.high;
    double *run = below ? &prediction->run_low : &prediction->run_high;
    if (!(below ? law < *run : law > *run) || (logarithm && !(law / value > 0))) continue;
    double distance = hypot(logarithm ? log(law / value) : law - value, scatter_reach(fitted, below));
    *run = with_residual(fitted->residual, value, below ? -distance : distance);
  }
}

// A run's interval is open where the law's is.
static void limit_run(struct prediction *prediction) {
  if (isnan(prediction->law.low)) prediction->run_low = NAN;
  if (isnan(prediction->law.high)) prediction->run_high = NAN;
}

void fitted_law_predict(struct arena *arena, const struct fitted_law *fitted, const struct law_input *inputs,
                        size_t input_count, struct prediction *prediction) {
  *prediction = (struct prediction){
      .law = {.value = NAN, .low = NAN, .high = NAN}, .run_low = NAN, .run_high = NAN, .outside_most = 1};
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
    size_t rows = fitted_law_rows(fitted);
    double *replicates = arena_array(&scratch, rows + 1, sizeof *replicates);
    for (size_t b = 0; b < rows; b++)
      replicates[b] = law_bound_value(&binding, fitted->replicates + b * fitted->coefficient_count, NAN, NAN, NAN);
    prediction->law = estimate_of(fitted, prediction->law.value, replicates);
    if (fitted->scatter_count && isfinite(prediction->law.value)) {
      run_interval(fitted, replicates, prediction);
      hold_law(fitted, prediction);
    }
    if (!isfinite(prediction->law.value)) {
      prediction->law = (struct estimate){.value = NAN, .low = NAN, .high = NAN};
      prediction->missing = "the law gives no number here";
    }
  } else {
    prediction->missing = arena_string(arena, error.text);
  }
  prediction->outside_most =
      fitted_law_outside(arena, fitted, all, count, &prediction->outside, &prediction->outside_count);
  if (prediction->missing) {
    bool unseen = false;  // a category that no row has: that is worth saying, how far off a size lies is not
    for (size_t i = 0; i < prediction->outside_count; i++) unseen |= prediction->outside[i].unseen != NULL;
    if (!unseen) prediction->outside_count = 0;
    if (!unseen) prediction->outside_most = 1;
    prediction->law.status = COEFFICIENT_UNIDENTIFIED;
  }
  if (prediction_cannot_tell(prediction)) {
    prediction->law.status = COEFFICIENT_UNIDENTIFIED;
    prediction->law.low = prediction->law.high = NAN;
    prediction->run_low = prediction->run_high = NAN;
  }
  if (prediction->law.status == COEFFICIENT_ONE_SIDED) limit_run(prediction);
  arena_free(&scratch);
}
