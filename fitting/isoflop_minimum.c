// The optimum of each budget: the minimum of a parabola or of Akima's interpolation in the logarithm of size (and of
// tokens, each by itself), and its spread over copies of the losses with seed noise.
#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_interp.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fit_internal.h"
#include "fitting/isoflop_internal.h"

enum { AKIMA_SIZES = 5, PARABOLA_SIZES = 3, CURVE_POINTS = 80 };

struct minimum {
  bool inside;
  double place, loss;  // ln of the size (or tokens), loss
};

// ---- parabola ----

struct parabola {
  double centre, a, b, c;  // loss = a + b u + c u^2, u = x - centre
};

static bool fit_parabola(const double *x, const double *loss, size_t count, struct parabola *parabola) {
  double matrix[9] = {0}, side[3] = {0}, centre = 0;
  for (size_t i = 0; i < count; i++) centre += x[i] / (double)count;
  for (size_t i = 0; i < count; i++) {
    double u = x[i] - centre, power[3] = {1, u, u * u};
    for (int j = 0; j < 3; j++) {
      side[j] += power[j] * loss[i];
      for (int k = 0; k < 3; k++) matrix[3 * j + k] += power[j] * power[k];
    }
  }
  if (!cholesky_solve(matrix, 3, side)) return false;
  *parabola = (struct parabola){centre, side[0], side[1], side[2]};
  return true;
}

static double parabola_at(const struct parabola *p, double x) {
  double u = x - p->centre;
  return p->a + u * (p->b + u * p->c);
}

static struct minimum parabola_minimum(const double *x, const double *loss, size_t count, struct parabola *parabola) {
  struct minimum minimum = {0};
  if (!fit_parabola(x, loss, count, parabola) || !(parabola->c > 0)) return minimum;
  minimum.place = parabola->centre - parabola->b / (2 * parabola->c);
  minimum.loss = parabola_at(parabola, minimum.place);
  minimum.inside = minimum.place > fmin(x[0], x[count - 1]) && minimum.place < fmax(x[0], x[count - 1]);
  return minimum;
}

void window_of(const struct isoflop_budget *budget, double window, size_t *from, size_t *count) {
  size_t best = 0, end = budget->sizes;
  *from = 0;
  for (size_t i = 1; i < budget->sizes; i++)
    if (budget->loss[i] < budget->loss[best]) best = i;
  while (window > 0 && budget->parameters[*from] * window < budget->parameters[best]) (*from)++;
  while (window > 0 && end > 0 && budget->parameters[end - 1] > budget->parameters[best] * window) end--;
  *count = end - *from;
}

// ---- Akima ----

struct akima {
  gsl_interp *interpolation;
  gsl_interp_accel *place;
  size_t count, grid_count;
  double *x, *y, *grid;  // ascending; y = ln loss
};

static void akima_new(struct akima *akima, struct arena *arena, const double *x, size_t count) {
  akima->count = count;
  akima->grid_count = (count - 1) * ISOFLOP_GRID;
  akima->x = arena_array(arena, count, sizeof(double));
  akima->y = arena_array(arena, count, sizeof(double));
  akima->grid = arena_array(arena, akima->grid_count, sizeof(double));
  memcpy(akima->x, x, count * sizeof *x);
  for (size_t i = 0; i < akima->grid_count; i++)
    akima->grid[i] = x[0] + (x[count - 1] - x[0]) * (double)i / (double)(akima->grid_count - 1);
  akima->grid[akima->grid_count - 1] = x[count - 1];
  akima->interpolation = gsl_interp_alloc(gsl_interp_akima, count);
  akima->place = gsl_interp_accel_alloc();
}

static void akima_free(struct akima *akima) {
  if (akima->interpolation) gsl_interp_free(akima->interpolation);
  if (akima->place) gsl_interp_accel_free(akima->place);
}

