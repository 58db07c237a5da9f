// Cross-entropy of rows of logits with its gradient, a row at a time while it is in cache.
// Shapes: logits [rows, vocabulary], targets, mask and row_nats [rows].
#pragma once
#include <math.h>

#include "kernels/cpu/level.h"
#include "kernels/cpu/rounded.h"

INLINE void cross_entropy_rows(const struct cross_entropy_call *call, bool halves, int64_t begin, int64_t end) {
  int64_t vocabulary = call->vocabulary;
  enum dtype dtype = halves ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
  for (int64_t row = begin; row < end; row++) {
    float *logits = call->logits + row * call->stride;
    int64_t first = row * call->stride;  // of d_logits
    void *d_logits = halves ? call->d_logits : call->logits;
    if (call->mask && !call->mask[row]) {
      call->nats[row] = 0;
      if (call->gradient) memset((char *)d_logits + first * dtype_size(dtype), 0, vocabulary * dtype_size(dtype));
      continue;
    }
    // A NaN logit may be missed by the maximum but not by the sum: the loss is then NaN.
    vfloat maxima[4] = {splat(-INFINITY), splat(-INFINITY), splat(-INFINITY), splat(-INFINITY)};
    int64_t i = 0;
    for (; i + 4 * LANES <= vocabulary; i += 4 * LANES)
      for (int part = 0; part < 4; part++) maxima[part] = vector_max(load(logits + i + part * LANES), maxima[part]);
    for (; i + LANES <= vocabulary; i += LANES) maxima[0] = vector_max(load(logits + i), maxima[0]);
    float maximum = lane_max(vector_max(vector_max(maxima[0], maxima[1]), vector_max(maxima[2], maxima[3])));
    for (; i < vocabulary; i++) maximum = logits[i] > maximum ? logits[i] : maximum;

    int32_t target = call->targets[row];
    double target_logit = logits[target];
    vfloat sums[2] = {{0}, {0}}, top = splat(maximum);
    double total = 0;
    for (i = 0; i + 2 * LANES <= vocabulary;) {
      // Partial sums in float over short stretches, their total in double.
      int64_t stretch = i + 64 * LANES < vocabulary ? i + 64 * LANES : vocabulary;
      for (; i + 2 * LANES <= stretch; i += 2 * LANES)
        for (int part = 0; part < 2; part++) {
          vfloat x = load(logits + i + part * LANES) - top, e = halves ? rounded_exp(x) : vector_exp(x);
          sums[part] += e;
          if (call->gradient) store(logits + i + part * LANES, e);
        }
      total += lane_sum(sums[0] + sums[1]);
      sums[0] = sums[1] = (vfloat){0};
    }
    for (; i < vocabulary; i += LANES) {
      int64_t count = vocabulary - i < LANES ? vocabulary - i : LANES;
      vfloat x = load_as_part(DTYPE_FLOAT32, logits, i, count) - top, e = halves ? rounded_exp(x) : vector_exp(x);
      if (call->gradient) store_as_part(DTYPE_FLOAT32, logits, i, e, count);
      for (int64_t lane = 0; lane < count; lane++) total += e[lane];
    }
    call->nats[row] = log(total) + maximum - target_logit;
    if (!call->gradient) continue;
    vfloat factor = splat((float)(call->gradient_scale / total));
    // The probability of the target, kept before it is overwritten.
    float at_target = (float)(call->gradient_scale * (logits[target] / total - 1));
    for (i = 0; i + LANES <= vocabulary; i += LANES) store_as(dtype, d_logits, first + i, load(logits + i) * factor);
    if (i < vocabulary)
      store_as_part(dtype, d_logits, first + i, load_part(logits + i, vocabulary - i) * factor, vocabulary - i);
    store_as_part(dtype, d_logits, first + target, splat(at_target), 1);
  }
}

static void cross_entropy_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct cross_entropy_call *call = argument;
  if (call->gradient_dtype == DTYPE_FLOAT32)
    cross_entropy_rows(call, false, begin, end);
  else
    cross_entropy_rows(call, true, begin, end);
}
