// Rounding a matrix input by input: front to back with the rest moved (GPTQ), or back to front by nearest planes
// (Babai). One loop over outputs is innermost, since they have nothing to do with each other. See internal.h.
#include <math.h>
#include <string.h>

#include "trainer/compress/internal.h"

enum { BLOCK = 64, MOST_DIMENSIONS = 4, MOST_POINTS = GRID_LEVEL_LIMIT };

// ---- one block of inputs ----

struct block_space {
  double points[MOST_DIMENSIONS * MOST_POINTS];  // of a vector grid, through the metric
};

struct block_space *block_space_make(const struct sweep *sweep, struct arena *arena) {
  return arena_alloc(arena, sizeof(struct block_space));
}

static void round_scalars(struct sweep *s, int64_t at, const double *targets, double c, const uint8_t *keep,
                          double *errors) {
  const struct nearest *nearest = s->nearest;
  const float *scales = nearest ? s->scales + s->unit[at] * s->outputs : NULL;
  double *q = s->q + at * s->outputs, limit = nearest ? 0.5 * nearest->gap * (1 + 1e-9) : 0, error = 0, squares = 0;
  for (int64_t o = 0; o < s->outputs; o++) {
    int32_t code = -1;
    if (keep && !keep[o]) {
      q[o] = 0;
    } else if (!nearest) {
      q[o] = targets[o];
    } else {
      double scale = (double)scales[o], z = targets[o] / scale, level = nearest_level(nearest, z, &code);
      s->clipped += fabs(z - level) > limit;
      q[o] = scale * level;
      squares += scale * scale;
    }
    if (s->codes) s->codes[at * s->outputs + o] = code;
    errors[o] = c * (targets[o] - q[o]);
    error += errors[o] * errors[o];
  }
  s->error += error;
  s->trace += c * c;
  if (nearest) s->bound += 0.25 * nearest->gap * nearest->gap * squares * c * c;
}

// y = c x for a matrix [p][p].
static void times(const double *c, int p, const double *x, double *y) {
  for (int a = 0; a < p; a++) {
    y[a] = 0;
    for (int b = 0; b < p; b++) y[a] += c[a * p + b] * x[b];
  }
}

static void round_vectors(struct sweep *s, struct block_space *space, int64_t at, const double *targets,
                          const double *c, double *errors) {
  const struct nearest *nearest = s->nearest;
  int p = nearest->dimension, count = nearest->count;
  for (int i = 0; i < count; i++) {
    double point[MOST_DIMENSIONS], through[MOST_DIMENSIONS];
    for (int d = 0; d < p; d++) point[d] = (double)nearest->points[d * count + i];
    times(c, p, point, through);
    for (int d = 0; d < p; d++) space->points[d * count + i] = through[d];
  }
  for (int64_t o = 0; o < s->outputs; o++) {
    double scales[MOST_DIMENSIONS], z[MOST_DIMENSIONS], through[MOST_DIMENSIONS], e[MOST_DIMENSIONS];
    for (int d = 0; d < p; d++) {
      scales[d] = (double)s->scales[s->unit[at + d] * s->outputs + o];
      z[d] = targets[d * s->outputs + o] / scales[d];
    }
    times(c, p, z, through);
    int32_t number = nearest_point(space->points, p, count, through);
    for (int d = 0; d < p; d++) {
      double q = scales[d] * (double)nearest->points[d * count + number];
      s->q[(at + d) * s->outputs + o] = q;
      e[d] = targets[d * s->outputs + o] - q;
    }
    times(c, p, e, through);
    for (int d = 0; d < p; d++) {
      errors[d * s->outputs + o] = through[d];
      s->error += through[d] * through[d];
    }
    if (s->codes) s->codes[at / p * s->outputs + o] = number;
  }
  for (int d = 0; d < p; d++) s->trace += c[d * p + d] * c[d * p + d];
  s->bound = NAN;
}

void sweep_round(struct sweep *sweep, struct block_space *space, int64_t at, const double *targets, const double *c,
                 const uint8_t *keep, double *errors) {
  if (sweep->nearest && sweep->nearest->dimension > 1)
    round_vectors(sweep, space, at, targets, c, errors);
  else
    round_scalars(sweep, at, targets, c[0], keep, errors);
}

static int dimension_of(const struct sweep *s) { return s->nearest ? s->nearest->dimension : 1; }

static void begin(struct sweep *s) {
  s->error = s->trace = 0;
  s->bound = s->nearest && !s->pruning ? 0 : NAN;
  s->clipped = 0;
}

// ---- each for itself ----

void sweep_plain(struct sweep *s, struct arena *arena) {
  static const double identity[4][MOST_DIMENSIONS * MOST_DIMENSIONS] = {
      {1}, {1, 0, 0, 1}, {1, 0, 0, 0, 1, 0, 0, 0, 1}, {1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}};
  int p = dimension_of(s);
  struct block_space *space = block_space_make(s, arena);
  double *errors = arena_array(arena, (size_t)(p * s->outputs), sizeof *errors);
  begin(s);
  for (int64_t at = 0; at < s->inputs; at += p)
    sweep_round(s, space, at, s->w + at * s->outputs, identity[p - 1], NULL, errors);
}

// ---- front to back ----

