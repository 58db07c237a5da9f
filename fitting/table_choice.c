// How far the best value of a grid is from the place of the minimum. Two things move it: the grid has no value there,
// and among neighbours that are nearly as good noise decides. Both are simulated: a configuration's values follow a
// parabola about a minimum that lies anywhere within half a step of the best value, noise is added (of the scatter of
// all configurations about the parabolas through the five values around their best ones), and the lowest is taken.
#include <math.h>

#include "fitting/table_reduce_internal.h"

enum { WINDOW = 5, DRAWS = 256, POINTS = 64 };  // values farther than POINTS from the best are never taken

struct parabola {
  double vertex;     // x of its minimum, from x0
  double curvature;  // of value = lowest + curvature (x - vertex)^2
  double squares;    // of the values' distances from it
  int degrees;
};

// Least squares through `count` points, x from x0.
static struct parabola fit_parabola(const double *x, const double *value, size_t count, double x0) {
  double sums[5] = {0}, right[3] = {0}, scale = 0;
  for (size_t i = 0; i < count; i++) scale = fmax(scale, fabs(x[i] - x0));
  for (size_t i = 0; i < count; i++) {
    double t = (x[i] - x0) / scale, power = 1;
    for (int k = 0; k < 5; k++, power *= t) {
      sums[k] += power;
      if (k < 3) right[k] += power * (value[i] - value[0]);
    }
  }
  double a[3][4];
  for (int i = 0; i < 3; i++) {
    for (int j = 0; j < 3; j++) a[i][j] = sums[i + j];
    a[i][3] = right[i];
  }
  for (int i = 0; i < 3; i++)  // the matrix is positive definite: no pivots
    for (int j = 0; j < 3; j++) {
      double factor = a[j][i] / a[i][i];
      for (int k = 0; k < 4 && j != i; k++) a[j][k] -= factor * a[i][k];
    }
  double slope = a[1][3] / a[1][1] / scale, curvature = a[2][3] / a[2][2] / (scale * scale);
  struct parabola made = {-slope / (2 * curvature), curvature, 0, (int)count - 3};
  for (size_t i = 0; i < count; i++) {
    double t = (x[i] - x0) / scale, off = value[i] - value[0];
    for (int k = 2; k >= 0; k--) off -= a[k][3] / a[k][k] * pow(t, k);
    made.squares += off * off;
  }
  return made;
}

static size_t place_of_best(const double *x, const struct choice_points *points) {
  size_t at = 0;
  while (at + 1 < points->count && x[points->begin + at] < points->best) at++;
  return at;
}

// The first of `width` neighbours around the best.
static size_t window_of(size_t at, size_t count, size_t width) {
  size_t first = at < width / 2 ? 0 : at - width / 2;
  return first + width > count ? count - width : first;
}

// From half the way to the neighbour below to half the way to the one above; as far on the other side where the best
// is the last of the grid.
static void cell_of(const double *x, size_t at, size_t count, double *low, double *high) {
  double below = at ? (x[at] - x[at - 1]) / 2 : NAN, above = at + 1 < count ? (x[at + 1] - x[at]) / 2 : NAN;
  *low = x[at] - (at ? below : above);
  *high = x[at] + (isnan(above) ? below : above);
}

// Standard normal numbers, the same for every configuration.
static double *draw_normals(void) {
  double *normals = memory_get((size_t)DRAWS * POINTS * sizeof *normals);
  for (size_t i = 0; i < (size_t)DRAWS * POINTS; i += 2)
    random_normal_pair(0, RANDOM_STREAM_CHOICE, 0, i / 2, &normals[i]);
  return normals;
}

static double simulate(const double *x, size_t at, size_t count, double curvature, double noise,
                       const double *normals) {
  double low, high, squares = 0;
  cell_of(x, at, count, &low, &high);
  size_t width = count < POINTS ? count : POINTS, first = window_of(at, count, width);
  for (size_t d = 0; d < DRAWS; d++) {
    double vertex = low + (high - low) * ((double)d + 0.5) / DRAWS, best = INFINITY, taken = x[at];
    for (size_t i = 0; i < width; i++) {
      double off = x[first + i] - vertex, value = curvature * off * off + noise * normals[d * POINTS + i];
      if (!(value < best)) continue;
      best = value;
      taken = x[first + i];
    }
    squares += (taken - vertex) * (taken - vertex);
  }
  return sqrt(squares / DRAWS);
}

void choice_deviations(const double *x, const double *value, const struct choice_points *points, size_t count,
                       double *deviation, double *offset) {
  double *curvature = memory_get((count + 1) * sizeof *curvature), squares = 0, *normals = draw_normals();
  int degrees = 0;
  for (size_t g = 0; g < count; g++) {
    size_t width = points[g].count < WINDOW ? points[g].count : WINDOW, at = place_of_best(x, &points[g]);
    size_t first = points[g].begin + (width ? window_of(at, points[g].count, width) : 0);
    if (width < 3) continue;
    struct parabola parabola = fit_parabola(x + first, value + first, width, points[g].best);
    curvature[g] = parabola.curvature;
    offset[g] = -parabola.vertex;
    squares += parabola.squares;
    degrees += parabola.degrees;
  }
  double noise = degrees ? sqrt(squares / degrees) : 0;
  for (size_t g = 0; g < count; g++) {
    const double *mine = x + points[g].begin;
    // where no parabola has a minimum, the step of the grid alone is known
    bool bowl = curvature[g] > 0;
    deviation[g] = points[g].count < 2 ? NAN
                                       : simulate(mine, place_of_best(x, &points[g]), points[g].count,
                                                  bowl ? curvature[g] : 1, bowl ? noise : 0, normals);
    double most = 2 * deviation[g];  // a flat parabola's minimum may lie anywhere
    offset[g] = bowl && most > 0 ? fmax(-most, fmin(most, offset[g])) : 0;
  }
  free(curvature);
  free(normals);
}
