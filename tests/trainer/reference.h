// The decoder once more, in double precision and written for reading: what the trainer's model is compared with.
#pragma once
#include "trainer/model.h"
#include "trainer/parameters.h"

// Mean cross-entropy of the unmasked targets, over batch->rows tokens in sequences of config->model.context, and its
// gradient with respect to every parameter (added to `gradients`; NULL: the loss alone). Parameters and gradients are
// in the table's order.
double reference_loss(const struct run_config *config, const struct parameter_table *table, const double *parameters,
                      const struct token_batch *batch, double *gradients);
