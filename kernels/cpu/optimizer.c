// The optimizer step, the gradient's norm, and initial values.
// Shapes: parameter, gradient, m, v [count] for each tensor; the square sum is one double.
#include <math.h>
#include <string.h>

#include "base/philox.h"
#include "kernels/cpu/device.h"

void cpu_square_sum(struct device *device, const struct tensor_span *spans, int count, double *sum) {
  double total = 0;
  for (int span = 0; span < count; span++) {
    double *partial = device_scratch(device, optimizer_scratch_bytes(spans[span].count), "the sum of squares");
    if (!partial) return;
    struct square_call call = {.data = spans[span].data, .partial = partial};
    device_run(device, device->level->square_sum, &call, spans[span].count, SQUARE_BLOCK);
    if (device->error.code != EXIT_DONE) return;
    int64_t blocks = (spans[span].count + SQUARE_BLOCK - 1) / SQUARE_BLOCK;
    for (int64_t block = 0; block < blocks; block++) total += partial[block];
  }
  *sum = total;
}

// State or parameters in bfloat16: pieces of them are widened, moved by the float32 pass, and rounded.
struct narrow_call {           // items: elements
  struct optimizer_call wide;  // what is narrow is NULL
  range_pass *pass;
  uint16_t *parameter, *m, *v;  // NULL: not narrow, or not there
  int64_t first;
  bool stochastic;
  uint64_t seed, step;
};
static float widened(uint16_t bits) {
  uint32_t word = (uint32_t)bits << 16;
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

// `noise` 16 bits; 0x8000 less the tie's half and the last bit kept makes it rounding to nearest even.
static uint16_t narrowed(float value, bool stochastic, uint32_t noise) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7F800000u) == 0x7F800000u) return (uint16_t)(bits >> 16 | (bits & 0xFFFFu ? 0x40u : 0));
  return (uint16_t)((bits + (stochastic ? noise : 0x7FFFu + (bits >> 16 & 1))) >> 16);
}

static float *behind(float *values, int64_t count) { return values ? values + count : NULL; }

static void narrow_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct narrow_call *call = argument;
  enum { PIECE = 1024 };
  float parameter[PIECE], m[PIECE], v[PIECE];
  for (int64_t at = begin; at < end; at += PIECE) {
    int64_t count = end - at < PIECE ? end - at : PIECE;
    struct optimizer_call piece = call->wide;
    piece.parameter = call->parameter ? parameter : behind(piece.parameter, at);
    piece.gradient += at;
    piece.direction = behind(piece.direction, at);
    piece.m = call->m ? m : behind(piece.m, at);
    piece.v = call->v ? v : behind(piece.v, at);
    for (int64_t i = 0; i < count && call->m; i++) m[i] = widened(call->m[at + i]);
    for (int64_t i = 0; i < count && call->v; i++) v[i] = widened(call->v[at + i]);
    for (int64_t i = 0; i < count && call->parameter; i++) parameter[i] = widened(call->parameter[at + i]);
    call->pass(&piece, 0, count, worker);
    uint32_t words[4] = {0};
    for (int64_t i = 0; i < count && call->parameter; i++) {
      uint64_t element = (uint64_t)(call->first + at + i);
      if (call->stochastic && (i == 0 || element % 8 == 0))
        random_words(call->seed, RANDOM_STREAM_MASTER, call->step, element / 8, words);
      call->parameter[at + i] =
          narrowed(parameter[i], call->stochastic, words[element % 8 / 2] >> element % 2 * 16 & 0xFFFFu);
    }
    for (int64_t i = 0; i < count && call->m; i++) {
      uint64_t element = (uint64_t)(call->first + at + i);
      if (call->stochastic && (i == 0 || element % 4 == 0))
        random_words(call->seed, RANDOM_STREAM_OPTIMIZER, call->step, element / 4, words);
      uint32_t word = words[element % 4];
      call->m[at + i] = narrowed(m[i], call->stochastic, word & 0xFFFFu);
      if (call->v) call->v[at + i] = narrowed(v[i], call->stochastic, word >> 16);
    }
  }
}

// What gradients are multiplied by: their scale, and the clip factor.
static double gradient_factor(double gradient_scale, double clip_norm, const double *square_sum) {
  if (clip_norm <= 0) return gradient_scale;
  double norm = gradient_scale * sqrt(*square_sum);
  return norm > clip_norm ? gradient_scale * (clip_norm / norm) : gradient_scale;
}

// How what is narrow is rounded.
struct rounding {
  bool stochastic;
  uint64_t seed, step;
};

