// What a sweep will tell, before it is run: the fit set up at an assumed truth, and what follows from it.
#include "fitting/design.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/design_internal.h"
#include "fitting/law_internal.h"
#include "fitting/table_internal.h"

// ---- assumptions ----

bool design_assumptions_parse(struct arena *arena, const char *text, struct design_assumption **assumptions,
                              size_t *count, struct error *error) {
  char *copy = arena_string(arena, text);
  *assumptions = arena_array(arena, strlen(text) / 2 + 2, sizeof **assumptions);
  *count = 0;
  for (char *item = copy, *next; item; item = next) {
    int depth = 0;  // a category may hold a comma: eff[sparse(0.5),int4]
    for (next = item; *next && (*next != ',' || depth); next++) depth += (*next == '[') - (*next == ']');
    if (*next)
      *next++ = 0;
    else
      next = NULL;
    while (*item == ' ') item++;
    char *equals = strrchr(item, '=');
    double value;
    if (!equals || equals == item || !number_parse(equals + 1 + strspn(equals + 1, " "), &value) || !isfinite(value))
      return error_set(error, EXIT_USAGE_ERROR, "the assumption '%s' is not of the form NAME=NUMBER (E=1.69,A=406.4)",
                       item);
    do *equals-- = 0;
    while (equals > item && *equals == ' ');
    for (size_t i = 0; i < *count; i++)
      if (strcmp((*assumptions)[i].name, item) == 0)
        return error_set(error, EXIT_USAGE_ERROR, "%s is assumed twice", item);
    (*assumptions)[(*count)++] = (struct design_assumption){item, value};
  }
  return true;
}

static const struct design_assumption *find_assumption(const struct design *design, const char *name) {
  for (size_t i = 0; i < design->options->assumption_count; i++)
    if (strcmp(design->options->assumptions[i].name, name) == 0) return &design->options->assumptions[i];
  return NULL;
}

// An assumption that is of no element.
static bool check_names(const struct design *design, struct error *error) {
  const struct fit *fit = &design->fit;
  const char **names = memory_get(((size_t)fit->element_count + 1) * sizeof(char *));
  bool fine = true;
  for (size_t i = 0; i < design->options->assumption_count && fine && !design->options->extra_assumptions; i++) {
    const struct design_assumption *assumption = &design->options->assumptions[i];
    size_t count = 0;
    bool known = false;
    for (int e = 0; e < fit->element_count; e++) {
      const struct element *element = &fit->elements[e];
      const char *parameter = design->law->parameters[element->parameter].name;
      names[count++] = element->name;
      bool named = strcmp(assumption->name, element->name) == 0 || strcmp(assumption->name, parameter) == 0;
      known |= named;
      bool held = element->fixed || element->baseline;
      if (named && held && strcmp(assumption->name, element->name) == 0 &&
          fabs(element_value(element, element->value) - assumption->value) > 1e-12)
        fine = error_set(error, EXIT_USAGE_ERROR, "%s is held at %g in this fit, so it cannot be assumed to be %g",
                         element->name, element_value(element, element->value), assumption->value);
    }
    if (known || !fine) continue;
    error_set(error, EXIT_USAGE_ERROR, "the law %s has no parameter '%s' on these runs", design->law->name,
              assumption->name);
    fine = error_hint(error, nearest_name(assumption->name, names, count), NULL);
  }
  free(names);
  return fine;
}

// Between the bounds, or a tenth past the only one.
static double moved_inside(const struct element *element) {
  double low = element->low, high = element->high, x = element->value;
  if (x > low && x < high) return x;
  if (isfinite(low) && isfinite(high)) return 0.5 * (low + high);
  return isfinite(low) ? low + 0.1 * fmax(1, fabs(low)) : high - 0.1 * fmax(1, fabs(high));
}

static bool set_truth(struct design *design, struct error *error) {
  struct fit *fit = &design->fit;
  struct text missing = {0};
  bool fine = check_names(design, error);
  design->truth = arena_array(&design->arena, (size_t)fit->element_count + 1, sizeof *design->truth);
  design->element = arena_array(&design->arena, (size_t)fit->element_count + 1, sizeof *design->element);
  design->place = arena_array(&design->arena, (size_t)fit->element_count + 1, sizeof *design->place);
  for (int e = 0; e < fit->element_count && fine; e++) {
    struct element *element = &fit->elements[e];
    const struct design_assumption *assumption = find_assumption(design, element->name);
    if (!assumption) assumption = find_assumption(design, design->law->parameters[element->parameter].name);
    design->place[e] = -1;
    if (!element->fixed && !element->baseline) {
      if (assumption)
        element->value = element_internal(element, assumption->value);
      else
        text_format(&missing, "%s%s", missing.length ? ", " : "", element->name);
      if (assumption && design->options->within) element->value = moved_inside(element);
      if (assumption && !(element->value > element->low && element->value < element->high))
        fine = error_set(error, EXIT_USAGE_ERROR,
                         "%s cannot be %g: a truth to design for lies inside the bounds of the law %s (--assume gives "
                         "another one)",
                         element->name, assumption->value, design->law->name);
      if (element->free_ever) {
        design->place[e] = design->count;
        design->element[design->count++] = e;
      }
    }
    design->truth[e] = element->value;
  }
  if (fine && missing.length)
    fine =
        error_set(error, EXIT_USAGE_ERROR,
                  "nothing is assumed for %s of the law %s; give every parameter a value (--assume \"E=1.69,...\") or "
                  "name a fit",
                  text_string(&missing), design->law->name);
  text_free(&missing);
  return fine;
}

