// Stochastic gradient descent with momentum, heavy-ball or Nesterov's, as PyTorch's SGD has it without dampening, but
// with decoupled decay; see struct momentum in kernels/ops.h. Without momentum it keeps no state.
#include <string.h>

#include "trainer/optimizers/steps.h"

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{config->train.momentum > 0 ? STATE_ALL : STATE_NONE, STATE_NONE}};
}

static void step(const struct optimizer_step *s) {
  struct momentum momentum = optimizer_momentum_numbers(s);
  momentum.beta1 = s->config->train.momentum;
  momentum.share1 = 1;
  momentum.nesterov = strcmp(s->config->train.momentum_form, "nesterov") == 0;
  s->ops->momentum_step(s->device, &momentum, s->ranges, s->range_count, s->square_sum);
}

const struct optimizer optimizer_sgd = {.name = "sgd",
                                        .settings = {{"train.momentum", "0.9"}, {"train.momentum_form", "heavy-ball"}},
                                        .state = state,
                                        .step = step};
