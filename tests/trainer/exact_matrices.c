// See exact_matrices.h.
#include "tests/trainer/exact_matrices.h"

#include <gsl/gsl_eigen.h>
#include <gsl/gsl_linalg.h>
#include <math.h>
#include <string.h>

static double *zeros(struct arena *arena, int64_t count) { return arena_array(arena, (size_t)count, sizeof(double)); }

static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

void exact_matrix_make(struct arena *arena, const struct run_config *config, int64_t rows, int64_t columns,
                       struct exact_matrix *x) {
  int64_t side = least(rows, columns), rank = least(config->train.rank, side);
  *x = (struct exact_matrix){.rows = rows, .columns = columns};
  x->m = zeros(arena, rows * columns);
  x->v = zeros(arena, rows * columns);
  x->error = zeros(arena, rows * columns);
  x->basis = zeros(arena, side * side);
  x->chosen = arena_array(arena, (size_t)side, sizeof *x->chosen);
  for (int64_t i = 0; i < rank; i++) x->chosen[i] = -1;
  x->left = zeros(arena, rows * rows);
  x->right = zeros(arena, columns * columns);
  x->left_basis = zeros(arena, rows * rows);
  x->right_basis = zeros(arena, columns * columns);
}

void exact_product(int64_t m, int64_t n, int64_t k, bool turn_a, bool turn_b, const double *a, const double *b,
                   double *c) {
  for (int64_t i = 0; i < m; i++)
    for (int64_t j = 0; j < n; j++) {
      double sum = 0;
      for (int64_t l = 0; l < k; l++)
        sum += (turn_a ? a[l * m + i] : a[i * k + l]) * (turn_b ? b[j * k + l] : b[l * n + j]);
      c[i * n + j] = sum;
    }
}

// Eigenvectors of x [n, n] as rows, by decreasing eigenvalue.
static void eigenvectors(int64_t n, const double *x, double *values, double *vectors) {
  gsl_matrix *a = gsl_matrix_alloc((size_t)n, (size_t)n), *found = gsl_matrix_alloc((size_t)n, (size_t)n);
  gsl_vector *of = gsl_vector_alloc((size_t)n);
  gsl_eigen_symmv_workspace *work = gsl_eigen_symmv_alloc((size_t)n);
  for (int64_t i = 0; i < n * n; i++) gsl_matrix_set(a, (size_t)(i / n), (size_t)(i % n), x[i]);
  gsl_eigen_symmv(a, of, found, work);
  gsl_eigen_symmv_sort(of, found, GSL_EIGEN_SORT_VAL_DESC);
  for (int64_t i = 0; i < n * n; i++) vectors[i] = gsl_matrix_get(found, (size_t)(i % n), (size_t)(i / n));
  for (int64_t i = 0; i < n; i++) values[i] = gsl_vector_get(of, (size_t)i);
  gsl_eigen_symmv_free(work);
  gsl_matrix_free(a), gsl_matrix_free(found), gsl_vector_free(of);
}

// The rows of x [rank, side] made orthonormal from the first on, by GSL's QR with a positive diagonal.
static void orthonormal(int64_t rank, int64_t side, double *x) {
  size_t m = (size_t)side, n = (size_t)rank;
  gsl_matrix *a = gsl_matrix_alloc(m, n), *q = gsl_matrix_alloc(m, m), *r = gsl_matrix_alloc(m, n);
  gsl_vector *tau = gsl_vector_alloc(n);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < m; j++) gsl_matrix_set(a, j, i, x[i * m + j]);
  gsl_linalg_QR_decomp(a, tau);
  gsl_linalg_QR_unpack(a, tau, q, r);
  for (size_t i = 0; i < n; i++)
    for (size_t j = 0; j < m; j++) x[i * m + j] = gsl_matrix_get(q, j, i) * (gsl_matrix_get(r, i, i) < 0 ? -1 : 1);
  gsl_matrix_free(a), gsl_matrix_free(q), gsl_matrix_free(r), gsl_vector_free(tau);
}

static void turned(int64_t rows, int64_t columns, const double *x, double *to) {
  for (int64_t i = 0; i < rows * columns; i++) to[i % columns * rows + i / columns] = x[i];
}

// u = Adam's direction after m and v have taken g.
static void adam(const struct run_config *c, int64_t count, int64_t step, const double *g, double *m, double *v,
                 double *u) {
  double b1 = c->train.beta1, b2 = c->train.beta2;
  for (int64_t i = 0; i < count; i++) {
    m[i] = b1 * m[i] + (1 - b1) * g[i];
    v[i] = b2 * v[i] + (1 - b2) * g[i] * g[i];
    u[i] = m[i] / (1 - pow(b1, (double)step)) / (sqrt(v[i] / (1 - pow(b2, (double)step))) + c->train.adam_eps);
  }
}

