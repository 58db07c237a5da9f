// SparseGPT (Frantar & Alistarh 2023, arXiv 2301.00774): weights of least cost in the layer's outputs become 0, input
// by input, and what follows makes up for them; the others stay, or are rounded on the way.
#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool run(struct compress_call *call, struct error *error) {
  const struct representation *rounded = weights_representation(call->settings);
  struct pruning pruning = pruning_of(call->settings, call->layer);
  struct gridded gridded;
  if (rounded && !gridded_make(&gridded, call, rounded, error)) return false;
  return sweep_call(call, rounded ? &gridded : NULL, SWEEP_INVERSE, &pruning, error);
}

static const char *const fields[] = {"sparsity", "pattern", "format", "bits", "group", "damping", NULL};
const struct compress_method method_sparsegpt = {
    .name = "sparsegpt",
    .help = "the weights that cost least become 0, and those that follow make up for them",
    .source = "SparseGPT 2301.00774",
    .fields = fields,
    .needs_calibration = true,
    .prunes = true,
    .check = check_pruning,
    .run = run,
};
