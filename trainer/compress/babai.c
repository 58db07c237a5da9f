// Babai's nearest plane (Babai 1986) on the lattice of a layer's Hessian: from the last coordinate of a Cholesky factor
// to the first. The same integers as GPTQ in the reversed order (Chen et al. 2025, arXiv 2507.18553), by other sums.
#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool run(struct compress_call *call, struct error *error) {
  struct gridded gridded;
  return gridded_make(&gridded, call, weights_representation(call->settings), error) &&
         sweep_call(call, &gridded, SWEEP_NEAREST_PLANE, NULL, error);
}

static const char *const fields[] = {"format", "bits", "group", "damping", "order", "clip", "range", NULL};
const struct compress_method method_babai = {
    .name = "babai",
    .help = "the nearest plane of the Hessian's lattice, from the last input to the first",
    .source = "GPTQ as Babai 2507.18553",
    .fields = fields,
    .needs_calibration = true,
    .check = check_one_by_one,
    .run = run,
};
