// See network.h.
#include "trainer/tasks/network.h"

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

// ---- memory ----

// Cleared, of the device, which frees it in network_close.
static void *take(struct network *n, size_t bytes, struct error *error) {
  void *memory = n->ops->allocate(n->device, bytes ? bytes : 4, error);
  if (memory) n->ops->clear(n->device, memory, bytes ? bytes : 4);
  return memory;
}

// Arrays begin at multiples of 16 numbers.
static int64_t aligned(int64_t count) { return (count + 15) / 16 * 16; }

static int64_t state_elements(const struct network *n, enum state_extent extent) {
  int64_t elements = 0;
  switch (extent) {
    case STATE_ALL:
      return n->count;
    case STATE_REST:
      return n->rest;
    case STATE_MATRICES:
      for (int i = 0; i + 1 < n->layers; i++)
        elements += aligned(n->optimizer->matrix_state(&n->config, n->sizes[i + 1], n->sizes[i]));
      return elements;
    case STATE_NONE:
      break;
  }
  return 0;
}

static bool take_state(struct network *n, struct error *error) {
  struct optimizer_state state = n->optimizer->state(&n->config);
  int64_t scratch = 0;
  for (int a = 0; a < STATE_ARRAYS; a++) {
    int64_t elements = state_elements(n, state.extent[a]);
    n->state_bytes[a] = elements * 4;
    if (elements && !(n->state[a] = take(n, (size_t)elements * 4, error))) return false;
  }
  float *own = n->state[STATE_OF_MATRICES];
  for (int i = 0; i + 1 < n->layers; i++) {
    int64_t rows = n->sizes[i + 1], columns = n->sizes[i], at = n->weight[i];
    float *m = n->state[STATE_M], *v = n->state[STATE_V];
    struct optimizer_matrix *matrix = &n->matrices[n->matrix_count++];
    *matrix = (struct optimizer_matrix){.tensor = {.parameter = n->parameters + at,
                                                   .gradient = n->gradients + at,
                                                   .direction = n->gradients + at,
                                                   .m = state.extent[STATE_M] == STATE_ALL ? m + at : NULL,
                                                   .v = state.extent[STATE_V] == STATE_ALL ? v + at : NULL,
                                                   .first = at,
                                                   .count = rows * columns,
                                                   .decay = true},
                                        .rows = rows,
                                        .columns = columns};
    if (state.extent[STATE_OF_MATRICES] == STATE_MATRICES) {
      matrix->state = own;
      own += aligned(n->optimizer->matrix_state(&n->config, rows, columns));
    }
    int64_t needs = n->optimizer->matrix_scratch ? n->optimizer->matrix_scratch(&n->config, rows, columns) : 0;
    if (needs > scratch) scratch = needs;
  }
  return (n->scratch = take(n, (size_t)scratch * sizeof(float), error)) != NULL;
}

// The device's own scratch, for what optimizers call.
static bool take_workspace(struct network *n, struct error *error) {
  size_t largest = 0;
  for (int i = 0; i < n->layers; i++) {
    struct op_shape matrix = {.rows = n->sizes[i + 1], .width = n->sizes[i]}, all = {.rows = n->count};
    size_t one = n->ops->workspace_bytes(n->device, OP_ORTHOGONALIZE, &matrix);
    if (one > largest) largest = one;
    one = n->ops->workspace_bytes(n->device, OP_OPTIMIZER, &all);
    if (one > largest) largest = one;
  }
  if (!(n->workspace = take(n, largest, error))) return false;
  n->ops->set_workspace(n->device, n->workspace, largest);
  return true;
}

