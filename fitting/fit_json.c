// Fits as JSON documents; fit_read.c reads them.
#include <math.h>
#include <string.h>

#include "fitting/fit_document_internal.h"

static void put_interval(struct json_writer *writer, const char *kind, double low, double high) {
  json_key(writer, kind);
  json_array_begin(writer);
  json_put_number(writer, low);
  json_put_number(writer, high);
  json_array_end(writer);
}

static void put_estimate(struct json_writer *writer, double value, double low, double high, double se,
                         const struct intervals *intervals) {
  json_key_number(writer, "value", value);
  json_key_number(writer, "low", low);
  json_key_number(writer, "high", high);
  json_key_number(writer, "se", se);
  if (isnan(se)) return;
  json_key_string(writer, "interval", interval_kind_name(intervals->kind));
  put_interval(writer, "percentile", intervals->percentile_low, intervals->percentile_high);
  put_interval(writer, "bca", intervals->bca_low, intervals->bca_high);
}

static void put_parameters(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "parameters");
  json_object_begin(writer);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *coefficient = &result->coefficients[i];
    json_key(writer, coefficient->name);
    json_object_begin(writer);
    put_estimate(writer, coefficient->value, coefficient->low, coefficient->high, coefficient->se,
                 &coefficient->intervals);
    json_key_string(writer, "status", coefficient_status_name(coefficient->status));
    json_key_string(writer, "parameter", coefficient->parameter);
    if (coefficient->category) json_key_string(writer, "category", coefficient->category);
    if (result->runner_up) json_key_number(writer, "runner_up", result->runner_up[i]);
    json_object_end(writer);
  }
  json_object_end(writer);
}

static void put_rows(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "residuals");
  json_array_begin(writer);
  for (size_t i = 0; i < result->table_count; i++) {
    const struct fit_row *row = &result->table[i];
    json_object_begin(writer);
    json_key_string(writer, "row", row->name);
    json_key_string(writer, "use", row_use_name(row->use));
    if (*row->group) json_key_string(writer, "category", row->group);
    json_key_number(writer, "observed", row->observed);
    json_key_number(writer, "predicted", row->predicted);
    json_key_number(writer, "residual", row->residual);
    json_key_number(writer, "influence", row->influence);
    if (!isnan(row->leverage)) json_key_number(writer, "leverage", row->leverage);
    if (!isnan(row->distance)) json_key_number(writer, "distance", row->distance);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_derived(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "derived");
  json_object_begin(writer);
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *derived = &result->derived[i];
    json_key(writer, derived->name);
    json_object_begin(writer);
    put_estimate(writer, derived->value, derived->low, derived->high, derived->se, &derived->intervals);
    json_object_end(writer);
  }
  json_object_end(writer);
}

static void put_stages(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "stages");
  json_array_begin(writer);
  for (int s = 0; s < result->stage_count; s++) {
    json_object_begin(writer);
    json_key_string(writer, "name", result->stages[s].name);
    json_key_integer(writer, "rows", (int64_t)result->stages[s].rows);
    json_key_integer(writer, "parameters", (int64_t)result->stages[s].parameters);
    json_key_number(writer, "objective", result->stages[s].objective);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_exclusions(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "exclusions");
  json_array_begin(writer);
  for (size_t i = 0; i < result->excluded_count; i++) {
    json_object_begin(writer);
    json_key_string(writer, "row", result->exclusions[i].row);
    json_key_string(writer, "reason", result->exclusions[i].reason);
    json_object_end(writer);
  }
  json_array_end(writer);
}

