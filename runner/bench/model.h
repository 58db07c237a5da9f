// A model that trains on noise, with every call of its steps timed.
#pragma once
#include "runner/bench/bench.h"
#include "runner/bench/products.h"
#include "runner/bench/profile.h"
#include "trainer/model.h"

struct bench_model {
  struct bench *bench;
  const struct run_config *config;
  struct bench_profile profile;
  struct model *model;
  struct bench_products products;  // of its step
  int32_t *tokens;                 // inputs, then targets
  int64_t steps;
};

// Makes the model and the operands of its products, and runs each once: the first time makes caches. What was made is
// released by bench_model_close in any case.
bool bench_model_open(struct bench_model *m, struct bench *bench, const struct run_config *config, struct error *error);
void bench_model_close(struct bench_model *m);
// One whole training step, results read. Seconds by the bench's clock and by the wall's (either may be NULL).
bool bench_model_step(struct bench_model *m, double *seconds, double *wall, struct error *error);
double bench_model_flops(const struct bench_model *m);  // of a step's strictly necessary products
