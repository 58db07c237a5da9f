// The diagnosis of a fit in its JSON document.
#include <math.h>

#include "fitting/fit_document_internal.h"

static void put_profiles(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "profiles");
  json_object_begin(writer);
  for (size_t i = 0; i < result->profile_count; i++) {
    const struct fit_profile *profile = &result->profiles[i];
    json_key(writer, result->coefficients[profile->coefficient].name);
    json_object_begin(writer);
    json_key_number(writer, "low", profile->low);
    json_key_number(writer, "high", profile->high);
    json_key_boolean(writer, "low_open", profile->low_open);
    json_key_boolean(writer, "high_open", profile->high_open);
    if (profile->words) json_key_string(writer, "note", profile->words);
    json_key_number(writer, "threshold", profile->threshold);
    json_key(writer, "points");
    json_array_begin(writer);
    for (size_t k = 0; k < profile->point_count; k++) {
      json_object_begin(writer);
      json_key_number(writer, "value", profile->points[k].value);
      json_key_number(writer, "objective", profile->points[k].objective);
      json_key_number(writer, "ratio", profile->points[k].ratio);
      json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
  }
  json_object_end(writer);
}

static void put_directions(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "directions");
  json_array_begin(writer);
  for (size_t i = 0; i < result->direction_count; i++) {
    const struct fit_direction *direction = &result->directions[i];
    json_object_begin(writer);
    json_key_string(writer, "parameter", result->coefficients[direction->coefficient].name);
    json_key_number(writer, "low", direction->low);
    json_key_number(writer, "high", direction->high);
    json_key_boolean(writer, "low_open", direction->low_open);
    json_key_boolean(writer, "high_open", direction->high_open);
    json_key_number(writer, "eigenvalue", direction->eigenvalue);
    json_key_string(writer, "text", direction->words);
    json_key_string(writer, "advice", direction->advice);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_sentence(struct json_writer *writer, const char *key, const char *sentence) {
  if (sentence) json_key_string(writer, key, sentence);
}

static void put_left_out(const struct fit_left_out *one, const char *value_key, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, value_key, one->value);
  json_key_integer(writer, "fitted", (int64_t)one->fitted_rows);
  json_key_integer(writer, "predicted", (int64_t)one->predicted);
  json_key_number(writer, "error", one->error);
  json_key_number(writer, "bias", one->bias);
  json_key_number(writer, "largest", one->largest);
  if (one->trouble) json_key_string(writer, "reason", one->trouble);
  json_object_end(writer);
}

