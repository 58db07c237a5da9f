// Coefficients from elsewhere on one's own rows: the objective that they reach, what they miss by, and whether the rows
// reject them.
//
// Twice the rise of the objective above the fit's, over the scale of the errors (fit_scale.c) and the number of
// coefficients, is compared with F for that many and rows - coefficients degrees of freedom: for least squares the
// usual test, for Huber's loss and absolute deviations that of Schrader and Hettmansperger 1980, "Robust analysis of
// variance based upon a likelihood ratio criterion", Biometrika 67. Where rows of a group depend on each other, the
// rise is divided by the mean of the eigenvalues of the groups' variance over the curvature's (Rotnitzky and Jewell
// 1990, Biometrika 77).
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/member_internal.h"
#include "fitting/setting_internal.h"

static const struct fit_fix *find_given(const struct fit_fix *given, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(given[i].name, name) == 0) return &given[i];
  return NULL;
}

// "E=1.69,A=406.4".
static bool parse_list(struct arena *arena, const char *text, struct fit_fix **given, size_t *count,
                       struct error *error) {
  struct setting item;
  *given = arena_array(arena, strlen(text) / 2 + 1, sizeof **given);
  for (size_t at = 0; setting_item(text, &at, &item, error);)
    (*given)[(*count)++] = (struct fit_fix){arena_copy(arena, item.name, item.length), item.number};
  return !error->code;
}

// A name that is of no coefficient here. A document may hold categories that these rows do not have.
static bool check_names(const struct fit *fit, const struct fit_fix *given, size_t count, struct error *error) {
  const char **names = memory_get(((size_t)fit->element_count + 1) * sizeof(char *));
  bool fine = true;
  for (int e = 0; e < fit->element_count; e++) names[e] = fit->elements[e].name;
  for (size_t i = 0; i < count && fine; i++) {
    bool known = false;
    for (int e = 0; e < fit->element_count; e++)
      known |= strcmp(given[i].name, names[e]) == 0 ||
               strcmp(given[i].name, fit->law->parameters[fit->elements[e].parameter].name) == 0;
    if (known) continue;
    error_set(error, EXIT_USAGE_ERROR, "score: the law %s has no coefficient '%s' on these rows", fit->law->name,
              given[i].name);
    fine = error_hint(error, nearest_name(given[i].name, names, (size_t)fit->element_count), NULL);
  }
  free(names);
  return fine;
}

// {"E": 1.69, "A": 406.4}: an object of nothing but numbers. False where it is another document.
static bool read_numbers(struct arena *arena, const char *text, struct fit_fix **given, size_t *count) {
  struct error ignored = {0};
  json_t *root = json_tree(text, &ignored), *number;
  const char *name;
  bool numbers = json_object_size(root) > 0;
  json_object_foreach(root, name, number) numbers &= json_is_number(number);
  *given = arena_array(arena, json_object_size(root) + 1, sizeof **given);
  if (numbers)
    json_object_foreach(root, name, number)(*given)[(*count)++] =
        (struct fit_fix){arena_string(arena, name), json_number_value(number)};
  json_decref(root);
  return numbers;
}

// The coefficients of a file: numbers by name, or a fit's document.
static bool read_file(struct fit *fit, const char *path, struct fit_fix **given, size_t *count, struct error *error) {
  struct fit_result other = {0};
  const char *text = file_read(&fit->arena, path, NULL, error);
  if (text && read_numbers(&fit->arena, text, given, count)) return check_names(fit, *given, *count, error);
  bool fine = text && fit_result_read(&other, text, error);
  if (fine && other.law && strcmp(other.law, fit->law->name) != 0)
    fine = error_set(error, EXIT_USAGE_ERROR, "it is a fit of the law %s, not of %s", other.law, fit->law->name);
  struct fit_fix *made = arena_array(&fit->arena, other.coefficient_count + 1, sizeof *made);
  for (size_t i = 0; i < other.coefficient_count && fine; i++)
    if (!isnan(other.coefficients[i].value))
      made[(*count)++] =
          (struct fit_fix){arena_string(&fit->arena, other.coefficients[i].name), other.coefficients[i].value};
  *given = made;
  fit_result_free(&other);
  if (fine) return true;
  if (text) error->code = EXIT_USAGE_ERROR;
  return error_context(error, "score %s (it is {\"E\": 1.69, ...}, or a fit's --json)", path);
}

