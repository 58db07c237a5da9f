// The diagnosis of a fit from its JSON document: what fit_json_diagnosis.c writes.
#include <math.h>
#include <string.h>

#include "fitting/fit_document_internal.h"

size_t fit_read_coefficient(const struct fit_result *result, const struct reading *reading, const char *name) {
  for (size_t i = 0; i < result->coefficient_count; i++)
    if (strcmp(result->coefficients[i].name, name) == 0) return i;
  reading_damaged(reading, name, "parameter of the fit");
  return 0;
}

// The place of the row that an entry names: at its index, or in documents without it the first one of the name.
static size_t find_row(const struct fit_result *result, const struct reading *reading, const json_t *entry) {
  const char *name = member_text(reading, entry, "row", "");
  bool indexed = json_object_get(entry, "index") != NULL;
  size_t from = (size_t)member_count(reading, entry, "index"), end = indexed ? from + 1 : result->table_count;
  for (size_t i = from; i < end && i < result->table_count; i++)
    if (strcmp(result->table[i].name, name) == 0) return i;
  reading_damaged(reading, name, "row of the fit");
  return 0;
}

// Ends that are infinite are written as null.
static void read_range(const struct reading *reading, const json_t *entry, double *low, double *high, bool *low_open,
                       bool *high_open) {
  *low = member_number(reading, entry, "low");
  *high = member_number(reading, entry, "high");
  *low_open = member_boolean(reading, entry, "low_open");
  *high_open = member_boolean(reading, entry, "high_open");
  if (isnan(*low)) *low = -INFINITY;
  if (isnan(*high)) *high = INFINITY;
}

static void read_profiles(struct fit_result *result, const struct reading *reading, const json_t *root) {
  json_t *all = member_object(reading, root, "profiles"), *entry;
  const char *name;
  result->profiles = arena_array(reading->arena, json_object_size(all) + 1, sizeof *result->profiles);
  json_object_foreach(all, name, entry) {
    if (!json_is_object(entry)) {
      reading_damaged(reading, name, "object");
      return;
    }
    struct fit_profile *profile = &result->profiles[result->profile_count++];
    profile->coefficient = fit_read_coefficient(result, reading, name);
    read_range(reading, entry, &profile->low, &profile->high, &profile->low_open, &profile->high_open);
    profile->words = member_text(reading, entry, "note", NULL);
    profile->threshold = member_number(reading, entry, "threshold");
    const json_t *points = member_objects(reading, entry, "points", &profile->point_count);
    profile->points = arena_array(reading->arena, profile->point_count + 1, sizeof *profile->points);
    for (size_t k = 0; k < profile->point_count; k++) {
      const json_t *point = json_array_get(points, k);
      profile->points[k] = (struct fit_profile_point){.value = member_number(reading, point, "value"),
                                                      .objective = member_number(reading, point, "objective"),
                                                      .ratio = member_number(reading, point, "ratio")};
    }
  }
}

static void read_directions(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "directions", &result->direction_count);
  result->directions = arena_array(reading->arena, result->direction_count + 1, sizeof *result->directions);
  for (size_t i = 0; i < result->direction_count; i++) {
    const json_t *entry = json_array_get(all, i);
    struct fit_direction *direction = &result->directions[i];
    direction->coefficient = fit_read_coefficient(result, reading, member_text(reading, entry, "parameter", ""));
    read_range(reading, entry, &direction->low, &direction->high, &direction->low_open, &direction->high_open);
    direction->eigenvalue = member_number(reading, entry, "eigenvalue");
    direction->words = member_text(reading, entry, "text", "");
    direction->advice = member_text(reading, entry, "advice", "");
  }
}

static struct fit_left_out *read_left_out(const struct reading *reading, const json_t *column, const char *key,
                                          const char *value_key, size_t *count) {
  const json_t *all = member_objects(reading, column, key, count);
  struct fit_left_out *values = arena_array(reading->arena, *count + 1, sizeof *values);
  for (size_t k = 0; k < *count; k++) {
    const json_t *one = json_array_get(all, k);
    values[k] = (struct fit_left_out){.value = member_text(reading, one, value_key, ""),
                                      .fitted_rows = (size_t)member_count(reading, one, "fitted"),
                                      .predicted = (size_t)member_count(reading, one, "predicted"),
                                      .error = member_number(reading, one, "error"),
                                      .bias = member_number(reading, one, "bias"),
                                      .largest = member_number(reading, one, "largest"),
                                      .trouble = member_text(reading, one, "reason", NULL)};
  }
  return values;
}

static void read_leave_out(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "leave_out", &result->leave_out_count);
  result->leave_out = arena_array(reading->arena, result->leave_out_count + 1, sizeof *result->leave_out);
  for (size_t i = 0; i < result->leave_out_count; i++) {
    const json_t *entry = json_array_get(all, i);
    struct fit_leave_out *column = &result->leave_out[i];
    column->column = member_text(reading, entry, "column", "");
    column->note = member_text(reading, entry, "note", NULL);
    column->error = member_number(reading, entry, "error");
    column->bias = member_number(reading, entry, "bias");
    column->values = read_left_out(reading, entry, "values", "value", &column->value_count);
    column->rollout = read_left_out(reading, entry, "rollout", "up_to", &column->rollout_count);
  }
}

