// What errors in one matrix cost a model: alpha_l of the linearity theorem (Malinovskii et al. 2024, arXiv 2411.17525),
// loss' = loss + sum_l alpha_l t_l^2 for small relative errors t_l^2 = ||W' - W||^2 / ||W||^2.
#pragma once
#include "trainer/compress/allocation.h"
#include "trainer/stages/work.h"

// Weights that noise goes into together: a matrix, or rows of one.
struct sensitivity_range {
  int64_t offset, count;  // in the parameters
  uint64_t number;        // of the noise: with the seed and the size's number it keys the noise
};
struct sensitivity_request {
  const char *alpha;  // what rises: the "loss" on calibration tokens, the divergence from the parent's model there
                      // ("kl"), or on random tokens ("kl-random")
  int64_t noises, tokens;
  double largest_noise;
  uint64_t seed;
  const struct sensitivity_range *ranges;
  int64_t count;
};

// Measures all ranges, out [count]: Gaussian noise of `noises` sizes with t^2 evenly spaced up to largest_noise^2 goes
// into one range of the parent's values, once added and once subtracted, so that what is linear in the noise cancels;
// the rise is the mean of both. False with an error, or with work->stopped.
bool measure_sensitivities(struct stage_work *work, const struct model_values *values,
                           const struct sensitivity_request *request, struct sensitivity *out, struct error *error);
// Tokens that go forward for it.
double sensitivity_forward_tokens(const char *alpha, int64_t noises, int64_t tokens, int64_t ranges);