// The lowest grid point of the interpolation through akima->y.
static struct minimum akima_minimum(struct akima *akima) {
  struct minimum minimum = {.loss = INFINITY};
  size_t best = 0;
  if (gsl_interp_init(akima->interpolation, akima->x, akima->y, akima->count) != GSL_SUCCESS) return minimum;
  for (size_t i = 0; i < akima->grid_count; i++) {
    double value = gsl_interp_eval(akima->interpolation, akima->x, akima->y, akima->grid[i], akima->place);
    if (!(value < minimum.loss)) continue;
    minimum.loss = value;
    best = i;
  }
  minimum.inside = best > 0 && best + 1 < akima->grid_count;
  minimum.place = akima->grid[best];
  minimum.loss = exp(minimum.loss);
  return minimum;
}

// ---- one axis (size or tokens) of one budget ----

struct axis {
  const struct isoflop_options *options;
  size_t count;
  double *x, *loss;  // ascending in x
  size_t *order;     // in the budget
  struct akima akima;
};

static int compare_axis(const void *a, const void *b, void *context) {
  const double *x = context;
  double left = x[*(const size_t *)a], right = x[*(const size_t *)b];
  return (left > right) - (left < right);
}

// False when two sizes have the same x.
static bool axis_new(struct axis *axis, struct arena *arena, const struct isoflop_options *options, const double *x,
                     const double *loss, size_t from, size_t count) {
  *axis = (struct axis){.options = options, .count = count};
  axis->x = arena_array(arena, count, sizeof(double));
  axis->loss = arena_array(arena, count, sizeof(double));
  axis->order = arena_array(arena, count, sizeof *axis->order);
  for (size_t i = 0; i < count; i++) axis->order[i] = from + i;
  qsort_r(axis->order, count, sizeof *axis->order, compare_axis, (void *)x);
  for (size_t i = 0; i < count; i++) {
    axis->x[i] = log(x[axis->order[i]]);
    axis->loss[i] = loss[axis->order[i]];
    if (i && !(axis->x[i] > axis->x[i - 1])) return false;
  }
  if (options->method == ISOFLOP_AKIMA) akima_new(&axis->akima, arena, axis->x, count);
  return true;
}

// The minimum with noise[i] added to the loss of size i of the budget (NULL: as measured).
static struct minimum axis_minimum(struct axis *axis, const double *noise) {
  double *loss = axis->options->method == ISOFLOP_AKIMA ? axis->akima.y : memory_get(axis->count * sizeof *loss);
  bool positive = true;
  for (size_t i = 0; i < axis->count; i++) {
    loss[i] = axis->loss[i] + (noise ? noise[axis->order[i]] : 0);
    positive &= loss[i] > 0;
  }
  struct minimum minimum = {0};
  if (axis->options->method == ISOFLOP_PARABOLA) {
    struct parabola parabola;
    minimum = parabola_minimum(axis->x, loss, axis->count, &parabola);
    free(loss);
  } else if (positive) {
    for (size_t i = 0; i < axis->count; i++) loss[i] = log(loss[i]);
    minimum = akima_minimum(&axis->akima);
  }
  return minimum;
}

// ---- budgets ----

// The parabolas' scatter, pooled over the budgets: the seed noise that they show.
static double pooled_scatter(const struct isoflop_options *options, const struct isoflop *result, double *freedom) {
  double squares = 0, degrees = 0;
  for (size_t b = 0; b < result->budget_count; b++) {
    const struct isoflop_budget *budget = &result->budgets[b];
    size_t from, count;
    if (budget->sizes < PARABOLA_SIZES) continue;
    window_of(budget, options->window, &from, &count);
    if (count <= PARABOLA_SIZES) continue;
    double *x = memory_get(count * sizeof *x);
    struct parabola parabola;
    for (size_t i = 0; i < count; i++) x[i] = log(budget->parameters[from + i]);
    if (fit_parabola(x, budget->loss + from, count, &parabola)) {
      for (size_t i = 0; i < count; i++) {
        double residual = budget->loss[from + i] - parabola_at(&parabola, x[i]);
        squares += residual * residual;
      }
      degrees += (double)count - 3;
    }
    free(x);
  }
  *freedom = degrees;
  return degrees > 0 ? sqrt(squares / degrees) : NAN;
}

