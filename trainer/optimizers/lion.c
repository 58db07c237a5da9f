// Lion (Chen et al. 2023, algorithm 2): the sign of a mean of the gradient, which is of another decay than the moment
// that is kept; see struct momentum in kernels/ops.h. Every element moves by the learning rate, so that it wants one
// several times smaller than AdamW's and a decay as many times larger.
#include "trainer/optimizers/steps.h"

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_NONE}};
}

static void step(const struct optimizer_step *s) {
  struct momentum momentum = optimizer_momentum_numbers(s);
  momentum.beta1 = s->config->train.beta1;
  momentum.share1 = 1 - s->config->train.beta1;
  momentum.beta2 = s->config->train.beta2;
  momentum.sign = true;
  s->ops->momentum_step(s->device, &momentum, s->ranges, s->range_count, s->square_sum);
}

const struct optimizer optimizer_lion = {
    .name = "lion", .settings = {{"train.beta1", "0.9"}, {"train.beta2", "0.99"}}, .state = state, .step = step};
