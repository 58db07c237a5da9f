// The equations: a damped oscillator y'' + g y' + w y = 0, of whose coefficients w and g are learnt, and Lorenz' system
// x' = s (y - x), y' = x (r - z) - y, z' = x y - b z, whose products take one factor from the observations, so that it
// is linear in u. See smnn.h.
#include <math.h>
#include <string.h>

#include "trainer/tasks/smnn/smnn.h"

enum { STREAM_OBSERVATIONS = 42, LORENZ_STEPS = 64 };

static void lorenz_rate(const double c[3], const double s[3], double rate[3]) {
  rate[0] = c[0] * (s[1] - s[0]);
  rate[1] = s[0] * (c[1] - s[2]) - s[1];
  rate[2] = s[0] * s[1] - c[2] * s[2];
}

// Runge-Kutta of order 4, in small steps.
static void lorenz_advance(const double c[3], double s[3], double h) {
  for (int i = 0; i < LORENZ_STEPS; i++) {
    double k[4][3], at[3], part = h / LORENZ_STEPS;
    lorenz_rate(c, s, k[0]);
    for (int stage = 1; stage < 4; stage++) {
      for (int d = 0; d < 3; d++) at[d] = s[d] + part * (stage == 3 ? 1 : 0.5) * k[stage - 1][d];
      lorenz_rate(c, at, k[stage]);
    }
    for (int d = 0; d < 3; d++) s[d] += part / 6 * (k[0][d] + 2 * k[1][d] + 2 * k[2][d] + k[3][d]);
  }
}

struct problem problem_make(const struct smnn *s, uint64_t seed, struct arena *arena) {
  struct problem p = {.lorenz = strcmp(s->problem, "lorenz") == 0};
  int dimensions = p.lorenz ? 3 : 1;
  p.ode = ode_make(s->points, dimensions, (int)s->orders, s->step, arena);
  p.exact = arena_array(arena, (size_t)(s->points * dimensions), sizeof(double));
  p.observed = arena_array(arena, (size_t)(s->points * dimensions), sizeof(double));
  if (p.lorenz) {
    const double truth[] = {10, 28, 8.0 / 3}, start[] = {8, 24, 2};
    double state[3] = {1, 1, 1}, rate[3];
    p.count = 3;
    memcpy(p.truth, truth, sizeof truth);
    memcpy(p.start, start, sizeof start);
    lorenz_rate(truth, state, rate);
    for (int d = 0; d < 3; d++)
      for (int k = 0; k + 1 < s->orders; k++) p.ode.initial[d * (s->orders - 1) + k] = k ? rate[d] : state[d];
    for (int64_t t = 0; t < s->points; t++) {
      memcpy(p.exact + t * 3, state, sizeof state);
      lorenz_advance(truth, state, s->step);
    }
  } else {
    double decay = strcmp(s->problem, "oscillator") == 0 ? 0.1 : 0;  // y = e^(-a t) cos(f t)
    p.count = decay > 0 ? 2 : 1;
    p.truth[0] = 1 + decay * decay;
    p.truth[1] = 2 * decay;
    p.start[0] = 1.3;
    p.start[1] = 0.05;
    for (int64_t t = 0; t < s->points; t++) p.exact[t] = exp(-decay * s->step * (double)t) * cos(s->step * (double)t);
    for (int k = 0; k + 1 < s->orders; k++)
      p.ode.initial[k] = k == 0 ? 1 : k == 1 ? -decay : -p.truth[0] - p.truth[1] * -decay;
  }
  for (int64_t i = 0; i < s->points * dimensions; i++) {
    double pair[2];
    random_normal_pair(seed, STREAM_OBSERVATIONS, 0, (uint64_t)i, pair);
    p.observed[i] = p.exact[i] + s->noise * pair[0];
  }
  problem_set(&p, p.truth);
  return p;
}

// Where the derivative `order` of a dimension is in a block.
static int at(const struct ode *o, int dimension, int order) { return dimension * o->orders + order; }

void problem_set(struct problem *p, const double *c) {
  struct ode *o = &p->ode;
  int m = o->block;
  memset(o->rows, 0, (size_t)(o->points * o->dimensions * m) * sizeof(double));
  for (int64_t t = 0; t < o->points; t++) {
    double *row = o->rows + t * o->dimensions * m;
    if (!p->lorenz) {
      row[0] = c[0];
      row[1] = p->count > 1 ? c[1] : 0;
      row[2] = 1;
      continue;
    }
    const double *seen = p->observed + t * 3;
    row[at(o, 0, 1)] = 1;
    row[at(o, 0, 0)] = c[0];
    row[at(o, 1, 0)] = -c[0];
    row[m + at(o, 1, 1)] = 1;
    row[m + at(o, 0, 0)] = seen[2] - c[1];
    row[m + at(o, 1, 0)] = 1;
    row[2 * m + at(o, 2, 1)] = 1;
    row[2 * m + at(o, 1, 0)] = -seen[0];
    row[2 * m + at(o, 2, 0)] = c[2];
  }
}

double problem_loss(struct problem *p, struct factor *f, const double *c, double *u, double *work, double *d_rows,
                    double *d_right, double *gradient, bool *fine) {
  struct ode *o = &p->ode;
  int m = o->block;
  int64_t seen = o->points * o->dimensions;
  double *right = work, *y = work + o->points * m, loss = 0;
  problem_set(p, c);
  factor_again(o, f, fine);
  if (!*fine) return NAN;
  ode_right_side(o, right);
  factor_solve(o, f, right, u);
  memset(right, 0, (size_t)(o->points * m) * sizeof *right);
  for (int64_t i = 0; i < seen; i++) {
    int64_t place = i / o->dimensions * m + at(o, (int)(i % o->dimensions), 0);
    double off = u[place] - p->observed[i];
    loss += off * off / (double)seen;
    right[place] = 2 * off / (double)seen;
  }
  factor_solve(o, f, right, y);
  ode_gradient(o, u, y, d_rows, d_right);
  for (int k = 0; k < p->count; k++) gradient[k] = 0;
  for (int64_t t = 0; t < o->points; t++) {
    const double *d = d_rows + t * o->dimensions * m;
    if (p->lorenz) {
      gradient[0] += d[at(o, 0, 0)] - d[at(o, 1, 0)];
      gradient[1] -= d[m + at(o, 0, 0)];
      gradient[2] += d[2 * m + at(o, 2, 0)];
    } else {
      for (int k = 0; k < p->count; k++) gradient[k] += d[k];
    }
  }
  return loss;
}