// ---- set-up ----

static bool predict(struct design *design, struct error *error) {
  const struct fit *fit = &design->fit;
  const struct table *table = design->table;
  struct coefficient *coefficients = arena_array(&design->arena, (size_t)fit->element_count + 1, sizeof *coefficients);
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    coefficients[e] = (struct coefficient){.name = element->name,
                                           .parameter = design->law->parameters[element->parameter].name,
                                           .category = element->category,
                                           .value = element_value(element, design->truth[e])};
  }
  design->predicted = arena_array(&design->arena, table->row_count + 1, sizeof *design->predicted);
  design->noise = arena_array(&design->arena, table->row_count + 1, sizeof *design->noise);
  if (!law_predict(design->law, coefficients, (size_t)fit->element_count, table, design->predicted, error))
    return false;
  for (size_t row = 0; row < table->row_count; row++) {
    double loss = design->predicted[row];
    if (!fit->selected[row]) continue;
    if (!(loss > 0) || !isfinite(loss))
      return error_set(error, EXIT_USAGE_ERROR, "%s, %s: under these assumptions its %s is %g", table->source,
                       table->row_names[row], design->law->target, loss);
    design->noise[row] = design->options->noise / sqrt(table->row_members[row]);
    if (fit->residual == RESIDUAL_PLAIN) design->noise[row] *= loss;
  }
  return true;
}

// Derived quantities at the truth, and their derivatives by central differences of the same code that fits use.
static bool derive(struct design *design, struct error *error) {
  struct fit *fit = &design->fit;
  struct fit_result *scratch = &design->fit_result;
  size_t n = (size_t)fit->element_count, count = (size_t)design->count;
  double *width = arena_array(&design->arena, count + 1, sizeof *width);
  scratch->bootstrap = (int)(2 * count);
  scratch->confidence = 0.95;
  scratch->replicates = arena_array(&scratch->arena, 2 * count * n + 1, sizeof(double));
  for (size_t b = 0; b < 2 * count; b++) {
    size_t c = b / 2;
    width[c] =
        1e-5 *
        (fit->elements[design->element[c]].logarithmic ? 1 : fmax(1e-3, fabs(design->truth[design->element[c]])));
    for (size_t e = 0; e < n; e++) {
      double x = design->truth[e];
      if ((int)e == design->element[c]) x += b % 2 ? width[c] : -width[c];
      scratch->replicates[b * n + e] = element_value(&fit->elements[e], x);
    }
  }
  if (!fit_derive(fit, error)) return false;
  size_t derived = scratch->derived_count;
  design->gradients = arena_array(&design->arena, derived * count + 1, sizeof *design->gradients);
  for (size_t d = 0; d < derived; d++)
    for (size_t c = 0; c < count; c++) {
      double change =
          scratch->derived_replicates[(2 * c + 1) * derived + d] - scratch->derived_replicates[2 * c * derived + d];
      double size = fmax(fabs(scratch->derived[d].value), 1e-300);
      double slope = change / (2 * width[c]);
      design->gradients[d * count + c] = fabs(change) > 1e-13 * size ? slope : 0;  // else rounding
    }
  return true;
}

bool design_begin(struct design *design, struct error *error) {
  struct fit *fit = &design->fit;
  const struct fit_options *options = design->fit_options;
  if (!(design->options->noise > 0) || !(design->options->noise < 1))
    return error_set(error, EXIT_USAGE_ERROR,
                     "the noise is the standard deviation of ln(loss) between seeds: above 0 and below 1 (0.003)");
  *fit = (struct fit){.law = design->law, .table = design->table, .options = options, .result = &design->fit_result};
  fit->residual = design->law->residual;
  fit->objective = design->law->objective;
  if (options->residual && !residual_parse(options->residual, &fit->residual, error)) return false;
  if (options->objective && !objective_parse(options->objective, &fit->objective, error)) return false;
  if (fit->objective.kind == OBJECTIVE_STUDENT_T && isnan(fit->objective.scale))
    return error_set(error, EXIT_USAGE_ERROR,
                     "a design knows no residuals to estimate the scale of Student's t from: give one "
                     "(student-t:%g:0.003)",
                     fit->objective.degrees);
  if (!fit_setup(fit, error) || !set_truth(design, error) || !predict(design, error)) return false;
  for (int s = 0; s < fit->stage_count; s++) fit->stages[s].problem.start = design->truth;
  for (size_t row = 0; row < design->table->row_count; row++) {
    if (!fit->selected[row] || fit->use[row] != ROW_FITTED) continue;
    design->result->rows++;
  }
  return derive(design, error);
}

