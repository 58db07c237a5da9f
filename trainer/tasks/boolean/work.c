// A run of task `boolean`: half of the steps dense, the split, the other half; then the test.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/tasks/boolean/boolean.h"
#include "trainer/tasks/program.h"

enum { STREAM_TRAINING = 37, STREAM_TEST = 38 };

// The two layers of a network as the formula's measures see them, or the other way round.
static struct layer layer_of(const struct network *n) {
  return (struct layer){.neurons = n->sizes[1],
                        .inputs = n->sizes[0],
                        .weights = n->parameters + n->weight[0],
                        .biases = n->parameters + n->bias[0],
                        .outputs = n->parameters + n->weight[1]};
}

// Puts an expanded layer into a network of its size, whose zeros it keeps.
static void fill(struct network *n, const struct layer *l, float output_bias, struct arena *arena) {
  float *mask = arena_array(arena, (size_t)n->count, sizeof *mask);
  struct layer to = layer_of(n);
  memcpy(to.weights, l->weights, (size_t)(l->neurons * l->inputs) * sizeof(float));
  memcpy(to.biases, l->biases, (size_t)l->neurons * sizeof(float));
  memcpy(to.outputs, l->outputs, (size_t)l->neurons * sizeof(float));
  n->parameters[n->bias[1]] = output_bias;
  for (int64_t i = 0; i < n->count; i++) mask[i] = 1;
  for (int64_t i = 0; i < l->neurons * l->inputs; i++) mask[n->weight[0] + i] = l->weights[i] != 0;
  for (int64_t i = 0; i < l->neurons; i++) mask[n->weight[1] + i] = l->outputs[i] != 0;
  network_hold(n, mask);
}

// Steps `from` + 1 to `to`, half a cosine from the peak rate to 0. `x` and `truth` have room for a batch.
static bool train(struct task_run *run, struct network *n, const struct formula *f, int64_t from, int64_t to, float *x,
                  int32_t *truth, struct error *error) {
  const struct boolean *b = run->settings;
  int64_t every = b->steps >= 40 ? b->steps / 40 : 1;
  double sum = 0;
  for (int64_t i = from, counted = 0; i < to; i++) {
    double share = (double)(i - from) / (double)(to - from);
    if (i % 64 == 0 && task_stopped(run)) return false;
    formula_examples(f, STREAM_TRAINING, (uint64_t)i, b->batch, x, truth);
    double loss = network_train(n, b->batch, x, truth, b->lr * 0.5 * (1 + cos(M_PI * share)));
    if (!isfinite(loss)) return task_diverge(run, "the loss is not finite");
    sum += loss;
    counted++;
    if ((i + 1) % every && i + 1 != to) continue;
    if (!task_point(run, i + 1, (double)((i + 1) * b->batch), sum / (double)counted, error)) return false;
    sum = 0;
    counted = 0;
  }
  return true;
}

static bool test(struct task_run *run, struct network *n, const struct formula *f, float *x, int32_t *truth) {
  const struct boolean *b = run->settings;
  int64_t all = 0, blocks = (b->test_samples + b->batch - 1) / b->batch, right;
  double sum = 0;
  for (int64_t i = 0; i < blocks; i++) {
    if (task_stopped(run)) return false;
    formula_examples(f, STREAM_TEST, (uint64_t)i, b->batch, x, truth);
    sum += network_evaluate(n, b->batch, x, truth, &right);
    all += right;
  }
  run->loss = sum / (double)blocks;
  task_report(run, "accuracy", (double)all / (double)(blocks * b->batch));
  return true;
}

static void measure(struct task_run *run, const struct network *n, const struct formula *f) {
  struct layer layer = layer_of(n);
  struct channels c = channels_measure(&layer, f, run->seed, &run->arena);
  task_report(run, "nnz", (double)layer_weights(&layer));
  task_report(run, "feature_capacity", c.feature_capacity);
  task_report(run, "neuron_cosine", c.neuron_cosine);
  task_report(run, "code_within", c.code_within);
  task_report(run, "code_between", c.code_between);
  task_report(run, "sign_within", c.sign_within);
  task_report(run, "sign_between", c.sign_between);
  task_report(run, "sign_p", c.sign_p);
  task_report(run, "decoded_signs", c.decoded_signs);
  task_report(run, "decoded_pairs", c.decoded_pairs);
  task_report(run, "decoded_clauses", c.decoded_clauses);
}

bool boolean_work(struct task_run *run, struct error *error) {
  const struct boolean *b = run->settings;
  struct network dense = {0}, wide = {0}, *n = &dense;
  struct network_training training = {b->optimizer, b->weight_decay, run->seed, run->threads};
  struct formula f = formula_plant(b, run->seed, &run->arena);
  bool splits = strcmp(b->expand, "none") != 0;
  int64_t sizes[3] = {f.variables, b->hidden * (strcmp(b->control, "dense_2x") == 0 ? 2 : 1), 1};
  float *x = arena_array(&run->arena, (size_t)(b->batch * f.variables), sizeof *x);
  int32_t *truth = arena_array(&run->arena, (size_t)b->batch, sizeof *truth);
  bool fine = network_open(&dense, sizes, 2, b->batch, &training, error);
  if (fine) network_initialise(&dense, run->seed);
  fine = fine && train(run, &dense, &f, 0, b->steps / 2, x, truth, error);
  if (fine && splits) {
    struct layer before = layer_of(&dense),
                 after = layer_expand(&before, &f, b->expand, b->alpha, run->seed, &run->arena);
    sizes[1] *= b->alpha;
    n = &wide;
    fine = network_open(&wide, sizes, 2, b->batch, &training, error);
    if (fine) fill(&wide, &after, dense.parameters[dense.bias[1]], &run->arena);
  }
  if (fine) network_forget(n);  // the second half begins alike for all
  fine = fine && train(run, n, &f, b->steps / 2, b->steps, x, truth, error) && test(run, n, &f, x, truth);
  if (fine) measure(run, n, &f);
  network_close(&dense);
  network_close(&wide);
  return fine;
}
