// Partial pooling: the coefficients of a parameter's categories are drawn from a normal distribution about a common
// mean, whose spread is estimated from all of them, so that a category of few rows leans on the others and one of many
// stands for itself.
//
// With coordinates x_c (logarithms of positive parameters), spread s and the objective F(x) = sum of losses +
// tau sum (x_c - mean)^2 / (2 s^2), where tau turns losses into log-likelihoods (fit_alone.c), the mean integrated out
// with a flat prior and the other coefficients likewise, Laplace's approximation of the marginal likelihood of s is
//   log L(s) = -F / tau - (K - 1) log s - log det(H) / 2,  H = the second derivatives of F / tau at its minimum
// (Harville 1974, "Bayesian inference for variance components using only error contrasts", Biometrika 61: restricted
// maximum likelihood, which it is for a linear law; Wolfinger 1993, "Laplace's approximation for nonlinear mixed
// models", Biometrika 80). Second derivatives are those of the reweighted model, times mean psi'. The interval of s
// ends where log L has fallen by half the quantile of chi-squared with one degree of freedom.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { GRID = 33, FEW_CATEGORIES = 5, REFINEMENTS = 60 };
static const double grid_low = 1e-4, grid_high = 100;  // of the grid, over the scatter of the categories by themselves
static const double own_share = 0.19;                  // a category of less weight than this is the others'

// ---- the options ----

static bool unknown_parameter(const struct fit *fit, const char *name, struct error *error) {
  const char **names = memory_get(((size_t)fit->law->parameter_count + 1) * sizeof(char *));
  size_t count = 0;
  for (int p = 0; p < fit->law->parameter_count; p++)
    if (fit->law->parameters[p].by) names[count++] = fit->law->parameters[p].name;
  error_set(error, EXIT_USAGE_ERROR, "partial pooling: the law %s has no parameter '%s' of each category",
            fit->law->name, name);
  bool fine =
      error_hint(error, nearest_name(name, names, count), count ? NULL : "none of its parameters has categories");
  free(names);
  return fine;
}

static bool read_pool(struct fit *fit, const char *name, struct error *error) {
  int p = law_find_parameter(fit->law, name);
  if (p < 0 || !fit->law->parameters[p].by) return unknown_parameter(fit, name, error);
  struct fit_pool_term *pool = &fit->pools[fit->pool_count++];
  *pool = (struct fit_pool_term){.parameter = p, .low = NAN, .high = NAN};
  pool->elements = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *pool->elements);
  for (int k = 0; k + 1 < fit->pool_count; k++)
    if (fit->pools[k].parameter == p)
      return error_set(error, EXIT_USAGE_ERROR, "partial pooling: %s is named twice", name);
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    if (element->parameter != p || !element->free_ever) continue;
    for (int k = 0; k < fit->prior_count; k++)
      if (fit->priors[k].element == e)
        return error_set(error, EXIT_USAGE_ERROR, "%s has a prior, and partial pooling is another: give one of them",
                         element->name);
    pool->elements[pool->count++] = e;
  }
  if (pool->count < 2)
    return error_set(error, EXIT_USAGE_ERROR,
                     "partial pooling: %d categor%s of %s %s fitted, and a spread needs at least 2", pool->count,
                     pool->count == 1 ? "y" : "ies", name, pool->count == 1 ? "is" : "are");
  return true;
}

bool fit_pool_read(struct fit *fit, struct error *error) {
  fit->pools = arena_array(&fit->arena, fit->options->pooled_count + 1, sizeof *fit->pools);
  if (fit->options->pooled_count && fit->objective.kind == OBJECTIVE_LAD)
    return error_set(error, EXIT_USAGE_ERROR,
                     "partial pooling estimates a spread by the curvature of the objective, and absolute values have "
                     "none: --objective huber:DELTA or student-t:4");
  for (size_t i = 0; i < fit->options->pooled_count; i++)
    if (!read_pool(fit, fit->options->pooled[i], error)) return false;
  return true;
}

// ---- the spread ----

struct spreading {
  struct fit *fit;
  struct fit_stage *stage;
  struct problem problem;
  struct penalty_pool *pool;
  struct workspace *workspace;
  double tau, slope;  // mean psi'
  double *x;          // [free_count]: the last minimum
  double *scratch, *matrix;
};

// log det of a positive definite matrix that is used up; NAN where it is not.
static double log_determinant(double *a, int n, double *scratch) {
  memset(scratch, 0, (size_t)n * sizeof *scratch);
  if (!cholesky_solve(a, n, scratch)) return NAN;
  double sum = 0;
  for (int i = 0; i < n; i++) sum += 2 * log(a[i * n + i]);
  return sum;
}

