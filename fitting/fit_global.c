// The global check: the coefficients in which a law is not linear are held at every point of a grid, the others are at
// their best there (variable projection, Golub and Pereyra 1973), and every minimum of the grid is followed down. What
// lies lower than the search's minimum is taken. It says what was looked at, not more: between the points of a grid an
// objective may do anything.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"

enum {
  AXES = 3,
  FOLLOWED = 64,     // minima of the grid, the lowest first
  CHEAP_ROWS = 200,  // a table of that many, a law of one such coefficient: the check is made unasked
};
static const int points_of[AXES + 1] = {1, 257, 33, 13};  // along each of that many axes

struct checking {
  struct fit *fit;
  struct fit_stage *stage;
  struct workspace **spaces;
  int axes, axis[AXES];  // places in stage->free
  int steps;
  double low[AXES], high[AXES];
  struct problem inner;  // of the coefficients in which the law is linear
  const int *places;     // [inner.free_count]: in stage->free
  double **starts;       // [threads][element_count]
  size_t points;
  double *value;  // [points]
  double *x;      // [points][free_count]
  size_t *order;  // minima of the grid
  struct polish_result *followed;
};

static double along(const struct checking *c, int axis, size_t point) {
  for (int a = 0; a < axis; a++) point /= (size_t)c->steps;
  double share = (double)(point % (size_t)c->steps) / (c->steps > 1 ? c->steps - 1 : 1);
  return c->low[axis] + share * (c->high[axis] - c->low[axis]);
}

// The others at their best, from their starts in the middle and from where the search's minimum has them.
static void try_point(void *context, size_t point, int thread) {
  struct checking *c = context;
  const struct fit_stage *stage = c->stage;
  struct workspace *workspace = c->spaces[thread];
  int n = stage->free_count, inner = c->inner.free_count;
  double *x = c->x + point * (size_t)n, *start = c->starts[thread], trial[PROGRAM_LEAVES], best[PROGRAM_LEAVES];
  struct problem problem = c->inner;
  problem.start = start;
  memcpy(start, stage->problem.start, (size_t)c->fit->element_count * sizeof *start);
  for (int a = 0; a < c->axes; a++) start[stage->free[c->axis[a]]] = along(c, a, point);
  workspace_use(workspace, &problem);
  c->value[point] = INFINITY;
  for (int from = 0; from < 2; from++) {
    for (int k = 0; k < inner; k++) trial[k] = from ? stage->x[c->places[k]] : start_of(c->fit, stage, c->places[k]);
    if (!from) project_linear(workspace, trial, NULL);
    double reached =
        inner ? descend(workspace, trial, NULL, 60, 1e-8) : problem_evaluate(workspace, trial, NULL, WANT_VALUE);
    if (!(reached < c->value[point]) && from) continue;
    c->value[point] = isfinite(reached) ? reached : INFINITY;
    memcpy(best, trial, (size_t)inner * sizeof *best);
  }
  for (int a = 0; a < c->axes; a++) x[c->axis[a]] = along(c, a, point);
  for (int k = 0; k < inner; k++) x[c->places[k]] = best[k];
}

static void follow(void *context, size_t place, int thread) {
  struct checking *c = context;
  double *x = c->x + c->order[place] * (size_t)c->stage->free_count;
  workspace_use(c->spaces[thread], &c->stage->problem);
  descend(c->spaces[thread], x, NULL, 200, 1e-9);
  c->followed[place] = polish(c->spaces[thread], x, NULL, 100);
}

// Whether no neighbour of a point, diagonal ones too, lies lower.
static bool lowest_of_neighbours(const struct checking *c, size_t point) {
  size_t stride[AXES], s = 1;
  int at[AXES], neighbours = 1;
  for (int a = 0; a < c->axes; a++) {
    stride[a] = s;
    at[a] = (int)(point / s % (size_t)c->steps);
    s *= (size_t)c->steps;
    neighbours *= 3;
  }
  for (int k = 0; k < neighbours; k++) {
    size_t other = point;
    bool inside = true;
    for (int a = 0, rest = k; a < c->axes; a++, rest /= 3) {
      int step = rest % 3 - 1;
      inside &= at[a] + step >= 0 && at[a] + step < c->steps;
      other += (size_t)step * stride[a];
    }
    if (inside && c->value[other] < c->value[point]) return false;
  }
  return isfinite(c->value[point]);
}

