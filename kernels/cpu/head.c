// The output head: logits of a tile of rows, their cross-entropy and gradient in place, and the two products with it.
// Shapes: x, d_x [rows, width]; weight, d_weight [vocabulary, width]; targets, mask, row_nats [rows].
#include "kernels/cpu/device.h"

static void head_tiles(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                       const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                       bool accumulate) {
  const struct weight *weight = head->weight;
  int64_t vocabulary = weight->description.outputs, width = weight->description.inputs;
  bool training = d_x != NULL;
  char *scratch = device_scratch(device, head_scratch_bytes(head->rows, vocabulary, head->dtype, training), "the head");
  if (!scratch || !device_check_ids(device, targets, head->rows, vocabulary, "target")) return;
  int64_t tile = head_tile_rows(head->rows, vocabulary);
  int64_t logit_rows = head_logit_rows(head->rows, vocabulary, head->dtype);
  int64_t stride = head_stride(vocabulary, head->dtype);
  float *logits = (float *)scratch;
  size_t logit_bytes = (size_t)(logit_rows * stride) * sizeof(float);
  size_t nats_bytes = (size_t)tile * sizeof(double);
  scratch += (logit_bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
  double *nats = (double *)scratch;
  scratch += (nats_bytes + DEVICE_ALIGNMENT - 1) / DEVICE_ALIGNMENT * DEVICE_ALIGNMENT;
  char *d_logits = head->dtype == DTYPE_FLOAT32 ? (char *)logits : scratch;
  size_t row_bytes = (size_t)width * dtype_bytes(head->dtype);

  for (int64_t first = 0; first < head->rows; first += tile) {
    int64_t rows = head->rows - first < tile ? head->rows - first : tile;
    const char *x_tile = (const char *)x + (size_t)first * row_bytes;
    for (int64_t part = 0; part < rows; part += logit_rows) {
      int64_t part_rows = rows - part < logit_rows ? rows - part : logit_rows, at = first + part;
      weight_forward(device, weight, part_rows, x_tile + (size_t)part * row_bytes, DTYPE_FLOAT32, logits, stride);
      struct cross_entropy_call call = {.vocabulary = vocabulary,
                                        .stride = stride,
                                        .logits = logits,
                                        .targets = targets + at,
                                        .mask = mask ? mask + at : NULL,
                                        .nats = nats + part,
                                        .gradient = training,
                                        .gradient_scale = head->gradient_scale,
                                        .gradient_dtype = head->dtype,
                                        .d_logits = d_logits + (size_t)(part * stride) * dtype_bytes(head->dtype)};
      device_run(device, device->level->cross_entropy, &call, part_rows, 4);
    }
    if (device->error.code != EXIT_DONE) return;
    for (int64_t row = 0; row < rows; row++) {
      sum->nats += nats[row];
      sum->targets += !mask || mask[first + row];
      if (row_nats) row_nats[first + row] = (float)nats[row];
    }
    if (!training) continue;
    weight_input_gradient(device, weight, rows, d_logits, stride, (char *)d_x + (size_t)first * row_bytes);
    weight_gradient(device, weight, rows, x_tile, d_logits, stride, d_weight, accumulate || first > 0);
  }
}

void cpu_head_loss(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                   const uint8_t *mask, struct loss_sum *sum, float *row_nats, void *d_x, float *d_weight,
                   bool accumulate) {
  head_tiles(device, head, x, targets, mask, sum, row_nats, d_x, d_weight, accumulate);
}

void cpu_head_evaluate(struct device *device, const struct head *head, const void *x, const int32_t *targets,
                       const uint8_t *mask, struct loss_sum *sum, float *row_nats) {
  head_tiles(device, head, x, targets, mask, sum, row_nats, NULL, NULL, false);
}
