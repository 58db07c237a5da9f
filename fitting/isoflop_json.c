// Compute-optimal sizes as a JSON document.
#include <math.h>

#include "fitting/isoflop.h"

static void put_optimum(struct json_writer *writer, const char *name, const struct isoflop_optimum *optimum,
                        bool rejected) {
  json_key(writer, name);
  json_object_begin(writer);
  json_key_number(writer, "value", rejected ? NAN : optimum->value);
  json_key_number(writer, "low", rejected ? NAN : optimum->low);
  json_key_number(writer, "high", rejected ? NAN : optimum->high);
  json_key_number(writer, "spread", rejected ? NAN : optimum->spread);
  json_object_end(writer);
}

static void put_numbers(struct json_writer *writer, const char *key, const double *numbers, size_t count) {
  json_key(writer, key);
  json_array_begin(writer);
  for (size_t i = 0; i < count; i++) json_put_number(writer, numbers[i]);
  json_array_end(writer);
}

static void put_budget(struct json_writer *writer, const struct isoflop_budget *budget) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  json_object_begin(writer);
  json_key_number(writer, "flops", budget->flops);
  json_key_integer(writer, "rows", (int64_t)budget->rows);
  json_key_integer(writer, "sizes", (int64_t)budget->sizes);
  json_key_string(writer, "rejected", budget->rejected);
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++)
    put_optimum(writer, names[q], &budget->optimum[q], budget->rejected != NULL);
  json_key_integer(writer, "copies_kept", budget->copies_kept);
  json_key(writer, "bias");  // what the method gives on the surface over the truth
  json_object_begin(writer);
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++) json_key_number(writer, names[q], budget->bias[q]);
  json_object_end(writer);
  json_key(writer, "points");
  json_object_begin(writer);
  put_numbers(writer, "parameters", budget->parameters, budget->sizes);
  put_numbers(writer, "tokens", budget->tokens, budget->sizes);
  put_numbers(writer, "loss", budget->loss, budget->sizes);
  json_object_end(writer);
  json_object_end(writer);
}

static void put_regression(struct json_writer *writer, const char *key, const struct power_regression *fit) {
  json_key(writer, key);
  if (!fit->points) {
    json_put_null(writer);
    return;
  }
  json_object_begin(writer);
  json_key_integer(writer, "points", (int64_t)fit->points);
  json_key_number(writer, "exponent", fit->exponent);
  json_key_boolean(writer, "pinned", fit->pinned);
  json_key_number(writer, "coefficient", fit->coefficient);
  json_key_number(writer, "se", fit->exponent_se);
  json_key_number(writer, "low", fit->low);
  json_key_number(writer, "high", fit->high);
  json_key_number(writer, "r2", fit->r2);
  json_object_end(writer);
}

static void put_exponents(struct json_writer *writer, const struct isoflop *result) {
  json_key(writer, "exponents");
  json_object_begin(writer);
  for (int q = 0; result->regressed && q < ISOFLOP_QUANTITIES; q++) {
    const struct isoflop_exponent *exponent = &result->exponents[q];
    const struct power_regression *best = isoflop_best(exponent);
    json_key(writer, exponent->name);
    json_object_begin(writer);
    json_key_number(writer, "value", best->exponent);
    json_key_number(writer, "low", exponent->low);
    json_key_number(writer, "high", exponent->high);
    json_key_number(writer, "se", exponent->se);
    json_key_boolean(writer, "pinned", best->pinned);
    json_key_number(writer, "coefficient", best->coefficient);
    json_key_number(writer, "coefficient_low", exponent->coefficient_low);
    json_key_number(writer, "coefficient_high", exponent->coefficient_high);
    json_key_integer(writer, "copies", exponent->copies);
    put_regression(writer, "weighted", &exponent->weighted);
    put_regression(writer, "unweighted", &exponent->plain);
    json_object_end(writer);
  }
  json_object_end(writer);
}

