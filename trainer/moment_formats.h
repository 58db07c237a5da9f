// Moments in few bits, simulated: after each step the moments of the blocks' matrices become what a format represents
// of them (train.first_moment, train.second_moment), and the next step goes on from these. They are kept in float32,
// and so are embeddings, norms and the head, as published 8-bit optimizers keep them (Dettmers et al. 2022, arXiv
// 2110.02861). Of second moments the root is represented: half the range of exponents, and no value of 0 on a grid
// without one (a second moment of 0 was found to be what harms 4-bit states: Li et al. 2023, arXiv 2309.01507). On the
// host, whatever the device. Draws of a format that rounds at random are of (seed, step, matrix), so that a run that
// was interrupted ends in the same bits.
#pragma once
#include "kernels/ops.h"
#include "trainer/config.h"
#include "trainer/parameters.h"

struct moment_formats;

// NULL for a configuration without such formats. The configuration is resolved and lives as long.
struct moment_formats *moment_formats_make(const struct run_config *config);
void moment_formats_free(struct moment_formats *formats);  // NULL is fine
// Bytes of the machine's memory that it takes, for the largest matrix.
int64_t moment_formats_bytes(const struct run_config *config);

// m and v: device memory laid out by the table, in float32; `step` counts from 0. An error is kept until it is asked
// for.
void moment_formats_apply(struct moment_formats *formats, const struct ops *ops, struct device *device,
                          const struct parameter_table *table, float *m, float *v, int64_t step);

// Of the last step: squared error of what is represented over the squares, of all matrices together (NAN: not
// represented, or all 0; of second moments, not of their roots), and stored bits an element, scales included. False
// with the error that there was on the way.
struct moment_formats_result {
  double first_error, second_error, first_bits, second_bits;
};
bool moment_formats_result(const struct moment_formats *formats, struct moment_formats_result *result,
                           struct error *error);
