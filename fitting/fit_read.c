// A fit from its JSON document: what fit_json.c writes.
#include <limits.h>
#include <math.h>
#include <string.h>

#include "fitting/fit_document_internal.h"

static enum interval_kind read_interval_kind(const struct reading *reading, const json_t *object) {
  const char *name = member_text(reading, object, "interval", NULL);
  enum interval_kind kind = INTERVAL_PERCENTILE;  // the only one before documents named it
  if (name && strcmp(name, interval_kind_name(INTERVAL_PROFILE)) == 0) return INTERVAL_PROFILE;
  if (name && !interval_parse(name, &kind, &(struct error){0}))
    reading_damaged(reading, "interval", "kind of interval");
  return kind;
}

void fit_read_ends(const struct reading *reading, const json_t *object, const char *key, double *low, double *high) {
  const json_t *pair = json_object_get(object, key);
  *low = *high = NAN;
  if (!pair) return;
  if (!json_is_array(pair) || json_array_size(pair) != 2) {
    reading_damaged(reading, key, "pair of numbers");
    return;
  }
  double *const ends[] = {low, high};
  for (size_t i = 0; i < 2; i++) {
    const json_t *end = json_array_get(pair, i);
    if (json_is_number(end))
      *ends[i] = json_number_value(end);
    else if (!json_is_null(end))
      reading_damaged(reading, key, "pair of numbers");
  }
}

void fit_read_estimate(const struct reading *reading, const json_t *entry, double *value, double *low, double *high,
                       double *se, struct intervals *intervals) {
  *value = member_number(reading, entry, "value");
  *low = member_number(reading, entry, "low");
  *high = member_number(reading, entry, "high");
  *se = member_number(reading, entry, "se");
  intervals->kind = read_interval_kind(reading, entry);
  fit_read_ends(reading, entry, "percentile", &intervals->percentile_low, &intervals->percentile_high);
  fit_read_ends(reading, entry, "bca", &intervals->bca_low, &intervals->bca_high);
  fit_read_ends(reading, entry, "t", &intervals->t_low, &intervals->t_high);
  intervals->robust_se = member_number(reading, entry, "robust_se");
}

// The names of a time before there were more, too.
enum coefficient_status fit_read_status_named(const struct reading *reading, const json_t *entry, const char *key) {
  static const struct {
    const char *name;
    enum coefficient_status status;
  } older[] = {{"fitted", COEFFICIENT_FITTED},
               {"not identified", COEFFICIENT_UNIDENTIFIED},
               {"at lower bound", COEFFICIENT_AT_LOW},
               {"at upper bound", COEFFICIENT_AT_HIGH}};
  const char *name = member_text(reading, entry, key, coefficient_status_name(COEFFICIENT_FITTED)),
             *bound = member_text(reading, entry, "bound", "lower");
  for (size_t i = 0; i < sizeof older / sizeof *older; i++)
    if (strcmp(older[i].name, name) == 0) return older[i].status;
  for (int status = COEFFICIENT_FITTED; status <= COEFFICIENT_UNIDENTIFIED; status++)
    if (strcmp(coefficient_status_name((enum coefficient_status)status), name) == 0)
      return status == COEFFICIENT_AT_LOW && strcmp(bound, "upper") == 0 ? COEFFICIENT_AT_HIGH
                                                                         : (enum coefficient_status)status;
  reading_damaged(reading, key, "state of a coefficient");
  return COEFFICIENT_FITTED;
}

enum coefficient_status fit_read_status(const struct reading *reading, const json_t *entry) {
  return fit_read_status_named(reading, entry, "status");
}

static void read_coefficients(struct fit_result *result, const struct reading *reading, const json_t *root) {
  json_t *parameters = member_object(reading, root, "parameters"), *entry;
  struct arena *arena = reading->arena;
  const char *name;
  size_t count = json_object_size(parameters);
  if (!parameters) {
    reading_damaged(reading, "parameters", "object");
    return;
  }
  result->coefficients = arena_array(arena, count + 1, sizeof *result->coefficients);
  json_object_foreach(parameters, name, entry) {
    if (!json_is_object(entry)) {
      reading_damaged(reading, name, "object");
      return;
    }
    size_t place = result->coefficient_count++;
    struct coefficient *coefficient = &result->coefficients[place];
    *coefficient = (struct coefficient){.name = arena_string(arena, name), .status = fit_read_status(reading, entry)};
    coefficient->parameter = member_text(reading, entry, "parameter", coefficient->name);
    coefficient->category = member_text(reading, entry, "category", NULL);
    coefficient->tied_to = member_text(reading, entry, "tied_to", NULL);
    coefficient->note = member_text(reading, entry, "note", NULL);
    fit_read_estimate(reading, entry, &coefficient->value, &coefficient->low, &coefficient->high, &coefficient->se,
                      &coefficient->intervals);
    if (!json_object_get(entry, "runner_up")) continue;
    if (!result->runner_up) {
      result->runner_up = arena_array(arena, count + 1, sizeof *result->runner_up);
      for (size_t i = 0; i < count; i++) result->runner_up[i] = NAN;
    }
    result->runner_up[place] = member_number(reading, entry, "runner_up");
  }
}