// Of the coordinates on which something depends: a term that has vanished adds the same constant at every spread.
static double laplace(struct spreading *s, double objective, double spread) {
  int n = s->stage->free_count, kept = 0;
  double *penalty = s->matrix, *matrix = s->matrix + (size_t)n * (size_t)n, largest = 0;
  struct problem rows = s->problem;
  rows.penalty = NULL;
  problem_take_squares(&rows);
  problem_penalty_matrix(s->workspace, s->x, penalty);
  workspace_use(s->workspace, &rows);
  problem_evaluate(s->workspace, s->x, NULL, WANT_REWEIGHTED);
  const double *m = s->workspace->matrix;
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(&s->problem, i, s->x[i]);
    largest = fmax(largest, m[i * n + i] * unit * unit);
  }
  int *of = memory_get(((size_t)n + 1) * sizeof *of);
  for (int i = 0; i < n; i++) {
    double unit = problem_unit(&s->problem, i, s->x[i]);
    if (penalty[i * n + i] > 0 || m[i * n + i] * unit * unit > 1e-16 * largest) of[kept++] = i;
  }
  for (int i = 0; i < kept; i++)
    for (int j = 0; j < kept; j++)
      matrix[i * kept + j] = (s->slope * m[of[i] * n + of[j]] + penalty[of[i] * n + of[j]]) / s->tau;
  double determinant = log_determinant(matrix, kept, s->scratch);
  free(of);
  workspace_use(s->workspace, &s->problem);
  return -objective / s->tau - (s->pool->count - 1) * log(spread) - 0.5 * determinant;
}

// The marginal log-likelihood of a spread, from the minimum that was last met.
static double likelihood_of(struct spreading *s, double spread) {
  s->pool->precision = s->tau / (spread * spread);
  workspace_use(s->workspace, &s->problem);
  descend(s->workspace, s->x, NULL, 200, 1e-10);
  struct polish_result polished = polish(s->workspace, s->x, NULL, 60);
  double reached = laplace(s, polished.objective, spread);
  return isfinite(reached) ? reached : -INFINITY;
}

// A size of what is looked for: the scatter of the categories that their rows determine, and these values' own errors;
// else one unit of the coordinate.
static double scatter(const struct fit *fit, const struct fit_pool_term *pool) {
  double mean = 0, squares = 0, errors = 0, unit = fit->unit[pool->elements[0]];
  int known = 0;
  for (int pass = 0; pass < 2; pass++) {
    for (int k = 0; k < pool->count; k++) {
      int e = pool->elements[k];
      if (fit->alone->status[e] != COEFFICIENT_FITTED || !isfinite(fit->alone->se[e])) continue;
      double x = element_internal(&fit->elements[e], fit->alone->value[e]);
      if (pass) squares += (x - mean) * (x - mean);
      errors += pass ? fit->alone->se[e] * fit->alone->se[e] : 0;
      known += !pass;
      mean += pass ? 0 : x;
    }
    if (!pass && known) mean /= known;
  }
  double size = known > 1 ? sqrt(squares / (known - 1) + errors / known) : 0;
  return size > 0 ? size : unit > 0 ? unit : 1;
}

// Where the likelihood has fallen by `fall` between the grid's points a (above) and b (below).
static double crossing(struct spreading *s, double a, double b, double level) {
  for (int i = 0; i < REFINEMENTS && fabs(b - a) > 1e-6; i++) {
    double middle = 0.5 * (a + b);
    if (likelihood_of(s, exp(middle)) > level)
      a = middle;
    else
      b = middle;
  }
  return exp(0.5 * (a + b));
}

// The likelihood over the grid as a distribution of the spread, flat beforehand: trapezoids between the points.
static void keep_likelihood(struct fit *fit, struct fit_pool_term *term, const double *at, const double *value,
                            double top) {
  double total = 0;
  term->grid = arena_array(&fit->arena, GRID, sizeof *term->grid);
  term->below = arena_array(&fit->arena, GRID, sizeof *term->below);
  term->grid_count = GRID;
  for (size_t i = 0; i < GRID; i++) {
    term->grid[i] = exp(at[i]);
    if (i) total += 0.5 * (exp(value[i] - top) + exp(value[i - 1] - top)) * (term->grid[i - 1] - term->grid[i]);
    term->below[i] = total;
  }
  for (size_t i = 0; i < GRID && total > 0; i++) term->below[i] /= total;
}

