// A run of task `smnn`: the timed solutions, the gradient's check, and learning.
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "trainer/tasks/program.h"
#include "trainer/tasks/smnn/smnn.h"

struct arrays {
  struct factor factor;
  double *u, *other, *right, *work, *d_rows, *d_right;
};

// Of the processor: what else the machine does is not counted.
static double processor_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static bool solve(struct task_run *run, struct problem *p, struct arrays *a, struct error *error) {
  const struct smnn *s = run->settings;
  const struct ode *o = &p->ode;
  bool dense = strcmp(s->solver, "dense") == 0, fine = true;
  double best = INFINITY, square = 0, largest = 0, off = 0;
  if (!factor_make(o, &a->factor, &run->arena, error)) return false;
  for (int64_t i = 0; i < s->repeats; i++) {
    if (task_stopped(run)) return false;
    double begun = processor_seconds();
    if (dense && !ode_solve_dense(o, a->other, error)) return false;
    if (!dense) {
      a->factor.operations = 0;
      factor_again(o, &a->factor, &fine);
      ode_right_side(o, a->right);
      factor_solve_refined(o, &a->factor, a->right, a->u, a->work);
    }
    best = fmin(best, processor_seconds() - begun);
  }
  if (dense) {
    ode_right_side(o, a->right);
    factor_solve_refined(o, &a->factor, a->right, a->u, a->work);
    for (int64_t i = 0; i < o->points * o->block; i++) {
      largest = fmax(largest, fabs(a->other[i]));
      off = fmax(off, fabs(a->other[i] - a->u[i]));
    }
    task_report(run, "difference", off / largest);
  } else {
    task_report(run, "operations", (double)a->factor.operations);
  }
  const double *found = dense ? a->other : a->u;
  for (int64_t i = 0; i < o->points * o->dimensions; i++) {
    double apart = found[i / o->dimensions * o->block + i % o->dimensions * o->orders] - p->exact[i];
    square += apart * apart;
  }
  run->loss = square / (double)(o->points * o->dimensions);
  task_report(run, "solution_error", sqrt(run->loss));
  task_report(run, "seconds", best);
  return true;
}

static double loss_at(struct problem *p, struct arrays *a, const double *c, double *gradient) {
  bool fine;
  return problem_loss(p, &a->factor, c, a->u, a->work, a->d_rows, a->d_right, gradient, &fine);
}

// At the coefficients that learning starts from.
static double gradient_error(struct problem *p, struct arrays *a) {
  double gradient[SMNN_COEFFICIENTS], unused[SMNN_COEFFICIENTS], worst = 0, largest = 0;
  loss_at(p, a, p->start, gradient);
  for (int k = 0; k < p->count; k++) {
    double c[SMNN_COEFFICIENTS], h = 1e-5 * p->start[k];
    memcpy(c, p->start, sizeof c);
    c[k] = p->start[k] + h;
    double above = loss_at(p, a, c, unused);
    c[k] = p->start[k] - h;
    double below = loss_at(p, a, c, unused);
    worst = fmax(worst, fabs((above - below) / (2 * h) - gradient[k]));
    largest = fmax(largest, fabs(gradient[k]));
  }
  return worst / largest;
}

static double coefficient_error(const struct problem *p, const double *c) {
  double worst = 0;
  for (int k = 0; k < p->count; k++) worst = fmax(worst, fabs(c[k] / p->truth[k] - 1));
  return worst;
}

// Adam (Kingma & Ba 2015) on the logarithm's scale of each coefficient's start.
static bool learn(struct task_run *run, struct problem *p, struct arrays *a, struct error *error) {
  const struct smnn *s = run->settings;
  double c[SMNN_COEFFICIENTS], gradient[SMNN_COEFFICIENTS], m[SMNN_COEFFICIENTS] = {0}, v[SMNN_COEFFICIENTS] = {0};
  memcpy(c, p->start, sizeof c);
  for (int64_t i = 1, shown = 1; i <= s->learn_steps; i++) {
    if (task_stopped(run)) return false;
    double loss = loss_at(p, a, c, gradient), rate = s->lr * 0.5 * (1 + cos(M_PI * (double)i / (double)s->learn_steps));
    if (!isfinite(loss)) return task_diverge(run, "the loss is not finite");
    for (int k = 0; k < p->count; k++) {
      double g = gradient[k] * p->start[k];
      m[k] = 0.9 * m[k] + 0.1 * g;
      v[k] = 0.99 * v[k] + 0.01 * g * g;
      double up = m[k] / (1 - pow(0.9, (double)i)), down = sqrt(v[k] / (1 - pow(0.99, (double)i)));
      c[k] -= p->start[k] * rate * up / (down + 1e-12);
    }
    run->loss = loss;
    if (i != shown && i != s->learn_steps) continue;
    if (!task_point(run, i, NAN, loss, error)) return false;
    if (i == shown) shown *= 2;
  }
  task_report(run, "first_error", coefficient_error(p, p->start));
  task_report(run, "coefficient_error", coefficient_error(p, c));
  return true;
}

bool smnn_work(struct task_run *run, struct error *error) {
  const struct smnn *s = run->settings;
  struct problem p = problem_make(s, run->seed, &run->arena);
  struct arrays a = {0};
  size_t unknowns = (size_t)(s->points * p.ode.block), rows = (size_t)(s->points * p.ode.dimensions);
  a.u = arena_array(&run->arena, unknowns, sizeof *a.u);
  a.other = arena_array(&run->arena, unknowns, sizeof *a.other);
  a.right = arena_array(&run->arena, unknowns, sizeof *a.right);
  a.work = arena_array(&run->arena, 2 * unknowns, sizeof *a.work);
  a.d_rows = arena_array(&run->arena, rows * (size_t)p.ode.block, sizeof *a.d_rows);
  a.d_right = arena_array(&run->arena, rows, sizeof *a.d_right);
  if (!solve(run, &p, &a, error)) return false;
  if (s->learn_steps) task_report(run, "gradient_error", gradient_error(&p, &a));
  return !s->learn_steps || learn(run, &p, &a, error);
}