static int by_value(const void *a, const void *b, void *context) {
  const double *value = context;
  size_t left = *(const size_t *)a, right = *(const size_t *)b;
  if (value[left] != value[right]) return value[left] < value[right] ? -1 : 1;
  return left < right ? -1 : left > right;
}

// ---- the grid ----

// Of a logarithm the starts and their range, at least a factor of 4, to both sides; else twice the largest start to
// both sides of 0; within the bounds, with the minimum found.
static void range_of(const struct checking *c, int axis, double *low, double *high) {
  const struct fit_stage *stage = c->stage;
  int place = c->axis[axis], e = stage->free[place];
  const struct element *element = &c->fit->elements[e];
  const double *values;
  int count = start_values(c->fit, e, &values);
  *low = INFINITY;
  *high = -INFINITY;
  for (int k = 0; k < count; k++) {
    *low = fmin(*low, element_internal(element, values[k]));
    *high = fmax(*high, element_internal(element, values[k]));
  }
  double half = 0.5 * (*high - *low), size = fmax(fabs(*low), fabs(*high));
  if (element->logarithmic) {
    *low -= fmax(half, log(4));
    *high += fmax(half, log(4));
  } else {
    *high = 2 * (size > 0 ? size : 1);
    *low = -*high;
  }
  double found = stage->x[place], beyond = 4 * (*high - *low);
  if (found > *low - beyond && found < *high + beyond) {  // a term that has vanished is nowhere
    *low = fmin(*low, found);
    *high = fmax(*high, found);
  }
  *low = fmax(*low, stage->low[place]);
  *high = fmin(*high, stage->high[place]);
}

static void begin(struct checking *c, struct arena *arena) {
  struct fit_stage *stage = c->stage;
  size_t elements = (size_t)c->fit->element_count + 1, n = (size_t)stage->free_count + 1;
  int *free_places = arena_array(arena, n, sizeof *free_places),
      *free_of = arena_array(arena, elements, sizeof *free_of), *places = arena_array(arena, n, sizeof *places),
      threads = threads_wanted(c->fit->options->threads);
  double *low = arena_array(arena, n, sizeof *low), *high = arena_array(arena, n, sizeof *high);
  c->inner = stage->problem;
  c->inner.free_count = 0;
  for (size_t e = 0; e < elements; e++) free_of[e] = -1;
  for (int i = 0; i < stage->free_count; i++) {
    if (!stage->linear[stage->free[i]]) continue;
    int k = c->inner.free_count++;
    free_of[stage->free[i]] = k;
    free_places[k] = stage->free[i];
    places[k] = i;
    low[k] = stage->low[i];
    high[k] = stage->high[i];
  }
  c->places = places;
  c->inner.free = free_places;
  c->inner.free_of = free_of;
  c->inner.low = low;
  c->inner.high = high;
  c->starts = arena_array(arena, (size_t)threads, sizeof *c->starts);
  for (int t = 0; t < threads; t++) c->starts[t] = arena_array(arena, elements, sizeof **c->starts);
  c->steps = points_of[c->axes];
  c->points = 1;
  for (int a = 0; a < c->axes; a++) {
    range_of(c, a, &c->low[a], &c->high[a]);
    c->points *= (size_t)c->steps;
  }
  c->value = arena_array(arena, c->points, sizeof *c->value);
  c->order = arena_array(arena, c->points, sizeof *c->order);
  c->x = arena_array(arena, c->points * n, sizeof *c->x);
  c->followed = arena_array(arena, FOLLOWED, sizeof *c->followed);
}

