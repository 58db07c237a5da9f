// Designs as JSON documents.
#include <math.h>

#include "fitting/design.h"

static void put_quantity(struct json_writer *writer, const struct design_quantity *quantity) {
  json_key(writer, quantity->name);
  json_object_begin(writer);
  json_key_number(writer, "truth", quantity->truth);
  json_key_boolean(writer, "identified", isfinite(quantity->linear_se));
  json_key_number(writer, "linear_se", quantity->linear_se);
  json_key_number(writer, "linear_low95", quantity->linear_low);
  json_key_number(writer, "linear_high95", quantity->linear_high);
  json_key_number(writer, "mean", quantity->mean);
  json_key_number(writer, "bias", quantity->bias);
  json_key_number(writer, "sd", quantity->sd);
  json_key_number(writer, "low90", quantity->low90);
  json_key_number(writer, "high90", quantity->high90);
  json_key_number(writer, "low95", quantity->low95);
  json_key_number(writer, "high95", quantity->high95);
  json_key_number(writer, "coverage90", quantity->coverage90);
  json_key_number(writer, "coverage95", quantity->coverage95);
  json_key_number(writer, "relative_width", quantity->relative_width);
  json_key_number(writer, "share_not_identified", quantity->not_identified);
  json_key_number(writer, "share_at_bound", quantity->at_bound);
  if (quantity->derived) json_key_number(writer, "outside", quantity->outside);
  json_object_end(writer);
}

static void put_addition(struct json_writer *writer, const char *key, const struct design_addition *addition) {
  json_key(writer, key);
  if (!addition->found) {
    json_put_null(writer);
    return;
  }
  json_object_begin(writer);
  json_key_number(writer, "parameters", addition->parameters);
  json_key_number(writer, "tokens", addition->tokens);
  json_key_number(writer, "flops", addition->flops);
  json_key_string(writer, "category", addition->category);
  json_key_number(writer, "se_before", addition->se_before);
  json_key_number(writer, "se_after", addition->se_after);
  json_key_number(writer, "sd_before", addition->sd_before);
  json_key_number(writer, "sd_after", addition->sd_after);
  json_object_end(writer);
}

void design_json(const struct design_result *result, struct json_writer *writer) {
  json_key_string(writer, "law", result->law);
  json_key_integer(writer, "rows", (int64_t)result->rows);
  json_key_number(writer, "noise", result->noise);
  json_key_string(writer, "objective_kind", result->objective);
  json_key_integer(writer, "repeats", result->repeats);
  json_key_integer(writer, "failed", result->failed);
  json_key_boolean(writer, "interrupted", result->interrupted);
  json_key_number(writer, "condition", result->condition);
  json_key_number(writer, "log_determinant", result->log_determinant);
  static const char *const groups[] = {"parameters", "derived"};
  for (int group = 0; group < 2; group++) {
    json_key(writer, groups[group]);
    json_object_begin(writer);
    for (size_t q = 0; q < result->quantity_count; q++)
      if (result->quantities[q].derived == (group == 1)) put_quantity(writer, &result->quantities[q]);
    json_object_end(writer);
  }
  json_key(writer, "pairs");
  json_array_begin(writer);
  for (size_t i = 0; i < result->pair_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "first", result->pairs[i].first);
    json_key_string(writer, "second", result->pairs[i].second);
    json_key_number(writer, "correlation", result->pairs[i].correlation);
    json_key_boolean(writer, "separable", result->pairs[i].separable);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "not_identified");
  json_array_begin(writer);
  for (size_t i = 0; i < result->unidentified_count; i++) json_put_string(writer, result->unidentified[i]);
  json_array_end(writer);
  put_addition(writer, "added_run", &result->addition);
  put_addition(writer, "added_run_per_flop", &result->cheap_addition);
}
