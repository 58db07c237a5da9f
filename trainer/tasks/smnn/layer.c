// The layer. See smnn.h.
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lapack.h"
#include "trainer/tasks/smnn/smnn.h"

struct ode ode_make(int64_t points, int dimensions, int orders, double h, struct arena *arena) {
  struct ode o = {.points = points, .dimensions = dimensions, .orders = orders, .block = dimensions * orders, .h = h};
  o.rows = arena_array(arena, (size_t)(points * dimensions * o.block), sizeof(double));
  o.right = arena_array(arena, (size_t)(points * dimensions), sizeof(double));
  o.initial = arena_array(arena, (size_t)(dimensions * orders), sizeof(double));
  return o;
}

// ---- the normal matrix ----

// Of one direction: row q of a dimension is sum over p >= q of s^p / (p - q)! u_p at the point that is extended from,
// less s^q u_q at the other one. P [orders][orders], S the diagonal.
static void taylor(int orders, double s, double p[SMNN_BLOCK][SMNN_BLOCK], double diagonal[SMNN_BLOCK]) {
  for (int q = 0; q < orders; q++) {
    double term = pow(s, q);
    diagonal[q] = term;
    for (int k = 0; k < orders; k++) p[q][k] = 0;
    for (int k = q; k < orders; k++) {
      p[q][k] = term;
      term *= s / (k - q + 1);
    }
  }
}

// What Taylor's rows add: to the block of a point before another (first), to that of one behind another (second), and
// the block of the second's rows and the first's columns.
struct joints {
  double first[SMNN_BLOCK * SMNN_BLOCK], second[SMNN_BLOCK * SMNN_BLOCK], below[SMNN_BLOCK * SMNN_BLOCK];
};

static struct joints joints_of(const struct ode *o) {
  struct joints j = {0};
  double p[SMNN_BLOCK][SMNN_BLOCK], s[SMNN_BLOCK];
  for (int back = 0; back < 2; back++) {
    taylor(o->orders, back ? -o->h : o->h, p, s);
    double *from = back ? j.second : j.first, *to = back ? j.first : j.second;
    for (int d = 0; d < o->dimensions; d++)
      for (int a = 0; a < o->orders; a++)
        for (int b = 0; b < o->orders; b++) {
          int row = d * o->orders + a, column = d * o->orders + b, place = row * o->block + column;
          for (int q = 0; q < o->orders; q++) from[place] += p[q][a] * p[q][b];
          if (a == b) to[place] += s[a] * s[a];
          // A row is P at one point and -S at the other: of the second's rows, -S^T P forward and -P^T S backward.
          j.below[place] -= back ? p[b][a] * s[b] : s[a] * p[a][b];
        }
  }
  return j;
}

static void diagonal_block(const struct ode *o, const struct joints *j, int64_t t, double *block) {
  int m = o->block, known = o->orders - 1;
  memset(block, 0, (size_t)(m * m) * sizeof *block);
  for (int d = 0; d < o->dimensions; d++) {
    const double *c = o->rows + (t * o->dimensions + d) * m;
    for (int a = 0; a < m; a++)
      for (int b = 0; b < m; b++) block[a * m + b] += c[a] * c[b];
    for (int k = 0; t == 0 && k < known; k++) block[(d * o->orders + k) * (m + 1)] += 1;
  }
  for (int i = 0; i < m * m; i++) block[i] += (t + 1 < o->points ? j->first[i] : 0) + (t > 0 ? j->second[i] : 0);
}

void ode_right_side(const struct ode *o, double *right) {
  int m = o->block;
  memset(right, 0, (size_t)(o->points * m) * sizeof *right);
  for (int64_t t = 0; t < o->points; t++)
    for (int d = 0; d < o->dimensions; d++)
      for (int a = 0; a < m; a++)
        right[t * m + a] += o->rows[(t * o->dimensions + d) * m + a] * o->right[t * o->dimensions + d];
  for (int d = 0; d < o->dimensions; d++)
    for (int k = 0; k + 1 < o->orders; k++) right[d * o->orders + k] += o->initial[d * (o->orders - 1) + k];
}