void fit_result_json(const struct fit_result *result, struct json_writer *writer) {
  char objective[48];
  objective_text(result->objective_kind, objective);
  json_object_begin(writer);
  json_key_string(writer, "name", result->name);
  json_key_string(writer, "law", result->law);
  json_key_string(writer, "formula", result->formula);
  json_key_string(writer, "source", result->source);
  json_key_string(writer, "predicts", result->target);
  json_key_string(writer, "parameter_count", result->parameter_count);
  json_key_integer(writer, "rows", (int64_t)result->rows);
  json_key_integer(writer, "excluded", (int64_t)result->excluded_count);
  json_key_integer(writer, "held_out", (int64_t)result->held_out);
  json_key_integer(writer, "unused", (int64_t)result->unused);
  json_key_number(writer, "objective", result->objective);
  json_key_string(writer, "objective_kind", objective);
  json_key_string(writer, "residual_kind", result->residual == RESIDUAL_LOG ? "log" : "plain");
  put_parameters(result, writer);
  json_key_integer(writer, "starts", result->starts);
  json_key_integer(writer, "starts_descended", result->starts_descended);
  json_key_integer(writer, "starts_agreeing", result->starts_agreeing);
  json_key_number(writer, "runner_up_objective", result->runner_up_objective);
  json_key_number(writer, "trust_region_objective", result->trust_region_objective);
  json_key_number(writer, "bfgs_objective", result->bfgs_objective);
  json_key_boolean(writer, "stationary", result->stationary);
  json_key_number(writer, "stationarity", result->stationarity);
  json_key_number(writer, "condition", result->condition);
  json_key_number(writer, "holdout_error", result->holdout_error);
  json_key_number(writer, "residual_rms", result->residual_rms);
  json_key_integer(writer, "bootstrap", result->bootstrap);
  json_key_integer(writer, "bootstrap_failed", result->bootstrap_failed);
  json_key_number(writer, "confidence", result->confidence);
  json_key_string(writer, "interval", interval_kind_name(result->interval));
  put_derived(result, writer);
  put_stages(result, writer);
  put_exclusions(result, writer);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; i < result->warning_count; i++) json_put_string(writer, result->warnings[i]);
  json_array_end(writer);
  fit_json_diagnosis(result, writer);
  put_rows(result, writer);
  if (result->comparison) {
    json_key(writer, "comparison");
    comparison_json(result->comparison, writer);
  }
  json_object_end(writer);
}

static double number_of(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static enum coefficient_status status_of(const char *name) {
  for (int status = COEFFICIENT_FITTED; status <= COEFFICIENT_UNIDENTIFIED; status++)
    if (name && strcmp(coefficient_status_name((enum coefficient_status)status), name) == 0)
      return (enum coefficient_status)status;
  return COEFFICIENT_FITTED;
}

static struct intervals intervals_of(const json_t *entry) {
  struct intervals intervals = {INTERVAL_PERCENTILE, NAN, NAN, NAN, NAN};
  const char *kind = json_string_value(json_object_get(entry, "interval"));
  double *ends[] = {&intervals.percentile_low, &intervals.percentile_high, &intervals.bca_low, &intervals.bca_high};
  for (size_t i = 0; i < 4; i++) {
    const json_t *pair = json_object_get(entry, i < 2 ? "percentile" : "bca"), *end = json_array_get(pair, i % 2);
    if (json_is_number(end)) *ends[i] = json_number_value(end);
  }
  if (kind && strcmp(kind, "bca") == 0) intervals.kind = INTERVAL_BCA;
  return intervals;
}

bool fit_document_coefficients(struct arena *arena, const char *document, struct coefficient **coefficients,
                               size_t *count, struct error *error) {
  *coefficients = NULL;
  *count = 0;
  json_error_t trouble;
  json_t *root = json_loads(document, 0, &trouble);
  const json_t *parameters = json_object_get(root, "parameters");
  if (!json_is_object(parameters)) {
    json_decref(root);
    return error_set(error, EXIT_ENVIRONMENT, "a stored fit is damaged: %s",
                     root ? "it has no parameters" : trouble.text);
  }
  *coefficients = arena_array(arena, json_object_size(parameters) + 1, sizeof **coefficients);
  const char *name;
  json_t *entry;
  json_object_foreach((json_t *)parameters, name, entry) {
    struct coefficient *coefficient = &(*coefficients)[(*count)++];
    const char *parameter = json_string_value(json_object_get(entry, "parameter"));
    const char *category = json_string_value(json_object_get(entry, "category"));
    *coefficient = (struct coefficient){.name = arena_string(arena, name),
                                        .parameter = arena_string(arena, parameter ? parameter : name),
                                        .category = category ? arena_string(arena, category) : NULL,
                                        .status = status_of(json_string_value(json_object_get(entry, "status"))),
                                        .value = number_of(entry, "value"),
                                        .low = number_of(entry, "low"),
                                        .high = number_of(entry, "high"),
                                        .se = number_of(entry, "se"),
                                        .intervals = intervals_of(entry)};
  }
  json_decref(root);
  return true;
}