// Runs the pass over a tensor; `call` has the numbers, the tensor the arrays.
static void run_over(struct device *device, range_pass *pass, struct optimizer_call call,
                     const struct optimizer_tensor *tensor, const struct rounding *rounding) {
  bool narrow_state = tensor->state != DTYPE_FLOAT32 && tensor->m;
  bool narrow_master = tensor->master != DTYPE_FLOAT32 && tensor->parameter;
  call.parameter = narrow_master ? NULL : tensor->parameter;
  call.gradient = tensor->gradient;
  call.direction = tensor->direction;
  call.m = narrow_state ? NULL : tensor->m;
  call.v = narrow_state ? NULL : tensor->v;
  if (!narrow_state && !narrow_master) {
    device_run(device, pass, &call, tensor->count, 16384);
    return;
  }
  struct narrow_call narrow = {.wide = call,
                               .pass = pass,
                               .parameter = narrow_master ? tensor->parameter : NULL,
                               .m = narrow_state ? tensor->m : NULL,
                               .v = narrow_state ? tensor->v : NULL,
                               .first = tensor->first,
                               .stochastic = rounding->stochastic,
                               .seed = rounding->seed,
                               .step = rounding->step};
  device_run(device, narrow_pass, &narrow, tensor->count, 16384);
}

void cpu_adamw_step(struct device *device, const struct adamw *adamw, const struct optimizer_tensor *tensors, int count,
                    const double *square_sum) {
  double factor = gradient_factor(adamw->gradient_scale, adamw->clip_norm, square_sum);
  double correction1 = 1 - pow(adamw->beta1, (double)adamw->step);
  double correction2 = 1 - pow(adamw->beta2, (double)adamw->step);
  struct rounding rounding = {adamw->stochastic, adamw->seed, (uint64_t)adamw->step};
  for (int i = 0; i < count; i++) {
    struct optimizer_call call = {.gradient_factor = (float)factor,
                                  .beta1 = (float)adamw->beta1,
                                  .rest1 = (float)(1 - adamw->beta1),
                                  .beta2 = (float)adamw->beta2,
                                  .rest2 = (float)(1 - adamw->beta2),
                                  .step_size = (float)(adamw->lr / correction1),
                                  .inverse_correction2 = (float)(1 / sqrt(correction2)),
                                  .eps = (float)adamw->eps,
                                  .decay_factor = (float)(tensors[i].decay ? 1 - adamw->lr * adamw->weight_decay : 1)};
    run_over(device, device->level->adamw, call, &tensors[i], &rounding);
  }
}

void cpu_momentum_step(struct device *device, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                       int count, const double *square_sum) {
  double factor = gradient_factor(momentum->gradient_scale, momentum->clip_norm, square_sum);
  struct rounding rounding = {momentum->stochastic, momentum->seed, (uint64_t)momentum->step};
  for (int i = 0; i < count; i++) {
    double scale = tensors[i].lr_scale != 0 ? tensors[i].lr_scale : 1;
    struct optimizer_call call = {
        .gradient_factor = (float)factor,
        .beta1 = (float)momentum->beta1,
        .rest1 = (float)momentum->share1,
        .beta2 = (float)momentum->beta2,
        .rest2 = (float)(1 - momentum->beta2),
        .step_size = (float)momentum->lr * (float)scale,
        .decay_factor = (float)(tensors[i].decay ? 1 - momentum->lr * momentum->weight_decay : 1),
        .nesterov = momentum->nesterov,
        .sign = momentum->sign};
    run_over(device, device->level->momentum, call, &tensors[i], &rounding);
  }
}

struct normal_call {  // items: pairs
  float *data;
  int64_t count;
  double std;
  uint64_t seed;
  uint32_t tensor;
};
static void normal_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct normal_call *call = argument;
  for (int64_t pair = begin; pair < end; pair++) {
    double normals[2];
    random_normal_pair(call->seed, RANDOM_STREAM_INIT, call->tensor, (uint64_t)pair, normals);
    call->data[2 * pair] = (float)(call->std * normals[0]);
    if (2 * pair + 1 < call->count) call->data[2 * pair + 1] = (float)(call->std * normals[1]);
  }
}

void cpu_fill_normal(struct device *device, float *data, int64_t count, double std, uint64_t seed, uint32_t tensor) {
  struct normal_call call = {.data = data, .count = count, .std = std, .seed = seed, .tensor = tensor};
  device_run(device, normal_pass, &call, (count + 1) / 2, 1024);
}

void cpu_fill_constant(struct device *device, float *data, int64_t count, float value) {
  for (int64_t i = 0; i < count; i++) data[i] = value;
}