bool network_open(struct network *n, const int64_t *sizes, int layers, int64_t rows,
                  const struct network_training *training, struct error *error) {
  *n = (struct network){.layers = layers, .rows = rows};
  memcpy(n->sizes, sizes, (size_t)(layers + 1) * sizeof *sizes);
  config_default(&n->config);
  n->config.train.optimizer = training->optimizer;
  n->config.train.weight_decay = training->weight_decay;
  n->config.train.clip_norm = 0;
  n->config.seed = (int64_t)training->seed;
  n->optimizer = optimizer_of(&n->config);
  if (!optimizer_resolve(&n->config, error)) return false;
  struct device_options options = {.threads = training->threads};
  n->ops = ops_find("cpu", error);
  n->device = n->ops ? n->ops->open(&options, error) : NULL;
  if (!n->device) return false;
  for (int i = 0; i < layers; i++) {
    n->bias[i] = n->count;
    n->count += aligned(sizes[i + 1]);
  }
  for (int i = layers - 1; i >= 0; i--) {  // the output's, which is no matrix to the optimizer, comes first
    n->weight[i] = n->count;
    n->count += aligned(sizes[i] * sizes[i + 1]);
    if (i == layers - 1) n->rest = n->count;
  }
  size_t bytes = (size_t)n->count * sizeof(float);
  n->parameters = take(n, bytes, error);
  n->gradients = n->parameters ? take(n, bytes, error) : NULL;
  n->square_sum = n->gradients ? take(n, sizeof(double), error) : NULL;
  if (!n->square_sum) return false;
  for (int i = 1; i <= layers; i++) {
    size_t values = (size_t)(rows * sizes[i]) * sizeof(float);
    if (!(n->values[i] = take(n, values, error)) || !(n->d_values[i] = take(n, values, error))) return false;
  }
  return take_state(n, error) && take_workspace(n, error);
}

void network_close(struct network *n) {
  if (!n->device) return;
  void *const all[] = {n->parameters, n->gradients, n->scratch, n->square_sum, n->workspace};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i]) n->ops->free(n->device, all[i]);
  for (int i = 1; i <= n->layers; i++) {
    if (n->values[i]) n->ops->free(n->device, n->values[i]);
    if (n->d_values[i]) n->ops->free(n->device, n->d_values[i]);
  }
  for (int a = 0; a < STATE_ARRAYS; a++)
    if (n->state[a]) n->ops->free(n->device, n->state[a]);
  n->ops->close(n->device);
  n->device = NULL;
}

// ---- what is set ----

void network_forget(struct network *n) {
  n->step = 0;
  for (int a = 0; a < STATE_ARRAYS; a++)
    if (n->state[a]) n->ops->clear(n->device, n->state[a], (size_t)n->state_bytes[a]);
}

void network_initialise(struct network *n, uint64_t seed) {
  n->ops->clear(n->device, n->parameters, (size_t)n->count * sizeof(float));
  for (int i = 0; i < n->layers; i++)
    n->ops->fill_normal(n->device, n->parameters + n->weight[i], n->sizes[i] * n->sizes[i + 1],
                        sqrt(2.0 / (double)n->sizes[i]), seed, (uint32_t)i);
  network_forget(n);
}

static void apply_mask(const struct network *n, float *values) {
  for (int64_t i = 0; n->mask && i < n->count; i++) values[i] *= n->mask[i];
}

void network_hold(struct network *n, float *mask) {
  n->mask = mask;
  apply_mask(n, n->parameters);
}

// ---- passes ----

static void forward(struct network *n, int64_t rows, const float *x) {
  for (int i = 0; i < n->layers; i++) {
    int64_t outputs = n->sizes[i + 1];
    float *y = n->values[i + 1];
    const float *bias = n->parameters + n->bias[i];
    n->ops->product(n->device, GEMM_NT, rows, outputs, n->sizes[i], i ? n->values[i] : x, n->parameters + n->weight[i],
                    y, false);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < outputs; j++) {
        float value = y[r * outputs + j] + bias[j];
        y[r * outputs + j] = i + 1 < n->layers && value < 0 ? 0 : value;
      }
  }
}

// Of one row of outputs: the loss, whether its class is the largest, and with `d` the gradient times `scale`.
static double row_loss(const float *y, int64_t outputs, int32_t target, float scale, float *d, bool *right) {
  if (outputs == 1) {
    double margin = target ? (double)y[0] : -(double)y[0], exponential = exp(-fabs(margin));
    double wrong = margin > 0 ? exponential / (1 + exponential) : 1 / (1 + exponential);
    *right = margin > 0;
    if (d) d[0] = scale * (float)(target ? -wrong : wrong);
    return log1p(exponential) + (margin < 0 ? -margin : 0);
  }
  int64_t largest = 0;
  double sum = 0;
  for (int64_t j = 1; j < outputs; j++)
    if (y[j] > y[largest]) largest = j;
  for (int64_t j = 0; j < outputs; j++) sum += exp((double)(y[j] - y[largest]));
  for (int64_t j = 0; d && j < outputs; j++)
    d[j] = scale * (float)(exp((double)(y[j] - y[largest])) / sum - (j == target ? 1 : 0));
  *right = largest == target;
  return log(sum) - (double)(y[target] - y[largest]);
}