// What is given for an element: by its own name, or by that of its parameter.
static const struct fit_fix *value_given(const struct fit *fit, int e, const struct fit_fix *given, size_t count) {
  const struct element *element = &fit->elements[e];
  const struct fit_fix *one = find_given(given, count, element->name);
  return one || element->baseline ? one : find_given(given, count, fit->law->parameters[element->parameter].name);
}

// Values of the coefficients of this fit: given, or held by it; NAN for a category that no fitted row has.
static bool choose_values(struct fit *fit, const struct fit_fix *given, size_t count, struct fit_score *score,
                          struct error *error) {
  struct text missing = {0};
  score->values = arena_array(&fit->result->arena, (size_t)fit->element_count + 1, sizeof *score->values);
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    const struct fit_fix *one = value_given(fit, e, given, count);
    bool own = one && strcmp(one->name, element->name) == 0;
    double held = element_value(element, element->value);
    if (element->tied && !one) continue;
    const struct fit_fix *other = element->tied ? value_given(fit, element->tied_to, given, count) : NULL;
    if (other && fabs(other->value - one->value) > 1e-9 * fabs(one->value)) {
      text_free(&missing);
      return error_set(error, EXIT_USAGE_ERROR, "score: %s is %g there and %s is %g, and this fit ties them",
                       element->name, one->value, fit->elements[element->tied_to].name, other->value);
    }
    score->values[e] = one ? one->value : element->fixed || element->baseline ? held : NAN;
    if ((element->fixed || (element->baseline && own)) && fabs(score->values[e] - held) > 1e-9 * fabs(held)) {
      text_free(&missing);
      error_set(error, EXIT_USAGE_ERROR, "score: %s is %g there, and this fit holds it at %g", element->name,
                score->values[e], held);
      return error_hint(error, NULL, element->fixed ? "--fix holds it at another value, --free fits it" : NULL);
    }
    if (element->free_ever && !one)
      text_format(&missing, "%s%s", missing.length ? ", " : "", element->name);
    else if (element->logarithmic && one && !(one->value > 0))
      error_set(error, EXIT_USAGE_ERROR, "score: %s cannot be %g: it is positive", element->name, one->value);
  }
  fit_copy_ties(fit, score->values);
  if (missing.length)
    error_set(error, EXIT_USAGE_ERROR, "score '%s' gives no value for %s of the law %s", score->name,
              text_string(&missing), fit->law->name);
  text_free(&missing);
  return !error->code;
}

bool fit_score_read(struct fit *fit, struct error *error) {
  struct fit_result *result = fit->result;
  size_t wanted = fit->options->score_count;
  result->scores = arena_array(&result->arena, wanted + 1, sizeof *result->scores);
  for (size_t s = 0; s < wanted; s++) {
    const char *text = fit->options->scores[s];
    struct fit_score *score = &result->scores[result->score_count++];
    struct fit_fix *given = NULL;
    size_t count = 0;
    *score = (struct fit_score){.name = arena_string(&result->arena, text)};
    bool file = ends_with(text, ".json");
    bool fine = file ? read_file(fit, text, &given, &count, error)
                     : parse_list(&fit->arena, text, &given, &count, error) && check_names(fit, given, count, error);
    if (!fine || !choose_values(fit, given, count, score, error)) return false;
  }
  return true;
}

// ---- the test ----

double stage_groups_ratio(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale) {
  size_t n = (size_t)scale->n;
  double *sums = memory_get(((size_t)fit->group_count + 1) * n * sizeof *sums), trace = 0;
  int groups = 0;
  for (size_t i = 0; i < stage->row_count; i++) {
    double psi = problem_slope(&stage->problem, scale->residual[i]);
    double *sum = sums + (size_t)fit->row_group[stage->rows[i]] * n;
    for (size_t k = 0; k < n; k++)
      sum[k] += stage->weight[i] * psi * scale->jacobian[i * (size_t)stage->free_count + (size_t)scale->of[k]];
  }
  for (int g = 0; g < fit->group_count; g++) {
    const double *sum = sums + (size_t)g * n;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
      any |= sum[i] != 0;
      for (size_t j = 0; j < n; j++) trace += sum[i] * scale->inverse[i * n + j] * sum[j];
    }
    groups += any;
  }
  free(sums);
  return trace * groups / fmax(1, groups - scale->n) / (scale->n * scale->slope);
}

