// How well a fitted law is known at a place. A stored fit does not hold its resamples, so this is worked out from the
// fitted runs anew, to first order: with J the slopes of the law's loss (of its logarithm, where that is what the
// residual is of) at these runs with its free coefficients, and s the scatter of their residuals (over n - p), the
// coefficients' covariance is s^2 (J' J)^-1, and the variance at a place with slopes g is g' s^2 (J' J)^-1 g.
// Coefficients at a bound are held there.
#include <gsl/gsl_cdf.h>
#include <math.h>
#include <string.h>

#include "runner/report/data.h"

enum { MOST_FREE = 64 };

struct report_bands {
  size_t count;                       // of free coefficients
  size_t free[MOST_FREE];             // places in the fit's coefficients
  double scale[MOST_FREE];            // lengths of the columns of J
  double root[MOST_FREE][MOST_FREE];  // lower Cholesky factor of the scaled J' J
  double scatter, degrees;
};

static void move(struct fit_result *result, size_t free, double value) {
  struct coefficient *moved = &result->coefficients[free];
  for (size_t i = 0; i < result->coefficient_count; i++) {
    struct coefficient *c = &result->coefficients[i];
    if (c == moved || (c->tied_to && strcmp(c->tied_to, moved->name) == 0)) c->value = value;
  }
}

// The law's loss on the scale of the residuals.
static double on_scale(const struct report_fit *fit, double loss) {
  return fit->result.residual == RESIDUAL_LOG ? log(loss) : loss;
}

// The slopes of that at a place. False where the law does not say.
static bool slopes(struct report_fit *fit, const struct report_bands *bands, const char *format, double parameters,
                   double tokens, double out[MOST_FREE]) {
  bool fine = true;
  for (size_t i = 0; i < bands->count; i++) {
    double kept = fit->result.coefficients[bands->free[i]].value, step = 1e-5 * fmax(fabs(kept), 1e-6), ends[2];
    for (int side = 0; side < 2; side++) {
      move(&fit->result, bands->free[i], kept + (side ? step : -step));
      ends[side] = on_scale(fit, report_law(fit, format, parameters, tokens));
    }
    move(&fit->result, bands->free[i], kept);
    out[i] = (ends[1] - ends[0]) / (2 * step);
    fine &= isfinite(out[i]);
  }
  return fine;
}

// The lower Cholesky factor, in place; false when the matrix is not positive enough for that.
static bool factorize(struct report_bands *bands) {
  const double least = 1e-13;
  for (size_t i = 0; i < bands->count; i++)
    for (size_t k = 0; k <= i; k++) {
      double sum = bands->root[i][k];
      for (size_t m = 0; m < k; m++) sum -= bands->root[i][m] * bands->root[k][m];
      if (i == k && !(sum > least)) return false;
      bands->root[i][k] = i == k ? sqrt(sum) : sum / bands->root[k][k];
    }
  return true;
}

static bool gather(const struct report *report, struct report_fit *fit, struct report_bands *bands) {
  double row[MOST_FREE], squares = 0;
  size_t rows = 0, n = bands->count;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    double parameters = report_number(report, run, fit->size_column);
    if (!fit->fitted[i] || !isfinite(on_scale(fit, fit->observed[i])) || !isfinite(on_scale(fit, fit->predicted[i])))
      continue;
    if (!slopes(fit, bands, run->format, parameters, run->tokens, row)) return false;
    double residual = on_scale(fit, fit->observed[i]) - on_scale(fit, fit->predicted[i]);
    squares += residual * residual;
    rows++;
    for (size_t a = 0; a < n; a++)
      for (size_t b = 0; b <= a; b++) bands->root[a][b] += row[a] * row[b];
  }
  if (rows <= n) return false;
  bands->degrees = (double)(rows - n);
  bands->scatter = sqrt(squares / bands->degrees);
  for (size_t a = 0; a < n; a++) {
    bands->scale[a] = sqrt(bands->root[a][a]);
    if (!(bands->scale[a] > 0)) return false;
  }
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b <= a; b++) bands->root[a][b] /= bands->scale[a] * bands->scale[b];
  return factorize(bands);
}

void report_gather_bands(struct report *report, struct report_fit *fit) {
  struct fit_result *result = &fit->result;
  if (!fit->law_loaded || result->correlation_size == 0 || result->correlation_size > MOST_FREE) return;
  struct report_bands *bands = arena_alloc(&report->arena, sizeof *bands);
  memset(bands, 0, sizeof *bands);
  for (size_t i = 0; i < result->correlation_size; i++)
    for (size_t k = 0; k < result->coefficient_count; k++)
      if (strcmp(result->coefficients[k].name, result->correlated[i]) == 0) bands->free[bands->count++] = k;
  if (bands->count == result->correlation_size && gather(report, fit, bands)) fit->bands = bands;
}

bool report_band(const void *context, const char *format, double parameters, double tokens, struct plot_band *band) {
  // The coefficients are moved and put back: what the fit says is not changed.
  struct report_fit *fit = (struct report_fit *)context;
  const struct report_bands *bands = fit->bands;
  double at[MOST_FREE], variance = 0;
  if (!slopes(fit, bands, format, parameters, tokens, at)) return false;
  // |L^-1 g|^2
  for (size_t i = 0; i < bands->count; i++) {
    at[i] /= bands->scale[i];
    for (size_t k = 0; k < i; k++) at[i] -= bands->root[i][k] * at[k];
    at[i] /= bands->root[i][i];
    variance += at[i] * at[i];
  }
  double t = gsl_cdf_tdist_Pinv((1 + fit->result.confidence) / 2, bands->degrees);
  double value = report_law(fit, format, parameters, tokens),
         half[] = {t * bands->scatter * sqrt(variance), t * bands->scatter * sqrt(1 + variance)};
  for (int side = 0; side < 2; side++)
    for (int kind = 0; kind < 2; kind++) {
      double off = side ? half[kind] : -half[kind];
      (kind ? band->run : band->law)[side] = fit->result.residual == RESIDUAL_LOG ? value * exp(off) : value + off;
    }
  return isfinite(band->law[0]) && isfinite(band->law[1]);
}