static double losses(struct network *n, int64_t rows, const int32_t *targets, bool gradients, int64_t *right) {
  int64_t outputs = n->sizes[n->layers], count = 0;
  double sum = 0;
  for (int64_t r = 0; r < rows; r++) {
    bool fine;
    sum += row_loss(n->values[n->layers] + r * outputs, outputs, targets[r], 1 / (float)rows,
                    gradients ? n->d_values[n->layers] + r * outputs : NULL, &fine);
    count += fine;
  }
  if (right) *right = count;
  return sum / (double)rows;
}

double network_evaluate(struct network *n, int64_t rows, const float *x, const int32_t *targets, int64_t *right) {
  double sum = 0;
  int64_t all = 0;
  for (int64_t first = 0; first < rows; first += n->rows) {
    int64_t now = rows - first < n->rows ? rows - first : n->rows, fine;
    forward(n, now, x + first * n->sizes[0]);
    sum += losses(n, now, targets + first, false, &fine) * (double)now;
    all += fine;
  }
  if (right) *right = all;
  return sum / (double)rows;
}

static void backward(struct network *n, int64_t rows, const float *x) {
  for (int i = n->layers - 1; i >= 0; i--) {
    int64_t outputs = n->sizes[i + 1], inputs = n->sizes[i];
    const float *d = n->d_values[i + 1];
    float *d_bias = n->gradients + n->bias[i];
    memset(d_bias, 0, (size_t)outputs * sizeof *d_bias);
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = 0; j < outputs; j++) d_bias[j] += d[r * outputs + j];
    n->ops->product(n->device, GEMM_TN, outputs, inputs, rows, d, i ? n->values[i] : x, n->gradients + n->weight[i],
                    false);
    if (i == 0) break;
    n->ops->product(n->device, GEMM_NN, rows, inputs, outputs, d, n->parameters + n->weight[i], n->d_values[i], false);
    for (int64_t j = 0; j < rows * inputs; j++)
      if (n->values[i][j] <= 0) n->d_values[i][j] = 0;
  }
}

double network_train(struct network *n, int64_t rows, const float *x, const int32_t *targets, double lr) {
  forward(n, rows, x);
  double loss = losses(n, rows, targets, true, NULL);
  backward(n, rows, x);
  apply_mask(n, n->gradients);
  const float *m = n->state[STATE_M], *v = n->state[STATE_V];
  bool all_v = n->state_bytes[STATE_V] == n->count * 4, all_m = n->state_bytes[STATE_M] == n->count * 4;
  struct optimizer_tensor ranges[2];
  for (int i = 0; i < 2; i++) {
    int64_t at = i ? n->rest : 0;
    ranges[i] = (struct optimizer_tensor){.parameter = n->parameters + at,
                                          .gradient = n->gradients + at,
                                          .direction = n->gradients + at,
                                          .m = (void *)(uintptr_t)(m && (all_m || !i) ? m + at : NULL),
                                          .v = (void *)(uintptr_t)(v && (all_v || !i) ? v + at : NULL),
                                          .first = at,
                                          .count = (i ? n->count : n->rest) - at,
                                          .decay = i == 1};
  }
  struct optimizer_step step = {.ops = n->ops,
                                .device = n->device,
                                .config = &n->config,
                                .lr = lr,
                                .step = ++n->step,
                                .square_sum = n->square_sum,
                                .ranges = ranges,
                                .range_count = n->layers > 1 ? 2 : 1,
                                .blocks_range = 1,
                                .matrices = n->matrices,
                                .matrix_count = n->matrix_count,
                                .scratch = n->scratch};
  n->optimizer->step(&step);
  struct error failed = {0};
  if (!n->ops->synchronize(n->device, &failed)) return NAN;  // a failure of the device
  apply_mask(n, n->parameters);
  return loss;
}