// ---- in a few directions: of wide matrices [s, l] ----

static void next_basis(struct arena *arena, const struct run_config *c, const struct exact_matrix *x, int64_t s,
                       int64_t l, int64_t r, double c1, const double *a, double *basis) {
  double rho = c->train.basis_memory;
  double *b = zeros(arena, s * l), *low = zeros(arena, r * l);
  exact_product(s, l, r, true, false, x->basis, x->m, b);
  for (int64_t i = 0; i < s * l; i++) b[i] = rho * b[i] / c1 + (1 - rho) * a[i];
  exact_product(r, l, s, false, false, x->basis, b, low);
  exact_product(r, s, l, false, true, low, b, basis);
  orthonormal(r, s, basis);
}

static void ldadam(struct arena *arena, const struct run_config *c, struct exact_matrix *x, int64_t s, int64_t l,
                   int64_t step, const double *g, double *d) {
  int64_t r = least(c->train.rank, s);
  bool feeds = strcmp(c->train.error_feedback, "on") == 0;
  double b1 = c->train.beta1, c1 = 1 - pow(b1, (double)(step - 1)), c2 = 1 - pow(c->train.beta2, (double)(step - 1));
  double *a = zeros(arena, s * l), *basis = zeros(arena, s * s), *values = zeros(arena, s), *gram = zeros(arena, s * s);
  double *low = zeros(arena, r * l), *m = zeros(arena, r * l), *v = zeros(arena, r * l), *p = zeros(arena, r * r);
  double *was = zeros(arena, s * l), *is = zeros(arena, s * l), *u = zeros(arena, r * l), *rest = zeros(arena, s * l);
  for (int64_t i = 0; i < s * l; i++) a[i] = g[i] + x->error[i];
  exact_product(s, s, l, false, true, a, a, gram);
  if (x->fixed_basis)
    for (int64_t i = 0; i < r; i++) basis[i * s + i] = 1;
  else if (step == 1)
    eigenvectors(s, gram, values, basis);
  else
    next_basis(arena, c, x, s, l, r, c1, a, basis);
  exact_product(r, l, s, false, false, basis, a, low);
  exact_product(s, l, r, true, false, x->basis, x->m, was);
  exact_product(r, r, s, false, true, basis, x->basis, p);
  for (int64_t at = 0; at < r * l && step > 1; at++) {
    double spread = 0;
    for (int64_t k = 0; k < r; k++) {
      double one = p[at / l * r + k], mean = x->m[k * l + at % l];
      m[at] += one * mean;
      spread += one * one * (x->v[k * l + at % l] / c2 - pow(mean / c1, 2));
    }
    v[at] = fabs(c2 * (spread + pow(m[at] / c1, 2)));
  }
  exact_product(s, l, r, true, false, basis, low, rest);
  exact_product(s, l, r, true, false, basis, m, is);
  double *error = zeros(arena, s * l), *after = zeros(arena, s * l);
  for (int64_t i = 0; i < s * l && feeds; i++) error[i] = a[i] - rest[i] + b1 / (1 - b1) * (was[i] - is[i]);
  adam(c, r * l, step, low, m, v, u);
  exact_product(s, l, r, true, false, basis, u, d);
  exact_product(s, l, r, true, false, basis, m, after);
  for (int64_t i = 0; i < s * l && feeds; i++)
    x->identity = fmax(x->identity, fabs(after[i] + (1 - b1) * error[i] - b1 * was[i] - (1 - b1) * a[i]));
  memcpy(x->error, error, (size_t)(s * l) * sizeof *error);
  memcpy(x->basis, basis, (size_t)(r * s) * sizeof *basis);
  memcpy(x->m, m, (size_t)(r * l) * sizeof *m);
  memcpy(x->v, v, (size_t)(r * l) * sizeof *v);
}

static double cosine(int64_t n, int64_t k, int64_t i) {
  return sqrt((k ? 2 : 1) / (double)n) * cos(acos(-1) * (double)(k * (2 * i + 1)) / (2 * (double)n));
}

