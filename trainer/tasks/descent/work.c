// A run of task `descent`.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/tasks/descent/descent.h"
#include "trainer/tasks/program.h"

enum { RANDOM_STREAM_START = 32 };  // of this task's seed: x at the start

// One step from x, `before` it x of the step before. Returns the squared norm of the gradient at x.
static double step(const struct descent *d, const double *curvature, double memory, double *x, double *before) {
  double norm = 0;
  for (int64_t i = 0; i < d->dimension; i++) {
    double gradient = curvature[i] * x[i], next = x[i] - d->rate * gradient + memory * (x[i] - before[i]);
    norm += gradient * gradient;
    before[i] = x[i];
    x[i] = next;
  }
  return norm;
}

bool descent_work(struct task_run *run, struct error *error) {
  const struct descent *d = run->settings;
  size_t n = (size_t)d->dimension;
  double *curvature = arena_array(&run->arena, n, sizeof(double)), *x = arena_array(&run->arena, n, sizeof(double)),
         *before = arena_array(&run->arena, n, sizeof(double));
  double root = sqrt(d->condition), memory = (root - 1) / (root + 1), first = NAN, norm = NAN;
  memory = strcmp(d->method, "momentum") == 0 ? memory * memory : 0;
  for (size_t i = 0; i < n; i++) {
    double normals[2];
    random_normal_pair(run->seed, RANDOM_STREAM_START, 0, i, normals);
    curvature[i] = n > 1 ? pow(d->condition, (double)i / (double)(n - 1)) : d->condition;
    x[i] = before[i] = normals[0];
  }
  int64_t steps = 0;
  for (int64_t shown = 1; steps < d->most_steps; steps++) {
    if (steps % 1024 == 0 && task_stopped(run)) return false;
    norm = sqrt(step(d, curvature, memory, x, before));
    if (steps == 0) first = norm;
    if (!isfinite(norm)) return task_diverge(run, "the gradient is not finite");
    if (steps == shown) {  // a curve at steps 1, 2, 4, ...
      if (!task_point(run, steps, NAN, norm / first, error)) return false;
      shown *= 2;
    }
    if (norm <= d->tolerance * first) break;
  }
  task_report(run, "error", norm / first);
  if (steps < d->most_steps) task_report(run, "steps", (double)steps);
  return true;
}
