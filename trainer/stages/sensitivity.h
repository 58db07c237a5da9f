// What errors in one matrix cost a model: alpha_l of the linearity theorem (Malinovskii et al. 2024, arXiv 2411.17525),
// loss' = loss + sum_l alpha_l t_l^2 for small relative errors t_l^2 = ||W' - W||^2 / ||W||^2.
#pragma once
#include "trainer/compress/allocation.h"
#include "trainer/stages/work.h"

// Measures all matrices of all blocks, out [layers * MATRIX_HEAD], as compress.allocate of the run asks: Gaussian noise
// of `noises` sizes with t^2 evenly spaced up to largest_noise^2 goes into one matrix of the parent's values, once
// added and once subtracted, so that what is linear in the noise cancels; the rise is the mean of both. It is that of
// the loss on calibration tokens, or the KL divergence from the parent's model there or on random tokens. False with an
// error, or with work->stopped. The noise depends on the run's seed, the matrix and the size alone.
bool measure_sensitivities(struct stage_work *work, const struct model_values *values, struct sensitivity *out,
                           struct error *error);
