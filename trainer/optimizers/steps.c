// See steps.h.
#include "trainer/optimizers/steps.h"

#include <string.h>

static bool rounds_stochastically(const struct run_config *config) {
  return strcmp(config->train.optimizer_rounding, "stochastic") == 0;
}

struct adamw optimizer_adamw_numbers(const struct optimizer_step *step, double lr_ratio) {
  const struct run_config *c = step->config;
  return (struct adamw){.lr = step->lr * lr_ratio,
                        .beta1 = c->train.beta1,
                        .beta2 = c->train.beta2,
                        .eps = c->train.adam_eps,
                        .weight_decay = c->train.weight_decay,
                        .step = step->step,
                        .gradient_scale = 1,
                        .clip_norm = c->train.clip_norm,
                        .stochastic = rounds_stochastically(c),
                        .seed = (uint64_t)c->seed};
}

struct momentum optimizer_momentum_numbers(const struct optimizer_step *step) {
  const struct run_config *c = step->config;
  return (struct momentum){.lr = step->lr,
                           .weight_decay = c->train.weight_decay,
                           .step = step->step,
                           .gradient_scale = 1,
                           .clip_norm = c->train.clip_norm,
                           .stochastic = rounds_stochastically(c),
                           .seed = (uint64_t)c->seed};
}
