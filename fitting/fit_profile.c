// Profile likelihood: a coefficient is held at values to both sides of its estimate and the others are refitted. The
// interval ends where the likelihood-ratio statistic reaches its threshold (fit_scale.c says how it is made from the
// objective): Student's t squared, for rows - parameters degrees of freedom, in place of chi-squared, because the scale
// of the errors is estimated. Where rows are grouped, their errors are not independent: the statistic of a coefficient
// is then divided by the ratio of its variance by groups to that of its curvature (Kent 1982, "Robust properties of
// likelihood ratio tests", Biometrika 69).
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

struct profiling {
  struct fit *fit;
  struct walk *walks;    // two a profile: down, up
  struct arena *arenas;  // one a walk
};

static bool asked_for(const struct fit *fit, int e) {
  const struct element *element = &fit->elements[e];
  if (!element->free_ever) return false;
  bool asked = fit->options->profile_all;
  for (size_t i = 0; i < fit->options->profile_count && !asked; i++)
    asked = strcmp(fit->options->profiles[i], element->name) == 0 ||
            strcmp(fit->options->profiles[i], fit->law->parameters[element->parameter].name) == 0;
  return asked;
}

bool fit_profile_names(const struct fit *fit, struct error *error) {
  for (size_t i = 0; i < fit->options->profile_count; i++) {
    const char *name = fit->options->profiles[i], *held = NULL;
    bool found = false;
    for (int e = 0; e < fit->element_count; e++) {
      const struct element *element = &fit->elements[e];
      if (strcmp(element->name, name) != 0 && strcmp(fit->law->parameters[element->parameter].name, name) != 0)
        continue;
      found |= element->free_ever;
      held = element->name;
    }
    if (held && !found) return error_set(error, EXIT_USAGE_ERROR, "%s is held: it has no profile", held);
    if (!found)
      return error_set(error, EXIT_USAGE_ERROR, "the law %s has no parameter '%s' here to profile", fit->law->name,
                       name);
  }
  return true;
}

double *fit_group_sums(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale,
                       const double *inverse, int k, int *groups) {
  double *sums = memory_get((size_t)(fit->group_count + 1) * sizeof *sums);
  *groups = 0;
  for (size_t i = 0; i < stage->row_count; i++) {
    double along = 0, r = scale->residual[i], slope = problem_slope(&stage->problem, r);
    for (int j = 0; j < scale->n; j++)
      along += inverse[k * scale->n + j] * scale->jacobian[i * (size_t)stage->free_count + (size_t)scale->of[j]];
    double *sum = &sums[fit->row_group[stage->rows[i]]];
    *groups += *sum == 0;
    *sum += stage->weight[i] * slope * along;
  }
  return sums;
}

// The variance of kept coordinate k by groups, over that by curvature: u'Bu / (M^-1)_kk for u = M^-1 e_k and B the sum
// over groups of squared sums of w psi J.
static double group_ratio(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale,
                          const double *inverse, int k) {
  int groups;
  double *sums = fit_group_sums(fit, stage, scale, inverse, k, &groups), square = 0;
  for (int g = 0; g < fit->group_count; g++) square += sums[g] * sums[g];
  free(sums);
  return square * groups / fmax(1, groups - scale->n) / (inverse[k * scale->n + k] * scale->slope);
}

// The same by the jackknife over groups, from the width of Student's t interval; 0 where there is none, and where the
// error of a logarithm is over 1, which is no distance.
static double jackknife_ratio(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale,
                              int k) {
  int e = stage->free[scale->of[k]];
  const struct coefficient *c = &fit->result->coefficients[e];
  double low = c->intervals.t_low, high = c->intervals.t_high;
  double t = gsl_cdf_tdist_Pinv((1 + fit->result->confidence) / 2, fit->result->interval_degrees);
  double se = (low > 0 ? log(high / low) : high - low) / 2 / t;
  if (low > 0 && se > 1) return 0;
  if (low > 0 && !fit->elements[e].logarithmic) se *= fabs(c->value);
  double ratio = se * se * scale->slope / scale->variance[k];
  return isfinite(ratio) ? ratio : 0;
}