// The inverse of the transpose of an upper triangle u_bb [p][p] at row `at` of u [n, n]: lower.
static void inverse_transposed(const double *u, int64_t n, int64_t at, int p, double *c) {
  memset(c, 0, (size_t)(p * p) * sizeof *c);
  for (int column = 0; column < p; column++)
    for (int i = column; i < p; i++) {
      double sum = i == column ? 1 : 0;
      for (int j = column; j < i; j++) sum -= u[(at + j) * n + at + i] * c[j * p + column];
      c[i * p + column] = sum / u[(at + i) * n + at + i];
    }
}

// Rows that change together: whole vectors, and whole choices of what is pruned.
static int64_t block_length(const struct sweep *s) {
  int64_t every = s->pruning ? pruning_every(s->pruning) : dimension_of(s);
  return every >= BLOCK ? every : BLOCK / every * every;
}

void sweep_inverse(struct sweep *s, const double *u, struct arena *arena) {
  int64_t n = s->inputs, outputs = s->outputs, block = block_length(s);
  int p = dimension_of(s);
  int64_t every = s->pruning ? pruning_every(s->pruning) : 0;
  struct block_space *space = block_space_make(s, arena);
  double *errors = arena_array(arena, (size_t)(block * outputs), sizeof *errors);
  const double **rows = arena_array(arena, (size_t)block, sizeof *rows);
  double *coefficients = arena_array(arena, (size_t)block, sizeof *coefficients);
  double *diagonal = arena_array(arena, (size_t)n, sizeof *diagonal);
  uint8_t *keep = every ? arena_array(arena, (size_t)(every * outputs), 1) : NULL;
  for (int64_t i = 0; i < n; i++) diagonal[i] = u[i * n + i];
  for (int64_t i = 0; i < block; i++) rows[i] = errors + i * outputs;
  begin(s);
  for (int64_t first = 0; first < n; first += block) {
    int64_t end = first + block < n ? first + block : n;
    for (int64_t at = first; at < end; at += p) {
      double c[MOST_DIMENSIONS * MOST_DIMENSIONS], *e = errors + (at - first) * outputs;
      if (every && at % every == 0)
        pruning_choose(s->pruning, s->w + at * outputs, diagonal + at, at + every < n ? every : n - at, outputs, keep,
                       arena);
      inverse_transposed(u, n, at, p, c);
      sweep_round(s, space, at, s->w + at * outputs, c, every ? keep + at % every * outputs : NULL, e);
      for (int64_t j = at + p; j < end; j++) {
        for (int d = 0; d < p; d++) coefficients[d] = u[(at + d) * n + j];
        subtract_rows(s->w + j * outputs, rows + (at - first), coefficients, p, outputs);
      }
    }
    for (int64_t j = end; j < n; j++) {
      for (int64_t k = first; k < end; k++) coefficients[k - first] = u[k * n + j];
      subtract_rows(s->w + j * outputs, rows, coefficients, (int)(end - first), outputs);
    }
  }
}

// ---- back to front ----

// y = R w, in place of w: row i needs only rows from i on.
static void multiply_upper(const double *r, int64_t n, double *w, int64_t outputs, struct arena *arena) {
  const double **rows = arena_array(arena, (size_t)n, sizeof *rows);
  double *coefficients = arena_array(arena, (size_t)n, sizeof *coefficients);
  for (int64_t i = 0; i < n; i++) {
    double *to = w + i * outputs;
    for (int64_t o = 0; o < outputs; o++) to[o] *= r[i * n + i];
    for (int64_t j = i + 1; j < n; j++) {
      rows[j - i - 1] = w + j * outputs;
      coefficients[j - i - 1] = -r[i * n + j];
    }
    subtract_rows(to, rows, coefficients, (int)(n - i - 1), outputs);
  }
}

// targets = R_bb^-1 y_b for the p rows at `at`, in place.
static void solve_upper(const double *r, int64_t n, int64_t at, int p, double *y, int64_t outputs) {
  for (int64_t o = 0; o < outputs; o++)
    for (int i = p - 1; i >= 0; i--) {
      double sum = y[i * outputs + o];
      for (int j = i + 1; j < p; j++) sum -= r[(at + i) * n + at + j] * y[j * outputs + o];
      y[i * outputs + o] = sum / r[(at + i) * n + at + i];
    }
}

void sweep_nearest_plane(struct sweep *s, const double *r, struct arena *arena) {
  int64_t n = s->inputs, outputs = s->outputs, block = block_length(s);
  int p = dimension_of(s);
  struct block_space *space = block_space_make(s, arena);
  double *errors = arena_array(arena, (size_t)(p * outputs), sizeof *errors);
  const double **rows = arena_array(arena, (size_t)block, sizeof *rows);
  begin(s);
  multiply_upper(r, n, s->w, outputs, arena);
  for (int64_t end = n; end > 0; end -= block) {
    int64_t first = end > block ? end - block : 0;
    for (int64_t i = first; i < end; i++) rows[i - first] = s->q + i * outputs;
    for (int64_t at = end - p; at >= first; at -= p) {
      double c[MOST_DIMENSIONS * MOST_DIMENSIONS] = {0};
      for (int i = 0; i < p; i++)
        for (int j = i; j < p; j++) c[i * p + j] = r[(at + i) * n + at + j];
      solve_upper(r, n, at, p, s->w + at * outputs, outputs);
      sweep_round(s, space, at, s->w + at * outputs, c, NULL, errors);
      for (int64_t i = first; i < at; i++)
        subtract_rows(s->w + i * outputs, rows + (at - first), r + i * n + at, p, outputs);
    }
    for (int64_t i = 0; i < first; i++)
      subtract_rows(s->w + i * outputs, rows, r + i * n + first, (int)(end - first), outputs);
  }
}
