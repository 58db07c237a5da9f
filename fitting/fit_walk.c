// A walk along one coordinate of a minimum: the coordinate is held at values ever farther out, the others are refitted,
// until the objective has risen by a given amount. Profiles and the ranges of flat directions are made of it.
#include <math.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum { STEP_LIMIT = 5, STEPS = 60, FLAT_STEPS = 16, BISECTIONS = 16, SHORTER = 8 };

struct path {
  const struct fit *fit;
  struct walk *walk;
  struct problem problem;  // without the coordinate
  double *start;           // [element_count]: where the coordinate's value is held
  struct workspace *workspace;
  int n;                   // free coordinates but one
  double *x;               // [n]: the last minimum
  double *previous;        // [n]: the one before
  double from, before;     // the coordinate at these
  double origin, rise;     // the coordinate at the minimum; how far the objective has risen at `from`
  double *trial, *second;  // [n]
  double *solved;          // [n]: scratch
  double base;             // objective at the minimum
};

static void path_begin(struct path *path, struct arena *arena, const struct fit *fit, struct walk *walk) {
  const struct fit_stage *stage = walk->stage;
  size_t elements = (size_t)fit->element_count, n = (size_t)stage->free_count;
  int *free_places = arena_array(arena, n, sizeof *free_places),
      *free_of = arena_array(arena, elements + 1, sizeof *free_of);
  double *low = arena_array(arena, n, sizeof *low), *high = arena_array(arena, n, sizeof *high);
  *path = (struct path){.fit = fit, .walk = walk, .problem = stage->problem};
  path->start = arena_array(arena, elements + 1, sizeof *path->start);
  path->x = arena_array(arena, n, sizeof *path->x);
  path->previous = arena_array(arena, n, sizeof *path->previous);
  path->trial = arena_array(arena, n, sizeof *path->trial);
  path->second = arena_array(arena, n, sizeof *path->second);
  path->solved = arena_array(arena, n, sizeof *path->solved);
  for (size_t e = 0; e < elements; e++) {
    path->start[e] = fit->elements[e].value;
    free_of[e] = -1;
  }
  for (int i = 0; i < stage->free_count; i++) {
    if (i == walk->coordinate) continue;
    free_of[stage->free[i]] = path->n;
    free_places[path->n] = stage->free[i];
    low[path->n] = stage->low[i];
    high[path->n] = stage->high[i];
    path->x[path->n] = path->previous[path->n] = stage->x[i];
    path->n++;
  }
  path->problem.start = path->start;
  path->problem.free = free_places;
  path->problem.free_of = free_of;
  path->problem.free_count = path->n;
  path->problem.low = low;
  path->problem.high = high;
  path->origin = path->from = path->before = stage->x[walk->coordinate];
  path->workspace = workspace_new(arena, &stage->problem);
  path->base = problem_evaluate(path->workspace, stage->x, NULL, WANT_VALUE);
}

static const double still = 1e-7;  // share of the rise that is walked to

// The lowest objective with the coordinate at `to`, from where the last two points lead (ahead) and from the last
// point itself; the place is path->trial.
static double path_descend(struct path *path, double ahead, double *x) {
  struct workspace *workspace = path->workspace;
  for (int i = 0; i < path->n; i++) {
    double to = path->x[i] + ahead * (path->x[i] - path->previous[i]);
    x[i] = fmin(fmax(to, path->problem.low[i]), path->problem.high[i]);
  }
  double value = problem_evaluate(workspace, x, NULL, WANT_VALUE);
  if (!isfinite(value)) return INFINITY;
  if (value - path->base <= still * path->walk->rise) return value;  // as low as it gets
  project_many(workspace, value, x, path->solved);
  descend(workspace, x, NULL, 100, 1e-7);
  return polish(workspace, x, NULL, 6).objective;
}

static const double nothing = -15;  // of a logarithm

// A positive coefficient that has vanished has no slope to come back by.
static bool has_vanished(const struct path *path) {
  for (int i = 0; i < path->n; i++)
    if (path->fit->elements[path->problem.free[i]].logarithmic && path->x[i] < nothing) return true;
  return false;
}

// The root of the rise is nearly straight along a path. What keeps to that from the last point on is the same minimum,
// and needs no second descent to say so.
static bool is_expected(const struct path *path, double to, double reached) {
  static const double bend = 1.1, least = 1e-3;  // least: of the root of the rise that is walked to
  double ratio = (to - path->origin) / (path->from - path->origin);
  double expected = bend * ratio * sqrt(fmax(path->rise, 0)) + least * sqrt(path->walk->rise);
  return isfinite(ratio) && sqrt(fmax(reached - path->base, 0)) <= expected;
}

