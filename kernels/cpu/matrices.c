// What optimizers' steps on single matrices are made of: products, rows in another order, moments in other directions,
// and LAPACK's. See kernels/ops.h, which has the shapes.
#include <math.h>
#include <string.h>

#include "kernels/cpu/device.h"
#include "kernels/lapack.h"

void cpu_product(struct device *device, enum gemm_form form, int64_t m, int64_t n, int64_t k, const float *a,
                 const float *b, float *c, bool accumulate) {
  struct gemm gemm = {.form = form, .m = m, .n = n, .k = k, .accumulate = accumulate};
  if (device->error.code == EXIT_DONE) gemm_run(device->gemm, &gemm, a, b, c, &device->error);
}

struct mix_call {  // items: elements
  float *to;
  const float *from;
  float keep, share;
};
static void mix_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct mix_call *call = argument;
  for (int64_t i = begin; i < end; i++) call->to[i] = call->keep * call->to[i] + call->share * call->from[i];
}
static void scale_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct mix_call *call = argument;
  for (int64_t i = begin; i < end; i++) call->to[i] = call->share * call->from[i];
}

void cpu_mix(struct device *device, int64_t count, float *to, float keep, const float *from, float share) {
  struct mix_call call = {.to = to, .from = from, .keep = keep, .share = share};
  device_run(device, keep == 0 ? scale_pass : mix_pass, &call, count, 16384);
}

void cpu_add_losses(struct device *device, int count, const struct loss_sum *parts, struct loss_sum *sum) {
  struct loss_sum total = parts[0];
  for (int i = 1; i < count; i++) {
    total.nats += parts[i].nats;
    total.targets += parts[i].targets;
  }
  *sum = total;
}

struct gather_call {  // items: rows
  int64_t columns;
  bool by_column;
  const int32_t *order;
  const float *from;
  float *to;
};
static void gather_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct gather_call *call = argument;
  for (int64_t row = begin; row < end; row++) {
    float *to = call->to + row * call->columns;
    if (call->by_column) {
      const float *from = call->from + row * call->columns;
      for (int64_t i = 0; i < call->columns; i++) to[i] = call->order[i] < 0 ? 0 : from[call->order[i]];
    } else if (call->order[row] < 0) {
      memset(to, 0, (size_t)call->columns * sizeof *to);
    } else {
      memcpy(to, call->from + call->order[row] * call->columns, (size_t)call->columns * sizeof *to);
    }
  }
}

void cpu_gather(struct device *device, int64_t rows, int64_t columns, bool by_column, const int32_t *order,
                const float *from, float *to) {
  struct gather_call call = {.columns = columns, .by_column = by_column, .order = order, .from = from, .to = to};
  device_run(device, gather_pass, &call, rows, 16);
}

struct rotate_call {  // items: rows of what is written
  int64_t rank, count;
  const float *rotation, *m, *v;
  float *m_to, *v_to, inverse1, inverse2, c2;
};
static void rotate_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct rotate_call *call = argument;
  enum { PIECE = 256 };
  for (int64_t row = begin; row < end; row++)
    for (int64_t at = 0; at < call->count; at += PIECE) {
      int64_t count = call->count - at < PIECE ? call->count - at : PIECE;
      float mean[PIECE] = {0}, spread[PIECE] = {0};
      for (int64_t k = 0; k < call->rank; k++) {
        const float *m = call->m + k * call->count + at, *v = call->v + k * call->count + at;
        float p = call->rotation[row * call->rank + k], square = p * p;
        for (int64_t i = 0; i < count; i++) {
          float scaled = m[i] * call->inverse1;
          mean[i] += p * m[i];
          spread[i] += square * (v[i] * call->inverse2 - scaled * scaled);
        }
      }
      for (int64_t i = 0; i < count; i++) {
        float scaled = mean[i] * call->inverse1;
        call->m_to[row * call->count + at + i] = mean[i];
        call->v_to[row * call->count + at + i] = fabsf(call->c2 * (spread[i] + scaled * scaled));
      }
    }
}

void cpu_rotate_moments(struct device *device, int64_t rank, int64_t count, const float *rotation, double c1, double c2,
                        const float *m, const float *v, float *m_to, float *v_to) {
  struct rotate_call call = {.rank = rank,
                             .count = count,
                             .rotation = rotation,
                             .m = m,
                             .v = v,
                             .m_to = m_to,
                             .v_to = v_to,
                             .inverse1 = (float)(1 / c1),
                             .inverse2 = (float)(1 / c2),
                             .c2 = (float)c2};
  device_run(device, rotate_pass, &call, rank, 1);
}

void cpu_orthonormalize(struct device *device, int64_t rank, int64_t side, float *x, const float *by, int32_t *order) {
  if (device->error.code == EXIT_DONE) lapack_orthonormalize(rank, side, x, by, order, &device->error);
}

void cpu_eigenvectors(struct device *device, int64_t n, float *x, double exponent, double damping) {
  if (device->error.code == EXIT_DONE) lapack_eigenvectors(n, x, exponent, damping, &device->error);
}
