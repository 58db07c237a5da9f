// Task smnn: banded against dense solutions, counts of block operations, gradients by finite differences, exact
// solutions.
#include "tests/check.h"
#include "trainer/tasks/smnn/smnn.h"
#include "trainer/tasks/task.h"

static struct problem make(const char *problem, int64_t points, int64_t orders, double step, double noise,
                           struct arena *arena) {
  struct smnn s = {.problem = problem, .points = points, .orders = orders, .step = step, .noise = noise};
  return problem_make(&s, 3, arena);
}

static void banded_is_dense(void) {
  const struct {
    const char *problem;
    int64_t points, orders;
  } cases[] = {{"harmonic", 2, 3},    {"harmonic", 96, 3}, {"harmonic", 40, 4},
               {"oscillator", 96, 3}, {"lorenz", 40, 2},   {"lorenz", 40, 3}};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct arena arena = {0};
    struct error error = {0};
    struct factor f;
    struct problem p = make(cases[k].problem, cases[k].points, cases[k].orders, 0.05, 0.1, &arena);
    size_t n = (size_t)(p.ode.points * p.ode.block);
    double *u = arena_array(&arena, n, sizeof *u), *dense = arena_array(&arena, n, sizeof *u),
           *right = arena_array(&arena, n, sizeof *u), *work = arena_array(&arena, 2 * n, sizeof *u), worst = 0,
           largest = 0;
    if (!CHECK(factor_make(&p.ode, &f, &arena, &error) && ode_solve_dense(&p.ode, dense, &error))) continue;
    ode_right_side(&p.ode, right);
    factor_solve_refined(&p.ode, &f, right, u, work);
    for (size_t i = 0; i < n; i++) {
      worst = fmax(worst, fabs(u[i] - dense[i]));
      largest = fmax(largest, fabs(dense[i]));
    }
    if (!CHECK(worst <= 1e-12 * largest)) printf("# %s %zu: %g of %g\n", cases[k].problem, k, worst, largest);
    arena_free(&arena);
  }
}

static void operations_are_linear(void) {
  struct arena arena = {0};
  struct error error = {0};
  for (int64_t points = 2; points <= 2048; points *= 4) {
    struct factor f;
    struct problem p = make("harmonic", points, 3, 0.05, 0, &arena);
    size_t n = (size_t)(points * 3);
    double *u = arena_array(&arena, n, sizeof *u), *right = arena_array(&arena, n, sizeof *u),
           *work = arena_array(&arena, 2 * n, sizeof *u);
    CHECK(factor_make(&p.ode, &f, &arena, &error));
    ode_right_side(&p.ode, right);
    factor_solve_refined(&p.ode, &f, right, u, work);
    CHECK(f.operations ==
          14 * points - 8);  // 3 T - 2 of the factor, twice 4 T - 2 of both passes, 3 T - 2 of the residual
  }
  arena_free(&arena);
}

static void solutions_come_near_exact_ones(void) {
  struct arena arena = {0};
  struct error error = {0};
  double before = INFINITY;
  for (double h = 0.1; h > 0.02; h /= 2) {  // the same stretch of time
    struct factor f;
    struct problem p = make("oscillator", (int64_t)(5 / h), 3, h, 0, &arena);
    size_t n = (size_t)(p.ode.points * 3);
    double *u = arena_array(&arena, n, sizeof *u), *right = arena_array(&arena, n, sizeof *u), worst = 0;
    CHECK(factor_make(&p.ode, &f, &arena, &error));
    ode_right_side(&p.ode, right);
    factor_solve(&p.ode, &f, right, u);
    for (int64_t t = 0; t < p.ode.points; t++) worst = fmax(worst, fabs(u[t * 3] - p.exact[t]));
    CHECK(worst < 0.05 && worst < 0.5 * before);
    before = worst;
  }
  arena_free(&arena);
}

// Of a loss sum g u over all unknowns: every coefficient of some rows, and right sides.
static void gradients_are_finite_differences(void) {
  static const char *const problems[] = {"oscillator", "lorenz"};
  for (int k = 0; k < 2; k++) {
    struct arena arena = {0};
    struct error error = {0};
    struct factor f;
    bool fine;
    struct problem p = make(problems[k], 12, 3, 0.1, 0.1, &arena);
    struct ode *o = &p.ode;
    size_t n = (size_t)(o->points * o->block), rows = (size_t)(o->points * o->dimensions);
    double *u = arena_array(&arena, n, sizeof *u), *y = arena_array(&arena, n, sizeof *u),
           *g = arena_array(&arena, n, sizeof *u), *right = arena_array(&arena, n, sizeof *u),
           *d_rows = arena_array(&arena, rows * (size_t)o->block, sizeof *u),
           *d_right = arena_array(&arena, rows, sizeof *u), largest = 0, worst = 0;
    for (size_t i = 0; i < n; i++) g[i] = random_uniform(4, RANDOM_STREAM_NOISE, 0, i) - 0.5;
    for (size_t i = 0; i < rows; i++) o->right[i] = random_uniform(4, RANDOM_STREAM_NOISE, 1, i) - 0.5;
    CHECK(factor_make(o, &f, &arena, &error));
    ode_right_side(o, right);
    factor_solve(o, &f, right, u);
    factor_solve(o, &f, g, y);
    ode_gradient(o, u, y, d_rows, d_right);
    for (size_t i = 0; i < rows * (size_t)o->block + rows; i += 3) {
      bool row = i < rows * (size_t)o->block;
      double *value = row ? o->rows + i : o->right + (i - rows * (size_t)o->block), was = *value, loss[2] = {0},
             got = row ? d_rows[i] : d_right[i - rows * (size_t)o->block];
      for (int side = 0; side < 2; side++) {
        *value = was + (side ? -1e-5 : 1e-5);
        factor_again(o, &f, &fine);
        ode_right_side(o, right);
        factor_solve(o, &f, right, u);
        for (size_t j = 0; j < n; j++) loss[side] += g[j] * u[j];
      }
      *value = was;
      worst = fmax(worst, fabs((loss[0] - loss[1]) / 2e-5 - got));
      largest = fmax(largest, fabs(got));
    }
    if (!CHECK(worst < 1e-6 * largest)) printf("# %s: %g of %g\n", problems[k], worst, largest);
    arena_free(&arena);
  }
}

int main(int argc, char **argv) {
  RUN(banded_is_dense);
  RUN(operations_are_linear);
  RUN(solutions_come_near_exact_ones);
  RUN(gradients_are_finite_differences);
  return check_end();
}