static double path_try(struct path *path, double to) {
  struct workspace *workspace = path->workspace;
  path->start[path->walk->stage->free[path->walk->coordinate]] = to;
  workspace_use(workspace, &path->problem);
  if (!path->n) return problem_evaluate(workspace, path->trial, NULL, WANT_VALUE);
  double ahead = path->from == path->before ? 0 : (to - path->from) / (path->from - path->before);
  double reached = path_descend(path, ahead, path->trial);
  for (int way = 0; way < 2; way++) {  // from the last point itself; with the linear coefficients solved anew
    double other = INFINITY;
    memcpy(path->second, path->x, (size_t)path->n * sizeof *path->second);
    if (way == 0 && ahead != 0 && !is_expected(path, to, reached)) other = path_descend(path, 0, path->second);
    if (way == 1 && has_vanished(path) && project_linear(workspace, path->second, NULL)) {
      descend(workspace, path->second, NULL, 100, 1e-9);
      other = polish(workspace, path->second, NULL, 40).objective;
    }
    if (!(other < reached)) continue;
    reached = other;
    memcpy(path->trial, path->second, (size_t)path->n * sizeof *path->trial);
  }
  return reached;
}

static void note_vanished(struct path *path) {
  struct walk *walk = path->walk;
  for (int i = 0, k = 0; i < walk->stage->free_count && walk->vanished < 0; i++) {
    if (i == walk->coordinate) continue;
    bool logarithm = path->fit->elements[walk->stage->free[i]].logarithmic;
    if (logarithm && path->trial[k] < nothing) walk->vanished = i;
    k++;
  }
}

static void path_go(struct path *path, double to, double rise) {
  path->rise = rise;
  note_vanished(path);
  double *other = path->previous;
  path->previous = path->x;
  path->x = path->trial;
  path->trial = other;
  path->before = path->from;
  path->from = to;
}

static void keep_point(struct path *path, double x, double objective) {
  struct walk *walk = path->walk;
  if (objective < walk->lowest) walk->lowest = objective;
  if (!walk->keep_points || walk->point_count >= STEPS) return;
  const struct element *element = &path->fit->elements[walk->stage->free[walk->coordinate]];
  walk->points[walk->point_count++] =
      (struct fit_profile_point){.value = element_value(element, x), .objective = objective};
}

static void keep_place(struct path *path, double x, const double *others) {
  struct walk *walk = path->walk;
  walk->x = x;
  for (int i = 0, k = 0; i < walk->stage->free_count; i++) walk->at[i] = i == walk->coordinate ? x : others[k++];
}

// Whether what lies between `from` and `to` has become too little for the rise from the one to the other: `to` was
// reached from farther away, then, at a higher minimum than there is.
static bool is_jump(const struct path *path, double from, double to, double low_rise) {
  return low_rise < 0.9 * path->walk->rise && fabs(to - from) < 1e-2 * fabs(to - path->origin);
}

// The end between `from` (where the last minimum was) and `to`, by false position on the root of the rise, which is
// nearly straight. False where there is none: the walk continues from `to` then.
static bool find_end(struct path *path, double low_rise, double to, double high_rise) {
  double target = path->walk->rise, from = path->from, reached = high_rise;
  bool again = false;
  keep_place(path, to, path->trial);
  for (int i = 0; i < BISECTIONS && fabs(reached / target - 1) > 1e-3; i++) {
    if (!again && is_jump(path, from, to, low_rise)) {
      again = true;
      double objective = path_try(path, to);
      if (objective - path->base < target) {
        keep_point(path, to, objective);
        path_go(path, to, objective - path->base);
        keep_place(path, to, path->x);
        return false;
      }
    }
    double a = sqrt(fmax(low_rise, 0)), b = sqrt(high_rise), share = (sqrt(target) - a) / (b - a);
    if (high_rise > 25 * target) share = 0.5;
    double x = from + fmin(fmax(share, 0.05), 0.95) * (to - from), objective = path_try(path, x);
    reached = objective - path->base;
    if (!isfinite(reached)) reached = 10 * target;
    keep_place(path, x, path->trial);
    if (reached < target) {
      from = x;
      low_rise = reached;
      if (target - reached > 1e-3 * target && i + 1 < BISECTIONS) keep_point(path, x, objective);  // not the end itself
      path_go(path, x, reached);
    } else {
      to = x;
      high_rise = reached;
    }
  }
  return true;
}

bool walks_are_exact(const struct fit_stage *stage) {
  const struct stage_scale *scale = stage->scale;
  return problem_is_one_solve(&stage->problem) && scale && (scale->inverse || scale->resolved) &&
         scale->n == stage->free_count;
}