// ---- results ----

// "G" and "parameters_optimal[flops=1e+21]" are quantities of the law's of the same name.
static bool is_positive_derived(const struct law *law, const char *name) {
  size_t length = strcspn(name, "[");
  for (int d = 0; d < law->derived_count; d++)
    if (strlen(law->derived[d].name) == length && strncmp(law->derived[d].name, name, length) == 0)
      return law_derived_is_positive(law, d);
  return false;
}

void design_list_quantities(struct design *design) {
  struct design_result *result = design->result;
  size_t derived = design->fit_result.derived_count;
  result->coefficient_count = (size_t)design->count;
  result->quantity_count = result->coefficient_count + derived;
  result->quantities = arena_array(&result->arena, result->quantity_count + 1, sizeof *result->quantities);
  for (size_t q = 0; q < result->quantity_count; q++) {
    bool coefficient = q < result->coefficient_count;
    const struct element *element = coefficient ? &design->fit.elements[design->element[q]] : NULL;
    const struct fit_derived *what = coefficient ? NULL : &design->fit_result.derived[q - result->coefficient_count];
    result->quantities[q] = (struct design_quantity){
        .name = arena_string(&result->arena, coefficient ? element->name : what->name),
        .derived = !coefficient,
        .outside = coefficient ? NAN : what->outside,
        .positive = coefficient ? element->logarithmic : is_positive_derived(design->fit.law, what->name),
        .truth = coefficient ? element_value(element, design->truth[design->element[q]]) : what->value,
        .mean = NAN,
        .bias = NAN,
        .sd = NAN,
        .low90 = NAN,
        .high90 = NAN,
        .low95 = NAN,
        .high95 = NAN,
        .coverage90 = NAN,
        .coverage95 = NAN,
        .not_identified = NAN,
        .at_bound = NAN};
  }
}

double design_log_determinant(const double *covariance, size_t n, struct arena *arena) {
  double *matrix = arena_array(arena, n * n + 1, sizeof *matrix), sum = 0;
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < n; j++)
      matrix[i * n + j] = covariance[i * n + j] / sqrt(covariance[i * n + i] * covariance[j * n + j]);
  for (size_t k = 0; k < n; k++) {  // Gauss elimination without pivots: the matrix is positive definite
    if (!(matrix[k * n + k] > 0)) return INFINITY;
    sum += log(matrix[k * n + k]) + log(covariance[k * n + k]);
    for (size_t i = k + 1; i < n; i++) {
      double factor = matrix[i * n + k] / matrix[k * n + k];
      for (size_t j = k; j < n; j++) matrix[i * n + j] -= factor * matrix[k * n + j];
    }
  }
  return sum;
}

static const double strong_correlation = 0.95, poor_share = 0.25;

static void list_pairs(struct design *design, const struct linear *linear) {
  struct design_result *result = design->result;
  size_t n = result->coefficient_count;
  result->pairs = arena_array(&result->arena, n * n + 1, sizeof *result->pairs);
  for (size_t i = 0; i < n; i++)
    for (size_t j = i + 1; j < n; j++) {
      if (linear->unidentified[i] && linear->unidentified[j])
        result->pairs[result->pair_count++] =
            (struct design_pair){result->quantities[i].name, result->quantities[j].name, NAN, false};
      if (linear->unidentified[i] || linear->unidentified[j]) continue;
      double correlation =
          linear->covariance[i * n + j] / sqrt(linear->covariance[i * n + i] * linear->covariance[j * n + j]);
      if (!(fabs(correlation) > strong_correlation)) continue;
      const struct design_quantity *a = &result->quantities[i], *b = &result->quantities[j];
      // a prefactor is known to a factor at best, and always goes with its exponent: what counts is the scale of its
      // logarithm
      double first = fmin(a->linear_se / fabs(a->truth), sqrt(linear->covariance[i * n + i]));
      double second = fmin(b->linear_se / fabs(b->truth), sqrt(linear->covariance[j * n + j]));
      result->pairs[result->pair_count++] =
          (struct design_pair){a->name, b->name, correlation, first < poor_share && second < poor_share};
    }
}