static void test_score(struct fit *fit, struct fit_score *score) {
  const struct fit_stage *stage = &fit->stages[0];
  score->p = score->statistic = score->degrees = score->error_degrees = NAN;
  if (fit->stage_count > 1) {
    score->untested = "the law is fitted in stages";
    return;
  }
  if (fit->alone) {
    score->untested = "the fit leans on priors, and so its objective is not the rows' alone";
    return;
  }
  if (fit->rounding) {
    score->untested = "the fit passes through its rows";
    return;
  }
  const struct stage_scale *scale = stage->scale ? stage->scale : stage_scale_new(fit, &fit->arena, stage);
  double ratio = scale->ratio, freedom = scale->degrees;
  if (fit->grouped && (!scale->inverse || !scale->jacobian)) {
    score->untested = "rows of a group depend on each other, and the curvature has no inverse";
    return;
  }
  if (fit->grouped) {
    ratio = stage_groups_ratio(fit, stage, scale);
    freedom = fit->group_count - scale->n;
  }
  if (!scale->n || freedom < 1 || !(ratio > 0)) {
    score->untested = freedom < 1 ? "there are too few groups of rows" : "the fit passes through its rows";
    return;
  }
  double unit = fit->objective.kind == OBJECTIVE_LAD ? stage->problem.delta : 1;
  double rise = score->objective - fit->result->objective;
  score->degrees = stage->free_count;
  score->error_degrees = freedom;
  score->statistic = fmax(0, 2 * rise * unit / ratio) / stage->free_count;
  score->p = gsl_cdf_fdist_Q(score->statistic, score->degrees, freedom);
}

static bool score_one(struct fit *fit, struct fit_score *score, struct error *error) {
  struct fit_result *result = fit->result;
  size_t n = result->coefficient_count;
  struct coefficient *coefficients = arena_array(&fit->arena, n + 1, sizeof *coefficients);
  double *predictions = memory_get((fit->table->row_count + 1) * sizeof *predictions), sum = 0, squares = 0;
  memcpy(coefficients, result->coefficients, n * sizeof *coefficients);
  for (size_t e = 0; e < n; e++) coefficients[e].value = score->values[e];
  bool fine = law_predict(fit->law, coefficients, n, fit->table, predictions, error);
  for (size_t i = 0; i < result->table_count && fine; i++) {
    const struct fit_row *row = &result->table[i];
    if (row->use != ROW_FITTED) continue;
    double predicted = predictions[row->place];
    double residual = fit->residual == RESIDUAL_LOG ? log(row->observed / predicted) : row->observed - predicted;
    score->objective += fit->row_weight[row->place] * objective_loss(fit->objective, residual * row->scale);
    sum += residual;
    squares += residual * residual;
  }
  free(predictions);
  score->objective += fit_penalty_at(fit, score->values);
  if (!fine) return error_context(error, "score %s", score->name);
  if (!isfinite(score->objective))
    return error_set(error, EXIT_USAGE_ERROR, "score '%s': with it the law %s gives no finite %s for some fitted rows",
                     score->name, fit->law->name, fit->law->target);
  score->bias = sum / (double)result->rows;
  score->rms = sqrt(squares / (double)result->rows);
  test_score(fit, score);
  // rounded coefficients of a minimum may lie as low as the minimum, but not lower
  if (fit->stage_count == 1 && score->objective < result->objective * (1 - 1e-6))
    fit_result_warn(result,
                    "the coefficients '%s' reach a lower objective (%.9g) than the search (%.9g): more --starts",
                    score->name, score->objective, result->objective);
  return true;
}

bool fit_score(struct fit *fit, struct error *error) {
  for (size_t s = 0; s < fit->result->score_count; s++)
    if (!score_one(fit, &fit->result->scores[s], error)) return false;
  return true;
}