static double draw_spread(const struct fit_pool_term *term, double share) {
  int i = 1;
  while (i + 1 < term->grid_count && term->below[i] < share) i++;
  double width = term->below[i] - term->below[i - 1], part = width > 0 ? (share - term->below[i - 1]) / width : 1;
  return term->grid[i - 1] + fmin(fmax(part, 0), 1) * (term->grid[i] - term->grid[i - 1]);
}

static void find_spread(struct spreading *s, struct fit_pool_term *term) {
  double at[GRID], value[GRID], unit = scatter(s->fit, term);
  double fall = 0.5 * gsl_cdf_chisq_Pinv(s->fit->result->confidence, 1);
  const double golden = 0.61803398874989484820;
  size_t best = 0;
  for (size_t i = 0; i < GRID; i++) {  // from the categories by themselves to one for all
    at[i] = log(unit * grid_high) + (double)i / (GRID - 1) * log(grid_low / grid_high);
    value[i] = likelihood_of(s, exp(at[i]));
    if (value[i] > value[best]) best = i;
  }
  double low = at[best + 1 < GRID ? best + 1 : best], high = at[best ? best - 1 : best], top = value[best];
  term->spread = best + 1 == GRID ? 0 : exp(at[best]);
  if (best && best + 1 < GRID) {
    double a = high - golden * (high - low), b = low + golden * (high - low);
    double at_a = likelihood_of(s, exp(a)), at_b = likelihood_of(s, exp(b));
    while (high - low > 1e-9) {
      bool left = at_a > at_b;
      *(left ? &high : &low) = left ? b : a;
      *(left ? &b : &a) = left ? a : b;
      *(left ? &at_b : &at_a) = left ? at_a : at_b;
      double next = left ? high - golden * (high - low) : low + golden * (high - low);
      *(left ? &a : &b) = next;
      *(left ? &at_a : &at_b) = likelihood_of(s, exp(next));
    }
    term->spread = exp(0.5 * (low + high));
    top = fmax(top, likelihood_of(s, term->spread));
  }
  keep_likelihood(s->fit, term, at, value, top);
  term->low = value[GRID - 1] > top - fall ? 0 : NAN;
  term->high = value[0] > top - fall ? INFINITY : NAN;
  double from = term->spread > 0 ? log(term->spread) : at[GRID - 1];
  for (size_t i = 0; i < GRID && isnan(term->high); i++)  // the largest grid point that is still above
    if (value[i] > top - fall) term->high = crossing(s, at[i], at[i - 1], top - fall);
  if (isnan(term->high)) term->high = crossing(s, from, at[best - 1], top - fall);
  for (size_t i = GRID; i-- > 0 && isnan(term->low);)
    if (value[i] > top - fall) term->low = crossing(s, at[i], at[i + 1], top - fall);
  if (isnan(term->low)) term->low = crossing(s, from, at[best + 1], top - fall);
  likelihood_of(s, term->spread > 0 ? term->spread : unit * grid_low);  // sets the precision
}

static double mean_slope_alone(const struct fit *fit, const struct fit_stage *stage) {
  return fit->alone->slope[stage - fit->stages];
}

// Several pools of one stage are taken in turns.
static void spread_stage(struct fit *fit, struct fit_stage *stage) {
  struct penalty *penalty = fit_stage_penalty(stage);
  struct arena arena = {0};
  size_t n = (size_t)stage->free_count;
  double *start = arena_array(&arena, (size_t)fit->element_count + 1, sizeof *start);
  struct spreading s = {.fit = fit, .stage = stage, .problem = stage->problem};
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    double value = element_internal(element, fit->alone->value[e]);
    start[e] = element->free_ever && isfinite(value) ? fmin(fmax(value, element->low), element->high) : element->value;
  }
  problem_take(&s.problem, fit->alone->objective);
  s.problem.start = start;
  s.workspace = workspace_new(&arena, &s.problem);
  s.tau = fit->alone->scale[stage - fit->stages];
  s.slope = mean_slope_alone(fit, stage);
  s.x = arena_array(&arena, n + 1, sizeof *s.x);
  s.scratch = arena_array(&arena, n + 1, sizeof *s.scratch);
  s.matrix = arena_array(&arena, 2 * n * n + 1, sizeof *s.matrix);
  int rounds = penalty->pool_count > 1 ? 6 : 1;
  for (int round = 0; round < rounds; round++)
    for (int k = 0; k < penalty->pool_count; k++) {
      s.pool = &penalty->pools[k];
      for (size_t i = 0; i < n; i++) s.x[i] = start[stage->free[i]];
      for (int t = 0; t < fit->pool_count; t++)
        if (fit->pools[t].elements == s.pool->elements) find_spread(&s, &fit->pools[t]);
    }
  arena_free(&arena);
}

