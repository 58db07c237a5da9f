// ELSA (arXiv 2510.01650): the model is trained on with the alternating direction method of multipliers, so that its
// loss is least among sparse weights. The stage trains it (trainer/stages/admm.h); here are its settings, and what it
// left is taken as the result.
#include <string.h>

#include "trainer/compress/internal.h"
#include "trainer/compress/methods.h"

static bool run(struct compress_call *call, struct error *error) {
  const struct compress_layer *layer = call->layer;
  if (!layer->trained)
    return error_set(error, EXIT_USAGE_ERROR,
                     "elsa trains a whole model: a matrix by itself has nothing to be trained on");
  memmove(call->result->represented, layer->trained, (size_t)(layer->outputs * layer->inputs) * sizeof(float));
  return true;
}

static const char *const fields[] = {"sparsity",        "pattern",    "steps",   "lr",     "interval", "lambda",
                                     "lambda_schedule", "projection", "penalty", "memory", NULL};
const struct compress_method method_elsa = {
    .name = "elsa",
    .help = "trained on, with weights drawn to their nearest sparse ones (ADMM)",
    .source = "ELSA 2510.01650",
    .fields = fields,
    .prunes = true,
    .trains = true,
    .check = check_pruning,
    .run = run,
};
