// What follows from the coefficients: derived quantities with their intervals, and what the data do not tell.
#include <gsl/gsl_eigen.h>
#include <gsl/gsl_errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit.h"

// ---- derived quantities ---------------------------------------------------------------------------------------------

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

// The largest value of a column among the fitted rows; flops are counted as 6ND where the table has none.
static double largest_of(const struct fit *fit, const char *name) {
  const struct table *table = fit->table;
  int column = table_find(table, name), n = table_find(table, "parameters"), d = table_find(table, "tokens");
  bool product = column < 0 && strcmp(name, "flops") == 0 && n >= 0 && d >= 0;
  double largest = NAN;
  if (!product && (column < 0 || table->columns[column].kind != COLUMN_NUMBER)) return NAN;
  for (size_t row = 0; row < table->row_count; row++) {
    if (fit->use[row] != ROW_FITTED || !fit->selected[row]) continue;
    double value = product ? 6 * table->columns[n].numbers[row] * table->columns[d].numbers[row]
                           : table->columns[column].numbers[row];
    if (!(largest >= value)) largest = value;
  }
  return largest;
}

// The point-th value of a quantity's `at`, to two digits where it follows from the data.
static double point_of(const struct fit *fit, const struct law_derived *what, int point) {
  if (!what->of_data) return what->values[point];
  double value = what->values[point] * largest_of(fit, what->at);
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

bool fit_derive(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  const struct law *law = fit->law;
  size_t total = 0, resamples = result->replicates ? (size_t)result->bootstrap : 0, n = (size_t)fit->element_count;
  for (int d = 0; d < law->derived_count; d++) total += law->derived[d].at ? (size_t)law->derived[d].value_count : 1;
  result->derived = arena_array(&result->arena, total + 1, sizeof *result->derived);
  if (resamples)
    result->derived_replicates = arena_array(&result->arena, resamples * total + 1, sizeof *result->derived_replicates);
  double *values = memory_get((n + 1) * sizeof *values);
  // [1 + resamples][derived_count]: the quantities without `at`, which later ones may use
  double *earlier = memory_get((resamples + 1) * (size_t)(law->derived_count + 1) * sizeof *earlier);
  double *replicates = memory_get((resamples + 1) * sizeof *replicates);
  for (size_t e = 0; e < n; e++) values[e] = element_value(&fit->elements[e], fit->elements[e].value);
  bool fine = true;
  for (int d = 0; d < law->derived_count && fine; d++) {
    const struct law_derived *what = &law->derived[d];
    int points = what->at ? what->value_count : 1;
    for (int p = 0; p < points && fine; p++) {
      double point = what->at ? point_of(fit, what, p) : NAN;
      struct fit_derived *out = &result->derived[result->derived_count];
      char number[32];
      *out = (struct fit_derived){.name = arena_string(&result->arena, what->name), .low = NAN, .high = NAN, .se = NAN};
      if (what->about) out->about = arena_string(&result->arena, what->about);
      if (what->at) {
        number_shortest(point, number);
        out->name = arena_format(&result->arena, "%s[%s=%s]", what->name, what->at, number);
      }
      fine = derive_one(fit, d, point, values, earlier, &out->value, error);
      for (size_t b = 0; b < resamples && fine; b++) {
        double *before = earlier + (b + 1) * (size_t)law->derived_count;
        fine = derive_one(fit, d, point, result->replicates + b * n, before, &replicates[b], error);
        if (!what->at) before[d] = replicates[b];
        result->derived_replicates[b * total + result->derived_count] = replicates[b];
      }
      if (!what->at) earlier[d] = out->value;
      if (resamples) interval_of(replicates, resamples, 1, result->confidence, &out->low, &out->high, &out->se);
      result->derived_count++;
    }
  }
  free(values);
  free(earlier);
  free(replicates);
  return fine;
}

// ---- what the data tell ---------------------------------------------------------------------------------------------

// Eigenvalues (ascending) and vectors (columns) of a symmetric matrix of unit diagonal.
static bool eigen(double *matrix, int n, double *values, double *vectors) {
  gsl_error_handler_t *handler = gsl_set_error_handler_off();
  gsl_eigen_symmv_workspace *space = gsl_eigen_symmv_alloc((size_t)n);
  bool fine = false;
  if (space) {
    gsl_matrix_view a = gsl_matrix_view_array(matrix, (size_t)n, (size_t)n);
    gsl_matrix_view v = gsl_matrix_view_array(vectors, (size_t)n, (size_t)n);
    gsl_vector_view w = gsl_vector_view_array(values, (size_t)n);
    fine = gsl_eigen_symmv(&a.matrix, &w.vector, &v.matrix, space) == GSL_SUCCESS &&
           gsl_eigen_symmv_sort(&w.vector, &v.matrix, GSL_EIGEN_SORT_VAL_ASC) == GSL_SUCCESS;
    gsl_eigen_symmv_free(space);
  }
  gsl_set_error_handler(handler);
  return fine;
}

static void mark(struct fit *fit, int element, enum coefficient_status status) {
  fit->result->coefficients[element].status = status;
}

// Coordinates at their bounds, and positive parameters whose term has vanished.
static void mark_bounds(struct fit *fit, const struct fit_stage *stage, const struct workspace *workspace) {
  double largest = 0;
  int n = stage->free_count;
  for (int i = 0; i < n; i++) largest = fmax(largest, workspace->matrix[i * n + i]);
  for (int i = 0; i < n; i++) {
    struct coefficient *coefficient = &fit->result->coefficients[stage->free[i]];
    const struct element *element = &fit->elements[stage->free[i]];
    double width = 1e-9 * fmax(1, fabs(stage->x[i]));
    // a logarithm that no longer changes any prediction by a part in 10^8 stands for zero, if it lies below its scale
    bool vanished = element->logarithmic && workspace->matrix[i * n + i] < 1e-16 * largest;
    if (stage->x[i] >= stage->high[i] - width)
      mark(fit, stage->free[i], COEFFICIENT_AT_HIGH);
    else if (stage->x[i] <= stage->low[i] + width || (vanished && stage->x[i] < -5))
      mark(fit, stage->free[i], COEFFICIENT_AT_LOW);
    else if (vanished)
      mark(fit, stage->free[i], COEFFICIENT_UNIDENTIFIED);
    else
      continue;
    fit_result_warn(fit->result, "%s is %s (%.4g): read its value and interval with care", coefficient->name,
                    coefficient_status_name(coefficient->status), coefficient->value);
  }
}

// Directions in which the predictions do not change at all (to rounding).
static void mark_directions(struct fit *fit, const struct fit_stage *stage, const struct workspace *workspace) {
  int n = stage->free_count, kept = 0;
  int *of = memory_get((size_t)(n + 1) * sizeof *of);
  double *matrix = memory_get((size_t)(n * n + 1) * sizeof *matrix),
         *values = memory_get((size_t)(n + 1) * sizeof *values);
  double *vectors = memory_get((size_t)(n * n + 1) * sizeof *vectors);
  for (int i = 0; i < n; i++)
    if (fit->result->coefficients[stage->free[i]].status == COEFFICIENT_FITTED) of[kept++] = i;
  for (int i = 0; i < kept; i++)
    for (int j = 0; j < kept; j++)
      matrix[i * kept + j] = workspace->matrix[of[i] * n + of[j]] /
                             sqrt(workspace->matrix[of[i] * n + of[i]] * workspace->matrix[of[j] * n + of[j]]);
  if (kept && eigen(matrix, kept, values, vectors)) {
    double condition = values[0] > 0 ? values[kept - 1] / values[0] : INFINITY;
    fit->result->condition = fmax(fit->result->condition, condition);
    for (int k = 0; k < kept && values[k] < 1e-13 * values[kept - 1]; k++) {
      struct text names = {0};
      for (int i = 0; i < kept; i++) {
        if (fabs(vectors[i * kept + k]) < 0.1) continue;
        mark(fit, stage->free[of[i]], COEFFICIENT_UNIDENTIFIED);
        text_format(&names, "%s%s", names.length ? ", " : "", fit->result->coefficients[stage->free[of[i]]].name);
      }
      fit_result_warn(
          fit->result,
          "the data do not determine %s: they can be changed together without changing any prediction; more "
          "varied runs (of N, D or format) or a fixed parameter (--fix) would",
          text_string(&names));
      text_free(&names);
    }
  }
  free(of);
  free(matrix);
  free(values);
  free(vectors);
}

void fit_identify(struct fit *fit) {
  for (int s = 0; s < fit->stage_count; s++) {
    struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count) continue;
    struct workspace *workspace = workspace_new(&fit->arena, &stage->problem);
    problem_evaluate(workspace, stage->x, NULL, WANT_REWEIGHTED);
    mark_bounds(fit, stage, workspace);
    mark_directions(fit, stage, workspace);
  }
}
