// Fits as JSON documents; fit_read.c reads them.
#include <math.h>

#include "fitting/fit_document_internal.h"

static void put_interval(struct json_writer *writer, const char *kind, double low, double high) {
  json_key(writer, kind);
  json_array_begin(writer);
  json_put_number(writer, low);
  json_put_number(writer, high);
  json_array_end(writer);
}

void fit_json_estimate(struct json_writer *writer, double value, double low, double high, double se,
                       const struct intervals *intervals) {
  json_key_number(writer, "value", value);
  json_key_number(writer, "low", low);
  json_key_number(writer, "high", high);
  json_key_number(writer, "se", se);
  if (isnan(se) && isnan(intervals->percentile_low) && isnan(intervals->percentile_high)) return;
  json_key_string(writer, "interval", interval_kind_name(intervals->kind));
  put_interval(writer, "percentile", intervals->percentile_low, intervals->percentile_high);
  put_interval(writer, "bca", intervals->bca_low, intervals->bca_high);
  put_interval(writer, "t", intervals->t_low, intervals->t_high);
  json_key_number(writer, "robust_se", intervals->robust_se);
}

static void put_parameters(const struct fit_result *result, struct json_writer *writer) {
  json_key(writer, "parameters");
  json_object_begin(writer);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *coefficient = &result->coefficients[i];
    json_key(writer, coefficient->name);
    json_object_begin(writer);
    fit_json_estimate(writer, coefficient->value, coefficient->low, coefficient->high, coefficient->se,
                      &coefficient->intervals);
    json_key_string(writer, "status", coefficient_status_name(coefficient->status));
    if (coefficient->status == COEFFICIENT_AT_LOW || coefficient->status == COEFFICIENT_AT_HIGH)
      json_key_string(writer, "bound", coefficient->status == COEFFICIENT_AT_LOW ? "lower" : "upper");
    if (coefficient->tied_to) json_key_string(writer, "tied_to", coefficient->tied_to);
    if (coefficient->note) json_key_string(writer, "note", coefficient->note);
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
    if (result->std) json_key_number(writer, "scale", row->scale);
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
    fit_json_estimate(writer, derived->value, derived->low, derived->high, derived->se, &derived->intervals);
    json_key_string(writer, "status", coefficient_status_name(derived->status));
    if (!isnan(derived->outside)) json_key_number(writer, "outside", derived->outside);
    if (derived->outside_of) json_key_string(writer, "outside_of", derived->outside_of);
    if (derived->note) json_key_string(writer, "note", derived->note);
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

// How the minimum was found.
static void put_search(const struct fit_result *result, struct json_writer *writer) {
  json_key_integer(writer, "starts", result->starts);
  json_key_integer(writer, "starts_descended", result->starts_descended);
  json_key_integer(writer, "starts_agreeing", result->starts_agreeing);
  json_key_integer(writer, "starts_elsewhere", result->starts_elsewhere);
  json_key_integer(writer, "starts_not_stationary", result->starts_not_stationary);
  json_key_number(writer, "runner_up_objective", result->runner_up_objective);
  json_key_number(writer, "trust_region_objective", result->trust_region_objective);
  json_key_number(writer, "bfgs_objective", result->bfgs_objective);
  json_key_boolean(writer, "stationary", result->stationary);
  json_key_number(writer, "stationarity", result->stationarity);
  json_key_number(writer, "condition", result->condition);
}

static void put_resampling(const struct fit_result *result, struct json_writer *writer) {
  json_key_integer(writer, "bootstrap", result->bootstrap);
  json_key_integer(writer, "bootstrap_failed", result->bootstrap_failed);
  json_key_number(writer, "confidence", result->confidence);
  json_key_string(writer, "interval", interval_kind_name(result->interval));
  if (result->interval_reason) json_key_string(writer, "interval_reason", result->interval_reason);
  json_key_number(writer, "degrees_of_freedom", result->interval_degrees);
  json_key_string(writer, "grouped_by", result->grouped_by);
  if (result->grouping) json_key_string(writer, "grouping", result->grouping);
  json_key_integer(writer, "groups", (int64_t)result->group_count);
}

static void put_errors(const struct fit_result *result, struct json_writer *writer) {
  json_key_number(writer, "holdout_error", result->holdout_error);
  json_key_string(writer, "errors", fit_errors_absolute(result) ? "absolute" : "relative");
  json_key_number(writer, "residual_rms", result->residual_rms);
}

void fit_result_json(const struct fit_result *result, struct json_writer *writer) {
  char objective[OBJECTIVE_TEXT];
  objective_text(result->objective_kind, objective);
  json_object_begin(writer);
  json_key_string(writer, "name", result->name);
  if (result->by) {
    json_key(writer, "by");
    json_object_begin(writer);
    json_key_string(writer, "column", result->by);
    json_key_string(writer, "value", result->part);
    json_object_end(writer);
  }
  json_key_string(writer, "law", result->law);
  json_key_string(writer, "formula", result->formula);
  json_key_string(writer, "source", result->source);
  json_key_string(writer, "predicts", result->target);
  if (result->answer) json_key_string(writer, "answer", result->answer);
  json_key_string(writer, "parameter_count", result->parameter_count);
  json_key_integer(writer, "rows", (int64_t)result->rows);
  json_key_integer(writer, "excluded", (int64_t)result->excluded_count);
  json_key_integer(writer, "duplicates", (int64_t)result->duplicates);
  json_key_integer(writer, "held_out", (int64_t)result->held_out);
  json_key_integer(writer, "unused", (int64_t)result->unused);
  json_key_number(writer, "objective", result->objective);
  if (result->prior_count || result->pool_count) json_key_number(writer, "penalty", result->penalty);
  json_key_string(writer, "objective_kind", objective);
  if (result->scale_estimated) json_key_string(writer, "objective_scale", "estimated");
  json_key_string(writer, "residual_kind", result->residual == RESIDUAL_LOG ? "log" : "plain");
  if (result->std) json_key_string(writer, "std", result->std);
  if (result->std) json_key_number(writer, "std_median", result->std_median);
  put_parameters(result, writer);
  put_search(result, writer);
  put_errors(result, writer);
  put_resampling(result, writer);
  put_derived(result, writer);
  put_stages(result, writer);
  put_exclusions(result, writer);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; i < result->warning_count; i++) json_put_string(writer, result->warnings[i]);
  json_array_end(writer);
  fit_json_ranges(&result->ranges, writer);
  fit_json_rollouts(&result->rollouts, writer);
  fit_json_made(&result->made, writer);
  fit_json_diagnosis(result, writer);
  fit_json_tests(result, writer);
  put_rows(result, writer);
  if (result->comparison) {
    json_key(writer, "comparison");
    comparison_json(result->comparison, writer);
  }
  json_object_end(writer);
}
