// Gradients that simulated workers send in few levels: no bias, the error that the levels say, bits that depend on
// nothing before the step; and a model whose step takes what arrived.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/fitted_levels.h"
#include "tests/check.h"
#include "trainer/gradient_exchange.h"
#include "trainer/model.h"

enum { WORKERS = 3, COUNT = 240 };

struct bench {
  struct run_config config;
  const struct ops *ops;
  struct device *device;
  struct parameter_tensor tensors[2];
  struct parameter_table table;
  float exact[WORKERS][COUNT], *gradients;
};

static bool open_bench(struct bench *b, const char *way, int64_t levels, int64_t bucket) {
  struct error error = {0};
  *b = (struct bench){.tensors = {{.name = "a", .offset = 0, .count = 200}, {.name = "b", .offset = 200, .count = 40}}};
  config_default(&b->config);
  b->config.seed = 7;
  b->config.train.gradient_compression = way;
  b->config.train.gradient_levels = levels;
  b->config.train.gradient_bucket = bucket;
  b->table = (struct parameter_table){.tensors = b->tensors, .tensor_count = 2, .count = COUNT};
  b->ops = ops_find("cpu", &error);
  b->device = b->ops->open(&(struct device_options){.threads = 1}, &error);
  b->gradients = b->ops->allocate(b->device, sizeof(float) * COUNT, &error);
  for (int w = 0; w < WORKERS; w++)
    for (int i = 0; i < COUNT; i++) {
      double pair[2];  // a tensor of heavy tails, and one that is nearly even
      random_normal_pair(3, RANDOM_STREAM_NOISE, (uint64_t)w, (uint64_t)i, pair);
      b->exact[w][i] = (float)(i < 200 ? pow(pair[0], 3) : 5 + 0.1 * pair[0]);
    }
  return CHECK(b->gradients != NULL);
}

static void close_bench(struct bench *b) {
  b->ops->free(b->device, b->gradients);
  b->ops->close(b->device);
}

// One step of all workers; what arrives is in b->gradients.
static struct gradient_exchange_told exchange(struct bench *b, struct gradient_exchange *e, int64_t step) {
  struct gradient_exchange_told told;
  struct error error = {0};
  for (int w = 0; w < WORKERS; w++) {
    b->ops->upload(b->device, b->gradients, b->exact[w], sizeof b->exact[w]);
    gradient_exchange_send(e, b->ops, b->device, &b->table, b->gradients, w, step);
    for (int i = 0; i < COUNT; i++) CHECK(b->gradients[i] == 0);
  }
  gradient_exchange_receive(e, b->ops, b->device, &b->table, b->gradients);
  CHECK(gradient_exchange_tell(e, &told, &error));
  return told;
}

// Of uniform levels: each worker's summed variance, from its norms, over the squares of the sum.
static double predicted_error(const struct bench *b, const struct levels *levels, int64_t bucket) {
  double variance = 0, squares = 0, u[COUNT];
  for (int w = 0; w < WORKERS; w++)
    for (int t = 0; t < 2; t++)
      for (int64_t at = 0; at < b->tensors[t].count; at += bucket) {
        const float *g = b->exact[w] + b->tensors[t].offset + at;
        int64_t count = b->tensors[t].count - at < bucket ? b->tensors[t].count - at : bucket;
        double norm = 0;
        for (int64_t i = 0; i < count; i++) norm += (double)g[i] * (double)g[i];
        for (int64_t i = 0; i < count; i++) u[i] = fabs((double)g[i]) / sqrt(norm);
        variance += norm * levels_variance(levels, u, (size_t)count);
      }
  for (int i = 0; i < COUNT; i++) {
    double sum = 0;
    for (int w = 0; w < WORKERS; w++) sum += (double)b->exact[w][i];
    squares += sum * sum;
  }
  return variance / squares;
}

static void what_arrives_has_no_bias(void) {
  enum { STEPS = 3000 };
  struct bench b;
  double sums[COUNT] = {0}, squares[COUNT] = {0}, errors = 0;
  if (!open_bench(&b, "uniform", 5, 64)) return;
  struct gradient_exchange *e = gradient_exchange_make(&b.config);
  for (int64_t step = 0; step < STEPS; step++) {
    struct gradient_exchange_told told = exchange(&b, e, step);
    errors += told.error / STEPS;
    // Buckets of 64, 64, 64, 8 and 40 elements: a norm, and symbols of 4 bits for 11 values.
    CHECK(told.bytes == 5 * 4 + (COUNT * 4) / 8);
    for (int i = 0; i < COUNT; i++) {
      double apart = b.gradients[i];
      for (int w = 0; w < WORKERS; w++) apart -= (double)b.exact[w][i];
      sums[i] += apart;
      squares[i] += apart * apart;
    }
  }
  for (int i = 0; i < COUNT; i++) {
    double mean = sums[i] / STEPS, error = sqrt((squares[i] / STEPS - mean * mean) / STEPS);
    CHECK(fabs(mean) <= 4.5 * error + 1e-5);  // of 240 elements
  }
  struct levels levels = levels_uniform(5);
  CHECK_NEAR(errors / predicted_error(&b, &levels, 64), 1, 0.03);
  gradient_exchange_free(e);
  close_bench(&b);
}

// Levels that are fitted err less than fixed ones, those of each tensor least.
static void fitted_levels_err_least(void) {
  static const char *const ways[] = {"layerwise", "fitted", "exponential", "uniform"};
  double errors[4] = {0};
  for (int k = 0; k < 4; k++) {
    struct bench b;
    if (!open_bench(&b, ways[k], 5, 0)) return;
    struct gradient_exchange *e = gradient_exchange_make(&b.config);
    for (int64_t step = 0; step < 300; step++) errors[k] += exchange(&b, e, step).error / 300;
    CHECK(gradient_exchange_bytes(&b.config, COUNT) == 3 * 4 * COUNT);
    gradient_exchange_free(e);
    close_bench(&b);
  }
  CHECK(errors[0] < errors[1] && errors[1] < errors[2] && errors[1] < errors[3]);
}

static void a_step_depends_on_no_other(void) {
  struct bench b;
  float first[COUNT];
  if (!open_bench(&b, "layerwise", 3, 32)) return;
  struct gradient_exchange *whole = gradient_exchange_make(&b.config), *late = gradient_exchange_make(&b.config);
  for (int64_t step = 0; step < 6; step++) exchange(&b, whole, step);
  memcpy(first, b.gradients, sizeof first);
  exchange(&b, late, 5);
  CHECK(memcmp(first, b.gradients, sizeof first) == 0);
  exchange(&b, late, 6);
  CHECK(memcmp(first, b.gradients, sizeof first) != 0);
  gradient_exchange_free(whole);
  gradient_exchange_free(late);
  close_bench(&b);
}

static void without_compression_there_is_none(void) {
  struct run_config config;
  config_default(&config);
  CHECK(gradient_exchange_make(&config) == NULL && gradient_exchange_bytes(&config, 100) == 0);
}

int main(int argc, char **argv) {
  RUN(what_arrives_has_no_bias);
  RUN(fitted_levels_err_least);
  RUN(a_step_depends_on_no_other);
  RUN(without_compression_there_is_none);
  return check_end();
}