static void read_derived(struct fit_result *result, const struct reading *reading, const json_t *root) {
  json_t *all = member_object(reading, root, "derived"), *entry;
  const char *name;
  result->derived = arena_array(reading->arena, json_object_size(all) + 1, sizeof *result->derived);
  json_object_foreach(all, name, entry) {
    if (!json_is_object(entry)) {
      reading_damaged(reading, name, "object");
      return;
    }
    struct fit_derived *derived = &result->derived[result->derived_count++];
    derived->name = arena_string(reading->arena, name);
    derived->status = fit_read_status(reading, entry);
    derived->outside = member_number(reading, entry, "outside");
    derived->outside_of = member_text(reading, entry, "outside_of", NULL);
    derived->note = member_text(reading, entry, "note", NULL);
    fit_read_estimate(reading, entry, &derived->value, &derived->low, &derived->high, &derived->se,
                      &derived->intervals);
  }
}

static void read_stages(struct fit_result *result, const struct reading *reading, const json_t *root) {
  size_t count;
  const json_t *stages = member_objects(reading, root, "stages", &count);
  result->stages = arena_array(reading->arena, count + 1, sizeof *result->stages);
  for (size_t s = 0; s < count && s < INT_MAX; s++) {
    const json_t *stage = json_array_get(stages, s);
    result->stages[result->stage_count++] =
        (struct fit_stage_result){.name = member_text(reading, stage, "name", ""),
                                  .rows = (size_t)member_count(reading, stage, "rows"),
                                  .parameters = (size_t)member_count(reading, stage, "parameters"),
                                  .objective = member_number(reading, stage, "objective")};
  }
}

static void read_exclusions(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "exclusions", &result->excluded_count);
  result->exclusions = arena_array(reading->arena, result->excluded_count + 1, sizeof *result->exclusions);
  for (size_t i = 0; i < result->excluded_count; i++) {
    const json_t *one = json_array_get(all, i);
    result->exclusions[i] = (struct fit_exclusion){.row = member_text(reading, one, "row", ""),
                                                   .reason = member_text(reading, one, "reason", "")};
  }
}

static enum row_use read_use(const struct reading *reading, const json_t *row) {
  const char *use = member_text(reading, row, "use", "");
  for (int i = ROW_FITTED; i <= ROW_UNUSED; i++)
    if (strcmp(use, row_use_name((enum row_use)i)) == 0) return (enum row_use)i;
  reading_damaged(reading, "use", "use of a row");
  return ROW_UNUSED;
}

// A member that is NAN where it is missing and infinite where it is null.
static double read_measure(const struct reading *reading, const json_t *row, const char *key) {
  return json_is_null(json_object_get(row, key)) ? INFINITY : member_number(reading, row, key);
}

static void read_rows(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *rows = member_objects(reading, root, "residuals", &result->table_count);
  result->table = arena_array(reading->arena, result->table_count + 1, sizeof *result->table);
  for (size_t i = 0; i < result->table_count; i++) {
    const json_t *row = json_array_get(rows, i);
    result->table[i] = (struct fit_row){.name = member_text(reading, row, "row", ""),
                                        .place = i,
                                        .use = read_use(reading, row),
                                        .observed = member_number(reading, row, "observed"),
                                        .predicted = member_number(reading, row, "predicted"),
                                        .residual = member_number(reading, row, "residual"),
                                        .scale = result->std ? member_number(reading, row, "scale") : 1,
                                        .influence = member_number(reading, row, "influence"),
                                        .leverage = read_measure(reading, row, "leverage"),
                                        .distance = read_measure(reading, row, "distance"),
                                        .group = member_text(reading, row, "category", "")};
  }
}

static void read_objective(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const char *objective = member_text(reading, root, "objective_kind", "huber:0.001"),
             *residual = member_text(reading, root, "residual_kind", "log");
  struct error unknown = {0};
  if (!objective_parse(objective, &result->objective_kind, &unknown))
    reading_damaged(reading, "objective_kind", "objective");
  if (!residual_parse(residual, &result->residual, &unknown)) reading_damaged(reading, "residual_kind", "residual");
  result->objective = member_number(reading, root, "objective");
  result->penalty = json_object_get(root, "penalty") ? member_number(reading, root, "penalty") : 0;
  result->scale_estimated = strcmp(member_text(reading, root, "objective_scale", ""), "estimated") == 0;
}