void design_interval(double value, double se, bool positive, double *low, double *high) {
  double half = 1.959963984540054 * se;
  *low = positive ? value * exp(-half / value) : value - half;
  *high = positive ? value * exp(half / value) : value + half;
}

static bool linearise(struct design *design, struct error *error) {
  struct design_result *result = design->result;
  size_t n = (size_t)design->count, rows = design->table->row_count;
  double *jacobian = design_jacobian(design);
  struct linear linear = {.covariance = arena_array(&result->arena, n * n + 1, sizeof(double)),
                          .score = arena_array(&design->arena, n * rows + 1, sizeof(double)),
                          .unidentified = arena_array(&design->arena, n + 1, sizeof(bool))};
  int *include = arena_array(&design->arena, rows + 1, sizeof *include);
  for (size_t row = 0; row < rows; row++) include[row] = 1;
  if (!design_linear(design, jacobian, include, &linear, true, error)) return false;
  bool all = true;
  for (size_t i = 0; i < n; i++) all &= !linear.unidentified[i];
  result->covariance = linear.covariance;
  result->condition = linear.condition;
  result->log_determinant = all ? design_log_determinant(linear.covariance, n, &design->arena) : INFINITY;
  for (size_t q = 0; q < result->quantity_count; q++) {
    struct design_quantity *quantity = &result->quantities[q];
    quantity->linear_se = design_error_of(design, &linear, q);
    double truth = quantity->truth;
    quantity->positive &= truth > 0;
    design_interval(truth, quantity->linear_se, quantity->positive, &quantity->linear_low, &quantity->linear_high);
    quantity->relative_width = (quantity->linear_high - quantity->linear_low) / fabs(truth);
  }
  list_pairs(design, &linear);
  return true;
}

int design_target(const struct design *design, const char *name, struct error *error) {
  const struct design_result *result = design->result;
  const char **names = memory_get((result->quantity_count + 1) * sizeof(char *));
  int found = -1;
  for (size_t q = 0; q < result->quantity_count; q++) {
    names[q] = result->quantities[q].name;
    if (strcmp(names[q], name) == 0) found = (int)q;
  }
  if (found < 0) {
    error_set(error, EXIT_USAGE_ERROR, "nothing that the law %s estimates here is called '%s'", design->law->name,
              name);
    error_hint(error, nearest_name(name, names, result->quantity_count), NULL);
  }
  free(names);
  return found;
}

bool design_open(struct design *design, const struct law *law, const struct table *table, const struct fit_options *fit,
                 const struct design_options *options, struct design_result *result, struct table *ones,
                 struct error *error) {
  static const struct fit_options none = {.bootstrap = 0};
  *result = (struct design_result){.noise = options->noise, .log_determinant = NAN};
  *ones = *table;  // losses are not known yet: a column of ones, so that no row is excluded for its loss
  *design = (struct design){
      .law = law, .table = ones, .fit_options = fit ? fit : &none, .options = options, .result = result};
  int target = table_find(table, law->target);
  ones->columns = arena_array(&design->arena, table->column_count + 1, sizeof *ones->columns);
  memcpy(ones->columns, table->columns, table->column_count * sizeof *ones->columns);
  if (target < 0) {
    target = (int)ones->column_count++;
    ones->columns[target] = (struct table_column){.name = law->target, .original = law->target, .role = ROLE_OUTCOME};
  }
  ones->columns[target].kind = COLUMN_NUMBER;
  ones->columns[target].numbers = arena_array(&design->arena, table->row_count + 1, sizeof(double));
  for (size_t row = 0; row < table->row_count; row++) ones->columns[target].numbers[row] = 1;
  result->law = arena_string(&result->arena, law->name);
  result->source = arena_string(&result->arena, table->source);
  return design_begin(design, error);
}

void design_close(struct design *design) {
  arena_free(&design->fit.arena);
  arena_free(&design->fit_result.arena);
  arena_free(&design->arena);
}

bool design_run(const struct law *law, const struct table *table, const struct fit_options *fit,
                const struct design_options *options, struct design_result *result, struct error *error) {
  double started = clock_seconds();
  char objective[OBJECTIVE_TEXT];
  struct table ones;
  struct design design;
  bool fine = design_open(&design, law, table, fit, options, result, &ones, error);
  if (fine) {
    objective_text(design.fit.objective, objective);
    result->objective = arena_string(&result->arena, objective);
    design_list_quantities(&design);
    fine = linearise(&design, error);
  }
  if (fine && options->repeats > 0) fine = design_simulate(&design, error);
  if (fine && options->target) fine = design_search(&design, error);
  design_close(&design);
  result->seconds = clock_seconds() - started;
  return fine;
}

void design_free(struct design_result *result) {
  arena_free(&result->arena);
  *result = (struct design_result){0};
}
