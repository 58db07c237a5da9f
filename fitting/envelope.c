// The envelope of training curves (Hoffmann et al. 2022, approach 1): at each of many FLOP values the training with the
// lowest loss there; its size and tokens are taken as compute-optimal. Intervals by resampling whole trainings.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/isoflop_internal.h"

struct envelope {
  size_t points, curves;
  double *flops;          // [points]
  double *loss, *tokens;  // [points][curves]: NAN where the curve does not reach
  double *size;           // [curves]
  double smallest, largest;
};

// The lowest curve at a point among those drawn (NULL: all), or -1.
static int lowest(const struct envelope *envelope, size_t point, const int *drawn) {
  int best = -1;
  for (size_t c = 0; c < envelope->curves; c++) {
    double loss = envelope->loss[point * envelope->curves + c];
    if (isnan(loss) || (drawn && !drawn[c])) continue;
    if (best < 0 || loss < envelope->loss[point * envelope->curves + (size_t)best]) best = (int)c;
  }
  return best;
}

// Regressions over the points whose lowest curve is neither of the smallest nor of the largest size. The number of
// points taken; 0 when there is no power law.
static size_t regress_envelope(const struct envelope *envelope, const int *drawn, const struct isoflop_pins *pins,
                               double confidence, struct power_regression out[ISOFLOP_QUANTITIES], double *low,
                               double *high) {
  size_t kept = 0;
  double *x = memory_get(4 * envelope->points * sizeof *x);
  double *y[ISOFLOP_QUANTITIES];
  for (size_t q = 0; q < ISOFLOP_QUANTITIES; q++) y[q] = x + (q + 1) * envelope->points;
  for (size_t p = 0; p < envelope->points; p++) {
    int c = lowest(envelope, p, drawn);
    if (c < 0 || envelope->size[c] == envelope->smallest || envelope->size[c] == envelope->largest) continue;
    x[kept] = envelope->flops[p];
    y[ISOFLOP_PARAMETERS][kept] = envelope->size[c];
    y[ISOFLOP_TOKENS][kept] = envelope->tokens[p * envelope->curves + (size_t)c];
    y[ISOFLOP_LOSS][kept++] = envelope->loss[p * envelope->curves + (size_t)c];
  }
  struct error few = {0};
  bool fine = kept > 0;
  for (int q = 0; q < ISOFLOP_QUANTITIES && fine; q++)
    fine = isoflop_line(pins, (enum isoflop_quantity)q, x, y[q], NULL, kept, confidence, &out[q], &few);
  if (fine && low) {
    *low = x[0];
    *high = x[kept - 1];
  }
  free(x);
  return fine ? kept : 0;
}

static void make_envelope(struct envelope *envelope, struct arena *arena, const struct isoflop_options *options,
                          const struct isoflop_rows *rows) {
  size_t *points, *start;
  double low = INFINITY, high = 0;
  curve_points(arena, rows, &points, &start);
  for (size_t i = 0; i < rows->count; i++) {
    low = fmin(low, rows->flops[i]);
    high = fmax(high, rows->flops[i]);
  }
  envelope->points = ENVELOPE_POINTS;
  envelope->curves = (size_t)rows->curve_count;
  envelope->flops = arena_array(arena, envelope->points, sizeof(double));
  envelope->loss = arena_array(arena, envelope->points * envelope->curves, sizeof(double));
  envelope->tokens = arena_array(arena, envelope->points * envelope->curves, sizeof(double));
  envelope->size = arena_array(arena, envelope->curves, sizeof(double));
  envelope->smallest = INFINITY;
  envelope->largest = 0;
  for (size_t c = 0; c < envelope->curves; c++) {
    envelope->size[c] = rows->parameters[points[start[c]]];
    envelope->smallest = fmin(envelope->smallest, envelope->size[c]);
    envelope->largest = fmax(envelope->largest, envelope->size[c]);
  }
  for (size_t p = 0; p < envelope->points; p++) {
    double C = exp(log(low) + log(high / low) * (double)p / (double)(envelope->points - 1));
    envelope->flops[p] = C;
    for (size_t c = 0; c < envelope->curves; c++) {
      size_t at = p * envelope->curves + c;
      double tolerance = options->curve ? 1e-9 : options->tolerance;
      if (!curve_at(rows, points + start[c], start[c + 1] - start[c], C, tolerance, &envelope->loss[at],
                    &envelope->tokens[at]))
        envelope->loss[at] = envelope->tokens[at] = NAN;
    }
  }
}

