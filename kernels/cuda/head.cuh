// The output head: logits of a tile of rows, their cross-entropy and gradient in place, and the two products with it;
// and the optimizer's and the initial values' launches.
// Shapes: x, d_x [rows, width]; weight, d_weight [vocabulary, width]; targets, mask, row_nats [rows].
#pragma once
#include "kernels/cuda/device.cuh"
#include "kernels/cuda/linear.cuh"
#include "kernels/cuda/loss.cuh"
#include "kernels/cuda/optimizer.cuh"

namespace {

void head_tiles(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                bool accumulate) {
  static_assert(sizeof(struct loss_sum) == sizeof(loss_sums), "the device's view of a loss sum");
  const struct weight *weight = head->weight;
  int64_t vocabulary = weight->description.outputs, width = weight->description.inputs;
  bool training = d_x != nullptr;
  struct cuda_head_scratch offsets = cuda_head_scratch(head->rows, vocabulary, head->dtype, training);
  char *memory = scratch(device, offsets.end, "the head");
  if (!memory) return;
  run(device, check_ids_kernel, {"check_ids", 1, ID_THREADS, 0}, head->rows, view(targets, head->rows), vocabulary,
      (int)ID_TARGET, view(device->bad, 1));
  if (training)
    stage(device, &device->numbers->head_gradient_scale, &head->gradient_scale, sizeof head->gradient_scale);
  int64_t tile = cuda_head_tile_rows(head->rows, vocabulary), lead = cuda_head_lead(vocabulary);
  float *logits = (float *)memory;
  double *nats = (double *)(memory + offsets.nats);
  void *d_logits = head->dtype == DTYPE_FLOAT32 ? memory : memory + offsets.d_logits;
  size_t row_bytes = (size_t)width * dtype_bytes(head->dtype);

  for (int64_t first = 0; first < head->rows; first += tile) {
    int64_t rows = head->rows - first < tile ? head->rows - first : tile;
    const char *x_tile = (const char *)x + (size_t)first * row_bytes;
    const uint8_t *mask_tile = mask ? mask + first : nullptr;
    weight_forward(device, weight, rows, x_tile, DTYPE_FLOAT32, logits, lead);
    launch_shape shape = {"cross_entropy", (unsigned)rows, LOSS_THREADS, 0};
    with_dtype(head->dtype, [&](auto element) {
      using T = decltype(element);
      constexpr int N = WORD_ELEMENTS<T>;
      bool words = wide(N, lead, logits, d_logits);
      auto kernel = training ? words ? cross_entropy_kernel<T, true, N> : cross_entropy_kernel<T, true, 1>
                    : words ? cross_entropy_kernel<T, false, N>
                             : cross_entropy_kernel<T, false, 1>;
      run(device, kernel, shape, vocabulary, lead, view((const float *)&device->numbers->head_gradient_scale, 1),
          view((const float *)logits, rows * lead), view(targets + first, rows), view(mask_tile, rows),
          view(nats, rows), view(training ? (T *)d_logits : nullptr, rows * lead));
    });
    run(device, add_losses_kernel, {"add_losses", 1, LOSS_THREADS, 0}, rows, view((const double *)nats, rows),
        view(mask_tile, rows), view(row_nats ? row_nats + first : nullptr, rows), view((const bad_id *)device->bad, 1),
        view((loss_sums *)sum, 1));
    if (!training) continue;
    weight_input_gradient(device, weight, rows, d_logits, lead, (char *)d_x + (size_t)first * row_bytes);
    weight_gradient(device, weight, rows, x_tile, d_logits, lead, d_weight, accumulate || first > 0);
  }
}

void head_loss(struct device *device, const struct head *head, const void *x, const int32_t *targets,
               const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
               bool accumulate) {
  head_tiles(device, head, x, targets, mask, sum, row_nats, d_x, d_weight, accumulate);
}

void head_evaluate(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                   const uint8_t *mask, struct loss_sum *sum, float *row_nats) {
  head_tiles(device, head, x, targets, mask, sum, row_nats, nullptr, nullptr, false);
}

// ---- optimizer ----
void square_sum(struct device *device, const struct tensor_span *spans, int count, double *sum) {
  for (int i = 0; i < count; i++) {
    double *partial = (double *)scratch(device, cuda_square_scratch_bytes(spans[i].count), "the sum of squares");
    if (!partial) return;
    int64_t blocks = ceil_div(spans[i].count, SQUARE_BLOCK);
    run(device, square_sum_kernel, {"square_sum", (unsigned)blocks, SQUARE_THREADS, 0}, spans[i].count,
        view(spans[i].data, spans[i].count), view(partial, blocks));
    run(device, add_partials_kernel, {"add_partials", 1, SQUARE_THREADS, 0}, blocks,
        view((const double *)partial, blocks), i > 0, view(sum, 1));
  }
}

template <class Master, class State, bool STOCHASTIC>
void run_adamw(struct device *device, const struct optimizer_tensor &t, const double *square_sum) {
  constexpr int N = WORD_ELEMENTS<State>;
  Master *parameter = (Master *)t.parameter;
  State *m = (State *)t.m, *v = (State *)t.v;
  bool words = wide(N, t.count, parameter, t.gradient, m, v) && t.first % 8 == 0;
  int64_t pieces = t.count / (words ? N : 1);
  run(device, words ? adamw_kernel<Master, State, STOCHASTIC, N> : adamw_kernel<Master, State, STOCHASTIC, 1>,
      {"adamw", element_blocks(pieces), ELEMENT_THREADS, 0}, pieces, t.decay, t.first,
      view((const adamw_numbers *)&device->numbers->adamw, 1), view(parameter, t.count), view(t.gradient, t.count),
      view(m, t.count), view(v, t.count), view(square_sum, 1));
}

void adamw_step(struct device *device, const struct adamw *adamw, const struct optimizer_tensor *tensors, int count,
                const double *square_sum) {
  double correction1 = 1 - pow(adamw->beta1, (double)adamw->step);
  double correction2 = 1 - pow(adamw->beta2, (double)adamw->step);
  adamw_numbers n = {};
  n.gradient_scale = adamw->gradient_scale;
  n.clip_norm = adamw->clip_norm;
  n.beta1 = (float)adamw->beta1;
  n.rest1 = (float)(1 - adamw->beta1);
  n.beta2 = (float)adamw->beta2;
  n.rest2 = (float)(1 - adamw->beta2);
  n.step_size = (float)(adamw->lr / correction1);
  n.inverse_correction2 = (float)(1 / sqrt(correction2));
  n.eps = (float)adamw->eps;
  n.decay_factor = (float)(1 - adamw->lr * adamw->weight_decay);
  n.seed = adamw->seed;
  n.step = (uint64_t)adamw->step;
  stage(device, &device->numbers->adamw, &n, sizeof n);
  for (int i = 0; i < count; i++) {
    const struct optimizer_tensor &t = tensors[i];
    with_dtype(t.master, [&](auto master) {
      with_dtype(t.state, [&](auto state) {
        using Master = decltype(master);
        using State = decltype(state);
        constexpr bool NARROW = sizeof(Master) < sizeof(float) || sizeof(State) < sizeof(float);
        if (NARROW && adamw->stochastic)
          run_adamw<Master, State, NARROW>(device, t, square_sum);
        else
          run_adamw<Master, State, false>(device, t, square_sum);
      });
    });
  }
}

template <class Master, class State, bool STOCHASTIC>
void run_momentum(struct device *device, const struct momentum *momentum, const struct optimizer_tensor &t,
                  const double *square_sum) {
  constexpr int N = WORD_ELEMENTS<State>;
  Master *parameter = (Master *)t.parameter;
  State *m = (State *)t.m;
  bool words = wide(N, t.count, parameter, t.gradient, m, t.direction) && t.first % 8 == 0;
  int64_t pieces = t.count / (words ? N : 1);
  run(device, words ? momentum_kernel<Master, State, STOCHASTIC, N> : momentum_kernel<Master, State, STOCHASTIC, 1>,
      {"momentum", element_blocks(pieces), ELEMENT_THREADS, 0}, pieces, t.decay, momentum->nesterov, momentum->sign,
      t.lr_scale != 0 ? (float)t.lr_scale : 1.0f, t.first,
      view((const momentum_numbers *)&device->numbers->momentum, 1), view(parameter, t.count),
      view(t.gradient, t.count), view(m, t.count), view(t.direction, t.count), view(square_sum, 1));
}

void momentum_step(struct device *device, const struct momentum *momentum, const struct optimizer_tensor *tensors,
                   int count, const double *square_sum) {
  momentum_numbers n = {};
  n.gradient_scale = momentum->gradient_scale;
  n.clip_norm = momentum->clip_norm;
  n.beta1 = (float)momentum->beta1;
  n.share1 = (float)momentum->share1;
  n.beta2 = (float)momentum->beta2;
  n.rest2 = (float)(1 - momentum->beta2);
  n.step_size = (float)momentum->lr;
  n.decay_factor = (float)(1 - momentum->lr * momentum->weight_decay);
  n.seed = momentum->seed;
  n.step = (uint64_t)momentum->step;
  stage(device, &device->numbers->momentum, &n, sizeof n);
  for (int i = 0; i < count; i++) {
    const struct optimizer_tensor &t = tensors[i];
    with_dtype(t.parameter ? t.master : DTYPE_FLOAT32, [&](auto master) {
      with_dtype(t.m ? t.state : DTYPE_FLOAT32, [&](auto state) {
        using Master = decltype(master);
        using State = decltype(state);
        constexpr bool NARROW = sizeof(Master) < sizeof(float) || sizeof(State) < sizeof(float);
        if (NARROW && momentum->stochastic)
          run_momentum<Master, State, NARROW>(device, momentum, t, square_sum);
        else
          run_momentum<Master, State, false>(device, momentum, t, square_sum);
      });
    });
  }
}

// ---- initial values ----
void fill_normal(struct device *device, float *data, int64_t count, double std, uint64_t seed, uint32_t tensor) {
  run(device, fill_normal_kernel, {"fill_normal", element_blocks((count + 1) / 2), ELEMENT_THREADS, 0}, count,
      view(data, count), std, seed, (uint32_t)RANDOM_STREAM_INIT, tensor);
}

void fill_constant(struct device *device, float *data, int64_t count, float value) {
  run(device, fill_constant_kernel, {"fill_constant", element_blocks(count), ELEMENT_THREADS, 0}, count,
      view(data, count), value);
}

}  // namespace
