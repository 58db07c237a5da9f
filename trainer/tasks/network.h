// A multilayer perceptron for tasks: the products and the optimizers of the trainer (kernels/ops.h,
// trainer/optimizers), on the CPU, whose device memory the host may read.
#pragma once
#include "kernels/ops.h"
#include "trainer/optimizers/optimizer.h"

enum { NETWORK_LAYERS = 4 };  // at most: matrices, the output's included

// What trains it.
struct network_training {
  const char *optimizer;  // a word of train.optimizer, with its own defaults
  double weight_decay;    // of the matrices but the output's
  uint64_t seed;
  int threads;
};

struct network {
  const struct ops *ops;
  struct device *device;
  struct run_config config;  // what the optimizer reads
  const struct optimizer *optimizer;
  int layers;                         // matrices
  int64_t sizes[NETWORK_LAYERS + 1];  // inputs, hidden ..., outputs
  int64_t rows;                       // of a batch, at most
  int64_t weight[NETWORK_LAYERS];     // offsets of W [outputs, inputs] in `parameters`
  int64_t bias[NETWORK_LAYERS];
  int64_t rest, count;  // [0, rest): biases and the output's matrix; [rest, count): the other matrices
  float *parameters, *gradients;
  float *mask;                        // 0 where a parameter is held at 0, else 1; NULL: none is
  float *values[NETWORK_LAYERS + 1];  // [rows, sizes[i]]; [0] is the caller's
  float *d_values[NETWORK_LAYERS + 1];
  void *state[STATE_ARRAYS];
  int64_t state_bytes[STATE_ARRAYS];
  struct optimizer_matrix matrices[NETWORK_LAYERS];
  int matrix_count;
  float *scratch;
  void *workspace;
  double *square_sum;
  int64_t step;  // of the optimizer, since network_forget
};

// Layers of ReLU with biases, the last one linear. False with an error when the device or memory cannot be had;
// network_close in either case.
bool network_open(struct network *network, const int64_t *sizes, int layers, int64_t rows,
                  const struct network_training *training, struct error *error);
void network_close(struct network *network);
// Weights from N(0, 2 / inputs) (He et al. 2015), biases 0; the optimizer begins anew.
void network_initialise(struct network *network, uint64_t seed);
void network_forget(struct network *network);  // the optimizer's state
// Holds parameters at 0 where `mask` [count] is 0, from now on; `mask` is the caller's and lasts as long.
void network_hold(struct network *network, float *mask);

// Mean loss in nats of rows x [rows, inputs] against targets: of one output logistic, 0 or 1; of several softmax, a
// number below their count. *right (may be NULL): how many are classified so.
double network_evaluate(struct network *network, int64_t rows, const float *x, const int32_t *targets, int64_t *right);
// One step on the batch. Returns the mean loss before it; NAN where the device failed.
double network_train(struct network *network, int64_t rows, const float *x, const int32_t *targets, double lr);