static void read_head(struct fit_result *result, const struct reading *reading, const json_t *root) {
  result->name = member_text(reading, root, "name", "");
  result->law = member_text(reading, root, "law", "");
  result->formula = member_text(reading, root, "formula", NULL);
  result->source = member_text(reading, root, "source", NULL);
  result->target = member_text(reading, root, "predicts", "loss");
  result->parameter_count = member_text(reading, root, "parameter_count", NULL);
  result->answer = member_text(reading, root, "answer", NULL);
  result->rows = (size_t)member_count(reading, root, "rows");
  result->duplicates = (size_t)member_count(reading, root, "duplicates");
  result->held_out = (size_t)member_count(reading, root, "held_out");
  result->unused = (size_t)member_count(reading, root, "unused");
  const json_t *by = member_object(reading, root, "by");
  if (by) {
    result->by = member_text(reading, by, "column", "");
    result->part = member_text(reading, by, "value", "");
  }
  result->std = member_text(reading, root, "std", NULL);
  result->std_median = member_number(reading, root, "std_median");
  result->starts = member_count(reading, root, "starts");
  result->starts_descended = member_count(reading, root, "starts_descended");
  result->starts_agreeing = member_count(reading, root, "starts_agreeing");
  result->starts_elsewhere = member_count(reading, root, "starts_elsewhere");
  result->starts_not_stationary = member_count(reading, root, "starts_not_stationary");
  result->runner_up_objective = member_number(reading, root, "runner_up_objective");
  result->trust_region_objective = member_number(reading, root, "trust_region_objective");
  result->bfgs_objective = member_number(reading, root, "bfgs_objective");
  result->stationary = member_boolean(reading, root, "stationary");
  result->stationarity = member_number(reading, root, "stationarity");
  result->condition = member_number(reading, root, "condition");
  if (isnan(result->condition)) result->condition = INFINITY;  // written as null
  result->holdout_error = member_number(reading, root, "holdout_error");
  result->residual_rms = member_number(reading, root, "residual_rms");
  result->bootstrap = member_whole(reading, root, "bootstrap");
  result->bootstrap_failed = member_whole(reading, root, "bootstrap_failed");
  result->confidence = member_number(reading, root, "confidence");
  if (isnan(result->confidence)) result->confidence = 0.95;
  result->interval = read_interval_kind(reading, root);
  result->interval_reason = member_text(reading, root, "interval_reason", NULL);
  result->interval_degrees = member_number(reading, root, "degrees_of_freedom");
  result->grouped_by = member_text(reading, root, "grouped_by", NULL);
  result->grouping = member_text(reading, root, "grouping", NULL);
  result->group_count = (size_t)member_count(reading, root, "groups");
}

static void read_comparison(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *comparison = member_object(reading, root, "comparison");
  if (!comparison) return;
  result->comparison = arena_alloc(reading->arena, sizeof *result->comparison);
  comparison_read(result->comparison, comparison, reading->error);
}

// Whether the fits of an array are those of one command, by the values of a column.
static bool are_parts(const json_t *root) {
  const json_t *first = json_object_get(json_array_get(root, 0), "made");
  for (size_t i = 0; i < json_array_size(root); i++) {
    const json_t *fit = json_array_get(root, i), *made = json_object_get(fit, "made");
    if (!json_is_object(json_object_get(fit, "by")) ||
        !json_equal(json_object_get(made, "arguments"), json_object_get(first, "arguments")))
      return false;
  }
  return true;
}

// The fit of a document: it is one, or an array of one, or with `part` the first of several by one command.
static const json_t *only_fit(const json_t *root, bool part, struct error *error) {
  size_t count = json_array_size(root);
  if (json_is_array(root) && count != 1 && !(part && count && are_parts(root)))
    error_set(error, EXIT_ENVIRONMENT, "it has %zu fits, and one is needed", count);
  const json_t *fit = json_is_array(root) ? json_array_get(root, 0) : root;
  if (!json_is_object(fit)) error_set(error, EXIT_ENVIRONMENT, "it is no object");
  return error->code ? NULL : fit;
}

static bool read_result(struct fit_result *result, const char *text, bool part, struct error *error) {
  *result = (struct fit_result){0};
  json_t *root = json_tree(text, error);
  const json_t *fit = root ? only_fit(root, part, error) : NULL;
  const struct reading reading = {&result->arena, error};
  if (fit) {
    read_head(result, &reading, fit);
    read_objective(result, &reading, fit);
    read_coefficients(result, &reading, fit);
    read_derived(result, &reading, fit);
    read_stages(result, &reading, fit);
    read_exclusions(result, &reading, fit);
    fit_read_ranges(&result->ranges, &reading, fit);
    fit_read_rollouts(&result->rollouts, &reading, fit);
    result->warnings = member_texts(&reading, fit, "warnings", &result->warning_count);
    read_rows(result, &reading, fit);
    fit_read_made(&result->made, &reading, fit);
    fit_read_diagnosis(result, &reading, fit);
    fit_read_tests(result, &reading, fit);
    read_comparison(result, &reading, fit);
  }
  json_decref(root);
  return !error->code;
}

bool fit_result_read(struct fit_result *result, const char *text, struct error *error) {
  return read_result(result, text, false, error);
}

bool fit_result_read_part(struct fit_result *result, const char *text, struct error *error) {
  return read_result(result, text, true, error);
}