// Of groups that are no more than the coefficients little is left over: the law passes near to each group's own
// errors, and their sums say too little. How far the coefficients move without a group does not have that fault.
static double threshold_of(const struct fit *fit, const struct fit_stage *stage, const struct stage_scale *scale,
                           int k) {
  double level = (1 + fit->result->confidence) / 2, t = gsl_cdf_tdist_Pinv(level, scale->degrees);
  const double *inverse = scale->inverse ? scale->inverse : scale->resolved ? scale->resolved : scale->held;
  if (!fit->grouped || fit->alone || !inverse || !scale->jacobian) return 0.5 * scale->ratio * t * t;
  bool one = k >= 0 && !isnan(scale->variance[k]);  // else as the most dependent of the others
  double ratio = one ? 0 : scale->ratio, moves = 0;
  for (int i = one ? k : 0; i < (one ? k + 1 : scale->n); i++) {
    if (isnan(scale->variance[i])) continue;
    ratio = fmax(ratio, group_ratio(fit, stage, scale, inverse, i));
    if (fit->group_count <= scale->n) moves = fmax(moves, jackknife_ratio(fit, stage, scale, i));
  }
  t = gsl_cdf_tdist_Pinv(level, fmin(scale->degrees, fmax(1, fit->group_count - scale->n)));
  double rise = 0.5 * ratio * t * t;
  t = gsl_cdf_tdist_Pinv(level, fit->result->interval_degrees);
  return fmax(rise, 0.5 * moves * t * t);
}

static void walk_one(void *context, size_t walk, int thread) {
  struct profiling *profiling = context;
  (void)thread;
  walk_out(&profiling->arenas[walk], profiling->fit, &profiling->walks[walk]);
}

// Where an open side ends: at zero or the law's bound, or nowhere.
static double open_end(const struct element *element, const struct walk *walk) {
  if (walk->end == WALK_BOUND && !(element->logarithmic && fabs(walk->x) >= 149))
    return element_value(element, walk->x);
  if (walk->direction > 0) return INFINITY;
  return element->logarithmic ? 0 : -INFINITY;
}

static const char *profile_words(struct fit_result *result, const struct element *element, const struct walk *walks) {
  const char *sides[2];
  for (int side = 0; side < 2; side++) {
    const struct walk *walk = &walks[side];
    double end = open_end(element, walk);
    sides[side] = NULL;
    if (walk->end == WALK_REACHED) continue;
    if (isfinite(end) && !(element->logarithmic && end == 0))
      sides[side] = arena_format(&result->arena, "reaches the law's bound %.4g", end);
    else if (side == 1)
      sides[side] = "no upper bound";
    else
      sides[side] = element->logarithmic ? "no lower bound above 0" : "no lower bound";
  }
  if (sides[0] && sides[1]) return arena_format(&result->arena, "%s; %s", sides[0], sides[1]);
  return sides[0] ? sides[0] : sides[1];
}

static int by_value(const void *a, const void *b) {
  const struct fit_profile_point *x = a, *y = b;
  return compare_numbers(&x->value, &y->value);
}

// Least absolute deviations are minimized as Huber's with a delta near 0, which scales the objective by it.
static double objective_unit(const struct fit *fit, const struct fit_stage *stage) {
  return fit->objective.kind == OBJECTIVE_LAD ? stage->problem.delta : 1;
}

static void put_profile(struct fit *fit, int e, const struct walk *walks, struct fit_profile *profile) {
  struct fit_result *result = fit->result;
  const struct element *element = &fit->elements[e];
  const struct fit_stage *stage = walks[0].stage;
  double unit = objective_unit(fit, stage), estimate = result->coefficients[e].value, base = walks[0].lowest;
  base = fmin(base, walks[1].lowest);
  double start = walks[0].rise;
  *profile = (struct fit_profile){.coefficient = (size_t)e, .threshold = start / unit};
  profile->low_open = walks[0].end != WALK_REACHED;
  profile->high_open = walks[1].end != WALK_REACHED;
  profile->low = profile->low_open ? open_end(element, &walks[0]) : element_value(element, walks[0].x);
  profile->high = profile->high_open ? open_end(element, &walks[1]) : element_value(element, walks[1].x);
  profile->words = profile_words(result, element, walks);
  profile->points =
      arena_array(&result->arena, walks[0].point_count + walks[1].point_count + 1, sizeof *profile->points);
  struct workspace *workspace = workspace_new(&fit->arena, &stage->problem);
  double minimum = problem_evaluate(workspace, stage->x, NULL, WANT_VALUE);
  profile->points[profile->point_count++] = (struct fit_profile_point){estimate, minimum, 0};
  for (int side = 0; side < 2; side++)
    for (size_t i = 0; i < walks[side].point_count; i++)
      profile->points[profile->point_count++] = walks[side].points[i];
  for (size_t i = 0; i < profile->point_count; i++) {
    profile->points[i].ratio = (profile->points[i].objective - minimum) / start;
    profile->points[i].objective /= unit;
  }
  qsort(profile->points, profile->point_count, sizeof *profile->points, by_value);
  if (base < minimum * (1 - 1e-6))
    fit_result_warn(result, "the profile of %s met a lower objective (%.9g) than the search (%.9g): more --starts",
                    result->coefficients[e].name, base / unit, minimum / unit);
}