// A value a coefficient, by its name.
static double *read_values(const struct fit_result *result, const struct reading *reading, const json_t *entry,
                           const char *key) {
  const json_t *named = member_object(reading, entry, key);
  if (json_object_size(named) != result->coefficient_count) reading_damaged(reading, key, "value a parameter");
  if (reading->error->code) return NULL;
  double *values = arena_array(reading->arena, result->coefficient_count + 1, sizeof *values);
  for (size_t e = 0; e < result->coefficient_count; e++)
    values[e] = member_number(reading, named, result->coefficients[e].name);
  return values;
}

static void read_sensitivity(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "sensitivity", &result->sensitivity_count);
  result->sensitivity = arena_array(reading->arena, result->sensitivity_count + 1, sizeof *result->sensitivity);
  for (size_t i = 0; i < result->sensitivity_count; i++) {
    const json_t *entry = json_array_get(all, i);
    struct fit_sensitivity *one = &result->sensitivity[i];
    const char *objective = member_text(reading, entry, "objective_kind", "");
    if (strlen(objective) >= sizeof one->objective) reading_damaged(reading, "objective_kind", "objective");
    snprintf(one->objective, sizeof one->objective, "%.*s", OBJECTIVE_TEXT - 1, objective);
    one->values = read_values(result, reading, entry, "parameters");
  }
}

static void read_trends(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "trends", &result->trend_count);
  result->trends = arena_array(reading->arena, result->trend_count + 1, sizeof *result->trends);
  for (size_t i = 0; i < result->trend_count; i++) {
    const json_t *entry = json_array_get(all, i);
    bool logarithmic = json_object_get(entry, "slope_per_decade") != NULL;
    result->trends[i] =
        (struct fit_trend){.column = member_text(reading, entry, "column", ""),
                           .slope = member_number(reading, entry, logarithmic ? "slope_per_decade" : "slope"),
                           .logarithmic = logarithmic,
                           .correlation = member_number(reading, entry, "rank_correlation"),
                           .p = member_number(reading, entry, "p"),
                           .significant = member_boolean(reading, entry, "significant"),
                           .spread_correlation = member_number(reading, entry, "spread_rank_correlation"),
                           .spread_p = member_number(reading, entry, "spread_p"),
                           .spread_significant = member_boolean(reading, entry, "spread_significant")};
  }
}

static void read_influential(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "influential", &result->influential_count);
  result->influential = arena_array(reading->arena, result->influential_count + 1, sizeof *result->influential);
  for (size_t i = 0; i < result->influential_count; i++) {
    const json_t *entry = json_array_get(all, i);
    struct fit_influential *one = &result->influential[i];
    one->row = find_row(result, reading, entry);
    one->coefficient = fit_read_coefficient(result, reading, member_text(reading, entry, "parameter", ""));
    one->moves = member_number(reading, entry, "moves");
    if (isnan(one->moves)) one->moves = INFINITY;  // written as null
    one->exact = member_boolean(reading, entry, "refitted");
    one->without = read_values(result, reading, entry, "without");
  }
}

static void read_outliers(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *all = member_objects(reading, root, "outliers", &result->outlier_count);
  result->outliers = arena_array(reading->arena, result->outlier_count + 1, sizeof *result->outliers);
  for (size_t i = 0; i < result->outlier_count; i++) {
    const json_t *entry = json_array_get(all, i);
    result->outliers[i] =
        (struct fit_outlier){find_row(result, reading, entry), member_number(reading, entry, "deviations")};
  }
}

static void read_replication(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *entry = member_object(reading, root, "replication");
  result->replication = (struct fit_replication){.columns = member_text(reading, entry, "columns", ""),
                                                 .settings = (size_t)member_count(reading, entry, "settings"),
                                                 .rows = (size_t)member_count(reading, entry, "rows"),
                                                 .spread = member_number(reading, entry, "spread"),
                                                 .miss = member_number(reading, entry, "miss"),
                                                 .f = member_number(reading, entry, "f"),
                                                 .lack = member_number(reading, entry, "degrees_lack"),
                                                 .pure = member_number(reading, entry, "degrees_pure"),
                                                 .p = member_number(reading, entry, "p"),
                                                 .untested = member_text(reading, entry, "untested", NULL)};
}

static void read_correlation(struct fit_result *result, const struct reading *reading, const json_t *root) {
  const json_t *entry = member_object(reading, root, "correlation");
  if (!entry) return;
  size_t n;
  const char **names = member_texts(reading, entry, "parameters", &n);
  const json_t *matrix = json_object_get(entry, "matrix");
  if (json_array_size(matrix) != n) {
    reading_damaged(reading, "matrix", "square of numbers");
    return;
  }
  result->correlated = names;
  result->correlation = arena_array(reading->arena, n * n + 1, sizeof *result->correlation);
  for (size_t i = 0; i < n * n; i++) {
    const json_t *number = json_array_get(json_array_get(matrix, i / n), i % n);
    if (!json_is_number(number) && !json_is_null(number)) reading_damaged(reading, "matrix", "square of numbers");
    result->correlation[i] = json_is_number(number) ? json_number_value(number) : NAN;
  }
  result->correlation_size = n;
}

void fit_read_diagnosis(struct fit_result *result, const struct reading *reading, const json_t *root) {
  read_profiles(result, reading, root);
  fit_read_contours(result, reading, root);
  read_directions(result, reading, root);
  read_leave_out(result, reading, root);
  read_sensitivity(result, reading, root);
  read_trends(result, reading, root);
  read_influential(result, reading, root);
  read_outliers(result, reading, root);
  read_replication(result, reading, root);
  read_correlation(result, reading, root);
}
