// Normal priors on coefficients or their logarithms: "alpha=0.34~0.05", "log(A)=6~0.5". They are penalties in the units
// of the loss (fit_alone.c says how), so that the minimum is the most likely point of the two together. Each resample
// draws the priors' means anew from themselves, as it draws rows anew: the spread of resamples is then that of rows and
// priors together (Bardsley, Solonen, Haario and Laine 2014, "Randomize-then-optimize", SIAM Journal on Scientific
// Computing 36).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/setting_internal.h"

static const double by_prior = 0.9;  // an estimate that is nearly as wide as its prior is not the rows'
static const double far = 3;         // standard deviations between rows and prior that ask for a word

// ---- the options ----

static bool parse_prior(struct fit *fit, const char *text, const char **name, struct fit_prior_term *term,
                        struct error *error) {
  struct setting prior;
  if (!setting_prior(text, &prior, error)) return false;
  *name = arena_copy(&fit->arena, prior.name, prior.length);
  *term = (struct fit_prior_term){.mean = prior.number, .sd = prior.sd, .of_logarithm = prior.of_logarithm};
  return true;
}

static bool refuse(const struct element *element, const char *why, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR, "prior: %s %s", element->name, why);
}

static bool take_prior(struct fit *fit, int e, const struct fit_prior_term *term, struct error *error) {
  const struct element *element = &fit->elements[e];
  if (element->tied) return refuse(element, "is tied to another coefficient; give that one the prior", error);
  if (element->fixed) return refuse(element, "is held; a prior is for what is fitted (--free frees it)", error);
  if (term->of_logarithm && !element->logarithmic)
    return refuse(element, "may be negative by the law and has no logarithm; give its value a prior", error);
  for (int k = 0; k < fit->prior_count; k++)
    if (fit->priors[k].element == e) return refuse(element, "has two priors", error);
  fit->priors[fit->prior_count] = *term;
  fit->priors[fit->prior_count++].element = e;
  return true;
}

bool fit_prior_read(struct fit *fit, struct error *error) {
  if ((fit->options->prior_count || fit->options->pooled_count) && fit->options->interval == INTERVAL_T)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "Student's t intervals are made of refits without rows and know nothing of the width of a prior or "
        "of categories: --interval bca or percentile");
  fit->priors = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *fit->priors);
  for (size_t i = 0; i < fit->options->prior_count; i++) {
    const char *name;
    struct fit_prior_term term;
    bool found = false;
    if (!parse_prior(fit, fit->options->priors[i], &name, &term, error)) return false;
    for (int e = 0; e < fit->element_count; e++) {
      bool whole = strcmp(fit->law->parameters[fit->elements[e].parameter].name, name) == 0;
      if (!whole && strcmp(fit->elements[e].name, name) != 0) continue;
      found = true;
      if (fit->elements[e].baseline && whole) continue;
      if (fit->elements[e].baseline) return refuse(&fit->elements[e], "is the baseline", error);
      if (!take_prior(fit, e, &term, error)) return false;
    }
    if (!found) return fit_unknown_coefficient(fit, "prior", name, error);
  }
  return true;
}

// ---- the penalty ----

void fit_penalize(struct fit *fit) {
  for (int s = 0; s < fit->stage_count; s++) {
    struct fit_stage *stage = &fit->stages[s];
    struct penalty *penalty = arena_alloc(&fit->arena, sizeof *penalty);
    penalty->priors = arena_array(&fit->arena, (size_t)fit->prior_count + 1, sizeof *penalty->priors);
    for (int k = 0; k < fit->prior_count && stage->free_count; k++) {
      const struct fit_prior_term *term = &fit->priors[k];
      if (stage->free_of[term->element] < 0) continue;
      penalty->priors[penalty->prior_count++] = (struct penalty_prior){term->element, term->of_logarithm, term->mean,
                                                                       fit->alone->scale[s] / (term->sd * term->sd)};
    }
    penalty->pools = arena_array(&fit->arena, (size_t)fit->pool_count + 1, sizeof *penalty->pools);
    for (int p = 0; p < fit->pool_count && stage->free_count; p++)
      if (stage->free_of[fit->pools[p].elements[0]] >= 0)
        penalty->pools[penalty->pool_count++] = (struct penalty_pool){fit->pools[p].elements, fit->pools[p].count, 0};
    stage->problem.penalty = penalty->prior_count || penalty->pool_count ? penalty : NULL;
  }
}

struct penalty *fit_stage_penalty(struct fit_stage *stage) {
  return (struct penalty *)stage->problem.penalty;
}

bool fit_has_penalty(const struct fit_stage *stage, int element) {
  const struct penalty *penalty = stage->problem.penalty;
  for (int k = 0; penalty && k < penalty->prior_count; k++)
    if (penalty->priors[k].element == element) return true;
  for (int p = 0; penalty && p < penalty->pool_count; p++)
    for (int k = 0; k < penalty->pools[p].count; k++)
      if (penalty->pools[p].elements[k] == element) return true;
  return false;
}