// The r directions of the largest scores, ascending.
static void choose(struct arena *arena, bool squares, int64_t s, int64_t l, int64_t r, const double *a,
                   int64_t *chosen) {
  double *all = zeros(arena, s * s), *part = zeros(arena, s * l), *score = zeros(arena, s);
  for (int64_t i = 0; i < s * s; i++) all[i] = cosine(s, i / s, i % s);
  exact_product(s, l, s, false, false, all, a, part);
  for (int64_t i = 0; i < s * l; i++) score[i / l] += squares ? part[i] * part[i] : fabs(part[i]);
  for (int64_t kept = 0; kept < r; kept++) {
    int64_t best = 0;
    for (int64_t k = 1; k < s; k++)
      if (score[k] > score[best]) best = k;
    score[best] = -1;
  }
  for (int64_t k = 0, made = 0; k < s; k++)
    if (score[k] < 0) chosen[made++] = k;
}

// The moments are rotated as the paper has it, by the products of new directions with old ones: m by them, v by their
// magnitudes.
static void dct_adamw(struct arena *arena, const struct run_config *c, struct exact_matrix *x, int64_t s, int64_t l,
                      int64_t step, const double *g, double *d) {
  int64_t r = least(c->train.rank, s);
  bool feeds = strcmp(c->train.error_feedback, "on") == 0, squares = strcmp(c->train.rank_score, "l2") == 0;
  double *a = zeros(arena, s * l), *basis = zeros(arena, r * s), *low = zeros(arena, r * l), *u = zeros(arena, r * l);
  double *p = zeros(arena, r * r), *m = zeros(arena, r * l), *v = zeros(arena, r * l), *is = zeros(arena, s * l);
  int64_t *chosen = arena_array(arena, (size_t)r, sizeof *chosen);
  for (int64_t i = 0; i < s * l; i++) a[i] = g[i] + x->error[i];
  memcpy(chosen, x->chosen, (size_t)r * sizeof *chosen);
  if ((step - 1) % c->train.basis_steps == 0) choose(arena, squares, s, l, r, a, chosen);
  for (int64_t i = 0; i < r * s; i++) basis[i] = cosine(s, chosen[i / s], i % s);
  if (step > 1) {
    exact_product(r, r, s, false, true, basis, x->basis, p);
    exact_product(r, l, r, false, false, p, x->m, m);
    for (int64_t i = 0; i < r * r; i++) p[i] = fabs(p[i]);
    exact_product(r, l, r, false, false, p, x->v, v);
  }
  exact_product(r, l, s, false, false, basis, a, low);
  exact_product(s, l, r, true, false, basis, low, is);
  for (int64_t i = 0; i < s * l; i++) x->error[i] = feeds ? a[i] - is[i] : 0;
  adam(c, r * l, step, low, m, v, u);
  exact_product(s, l, r, true, false, basis, u, d);
  memcpy(x->chosen, chosen, (size_t)r * sizeof *chosen);
  memcpy(x->basis, basis, (size_t)(r * s) * sizeof *basis);
  memcpy(x->m, m, (size_t)(r * l) * sizeof *m);
  memcpy(x->v, v, (size_t)(r * l) * sizeof *v);
}

// ---- between matrices of both sides ----

static void take_squares(struct arena *arena, const struct run_config *c, struct exact_matrix *x, const double *g) {
  int64_t rows = x->rows, columns = x->columns;
  double b2 = c->train.beta2, *left = zeros(arena, rows * rows), *right = zeros(arena, columns * columns);
  exact_product(rows, rows, columns, false, true, g, g, left);
  exact_product(columns, columns, rows, true, false, g, g, right);
  for (int64_t i = 0; i < rows * rows; i++) x->left[i] = b2 * x->left[i] + (1 - b2) * left[i];
  for (int64_t i = 0; i < columns * columns; i++) x->right[i] = b2 * x->right[i] + (1 - b2) * right[i];
}

// (mean / correction + damping lambda)^(-1/4)
static void root(struct arena *arena, const struct run_config *c, int64_t n, double correction, const double *mean,
                 double *to) {
  double *scaled = zeros(arena, n * n), *values = zeros(arena, n), *vectors = zeros(arena, n * n);
  for (int64_t i = 0; i < n * n; i++) scaled[i] = mean[i] / correction;
  eigenvectors(n, scaled, values, vectors);
  for (int64_t i = 0; i < n * n; i++)
    scaled[i] = vectors[i] * pow(fmax(values[i / n], 0) + c->train.damping * values[0], -0.25);
  exact_product(n, n, n, true, false, vectors, scaled, to);
}