// ---- block operations: row-major, m by m ----

static bool cholesky(double *a, int m) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j <= i; j++) {
      double sum = a[i * m + j];
      for (int k = 0; k < j; k++) sum -= a[i * m + k] * a[j * m + k];
      if (i != j)
        a[i * m + j] = sum / a[j * m + j];
      else if (sum > 0)
        a[i * m + i] = sqrt(sum);
      else
        return false;
    }
  return true;
}

// b <- b L^-T
static void solve_right(const double *l, double *b, int m) {
  for (int r = 0; r < m; r++)
    for (int i = 0; i < m; i++) {
      double sum = b[r * m + i];
      for (int k = 0; k < i; k++) sum -= b[r * m + k] * l[i * m + k];
      b[r * m + i] = sum / l[i * m + i];
    }
}

static void subtract_square(const double *w, double *a, int m) {
  for (int i = 0; i < m; i++)
    for (int j = 0; j < m; j++)
      for (int k = 0; k < m; k++) a[i * m + j] -= w[i * m + k] * w[j * m + k];
}

void factor_again(const struct ode *o, struct factor *f, bool *fine) {
  const struct joints j = joints_of(o);
  int m = o->block;
  size_t square = (size_t)(m * m);
  *fine = true;
  for (int64_t t = 0; t < o->points && *fine; t++) {
    double *d = f->diagonal + (size_t)t * square, *w = f->below + (size_t)t * square;
    diagonal_block(o, &j, t, d);
    if (t > 0) {
      subtract_square(w - square, d, m);
      f->operations++;
    }
    *fine = cholesky(d, m);
    f->operations++;
    if (t + 1 == o->points) break;
    memcpy(w, j.below, square * sizeof *w);
    solve_right(d, w, m);
    f->operations++;
  }
}

bool factor_make(const struct ode *o, struct factor *f, struct arena *arena, struct error *error) {
  size_t count = (size_t)(o->points * o->block * o->block);
  *f = (struct factor){arena_array(arena, count, sizeof(double)), arena_array(arena, count, sizeof(double)), 0};
  bool fine;
  factor_again(o, f, &fine);
  return fine || error_set(error, EXIT_USAGE_ERROR,
                           "the normal matrix of %lld points is not positive definite in double precision: a larger "
                           "smnn.step is needed",
                           (long long)o->points);
}

void factor_solve(const struct ode *o, struct factor *f, const double *right, double *u) {
  int m = o->block;
  size_t square = (size_t)(m * m);
  for (int64_t t = 0; t < o->points; t++) {
    const double *l = f->diagonal + (size_t)t * square, *w = f->below + (size_t)(t - 1) * square;
    double *v = u + t * m;
    for (int i = 0; i < m; i++) {
      v[i] = right[t * m + i];
      for (int k = 0; t > 0 && k < m; k++) v[i] -= w[i * m + k] * v[k - m];
    }
    for (int i = 0; i < m; i++) {
      for (int k = 0; k < i; k++) v[i] -= l[i * m + k] * v[k];
      v[i] /= l[i * m + i];
    }
    f->operations += t > 0 ? 2 : 1;
  }
  for (int64_t t = o->points - 1; t >= 0; t--) {
    const double *l = f->diagonal + (size_t)t * square, *w = f->below + (size_t)t * square;
    double *v = u + t * m;
    bool last = t + 1 == o->points;
    for (int i = 0; i < m; i++)
      for (int k = 0; !last && k < m; k++) v[i] -= w[k * m + i] * v[m + k];
    for (int i = m - 1; i >= 0; i--) {
      for (int k = i + 1; k < m; k++) v[i] -= l[k * m + i] * v[k];
      v[i] /= l[i * m + i];
    }
    f->operations += last ? 1 : 2;
  }
}

