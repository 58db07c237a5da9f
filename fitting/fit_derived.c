// What follows from the coefficients: derived quantities, with intervals from the same resamples.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_derived_internal.h"

// A parameter's value among the coefficients; NAN for one with categories, which derived quantities do not use.
static double parameter_at(const struct fit *fit, const double *values, const char *name) {
  for (int e = 0; e < fit->element_count; e++)
    if (!fit->elements[e].category && strcmp(fit->elements[e].name, name) == 0) return values[e];
  return NAN;
}

// One element's value for eff["w4a4"].
static double category_at(const struct fit *fit, const double *values, const char *name, const char *category) {
  for (int e = 0; e < fit->element_count; e++)
    if (fit->elements[e].category && strcmp(fit->elements[e].category, category) == 0 &&
        strcmp(fit->law->parameters[fit->elements[e].parameter].name, name) == 0)
      return values[e];
  return NAN;
}

// The range of a column among the fitted rows, or NULL.
static const struct fit_range *range_of(const struct fit_result *result, const char *name) {
  for (size_t i = 0; i < result->ranges.derived_count; i++)
    if (strcmp(result->ranges.derived[i].column, name) == 0) return &result->ranges.derived[i];
  return NULL;
}

double derived_point(const struct fit *fit, const struct law_derived *what, int point) {
  if (!what->of_data) return what->values[point];
  const struct fit_range *range = range_of(fit->result, what->at);
  double value = what->values[point] * (range ? range->high : NAN);
  char text[32];
  snprintf(text, sizeof text, "%.1e", value);
  return strtod(text, NULL);
}

// Evaluates derived quantity d (at `point` of its `at`) at the coefficient values; `earlier` holds the quantities
// before it that have no `at`.
static bool derive_one(const struct fit *fit, int d, double point, const double *values, const double *earlier,
                       double *derived, struct error *error) {
  const struct law *law = fit->law;
  const struct law_derived *what = &law->derived[d];
  struct value *slots = memory_get((size_t)(what->expression->name_count + 1) * sizeof *slots);
  for (int i = 0; i < what->expression->name_count; i++) {
    const struct expression_name *name = &what->expression->names[i];
    slots[i].kind = VALUE_NUMBER;
    if (name->index)
      slots[i].number = category_at(fit, values, name->name, name->index);
    else if (what->at && strcmp(what->at, name->name) == 0)
      slots[i].number = point;
    else
      slots[i].number = parameter_at(fit, values, name->name);
    for (int e = 0; e < d; e++)
      if (strcmp(law->derived[e].name, name->name) == 0) slots[i].number = earlier[e];
  }
  bool fine = expression_number(what->expression, slots, derived, error);
  free(slots);
  return fine || error_context(error, "law %s, derived %s", law->name, what->name);
}

static const double *value_set(const struct value_sets *sets, size_t k) {
  if (k == 0) return sets->estimate;
  if (k <= sets->resamples) return sets->replicates + (k - 1) * sets->width;
  size_t after = k - 1 - sets->resamples;
  if (after < sets->left_out) return sets->jackknife + after * sets->width;
  return sets->choice + (after - sets->left_out) * sets->width;
}

bool derive_sets(const struct fit *fit, int d, double point, const struct value_sets *sets, double *earlier,
                 double *results, struct error *error) {
  for (size_t k = 0; k < sets->count; k++) {
    double *before = earlier + k * (size_t)fit->law->derived_count;
    if (!derive_one(fit, d, point, value_set(sets, k), before, &results[k], error)) return false;
    if (!fit->law->derived[d].at) before[d] = results[k];
  }
  return true;
}

void fit_forget_derived(struct fit_derived *derived) {
  derived->status = COEFFICIENT_UNIDENTIFIED;
  derived->low = derived->high = derived->se = NAN;
  derived->intervals = intervals_none;
}

static void note_outside(struct fit_derived *derived, const char *column, double factor) {
  if (!(derived->outside >= factor)) derived->outside = factor;
  if (factor > 1 && derived->outside == factor) derived->outside_of = column;
}

// By what it is worked out at, and by the range of the column that it is a value of. Points that are multiples of the
// largest value are rounded; the multiple is not.
static void find_outside(const struct fit_result *result, const struct law_derived *what, double multiple, double point,
                         struct fit_derived *derived) {
  const struct fit_range *range = what->at ? range_of(result, what->at) : NULL;
  if (range)
    note_outside(derived, range->column,
                 what->of_data && multiple >= 1 ? multiple : range_factor(point, range->low, range->high));
  for (size_t i = 0; i < result->ranges.column_count && what->column; i++) {
    const struct fit_range *own = &result->ranges.columns[i];
    if (strcmp(own->column, what->column) == 0 && isfinite(derived->value))
      note_outside(derived, own->column, range_factor(derived->value, own->low, own->high));
  }
}

// What is worked out at one place lies as far outside as the farthest of it: a least loss is no better known than the
// size that gives it.
static void share_outside(struct fit_result *result) {
  for (size_t i = 0; i < result->derived_count; i++) {
    struct fit_derived *one = &result->derived[i];
    const char *place = strchr(one->name, '[');
    for (size_t k = 0; place && k < result->derived_count; k++) {
      const char *other = strchr(result->derived[k].name, '[');
      if (other && strcmp(place, other) == 0 && result->derived[k].outside_of)
        note_outside(one, result->derived[k].outside_of, result->derived[k].outside);
    }
    if (range_is_far(one->outside)) fit_forget_derived(one);
  }
}

static bool never_negative(const struct fit *fit, const struct expression_node *node) {
  for (int e = 0; e < fit->element_count && node->kind == EXPRESSION_NAME; e++)
    if (!fit->elements[e].category && strcmp(fit->elements[e].name, node->text) == 0)
      return fit->elements[e].logarithmic || fit->elements[e].low >= 0;
  return false;
}