// The others move along with coordinate k by these shares of its own way; false where a bound is met on the way.
static bool go_along(const struct fit_stage *stage, const double *column, int k, double distance, double *at) {
  for (int i = 0; i < stage->free_count; i++) {
    at[i] = stage->x[i] + distance * column[i] / column[k];
    if (!(at[i] >= stage->low[i] && at[i] <= stage->high[i])) return false;
  }
  return true;
}

// Least squares of a law that is linear in all its coefficients: the objective is a parabola, whose end on this side
// the inverse of its matrix M gives: at distance t along the coordinate k it has risen by t^2 / (2 (M^-1)_kk), with the
// others at t (M^-1)_ik / (M^-1)_kk from the minimum. Where k takes part in a direction in which nothing changes, it
// goes as far as that without any rise. False where it is no parabola as far as the end, as where a bound is met.
static bool walk_parabola(const struct fit *fit, struct arena *arena, struct walk *walk) {
  static const double parts[] = {0.25, 0.5, 0.75, 1, 1.25}, far = 1e4;
  const struct fit_stage *stage = walk->stage;
  if (!walks_are_exact(stage)) return false;
  const struct stage_scale *scale = stage->scale;
  int n = stage->free_count, k = walk->coordinate;
  bool flat = isnan(scale->variance[k]);
  if (flat && !scale->open) return false;
  const double *inverse = scale->inverse ? scale->inverse : scale->resolved;
  const double *column = (flat ? scale->open : inverse) + (size_t)k * (size_t)n;
  double distance =
      walk->direction * (flat ? far * problem_unit(&stage->problem, k, stage->x[k]) : sqrt(2 * walk->rise * column[k]));
  double *at = arena_array(arena, (size_t)n, sizeof *at);
  if (!go_along(stage, column, k, distance, at)) return false;
  walk->at = at;
  walk->x = at[k];
  walk->lowest = stage->objective;
  walk->vanished = -1;
  walk->end = flat ? WALK_FLAT : WALK_REACHED;
  if (!walk->keep_points) return true;
  walk->points = arena_array(arena, sizeof parts / sizeof *parts, sizeof *walk->points);
  for (; walk->point_count < sizeof parts / sizeof *parts; walk->point_count++) {
    double part = parts[walk->point_count];
    walk->points[walk->point_count] = (struct fit_profile_point){
        .value = element_value(&fit->elements[stage->free[k]], stage->x[k] + part * distance),
        .objective = stage->objective + (flat ? 0 : part * part * walk->rise)};
  }
  return true;
}

void walk_out(struct arena *arena, const struct fit *fit, struct walk *walk) {
  const struct fit_stage *stage = walk->stage;
  struct path path;
  if (walk_parabola(fit, arena, walk)) return;
  path_begin(&path, arena, fit, walk);
  walk->at = arena_array(arena, (size_t)stage->free_count, sizeof *walk->at);
  if (walk->keep_points) walk->points = arena_array(arena, STEPS, sizeof *walk->points);
  walk->lowest = path.base;
  walk->vanished = -1;
  walk->end = WALK_FLAT;
  keep_place(&path, path.from, path.x);
  double bound = walk->direction < 0 ? stage->low[walk->coordinate] : stage->high[walk->coordinate];
  double step = walk->step, last = 0;
  int flat = 0, shorter = 0;
  if (path.from == bound) walk->end = WALK_BOUND;
  for (int i = 0; i < STEPS && walk->end != WALK_BOUND; i++) {
    double to = path.from + walk->direction * step;
    bool at_bound = walk->direction * (to - bound) >= 0;
    if (at_bound) to = bound;
    double objective = path_try(&path, to), rise = objective - path.base;
    if (!isfinite(objective)) {  // a wall: nearer
      step /= 4;
      continue;
    }
    if (rise > 25 * walk->rise && shorter++ < SHORTER) {  // another minimum may have caught the others: nearer
      step /= 4;
      continue;
    }
    if (rise >= walk->rise) {
      if (!find_end(&path, last, to, rise)) {
        last = path.rise;
        continue;
      }
      keep_point(&path, walk->x, path.base + walk->rise);
      if (to != walk->x) keep_point(&path, to, objective);
      walk->end = WALK_REACHED;
      return;
    }
    keep_point(&path, to, objective);
    path_go(&path, to, rise);
    keep_place(&path, to, path.x);
    flat = rise - last < 1e-5 * walk->rise ? flat + 1 : 0;
    if (at_bound) walk->end = WALK_BOUND;
    if (flat >= FLAT_STEPS) return;
    if (rise - last < 0.2 * walk->rise) step *= 1.6;
    if (fit->elements[stage->free[walk->coordinate]].logarithmic) step = fmin(step, STEP_LIMIT);
    if (rise - last > 0.5 * walk->rise) step *= 0.7;
    last = rise;
  }
}
