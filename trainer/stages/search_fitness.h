// What a candidate of a search is worth: how far its predictions are from those of the model before it, or its loss, on
// the first tokens of an order of the training split (that of calibration). Less is better.
#pragma once
#include "trainer/stages/work.h"

struct fitness;

// Goes over `tokens` tokens, rounded up to whole windows, once with the parent's model (of `values`, in the parent's
// format), whose predictions are kept: 4 bytes a token and a symbol, or 8 a token and each of search.top; nothing for
// the loss. NULL on error, or with work->stopped. To be freed.
struct fitness *fitness_make(struct stage_work *work, const struct model_values *values, int64_t tokens,
                             struct error *error);
// Nats a target on the first `tokens` tokens, at most those above: mean KL divergence from the parent's model, its
// coarser one (search.fitness top_kl: the parent's search.top likeliest symbols, and all others as one), or the loss.
// NAN where the model is not finite. `values` are a whole model's of the parent's shape. False with an error, or with
// work->stopped.
bool fitness_of(struct fitness *fitness, const struct model_values *values, int64_t tokens, double *worth,
                struct error *error);
int64_t fitness_tokens(const struct fitness *fitness);  // that have gone forward so far, through either model
void fitness_free(struct fitness *fitness);             // NULL is fine
// Bytes that would be kept of the parent's predictions.
double fitness_bytes(const struct run_config *config, int64_t tokens);