static void choose_noise(const struct isoflop_options *options, struct isoflop *result) {
  if (options->noise) {
    result->noise = *options->noise;
    result->noise_source = "given";
  } else if (options->method == ISOFLOP_PARABOLA) {
    double scatter = pooled_scatter(options, result, &result->noise_degrees);
    result->noise = (struct isoflop_noise){scatter, scatter, 1, 1};
    result->noise_source = "scatter about the parabolas";
    if (isnan(scatter)) {
      isoflop_warn(result, "no budget has more than 3 sizes, so nothing gives the noise: no intervals (--noise)");
      result->copies = 0;
    }
  } else {
    result->noise = isoflop_default_noise;
    result->noise_source = "default";
  }
}

static void put_curve(struct arena *arena, struct isoflop_budget *budget, struct axis *axis) {
  bool akima = axis->options->method == ISOFLOP_AKIMA;
  size_t count = akima ? axis->akima.grid_count : CURVE_POINTS;
  struct parabola parabola = {0};
  budget->curve_parameters = arena_array(arena, count, sizeof(double));
  budget->curve_loss = arena_array(arena, count, sizeof(double));
  if (!akima && !fit_parabola(axis->x, axis->loss, axis->count, &parabola)) return;
  double low = axis->x[0], high = axis->x[axis->count - 1];
  for (size_t i = 0; i < count; i++) {
    double x = akima ? axis->akima.grid[i] : low + (high - low) * (double)i / (double)(count - 1);
    budget->curve_parameters[i] = exp(x);
    budget->curve_loss[i] =
        akima ? exp(gsl_interp_eval(axis->akima.interpolation, axis->akima.x, axis->akima.y, x, axis->akima.place))
              : parabola_at(&parabola, x);
  }
  budget->curve_count = count;
}

int optimum_of(const double *copies, int count, double confidence, double least_spread, struct isoflop_optimum *out) {
  double *kept = memory_get(((size_t)count + 1) * sizeof *kept), mean = 0, squares = 0;
  size_t n = 0;
  for (int i = 0; i < count; i++)
    if (isfinite(copies[i])) kept[n++] = copies[i];
  qsort(kept, n, sizeof *kept, compare_numbers);
  for (size_t i = 0; i < n; i++) mean += log(kept[i]) / (double)n;
  for (size_t i = 0; i < n; i++) squares += (log(kept[i]) - mean) * (log(kept[i]) - mean);
  if (n) {
    out->value = quantile(kept, n, 0.5);
    out->low = quantile(kept, n, (1 - confidence) / 2);
    out->high = quantile(kept, n, (1 + confidence) / 2);
    // copies that gave no minimum inside make the others less sure
    out->spread = fmax(sqrt(squares / (double)n), least_spread) * (double)count / (double)n;
  }
  free(kept);
  return (int)n;
}

static const char *edge_words(struct arena *arena, const struct isoflop_budget *budget, struct minimum minimum,
                              const struct axis *axis, const char *of) {
  bool low = axis->loss[0] < axis->loss[axis->count - 1];
  if (minimum.place != 0) low = minimum.place < 0.5 * (axis->x[0] + axis->x[axis->count - 1]);
  if (axis->options->method == ISOFLOP_PARABOLA && minimum.place == 0)
    return arena_format(arena, "the parabola in %s opens downwards", of);
  return arena_format(arena, "the minimum lies at the %s %s: %s ones are missing", low ? "smallest" : "largest", of,
                      low ? "smaller" : "larger");
}

// A scatter of few degrees of freedom may be far from the noise: each copy has a noise drawn from what the scatter
// leaves possible (s^2 degrees / chi-squared), so that the spread of the copies is Student's t and not normal.
static double scale_of(const struct isoflop *result, uint64_t seed, int copy) {
  if (!(result->noise_degrees > 0)) return 1;
  double u = random_uniform(seed, RANDOM_STREAM_SEED_NOISE, (uint64_t)copy, (uint64_t)UINT32_MAX << 32);
  return sqrt(result->noise_degrees / gsl_cdf_chisq_Pinv(fmin(fmax(u, 1e-9), 1 - 1e-9), result->noise_degrees));
}