// right - M u, in long double: what double precision has lost.
static void residual_of(const struct ode *o, const double *right, const double *u, double *residual) {
  const struct joints j = joints_of(o);
  double block[SMNN_BLOCK * SMNN_BLOCK];
  int m = o->block;
  for (int64_t t = 0; t < o->points; t++) {
    diagonal_block(o, &j, t, block);
    for (int a = 0; a < m; a++) {
      long double sum = right[t * m + a];
      for (int b = 0; b < m; b++) {
        sum -= (long double)block[a * m + b] * u[t * m + b];
        if (t > 0) sum -= (long double)j.below[a * m + b] * u[(t - 1) * m + b];
        if (t + 1 < o->points) sum -= (long double)j.below[b * m + a] * u[(t + 1) * m + b];
      }
      residual[t * m + a] = (double)sum;
    }
  }
}

void factor_solve_refined(const struct ode *o, struct factor *f, const double *right, double *u, double *work) {
  int64_t n = o->points * o->block;
  factor_solve(o, f, right, u);
  residual_of(o, right, u, work);
  factor_solve(o, f, work, work + n);
  for (int64_t i = 0; i < n; i++) u[i] += work[n + i];
  f->operations += 3 * o->points - 2;
}

bool ode_solve_dense(const struct ode *o, double *u, struct error *error) {
  int64_t m = o->block, n = o->points * m;
  const struct joints j = joints_of(o);
  double block[SMNN_BLOCK * SMNN_BLOCK], *matrix = memory_get((size_t)(n * n) * sizeof *matrix);
  memset(matrix, 0, (size_t)(n * n) * sizeof *matrix);
  for (int64_t t = 0; t < o->points; t++) {
    diagonal_block(o, &j, t, block);
    for (int64_t a = 0; a < m; a++)
      for (int64_t b = 0; b < m; b++) {
        matrix[(t * m + a) * n + t * m + b] = block[a * m + b];
        if (t + 1 == o->points) continue;
        matrix[((t + 1) * m + a) * n + t * m + b] = j.below[a * m + b];
        matrix[(t * m + b) * n + (t + 1) * m + a] = j.below[a * m + b];
      }
  }
  ode_right_side(o, u);
  lapack_use_one_thread();
  // Symmetric: rows and columns are alike.
  lapack_int info = LAPACKE_dposv(LAPACK_COL_MAJOR, 'L', (lapack_int)n, 1, matrix, (lapack_int)n, u, (lapack_int)n);
  if (info == 0) {
    double *right = memory_get((size_t)(2 * n) * sizeof *right);
    ode_right_side(o, right);
    residual_of(o, right, u, right + n);
    info = LAPACKE_dpotrs(LAPACK_COL_MAJOR, 'L', (lapack_int)n, 1, matrix, (lapack_int)n, right + n, (lapack_int)n);
    for (int64_t i = 0; i < n; i++) u[i] += right[n + i];
    free(right);
  }
  free(matrix);
  return info == 0 ||
         error_set(error, EXIT_USAGE_ERROR, "LAPACK's dposv of %lld unknowns ends with %d", (long long)n, (int)info);
}

void ode_gradient(const struct ode *o, const double *u, const double *y, double *d_rows, double *d_right) {
  int m = o->block;
  for (int64_t i = 0; i < o->points * o->dimensions; i++) {
    const double *c = o->rows + i * m, *at = u + i / o->dimensions * m, *of = y + i / o->dimensions * m;
    double residual = o->right[i], along = 0;
    for (int a = 0; a < m; a++) {
      residual -= c[a] * at[a];
      along += c[a] * of[a];
    }
    for (int a = 0; d_rows && a < m; a++) d_rows[i * m + a] = residual * of[a] - along * at[a];
    if (d_right) d_right[i] = along;
  }
}