void fit_keep_open(struct fit *fit, int element, bool step, const double *values) {
  struct fit_result *result = fit->result;
  size_t n = (size_t)fit->element_count;
  double *kept = arena_array(&result->arena, n + 1, sizeof *kept);
  memcpy(kept, values, n * sizeof *kept);
  result->open_ends = arena_grow(&result->arena, result->open_ends, result->open_count, result->open_count + 1,
                                 sizeof *result->open_ends);
  result->open_ends[result->open_count++] = (struct fit_open_end){(size_t)element, step, kept};
}

// The coefficients where walks ended: on the open sides for the result, where the rows set the end for what follows
// from the coefficients.
static void keep_ends(struct fit *fit, const struct walk *walks, size_t count) {
  size_t n = (size_t)fit->element_count;
  double *values = arena_array(&fit->arena, n + 1, sizeof *values);
  fit->reached = arena_array(&fit->arena, count * n + 1, sizeof *fit->reached);
  for (size_t w = 0; w < count; w++) {
    for (size_t e = 0; e < n; e++) values[e] = fit->result->coefficients[e].value;
    for (int i = 0; i < walks[w].stage->free_count; i++) {
      int e = walks[w].stage->free[i];
      values[e] = element_value(&fit->elements[e], walks[w].at[i]);
    }
    fit_copy_ties(fit, values);
    if (walks[w].end == WALK_REACHED)
      memcpy(fit->reached + n * fit->reached_count++, values, n * sizeof *values);
    else
      fit_keep_open(fit, walks[w].stage->free[walks[w].coordinate], false, values);
  }
}

// The place in stage->free of the coefficient that is at a bound of the law at the end of a walk while the rows set
// it no limit on that side, or -1. The bound of a positive coefficient's logarithm stands for 0, which is no bound of
// the law.
static int held_by(const struct fit *fit, const struct walk *walk) {
  for (int i = 0; i < walk->stage->free_count && walk->end == WALK_REACHED; i++) {
    int e = walk->stage->free[i];
    const struct coefficient *c = &fit->result->coefficients[e];
    bool at_low = walk->at[i] <= walk->stage->low[i], at_high = walk->at[i] >= walk->stage->high[i];
    bool open = c->status == COEFFICIENT_UNIDENTIFIED ||
                (c->status == COEFFICIENT_ONE_SIDED && isnan(at_low ? c->low : c->high));
    bool nothing = fit->elements[e].logarithmic && fabs(walk->at[i]) >= 149;
    bool zero = at_low && element_value(&fit->elements[e], walk->at[i]) == 0;
    if (i != walk->coordinate && (at_low || at_high) && open && !nothing && !zero) return i;
  }
  return -1;
}

// Whether the end moves by over a tenth of its distance when the other coefficient may go twice as far.
static bool end_follows(struct arena *arena, const struct fit *fit, const struct walk *walk, int other) {
  const struct fit_stage *stage = walk->stage;
  size_t n = (size_t)stage->free_count;
  struct fit_stage wider = *stage;
  double *low = arena_array(arena, n, sizeof *low), *high = arena_array(arena, n, sizeof *high);
  memcpy(low, stage->low, n * sizeof *low);
  memcpy(high, stage->high, n * sizeof *high);
  double further = fabs(walk->at[other] - stage->x[other]) + fabs(walk->at[other]);
  if (walk->at[other] >= high[other])
    high[other] += further;
  else
    low[other] -= further;
  wider.low = low;
  wider.high = high;
  struct walk again = {.stage = &wider,
                       .coordinate = walk->coordinate,
                       .direction = walk->direction,
                       .step = walk->step,
                       .rise = walk->rise};
  walk_out(arena, fit, &again);
  return again.end != WALK_REACHED || fabs(again.x - walk->x) > 0.1 * fabs(walk->x - stage->x[walk->coordinate]);
}

