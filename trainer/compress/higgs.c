// HIGGS (Malinovskii et al. 2024, arXiv 2411.17525), data-free: random signs and a Hadamard transform make a group of
// weights nearly Gaussian, whatever they were; scaled by its root mean square it is rounded to the points of a grid
// that is best for Gaussian data. Its error is the grid's.
#include <math.h>

#include "kernels/bfloat16.h"
#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool check(const struct compress_settings *settings, struct error *error) {
  struct grid grid;
  if (higgs_grid((int)settings->p, (int)settings->n, &grid)) return true;
  error_set(
      error, EXIT_USAGE_ERROR,
      "there is no grid of n = %lld points in p = %lld dimensions (p = 1: n 2, 4, 8, 16; p = 2: n 4, 16, 64, 256; "
      "p = 4: n 16, 256)",
      (long long)settings->n, (long long)settings->p);
  return error_about(error, "n", "p", NULL);
}

static bool run(struct compress_call *call, struct error *error) {
  struct representation representation = resolved_representation(call->settings, call->layer->inputs);
  struct gridded gridded;
  if (!gridded_make(&gridded, call, &representation, error)) return false;
  // Scales are stored in 16 bits.
  for (int64_t i = 0; i < gridded.outputs * gridded.units; i++)
    gridded.scales[i] = fmaxf(bfloat16_value(bfloat16_nearest(gridded.scales[i])), 1e-30f);
  return sweep_call(call, &gridded, SWEEP_PLAIN, NULL, error);
}

static const char *const fields[] = {"p", "n", "group", NULL};
const struct compress_method method_higgs = {
    .name = "higgs",
    .help = "random signs, Hadamard, and the points of a grid that is best for Gaussian data",
    .source = "HIGGS 2411.17525",
    .fields = fields,
    .check = check,
    .run = run,
};