void fit_spread(struct fit *fit) {
  for (int s = 0; s < fit->stage_count; s++)
    if (fit->stages[s].problem.penalty && fit->stages[s].problem.penalty->pool_count)
      spread_stage(fit, &fit->stages[s]);
}

void fit_shift_pools(const struct fit *fit, size_t resample, struct refit *refit) {
  for (int p = 0; p < fit->pool_count; p++) {
    const struct fit_pool_term *pool = &fit->pools[p];
    double pair[2];
    random_normal_pair(fit->options->seed, RANDOM_STREAM_BOOTSTRAP, resample, ((uint64_t)1 << 42) + (uint64_t)p, pair);
    refit->spread[p] = draw_spread(pool, gsl_cdf_ugaussian_P(pair[0]));
    for (int k = 0; k < pool->count; k++) {
      int e = pool->elements[k];
      random_normal_pair(fit->options->seed, RANDOM_STREAM_BOOTSTRAP, resample, ((uint64_t)1 << 41) + (uint64_t)e,
                         pair);
      refit->shift[e] = refit->spread[p] * pair[0];
    }
  }
}

void fit_respread(const struct fit *fit, struct refit *refit, const struct fit_stage *stage, struct penalty *own) {
  *own = *stage->problem.penalty;
  for (int k = 0; k < own->pool_count; k++) {
    refit->pools[k] = own->pools[k];
    for (int p = 0; p < fit->pool_count; p++)
      if (fit->pools[p].elements == own->pools[k].elements && refit->spread[p] > 0)
        refit->pools[k].precision = fit->alone->scale[stage - fit->stages] / (refit->spread[p] * refit->spread[p]);
  }
  own->pools = refit->pools;
}

// ---- what it did ----

static void tell(struct fit *fit, const struct fit_pool_term *term, struct fit_pool *pool) {
  struct fit_result *result = fit->result;
  const struct law_parameter *parameter = &fit->law->parameters[term->parameter];
  *pool = (struct fit_pool){.parameter = arena_string(&result->arena, parameter->name),
                            .column = arena_string(&result->arena, parameter->by),
                            .logarithmic = parameter->positive,
                            .spread = term->spread,
                            .low = term->low,
                            .high = term->high};
  pool->members = arena_array(&result->arena, (size_t)term->count + 1, sizeof *pool->members);
  double mean = 0;
  for (int k = 0; k < term->count; k++) {
    int e = term->elements[k];
    struct coefficient *c = &result->coefficients[e];
    double se = fit->alone->se[e], square = term->spread * term->spread;
    bool known = fit->alone->status[e] == COEFFICIENT_FITTED && isfinite(se);
    struct fit_pooled *member = &pool->members[pool->member_count++];
    *member = (struct fit_pooled){.coefficient = (size_t)e,
                                  .alone = fit->alone->value[e],
                                  .alone_se = known && parameter->positive ? se * fit->alone->value[e] : se,
                                  .alone_status = fit->alone->status[e],
                                  .weight = known && square > 0 ? square / (square + se * se) : 0};
    mean += element_internal(&fit->elements[e], c->value) / term->count;
    bool others = member->weight < own_share && square > 0;
    if (others && (c->status == COEFFICIENT_FITTED || c->status == COEFFICIENT_ONE_SIDED))
      c->status = COEFFICIENT_BY_PRIOR;
    if (!c->note || others)
      c->note = others       ? "set by the other categories, not by its own rows"
                : square > 0 ? arena_format(&result->arena, "pooled, own weight %.2g", member->weight)
                             : "pooled, one value for all";
  }
  pool->mean = parameter->positive ? exp(mean) : mean;
  if (term->count < FEW_CATEGORIES)
    fit_result_warn(result, "%d categories of %s tell little of their spread, on which every pooled value rests",
                    term->count, parameter->name);
  if (term->spread == 0)
    fit_result_warn(result, "the categories of %s differ by no more than noise explains, and all have one value",
                    parameter->name);
}

void fit_tell_pools(struct fit *fit) {
  struct fit_result *result = fit->result;
  result->pools = arena_array(&result->arena, (size_t)fit->pool_count + 1, sizeof *result->pools);
  for (int p = 0; p < fit->pool_count; p++) tell(fit, &fit->pools[p], &result->pools[result->pool_count++]);
}