bool derived_is_share(const struct fit *fit, const struct expression *expression) {
  const struct expression_node *root = expression->root;
  if (root->kind != EXPRESSION_DIVIDE || root->arguments[1]->kind != EXPRESSION_ADD) return false;
  const struct expression_node *part = root->arguments[0];
  struct expression_node *const *sum = root->arguments[1]->arguments;
  bool within = false;
  for (int i = 0; i < 2 && part->kind == EXPRESSION_NAME; i++)
    within |= sum[i]->kind == EXPRESSION_NAME && strcmp(sum[i]->text, part->text) == 0;
  return within && never_negative(fit, sum[0]) && never_negative(fit, sum[1]);
}

static void put_derived(struct fit *fit, const struct law_derived *what, double multiple, double point, size_t total,
                        const struct value_sets *sets, const double *results) {
  struct fit_result *result = fit->result;
  struct fit_derived *out = &result->derived[result->derived_count];
  size_t resamples = sets->resamples;
  char number[32];
  *out = (struct fit_derived){
      .name = arena_string(&result->arena, what->name), .value = results[0], .low = NAN, .high = NAN, .se = NAN};
  out->intervals = intervals_none;
  out->outside = NAN;
  if (what->about) out->about = arena_string(&result->arena, what->about);
  if (what->at) {
    number_shortest(point, number);
    out->name = arena_format(&result->arena, "%s[%s=%s]", what->name, what->at, number);
  }
  for (size_t b = 0; b < resamples; b++) result->derived_replicates[b * total + result->derived_count] = results[1 + b];
  if (resamples)
    interval_of(
        (struct replicates){results + 1, resamples, 1, results + 1 + resamples, sets->left_out, 1,
                            result->interval_degrees, results + 1 + resamples + sets->left_out,
                            sets->count - 1 - resamples - sets->left_out, 1, derived_is_share(fit, what->expression)},
        out->value, result->confidence, result->interval, &out->intervals, &out->low, &out->high, &out->se);
  find_outside(result, what, multiple, point, out);
  result->derived_count++;
}

// What no fitted coefficient moves follows from what is held or tied: the rows say nothing of it, and resamples
// neither.
static void find_held(struct fit *fit, const double *values) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  size_t n = (size_t)fit->element_count, free_count = 0, place = 0;
  double *moved = memory_get((n * n + 1) * sizeof *moved);
  for (size_t e = 0; e < n; e++) {
    if (!fit->elements[e].free_ever) continue;
    double *one = moved + n * free_count++;
    memcpy(one, values, n * sizeof *one);
    one[e] += values[e] == 0 ? 0.01 : 0.01 * fabs(values[e]);
    fit_copy_ties(fit, one);
  }
  struct value_sets sets = {
      .count = 1 + free_count, .resamples = free_count, .width = n, .estimate = values, .replicates = moved};
  double *earlier = memory_get(sets.count * (size_t)(law->derived_count + 1) * sizeof *earlier),
         *results = memory_get(sets.count * sizeof *results);
  for (int d = 0; d < law->derived_count; d++)
    for (int p = 0; p < (law->derived[d].at ? law->derived[d].value_count : 1); p++) {
      struct fit_derived *derived = &result->derived[place++];
      struct error ignored = {0};
      bool held = derive_sets(fit, d, law->derived[d].at ? derived_point(fit, &law->derived[d], p) : NAN, &sets,
                              earlier, results, &ignored) &&
                  results[0] != 0;  // 0 is what nothing moves any more, not what is held
      for (size_t k = 1; k < sets.count && held; k++) held = fabs(results[k] - results[0]) <= 1e-12 * fabs(results[0]);
      if (!held) continue;
      fit_forget_derived(derived);
      derived->status = COEFFICIENT_FIXED;
    }
  free(moved);
  free(earlier);
  free(results);
}

bool fit_derive(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  size_t total = 0, n = (size_t)fit->element_count;
  for (int d = 0; d < law->derived_count; d++) total += law->derived[d].at ? (size_t)law->derived[d].value_count : 1;
  result->derived = arena_array(&result->arena, total + 1, sizeof *result->derived);
  double *values = memory_get((n + 1) * sizeof *values);
  for (size_t e = 0; e < n; e++) values[e] = element_value(&fit->elements[e], fit->elements[e].value);
  fit_copy_ties(fit, values);
  struct value_sets sets = {.estimate = values,
                            .replicates = result->replicates,
                            .jackknife = fit->jackknife,
                            .choice = fit->choice,
                            .left_out = fit->jackknife_count,
                            .width = n,
                            .resamples = result->replicates ? (size_t)result->bootstrap : 0};
  sets.count = 1 + sets.resamples + fit->jackknife_count + fit->choice_count;
  if (sets.resamples)
    result->derived_replicates =
        arena_array(&result->arena, sets.resamples * total + 1, sizeof *result->derived_replicates);
  double *earlier = memory_get(sets.count * (size_t)(law->derived_count + 1) * sizeof *earlier);
  double *results = memory_get(sets.count * sizeof *results);
  bool fine = true;
  for (int d = 0; d < law->derived_count && fine; d++) {
    const struct law_derived *what = &law->derived[d];
    int points = what->at ? what->value_count : 1;
    for (int p = 0; p < points && fine; p++) {
      double point = what->at ? derived_point(fit, what, p) : NAN;
      fine = derive_sets(fit, d, point, &sets, earlier, results, error);
      if (fine) put_derived(fit, what, what->at ? what->values[p] : NAN, point, total, &sets, results);
    }
  }
  if (fine) find_held(fit, values);
  share_outside(result);
  free(values);
  free(earlier);
  free(results);
  return fine;
}