// What the optimum is over copies of the budget with seed noise in its losses.
static void solve_copies(struct isoflop *result, uint64_t seed, size_t number, struct axis axes[2], int copies) {
  struct isoflop_budget *budget = &result->budgets[number];
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++)
    budget->copies[q] = arena_array(&result->arena, (size_t)copies + 1, sizeof(double));
  double *noise = memory_get((budget->sizes + 1) * sizeof *noise);
  for (int copy = 0; copy < copies; copy++) {
    double scale = scale_of(result, seed, copy);
    for (size_t i = 0; i < budget->sizes; i++) {
      double normal[2];
      random_normal_pair(seed, RANDOM_STREAM_SEED_NOISE, (uint64_t)copy, (uint64_t)number << 32 | i, normal);
      noise[i] = scale * isoflop_noise_at(&result->noise, budget->loss[i]) * normal[0];
    }
    for (int a = 0; a < 2; a++) {
      struct minimum minimum = axis_minimum(&axes[a], noise);
      budget->copies[a][copy] = minimum.inside ? exp(minimum.place) : NAN;
      if (a == 0) budget->copies[ISOFLOP_LOSS][copy] = minimum.inside ? minimum.loss : NAN;
    }
  }
  free(noise);
}

// Optimum of size and tokens as measured, then over the noisy copies.
static void solve_budget(const struct isoflop_options *options, struct isoflop *result, size_t number) {
  struct isoflop_budget *budget = &result->budgets[number];
  struct arena *arena = &result->arena;
  size_t from = 0, count = budget->sizes;
  size_t least = options->method == ISOFLOP_AKIMA ? AKIMA_SIZES : PARABOLA_SIZES;
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++)
    budget->optimum[q] = (struct isoflop_optimum){.value = NAN, .low = NAN, .high = NAN, .spread = NAN};
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++) budget->bias[q] = NAN;
  if (options->method == ISOFLOP_PARABOLA && count) window_of(budget, options->window, &from, &count);
  if (count < least) {
    budget->rejected = arena_format(arena, "%zu size%s%s; %s needs %zu", count, count == 1 ? "" : "s",
                                    count < budget->sizes ? " near the best one" : "",
                                    options->method == ISOFLOP_AKIMA ? "Akima's interpolation" : "a parabola", least);
    return;
  }
  struct axis axes[2];
  const double *x[] = {budget->parameters, budget->tokens};
  static const char *const names[] = {"size", "token count"};
  axes[1] = (struct axis){0};
  bool different = true;
  for (int a = 0; a < 2 && different; a++)
    different = axis_new(&axes[a], arena, options, x[a], budget->loss, from, count);
  if (!different) budget->rejected = "two sizes have the same token count: they are not of one budget";
  for (int a = 0; a < 2 && !budget->rejected; a++) {
    struct minimum minimum = axis_minimum(&axes[a], NULL);
    if (a == 0) put_curve(arena, budget, &axes[0]);
    if (!minimum.inside) budget->rejected = edge_words(arena, budget, minimum, &axes[a], names[a]);
    budget->optimum[a].value = exp(minimum.place);
    if (a == 0) budget->optimum[ISOFLOP_LOSS].value = minimum.loss;
  }
  int copies = budget->rejected ? 0 : result->copies;
  solve_copies(result, options->seed, number, axes, copies);
  for (int q = 0; q < ISOFLOP_QUANTITIES && copies; q++) {
    const struct axis *axis = &axes[q == ISOFLOP_TOKENS ? 1 : 0];
    double step = (axis->x[count - 1] - axis->x[0]) / (double)((count - 1) * ISOFLOP_GRID - 1);
    double floor =
        options->method == ISOFLOP_AKIMA && q != ISOFLOP_LOSS ? options->minimum_spread * ISOFLOP_GRID * step : 0;
    double measured = budget->optimum[q].value;
    int kept = optimum_of(budget->copies[q], copies, result->confidence, floor, &budget->optimum[q]);
    if (options->method == ISOFLOP_PARABOLA) budget->optimum[q].value = measured;
    if (q == ISOFLOP_PARAMETERS) budget->copies_kept = kept;
    if (kept * 2 < copies && !budget->rejected)
      budget->rejected = arena_format(arena, "with seed noise %d of %d minima lie at an edge", copies - kept, copies);
  }
  for (int a = 0; a < 2; a++) akima_free(&axes[a].akima);
}

void isoflop_minima(const struct isoflop_options *options, struct isoflop *result) {
  choose_noise(options, result);
  for (size_t b = 0; b < result->budget_count; b++) solve_budget(options, result, b);
}
