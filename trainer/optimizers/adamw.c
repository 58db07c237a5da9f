// AdamW (Loshchilov & Hutter 2019) on every parameter; see struct adamw in kernels/ops.h.
#include "trainer/optimizers/steps.h"

static struct optimizer_state state(const struct run_config *config) {
  return (struct optimizer_state){{STATE_ALL, STATE_ALL}};
}

static void step(const struct optimizer_step *s) {
  struct adamw adamw = optimizer_adamw_numbers(s, 1);
  s->ops->adamw_step(s->device, &adamw, s->ranges, s->range_count, s->square_sum);
}

const struct optimizer optimizer_adamw = {
    .name = "adamw",
    .settings = {{"train.beta1", "0.9"}, {"train.beta2", "0.95"}, {"train.adam_eps", "1e-8"}},
    .state = state,
    .step = step};
