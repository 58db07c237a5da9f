// GPTQ (Frantar et al. 2023, arXiv 2210.17323): inputs are rounded one after another, and each error is made up for by
// the weights of the inputs that are yet to be rounded.
#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool run(struct compress_call *call, struct error *error) {
  struct gridded gridded;
  return gridded_make(&gridded, call, weights_representation(call->settings), error) &&
         sweep_call(call, &gridded, SWEEP_INVERSE, NULL, error);
}

static const char *const fields[] = {"format", "bits", "group", "damping", "order", "clip", "range", NULL};
const struct compress_method method_gptq = {
    .name = "gptq",
    .help = "inputs rounded in turn, each error made up for by those that follow",
    .source = "GPTQ 2210.17323",
    .fields = fields,
    .needs_calibration = true,
    .check = check_one_by_one,
    .run = run,
};