static double pool_penalty(const struct fit *fit, const struct penalty_pool *pool, const double *values) {
  double mean = 0, squares = 0;
  for (int k = 0; k < pool->count; k++)
    mean += element_internal(&fit->elements[pool->elements[k]], values[pool->elements[k]]) / pool->count;
  for (int k = 0; k < pool->count; k++) {
    double off = element_internal(&fit->elements[pool->elements[k]], values[pool->elements[k]]) - mean;
    squares += off * off;
  }
  return 0.5 * pool->precision * squares;
}

double fit_penalty_at(const struct fit *fit, const double *values) {
  double sum = 0;
  for (int s = 0; s < fit->stage_count; s++) {
    const struct penalty *penalty = fit->stages[s].problem.penalty;
    for (int k = 0; penalty && k < penalty->prior_count; k++) {
      const struct penalty_prior *prior = &penalty->priors[k];
      double value = values[prior->element], off = (prior->of_logarithm ? log(value) : value) - prior->mean;
      sum += 0.5 * prior->precision * off * off;
    }
    for (int p = 0; penalty && p < penalty->pool_count; p++) sum += pool_penalty(fit, &penalty->pools[p], values);
  }
  return sum;
}

void fit_shift_priors(const struct fit *fit, size_t resample, double *shift) {
  for (int k = 0; k < fit->prior_count; k++) {
    double pair[2];
    random_normal_pair(fit->options->seed, RANDOM_STREAM_BOOTSTRAP, resample, ((uint64_t)1 << 40) + (uint64_t)k, pair);
    shift[fit->priors[k].element] = fit->priors[k].sd * pair[0];
  }
}

// ---- what they did ----

// The standard deviation of the estimate in the units of its prior, from the curvature of rows and priors together.
static double estimate_sd(struct fit *fit, const struct fit_prior_term *term) {
  for (int s = 0; s < fit->stage_count; s++) {
    struct fit_stage *stage = &fit->stages[s];
    if (!stage->free_count || stage->free_of[term->element] < 0) continue;
    if (!stage->scale) stage->scale = stage_scale_new(fit, &fit->arena, stage);
    for (int k = 0; k < stage->scale->n; k++)
      if (stage->free[stage->scale->of[k]] == term->element) {
        double se = stage_scale_se(stage->scale, k);
        bool through = fit->elements[term->element].logarithmic && !term->of_logarithm;
        return through ? se * fit->result->coefficients[term->element].value : se;
      }
  }
  return NAN;
}

static void tell(struct fit *fit, const struct fit_prior_term *term, struct fit_prior *out) {
  struct fit_result *result = fit->result;
  struct coefficient *c = &result->coefficients[term->element];
  const struct fit_alone *alone = fit->alone;
  double value = term->of_logarithm ? log(c->value) : c->value, se = alone->se[term->element];
  double by_rows = alone->value[term->element];
  bool known = isfinite(se) && alone->status[term->element] == COEFFICIENT_FITTED;
  *out = (struct fit_prior){.coefficient = (size_t)term->element,
                            .of_logarithm = term->of_logarithm,
                            .mean = term->mean,
                            .sd = term->sd,
                            .alone = by_rows,
                            .alone_se = NAN,
                            .alone_status = alone->status[term->element],
                            .moved = (value - term->mean) / term->sd,
                            .narrowed = estimate_sd(fit, term) / term->sd,
                            .distance = NAN};
  if (known) {
    bool through = fit->elements[term->element].logarithmic && !term->of_logarithm;
    double spread = through ? se * by_rows : se, at = term->of_logarithm ? log(by_rows) : by_rows;
    out->alone_se = fit->elements[term->element].logarithmic ? se * by_rows : se;
    out->distance = (at - term->mean) / sqrt(spread * spread + term->sd * term->sd);
  }
  bool set = out->narrowed > by_prior;
  if (set && (c->status == COEFFICIENT_FITTED || c->status == COEFFICIENT_ONE_SIDED)) {
    c->status = COEFFICIENT_BY_PRIOR;
    c->note = "set by its prior, not by the data";
  }
  if (fabs(out->distance) > far)
    fit_result_warn(result,
                    "%s: the rows alone give %.4g, %.2g standard deviations of both from its prior: they disagree",
                    c->name, by_rows, fabs(out->distance));
}

void fit_tell_priors(struct fit *fit) {
  struct fit_result *result = fit->result;
  const char *names = "";
  result->priors = arena_array(&result->arena, (size_t)fit->prior_count + 1, sizeof *result->priors);
  for (int k = 0; k < fit->prior_count; k++) {
    tell(fit, &fit->priors[k], &result->priors[result->prior_count++]);
    const struct coefficient *c = &result->coefficients[fit->priors[k].element];
    if (c->status == COEFFICIENT_BY_PRIOR)
      names = arena_format(&result->arena, "%s%s%s", names, *names ? ", " : "", c->name);
  }
  if (*names)
    fit_result_warn(result, "%s: set by the prior, not by the data; what follows from it rests on that prior", names);
}