static void shampoo(struct arena *arena, const struct run_config *c, struct exact_matrix *x, int64_t step,
                    const double *g, double *d) {
  int64_t rows = x->rows, columns = x->columns, every = c->train.basis_steps;
  double b1 = c->train.beta1, *half = zeros(arena, rows * columns);
  take_squares(arena, c, x, g);
  if (step <= every || (step - 1) % every == 0) {
    double correction = 1 - pow(c->train.beta2, (double)step);
    root(arena, c, rows, correction, x->left, x->left_basis);
    root(arena, c, columns, correction, x->right, x->right_basis);
  }
  for (int64_t i = 0; i < rows * columns; i++) x->m[i] = b1 * x->m[i] + (1 - b1) * g[i];
  exact_product(rows, columns, rows, false, false, x->left_basis, x->m, half);
  exact_product(rows, columns, columns, false, false, half, x->right_basis, d);
  for (int64_t i = 0; i < rows * columns; i++) d[i] /= 1 - pow(b1, (double)step);
}

// to = QL x QR^T, or with `back` QL^T x QR.
static void turn(struct arena *arena, const struct exact_matrix *x, bool back, const double *from, double *to) {
  double *half = zeros(arena, x->rows * x->columns);
  exact_product(x->rows, x->columns, x->rows, back, false, x->left_basis, from, half);
  exact_product(x->rows, x->columns, x->columns, false, !back, half, x->right_basis, to);
}

// The next eigenvectors of one side, and where each row came from.
static void power_step(struct arena *arena, int64_t n, const double *mean, double *basis, int64_t *order) {
  double *next = zeros(arena, n * n), *sorted = zeros(arena, n * n), *score = zeros(arena, n);
  exact_product(n, n, n, false, false, basis, mean, next);
  for (int64_t i = 0; i < n * n; i++) score[i / n] += next[i] * basis[i];
  for (int64_t place = 0; place < n; place++) {
    int64_t best = 0;
    for (int64_t k = 1; k < n; k++)
      if (score[k] > score[best]) best = k;
    order[place] = best;
    score[best] = -INFINITY;
    memcpy(sorted + place * n, next + best * n, (size_t)n * sizeof *next);
  }
  orthonormal(n, n, sorted);
  memcpy(basis, sorted, (size_t)(n * n) * sizeof *basis);
}

// m is kept in the matrix's own directions here, as the paper has it.
static bool soap(struct arena *arena, const struct run_config *c, struct exact_matrix *x, int64_t step, const double *g,
                 double *d) {
  int64_t rows = x->rows, columns = x->columns, count = rows * columns;
  double b1 = c->train.beta1, b2 = c->train.beta2;
  take_squares(arena, c, x, g);
  if (step == 1) return false;  // the caller gives it its eigenvectors: those of equal eigenvalues are anybody's
  double *rotated = zeros(arena, count), *mean = zeros(arena, count), *u = zeros(arena, count);
  for (int64_t i = 0; i < count; i++) x->m[i] = b1 * x->m[i] + (1 - b1) * g[i];
  turn(arena, x, false, g, rotated);
  turn(arena, x, false, x->m, mean);
  for (int64_t i = 0; i < count; i++) {
    x->v[i] = b2 * x->v[i] + (1 - b2) * rotated[i] * rotated[i];
    u[i] = mean[i] / (1 - pow(b1, (double)(step - 1))) /
           (sqrt(x->v[i] / (1 - pow(b2, (double)(step - 1)))) + c->train.adam_eps);
  }
  turn(arena, x, true, u, d);
  if ((step - 1) % c->train.basis_steps) return true;
  int64_t *by_row = arena_array(arena, (size_t)rows, sizeof *by_row);
  int64_t *by_column = arena_array(arena, (size_t)columns, sizeof *by_column);
  power_step(arena, rows, x->left, x->left_basis, by_row);
  power_step(arena, columns, x->right, x->right_basis, by_column);
  for (int64_t i = 0; i < count; i++) u[i] = x->v[by_row[i / columns] * columns + by_column[i % columns]];
  memcpy(x->v, u, (size_t)count * sizeof *u);
  return true;
}

bool exact_direction(struct arena *arena, const struct run_config *c, struct exact_matrix *x, int64_t step,
                     const double *g, double *d) {
  const char *name = c->train.optimizer;
  if (strcmp(name, "soap") == 0) return soap(arena, c, x, step, g, d);
  if (strcmp(name, "shampoo") == 0) return shampoo(arena, c, x, step, g, d), true;
  bool wide = x->rows < x->columns;
  int64_t s = wide ? x->rows : x->columns, l = wide ? x->columns : x->rows;
  double *from = zeros(arena, s * l), *to = zeros(arena, s * l);
  wide ? (void)memcpy(from, g, (size_t)(s * l) * sizeof *g) : turned(x->rows, x->columns, g, from);
  (strcmp(name, "ldadam") == 0 ? ldadam : dct_adamw)(arena, c, x, s, l, step, from, to);
  wide ? (void)memcpy(d, to, (size_t)(s * l) * sizeof *d) : turned(s, l, to, d);
  return true;
}
