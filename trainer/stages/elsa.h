// The method elsa of the stage compress: the one that trains the model (trainer/stages/admm.h). What it trains by is a
// further training's of as many steps (trainer/stages/tune.h), the order of its data too, so that both see the same.
#pragma once
#include "trainer/compress/compress.h"
#include "trainer/stages/work.h"

// Whether these settings train.
bool compress_stage_trains(const struct run_config *config);
// Turns the resolved configuration of such a run into that of the training that it is.
void compress_stage_training(struct run_config *config);
// Fills compress.lr where it is auto, and checks what the training takes. Errors are about compress.*.
bool elsa_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                  struct error *error);
// Trains the parent's model: `after`, a copy of its values, gets what comes out, with the blocks' matrices sparse.
// False with an error, or with work->stopped, or without either where it diverged, which is
// reported.
bool elsa_train(struct stage_work *work, const struct compress_settings *settings, struct model_values *after,
                struct error *error);
