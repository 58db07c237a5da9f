// The brief training of a candidate before it is judged (DarwinLM, arXiv 2502.07780): all candidates on the same data,
// by the training's optimizer and batches, at a constant rate, from moments of 0. What it leaves is judged and thrown
// away.
#pragma once
#include "trainer/stages/work.h"

struct finetuning;

// Whether a candidate of this configuration can be trained so: the training of search.finetune_tokens, as a further
// training of the model. Fills search.finetune_lr. False with an error about the fields at fault.
bool finetune_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                      struct error *error);
// Updates that `tokens` of training are, at least one; 0 of 0.
int64_t finetune_steps(const struct run_config *config, double tokens);

// Makes the model that candidates are trained in. NULL on error. To be freed before the stage's device is closed.
struct finetuning *finetune_make(struct stage_work *work, struct error *error);
// Trains `values`, in place, by so many updates. *finite: false where it diverged. False with an error, or with
// work->stopped.
bool finetune_run(struct finetuning *finetuning, struct model_values *values, int64_t steps, bool *finite,
                  struct error *error);
void finetune_free(struct finetuning *finetuning);  // NULL is fine
