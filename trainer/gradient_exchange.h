// Data parallelism simulated: each micro-batch of a step is one worker's, and what the workers send each other are its
// gradients in few levels (train.gradient_compression; kernels/formats/fitted_levels.h). The step goes on with the sum
// of what arrives. On the host, whatever the device.
//
// Nothing is kept from step to step: levels are fitted anew at each, to a sample of the first worker's gradients, and
// all draws are of (seed, step, worker, element), so that a run that was interrupted ends in the same bits.
#pragma once
#include "kernels/ops.h"
#include "trainer/config.h"
#include "trainer/parameters.h"

struct gradient_exchange;

// Bytes of the machine's memory that it takes for `count` parameters; 0 of a configuration without compression.
int64_t gradient_exchange_bytes(const struct run_config *config, int64_t count);
// NULL for a configuration without compression.
struct gradient_exchange *gradient_exchange_make(const struct run_config *config);
void gradient_exchange_free(struct gradient_exchange *exchange);  // NULL is fine

// What a worker (from 0) has summed in `gradients`, device memory laid out by the table, is sent; cleared for the next
// worker. `step` counts from 0.
void gradient_exchange_send(struct gradient_exchange *exchange, const struct ops *ops, struct device *device,
                            const struct parameter_table *table, float *gradients, int64_t worker, int64_t step);
// The sum of what arrived from the workers since the step's first, in place of `gradients`.
void gradient_exchange_receive(struct gradient_exchange *exchange, const struct ops *ops, struct device *device,
                               const struct parameter_table *table, float *gradients);

// Of the last step: squared error of that sum over the exact sum's squares (NAN where that is 0), and the bytes that
// one worker sent, fitted levels included. False with the error that a device had on the way.
struct gradient_exchange_told {
  double error, bytes;
};
bool gradient_exchange_tell(const struct gradient_exchange *exchange, struct gradient_exchange_told *told,
                            struct error *error);
