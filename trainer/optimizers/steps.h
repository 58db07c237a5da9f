// What the steps of several optimizers share.
#pragma once
#include "trainer/optimizers/optimizer.h"

// AdamW's numbers by the run's fields, at a multiple of the step's learning rate.
struct adamw optimizer_adamw_numbers(const struct optimizer_step *step, double lr_ratio);
// What momentum has in common whoever uses it; the caller sets its betas.
struct momentum optimizer_momentum_numbers(const struct optimizer_step *step);