// The bias of the method on this grid: null where it was not simulated.
static void put_bias(struct json_writer *writer, const struct isoflop *result) {
  static const char *const names[] = {"parameters", "tokens", "loss"};
  const struct isoflop_bias *bias = &result->bias;
  struct arena arena = {0};
  json_key(writer, "bias");
  if (!bias->surface) {
    json_put_null(writer);
    return;
  }
  json_object_begin(writer);
  json_key_string(writer, "surface", bias->surface);
  json_key_string(writer, "trouble", bias->trouble);
  json_key_integer(writer, "rows", (int64_t)bias->rows);
  json_key_number(writer, "residual_rms", bias->residual_rms);
  json_key_integer(writer, "budgets", (int64_t)bias->budgets);
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++) {
    json_key(writer, names[q]);
    json_object_begin(writer);
    json_key_number(writer, "simulated", bias->exponents[q].simulated);
    json_key_number(writer, "truth", bias->exponents[q].truth);
    json_key_number(writer, "off", bias->exponents[q].off);
    json_key_number(writer, "coefficient", bias->exponents[q].coefficient);
    json_key_number(writer, "corrected", isoflop_corrected(result, (enum isoflop_quantity)q));
    json_object_end(writer);
  }
  json_key(writer, "sentences");
  json_array_begin(writer);
  for (const char *const *one = isoflop_bias_sentences(&arena, result); *one; one++) json_put_string(writer, *one);
  json_array_end(writer);
  json_object_end(writer);
  arena_free(&arena);
}

static void put_segments(struct json_writer *writer, const struct isoflop *result) {
  json_key(writer, "segments");
  json_array_begin(writer);
  for (size_t s = 0; s < result->segment_count; s++) {
    const struct isoflop_segment *segment = &result->segments[s];
    json_object_begin(writer);
    json_key_number(writer, "flops_low", segment->flops_low);
    json_key_number(writer, "flops_high", segment->flops_high);
    json_key_string(writer, "curve", segment->curve);
    json_key_number(writer, "parameters", segment->parameters);
    json_key_number(writer, "tokens_low", segment->tokens_low);
    json_key_number(writer, "tokens_high", segment->tokens_high);
    json_key_number(writer, "loss_low", segment->loss_low);
    json_key_number(writer, "loss_high", segment->loss_high);
    json_key_boolean(writer, "edge", segment->edge);
    json_object_end(writer);
  }
  json_array_end(writer);
}

void isoflop_json(const struct isoflop *result, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "method", isoflop_method_name(result->method));
  json_key_string(writer, "source", result->source);
  json_key_string(writer, "parameter_count", result->parameter_count);
  json_key_integer(writer, "rows", (int64_t)result->rows);
  json_key_integer(writer, "excluded", (int64_t)result->excluded);
  json_key_integer(writer, "duplicates", (int64_t)result->duplicates);
  json_key_integer(writer, "copies", result->copies);
  json_key_number(writer, "confidence", result->confidence);
  if (result->method != ISOFLOP_ENVELOPE) {
    json_key(writer, "noise");
    json_object_begin(writer);
    json_key_string(writer, "source", result->noise_source);
    if (result->noise_degrees > 0) json_key_number(writer, "degrees", result->noise_degrees);
    json_key_number(writer, "low", result->noise.low);
    json_key_number(writer, "low_loss", result->noise.low_loss);
    json_key_number(writer, "high", result->noise.high);
    json_key_number(writer, "high_loss", result->noise.high_loss);
    json_object_end(writer);
    json_key(writer, "budgets");
    json_array_begin(writer);
    for (size_t b = 0; b < result->budget_count; b++) put_budget(writer, &result->budgets[b]);
    json_array_end(writer);
  } else {
    put_segments(writer, result);
  }
  put_exponents(writer, result);
  put_bias(writer, result);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; i < result->warning_count; i++) json_put_string(writer, result->warnings[i]);
  json_array_end(writer);
  json_object_end(writer);
}