// An end that is met only because another coefficient can go no further than the law lets it, where the rows would, is
// none that the rows set.
static bool open_held_ends(struct fit *fit, const struct walk *walks) {
  struct fit_result *result = fit->result;
  bool opened = false;
  for (size_t w = 0; w < 2 * result->profile_count; w++) {
    struct fit_profile *profile = &result->profiles[w / 2];
    bool *open = w % 2 ? &profile->high_open : &profile->low_open;
    int by = held_by(fit, &walks[w]);
    if (by < 0 || *open || !end_follows(&fit->arena, fit, &walks[w], by)) continue;
    *open = opened = true;
    profile->words =
        arena_format(&result->arena, "%s%s%s end is where %s reaches the law's bound",
                     profile->words ? profile->words : "", profile->words ? "; " : "",
                     w % 2 ? "the upper" : "the lower", result->coefficients[walks[w].stage->free[by]].name);
  }
  return opened;
}

// Coefficients that look loose: loose[element]. So many that their walks take minutes are not walked unasked, and that
// is said; every step of a walk costs rows times the square of the coefficients.
static bool find_loose(struct fit *fit, const struct fit_stage *stage, bool *loose) {
  static const double most = 2e8;
  int count = 0;
  for (int i = 0; i < stage->free_count; i++) {
    loose[stage->free[i]] = fit_looks_loose(fit, stage->free[i]);
    count += loose[stage->free[i]];
  }
  double cost = (double)stage->row_count * stage->free_count * stage->free_count * count;
  if (cost <= most || walks_are_exact(stage)) return true;
  fit_result_warn(
      fit->result,
      "%d coefficients look loose: profiles of so many take long and are not made unasked, so intervals and "
      "what is determined come from %s alone; --profile-of NAME makes one",
      count, fit->result->bootstrap ? "resamples" : "the curvature");
  return false;
}

void fit_profile(struct fit *fit) {
  struct fit_result *result = fit->result;
  struct profiling profiling = {.fit = fit};
  size_t count = 0;
  int *elements = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *elements);
  bool *loose = arena_array(&fit->arena, (size_t)fit->element_count + 1, sizeof *loose);
  profiling.walks = arena_array(&fit->arena, 2 * (size_t)fit->element_count + 2, sizeof *profiling.walks);
  for (int s = 0; s < fit->stage_count; s++) {
    const struct fit_stage *stage = &fit->stages[s];
    bool told = false, walked = find_loose(fit, stage, loose);
    for (int i = 0; i < stage->free_count; i++) {
      if (!asked_for(fit, stage->free[i]) && !(walked && loose[stage->free[i]])) continue;
      if (!(stage->objective > 1e-18 * (double)stage->row_count) &&
          !fit->choice_variance) {  // nothing says how large the errors are
        if (!told && !fit->rounding)
          fit_result_warn(result, "the law passes through its rows: there are no errors to make profiles of");
        told = true;
        continue;
      }
      const struct stage_scale *scale = stage->scale;
      int k = scale->n - 1;
      while (k >= 0 && scale->of[k] != i) k--;
      double rise = threshold_of(fit, stage, scale, k), distance = 1;
      if (k >= 0 && !isnan(scale->variance[k])) distance = sqrt(2 * rise * scale->variance[k] / scale->slope);
      for (int side = 0; side < 2; side++)
        profiling.walks[2 * count + (size_t)side] = (struct walk){.stage = stage,
                                                                  .coordinate = i,
                                                                  .direction = side ? 1 : -1,
                                                                  .step = fmin(0.2 * distance, 1),
                                                                  .rise = rise,
                                                                  .keep_points = true};
      elements[count++] = stage->free[i];
    }
  }
  if (!count) {
    fit_settle(fit, loose);
    return;
  }
  profiling.arenas = arena_array(&fit->arena, 2 * count, sizeof *profiling.arenas);
  threads_each(2 * count, fit->options->threads, walk_one, &profiling);
  result->profiles = arena_array(&result->arena, count, sizeof *result->profiles);
  for (size_t p = 0; p < count; p++)
    put_profile(fit, elements[p], &profiling.walks[2 * p], &result->profiles[result->profile_count++]);
  keep_ends(fit, profiling.walks, 2 * count);
  fit_settle(fit, loose);
  if (open_held_ends(fit, profiling.walks)) fit_settle(fit, loose);
  for (size_t w = 0; w < 2 * count; w++) arena_free(&profiling.arenas[w]);
}
