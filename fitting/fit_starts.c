// Where descents start: the product of the lists of starts that the law gives its parameters, or a sample of it. Of
// coefficients in which the formula is linear no list is needed: one start for each choice of the others is solved for
// them (projection.c), and stands for all that differ in them alone; a sample of the whole product is descended as it
// is next to these.
#include <math.h>
#include <stdlib.h>

#include "fitting/fit_internal.h"

enum {
  START_LIMIT = 5000,
  AS_THEY_ARE = 128,  // of the product, next to starts whose linear coefficients are solved
  BOTH_WAYS = 1000,   // up to that many starts are descended from both with and without least squares first
};

struct axes {
  int count, *of;  // [free_count]: axis of a coordinate; categories of one parameter move together
  int *size;       // [count]
  bool *linear;    // [count]
};

int start_values(const struct fit *fit, int element, const double **values) {
  const struct law_parameter *parameter = &fit->law->parameters[fit->elements[element].parameter];
  if (parameter->start_count) {
    *values = parameter->starts;
    return parameter->start_count;
  }
  *values = &parameter->fixed_value;
  return 1;
}

double start_of(const struct fit *fit, const struct fit_stage *stage, int place) {
  const double *values;
  int count = start_values(fit, stage->free[place], &values);
  const struct element *element = &fit->elements[stage->free[place]];
  return fmin(fmax(element_internal(element, values[count / 2]), element->low), element->high);
}

static void find_axes(const struct fit *fit, const struct fit_stage *stage, struct axes *axes) {
  axes->of = memory_get(((size_t)stage->free_count + 1) * sizeof *axes->of);
  axes->size = memory_get(((size_t)stage->free_count + 1) * sizeof *axes->size);
  axes->linear = memory_get(((size_t)stage->free_count + 1) * sizeof *axes->linear);
  for (int i = 0; i < stage->free_count; i++) {
    const double *values;
    axes->of[i] = axes->count;
    for (int j = 0; j < i; j++)
      if (fit->elements[stage->free[j]].parameter == fit->elements[stage->free[i]].parameter) axes->of[i] = axes->of[j];
    if (axes->of[i] < axes->count) continue;
    axes->linear[axes->count] = stage->linear[stage->free[i]];
    axes->size[axes->count++] = start_values(fit, stage->free[i], &values);
  }
}

// The number of points: of all axes, or of those that are not linear.
static double product_of(const struct axes *axes, bool all) {
  double product = 1;
  for (int axis = 0; axis < axes->count; axis++)
    if (all || !axes->linear[axis]) product *= axes->size[axis];
  return product;
}

// One point of the grid into x; sampled where the grid is too large. With `all` unset linear axes stay at their middle.
static void fill_point(const struct fit *fit, const struct fit_stage *stage, const struct axes *axes, size_t point,
                       bool all, bool sampled, double *x) {
  size_t rest = point;
  for (int axis = 0; axis < axes->count; axis++) {
    size_t size = (size_t)axes->size[axis], choice = size / 2;
    if (all || !axes->linear[axis]) {
      choice =
          sampled ? random_below(fit->options->seed, RANDOM_STREAM_STARTS, point, (uint64_t)axis, size) : rest % size;
      rest /= size;
    }
    for (int i = 0; i < stage->free_count; i++) {
      if (axes->of[i] != axis) continue;
      const double *values;
      start_values(fit, stage->free[i], &values);
      const struct element *element = &fit->elements[stage->free[i]];
      x[i] = fmin(fmax(element_internal(element, values[choice]), element->low), element->high);
    }
  }
}

void fit_starts(const struct fit *fit, const struct fit_stage *stage, struct starts *starts) {
  struct axes axes = {0};
  find_axes(fit, stage, &axes);
  double limit = fit->options->starts > 0 ? fit->options->starts : START_LIMIT;
  double all = product_of(&axes, true), others = product_of(&axes, false);
  size_t n = (size_t)stage->free_count;
  bool linear = false;
  for (int axis = 0; axis < axes.count; axis++) linear |= axes.linear[axis];
  starts->points = (size_t)fmin(all, limit);
  starts->solved = linear ? (size_t)fmin(others, limit) : 0;
  if (problem_is_one_solve(&stage->problem)) starts->points = 0;  // wherever it starts, it ends in the same place
  size_t plain = linear && starts->points > AS_THEY_ARE ? AS_THEY_ARE : starts->points;
  size_t ways = plain + starts->solved <= BOTH_WAYS && !linear && !problem_is_squares(&stage->problem) ? 2 : 1;
  starts->count = starts->solved + ways * plain;
  if (!starts->points) starts->points = 1;
  starts->x = memory_get((starts->count + 1) * n * sizeof *starts->x);
  for (size_t s = 0; s < starts->solved; s++)
    fill_point(fit, stage, &axes, s, false, others > limit, starts->x + s * n);
  for (size_t s = 0; s < ways * plain; s++) {
    size_t point = linear ? s * starts->points / plain : s / ways;
    fill_point(fit, stage, &axes, point, true, all > limit, starts->x + (starts->solved + s) * n);
  }
  free(axes.of);
  free(axes.size);
  free(axes.linear);
}
