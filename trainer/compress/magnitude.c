// Pruning by magnitude in one shot: the smallest weights of a matrix, or of every M neighbours, become 0; the others
// stay, or are rounded to a format.
#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool run(struct compress_call *call, struct error *error) {
  struct representation representation = resolved_representation(call->settings, call->layer->inputs);
  return represent_matrix(call, &representation, call->result->represented, error);
}

static const char *const fields[] = {"sparsity", "pattern", "format", "bits", "group", NULL};
const struct compress_method method_magnitude = {
    .name = "magnitude",
    .help = "the smallest weights become 0",
    .source = "",
    .fields = fields,
    .prunes = true,
    .check = check_pruning,
    .run = run,
};