static void put_leave_out(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "leave_out");
  json_array_begin(writer);
  for (size_t i = 0; i < result->leave_out_count; i++) {
    const struct fit_leave_out *column = &result->leave_out[i];
    json_object_begin(writer);
    json_key_string(writer, "column", column->column);
    json_key_number(writer, "error", column->error);
    json_key_number(writer, "bias", column->bias);
    json_key(writer, "values");
    json_array_begin(writer);
    for (size_t k = 0; k < column->value_count; k++) put_left_out(&column->values[k], "value", writer);
    json_array_end(writer);
    json_key(writer, "rollout");
    json_array_begin(writer);
    for (size_t k = 0; k < column->rollout_count; k++) put_left_out(&column->rollout[k], "up_to", writer);
    json_array_end(writer);
    put_sentence(writer, "note", column->note);
    put_sentence(writer, "text", fit_leave_out_sentence(arena, result, column));
    put_sentence(writer, "cannot", fit_not_left_out_sentence(arena, column));
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_values(const struct fit_result *result, const double *values, struct json_writer *writer) {
  json_object_begin(writer);
  for (size_t e = 0; e < result->coefficient_count; e++)
    json_key_number(writer, result->coefficients[e].name, values[e]);
  json_object_end(writer);
}

static void put_sensitivity(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "sensitivity");
  json_array_begin(writer);
  for (size_t i = 0; i < result->sensitivity_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "objective_kind", result->sensitivity[i].objective);
    json_key(writer, "parameters");
    put_values(result, result->sensitivity[i].values, writer);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_trends(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "trends");
  json_array_begin(writer);
  for (size_t i = 0; i < result->trend_count; i++) {
    const struct fit_trend *trend = &result->trends[i];
    json_object_begin(writer);
    json_key_string(writer, "column", trend->column);
    json_key_number(writer, trend->logarithmic ? "slope_per_decade" : "slope", trend->slope);
    json_key_number(writer, "rank_correlation", trend->correlation);
    json_key_number(writer, "p", trend->p);
    json_key_boolean(writer, "significant", trend->significant);
    json_key_number(writer, "spread_rank_correlation", trend->spread_correlation);
    json_key_number(writer, "spread_p", trend->spread_p);
    json_key_boolean(writer, "spread_significant", trend->spread_significant);
    put_sentence(writer, "text", fit_trend_sentence(arena, trend));
    put_sentence(writer, "spread_text", fit_spread_sentence(arena, trend));
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_influential(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "influential");
  json_array_begin(writer);
  for (size_t i = 0; i < result->influential_count; i++) {
    const struct fit_influential *one = &result->influential[i];
    json_object_begin(writer);
    json_key_string(writer, "row", result->table[one->row].name);
    json_key_integer(writer, "index", (int64_t)one->row);
    json_key_number(writer, "distance", result->table[one->row].distance);
    json_key_string(writer, "parameter", result->coefficients[one->coefficient].name);
    json_key_number(writer, "moves", one->moves);
    json_key_boolean(writer, "refitted", one->exact);
    json_key(writer, "without");
    put_values(result, one->without, writer);
    put_sentence(writer, "text", fit_influence_sentence(arena, result, one));
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "outliers");
  json_array_begin(writer);
  for (size_t i = 0; i < result->outlier_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "row", result->table[result->outliers[i].row].name);
    json_key_integer(writer, "index", (int64_t)result->outliers[i].row);
    json_key_number(writer, "deviations", result->outliers[i].deviations);
    put_sentence(writer, "text", fit_outlier_sentence(arena, result, &result->outliers[i]));
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_replication(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  const struct fit_replication *replication = &result->replication;
  if (isnan(replication->spread)) return;
  json_key(writer, "replication");
  json_object_begin(writer);
  json_key_string(writer, "columns", replication->columns);
  json_key_integer(writer, "settings", (int64_t)replication->settings);
  json_key_integer(writer, "rows", (int64_t)replication->rows);
  json_key_number(writer, "spread", replication->spread);
  json_key_number(writer, "miss", replication->miss);
  json_key_number(writer, "f", replication->f);
  json_key_number(writer, "degrees_lack", replication->lack);
  json_key_number(writer, "degrees_pure", replication->pure);
  json_key_number(writer, "p", replication->p);
  if (replication->untested) json_key_string(writer, "untested", replication->untested);
  put_sentence(writer, "text", fit_replication_sentence(arena, result));
  json_object_end(writer);
}

static void put_correlation(struct arena *arena, const struct fit_result *result, struct json_writer *writer) {
  size_t n = result->correlation_size;
  if (!n) return;
  json_key(writer, "correlation");
  json_object_begin(writer);
  json_key(writer, "parameters");
  json_array_begin(writer);
  for (size_t i = 0; i < n; i++) json_put_string(writer, result->correlated[i]);
  json_array_end(writer);
  json_key(writer, "matrix");
  json_array_begin(writer);
  for (size_t i = 0; i < n; i++) {
    json_array_begin(writer);
    for (size_t j = 0; j < n; j++) json_put_number(writer, result->correlation[i * n + j]);
    json_array_end(writer);
  }
  json_array_end(writer);
  put_sentence(writer, "text", fit_correlation_sentence(arena, result));
  json_object_end(writer);
}

void fit_json_diagnosis(const struct fit_result *result, struct json_writer *writer) {
  struct arena arena = {0};  // of the sentences
  put_profiles(result, writer);
  fit_json_contours(&arena, result, writer);
  put_directions(result, writer);
  put_leave_out(&arena, result, writer);
  put_sensitivity(result, writer);
  put_trends(&arena, result, writer);
  put_influential(&arena, result, writer);
  put_replication(&arena, result, writer);
  put_correlation(&arena, result, writer);
  arena_free(&arena);
}