static void put_segments(struct isoflop *result, const struct envelope *envelope, const struct isoflop_rows *rows) {
  struct arena *arena = &result->arena;
  result->segments = arena_array(arena, envelope->points + 1, sizeof *result->segments);
  for (size_t p = 0, end; p < envelope->points; p = end) {
    int c = lowest(envelope, p, NULL);
    for (end = p + 1; end < envelope->points && lowest(envelope, end, NULL) == c;) end++;
    if (c < 0) continue;
    size_t first = p * envelope->curves + (size_t)c, last = (end - 1) * envelope->curves + (size_t)c;
    result->segments[result->segment_count++] = (struct isoflop_segment){
        .flops_low = envelope->flops[p],
        .flops_high = envelope->flops[end - 1],
        .parameters = envelope->size[c],
        .tokens_low = envelope->tokens[first],
        .tokens_high = envelope->tokens[last],
        .loss_low = envelope->loss[first],
        .loss_high = envelope->loss[last],
        .curve = rows->curve_names[c],
        .points = end - p,
        .edge = envelope->size[c] == envelope->smallest || envelope->size[c] == envelope->largest};
  }
}

bool isoflop_envelope(const struct isoflop_options *options, struct isoflop *result, const struct isoflop_rows *rows,
                      struct error *error) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  struct envelope envelope;
  if ((size_t)rows->curve_count == rows->count)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s: the envelope is of training curves, and here every training has one row; name the column "
                     "that says which rows are of one training",
                     result->source);
  make_envelope(&envelope, &result->arena, options, rows);
  put_segments(result, &envelope, rows);
  struct power_regression fits[ISOFLOP_QUANTITIES] = {{0}};
  result->used = regress_envelope(&envelope, NULL, &options->pins, result->confidence, fits, &result->envelope_low,
                                  &result->envelope_high);
  result->regressed = result->used > 0;
  if (!result->regressed) {
    isoflop_warn(result,
                 "only the smallest and the largest size are lowest anywhere: no size between them is optimal "
                 "for a budget, so there is no power law");
    return true;
  }
  size_t copies = (size_t)result->copies;
  double *replicates = memory_get((ISOFLOP_QUANTITIES * copies + 1) * sizeof *replicates);
  int *drawn = memory_get(envelope.curves * sizeof *drawn);
  for (size_t copy = 0; copy < copies; copy++) {
    memset(drawn, 0, envelope.curves * sizeof *drawn);
    for (size_t i = 0; i < envelope.curves; i++)
      drawn[random_below(options->seed, RANDOM_STREAM_BOOTSTRAP, copy, i, envelope.curves)]++;
    struct power_regression one[ISOFLOP_QUANTITIES];
    size_t kept = regress_envelope(&envelope, drawn, &options->pins, result->confidence, one, NULL, NULL);
    for (size_t q = 0; q < ISOFLOP_QUANTITIES; q++) replicates[q * copies + copy] = kept ? line_value(&one[q]) : NAN;
  }
  for (size_t q = 0; q < ISOFLOP_QUANTITIES; q++) {
    struct isoflop_exponent *exponent = &result->exponents[q];
    *exponent = (struct isoflop_exponent){.name = names[q],
                                          .plain = fits[q],
                                          .low = NAN,
                                          .high = NAN,
                                          .se = NAN,
                                          .coefficient_low = NAN,
                                          .coefficient_high = NAN};
    // the points stand next to each other on the same curves: their scatter is no measure of the error
    exponent->plain.low = exponent->plain.high = exponent->plain.exponent_se = NAN;
    for (size_t copy = 0; copy < copies; copy++) exponent->copies += isfinite(replicates[q * copies + copy]);
    if (copies) exponent_interval(replicates + q * copies, copies, result->confidence, exponent);
  }
  free(drawn);
  free(replicates);
  return true;
}
