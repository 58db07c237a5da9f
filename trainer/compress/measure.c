// What is told of a compressed matrix: errors against the original, zeroes. See internal.h.
#include <math.h>

#include "trainer/compress/internal.h"

// sum over outputs of x_o^T H x_o; x [inputs, outputs], double precision.
static double quadratic(const double *x, const float *h, int64_t n, int64_t outputs, struct arena *arena) {
  const double **rows = arena_array(arena, (size_t)n, sizeof *rows);
  double *coefficients = arena_array(arena, (size_t)n, sizeof *coefficients);
  double *y = arena_array(arena, (size_t)outputs, sizeof *y), sum = 0;
  for (int64_t i = 0; i < n; i++) rows[i] = x + i * outputs;
  for (int64_t i = 0; i < n; i++) {
    // Half the diagonal and what is before it, twice, is the whole form.
    for (int64_t o = 0; o < outputs; o++) y[o] = 0.5 * (double)h[i * n + i] * x[i * outputs + o];
    for (int64_t j = 0; j < i; j++) coefficients[j] = -(double)h[i * n + j];
    subtract_rows(y, rows, coefficients, (int)i, outputs);
    for (int64_t o = 0; o < outputs; o++) sum += 2 * y[o] * x[i * outputs + o];
  }
  return sum;
}

void measure_result(struct compress_call *call) {
  const struct compress_layer *layer = call->layer;
  struct compress_result *result = call->result;
  int64_t n = layer->inputs, outputs = layer->outputs, zeroes = 0;
  double squares = 0, error = 0, trace = 0;
  double *w = arena_array(call->arena, (size_t)(n * outputs), sizeof *w);
  double *apart = arena_array(call->arena, (size_t)(n * outputs), sizeof *apart);
  for (int64_t o = 0; o < outputs; o++)
    for (int64_t i = 0; i < n; i++) {
      double value = (double)layer->weights[o * n + i], now = (double)result->represented[o * n + i];
      w[i * outputs + o] = value;
      apart[i * outputs + o] = now - value;
      squares += value * value;
      error += (now - value) * (now - value);
      zeroes += now == 0;
    }
  result->relative_error = squares > 0 ? error / squares : 0;
  result->sparsity = (double)zeroes / (double)(n * outputs);
  if (!layer->hessian) return;
  for (int64_t i = 0; i < n; i++) trace += (double)layer->hessian[i * n + i];
  double of_error = quadratic(apart, layer->hessian, n, outputs, call->arena);
  double of_weights = quadratic(w, layer->hessian, n, outputs, call->arena);
  result->weighted_error = of_error + call->settings->damping * trace / (double)n * error;
  result->output_error = of_weights > 0 ? of_error / of_weights : 0;
}