// ---- what is said ----

static void tell(struct checking *c, size_t followed, double before, struct fit_global *out) {
  struct arena *arena = &c->fit->result->arena;
  out->stage = arena_string(arena, c->stage->law_stage->name);
  out->points = c->points;
  out->followed = followed;
  out->axis_count = c->axes;
  for (int a = 0; a < c->axes; a++) {
    const struct element *element = &c->fit->elements[c->stage->free[c->axis[a]]];
    out->axes[a] = (struct fit_global_axis){arena_string(arena, element->name), element_value(element, c->low[a]),
                                            element_value(element, c->high[a])};
  }
  // of absolute deviations and of a scale that is yet to settle the search minimizes another loss
  bool other = c->stage->problem.absolute || c->fit->result->scale_estimated;
  out->before = other ? NAN : before;
  out->lowest = other ? NAN : c->stage->objective;
}

static struct fit_global *add_check(struct fit *fit) {
  struct fit_result *result = fit->result;
  result->globals = arena_grow(&result->arena, result->globals, result->global_count, result->global_count + 1,
                               sizeof *result->globals);
  struct fit_global *made = &result->globals[result->global_count++];
  *made = (struct fit_global){.before = NAN, .lowest = NAN};
  return made;
}

// The check on a grid; whether a lower minimum was found.
static bool check(struct checking *c, struct fit_global *out) {
  struct fit_stage *stage = c->stage;
  struct arena arena = {0};
  int threads = threads_wanted(c->fit->options->threads);
  size_t minima = 0, best = 0;
  double before = stage->objective;
  begin(c, &arena);
  threads_each(c->points, threads, try_point, c);
  for (size_t point = 0; point < c->points; point++)
    if (lowest_of_neighbours(c, point)) c->order[minima++] = point;
  qsort_r(c->order, minima, sizeof *c->order, by_value, c->value);
  if (minima > FOLLOWED) minima = FOLLOWED;
  threads_each(minima, threads, follow, c);
  for (size_t i = 1; i < minima; i++)
    if (c->followed[i].objective < c->followed[best].objective) best = i;
  bool lower = minima && c->followed[best].objective < before * (1 - 1e-6) - 1e-22 * (double)stage->row_count;
  if (lower) stage_lower(&c->fit->arena, stage, c->x + c->order[best] * (size_t)stage->free_count, c->followed[best]);
  out->lower = lower;
  tell(c, minima, before, out);
  arena_free(&arena);
  return lower;
}

void fit_check_globally(struct fit *fit, struct fit_stage *stage, struct workspace **spaces) {
  struct checking c = {.fit = fit, .stage = stage, .spaces = spaces};
  const char *names = "";
  int axes = 0;
  for (int i = 0; i < stage->free_count; i++) {
    if (stage->linear[stage->free[i]]) continue;
    if (axes < AXES) c.axis[axes] = i;
    if (axes++ < 8)
      names =
          arena_format(&fit->result->arena, "%s%s%s", names, *names ? ", " : "", fit->elements[stage->free[i]].name);
  }
  c.axes = axes;
  bool asked = fit->options->global_check,
       cheap = !fit->options->bare && axes == 1 && (double)stage->row_count * stage->row_cost <= CHEAP_ROWS;
  if (!asked && !cheap) return;
  if (axes > AXES || stage->free_count > PROGRAM_LEAVES) {
    struct fit_global *out = add_check(fit);
    out->stage = arena_string(&fit->result->arena, stage->law_stage->name);
    out->reason = arena_format(&fit->result->arena,
                               "%d coefficients enter the law nonlinearly (%s%s), and a grid over more than %d has too "
                               "many points",
                               axes, names, axes > 8 ? ", ..." : "", AXES);
    return;
  }
  struct fit_global made = {.before = NAN, .lowest = NAN};
  bool lower = check(&c, &made);
  if (asked || lower) *add_check(fit) = made;
}
