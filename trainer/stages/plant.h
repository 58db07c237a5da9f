// The stage plant_outliers, for tests of formats: some input channels of every matrix of a block are made larger by a
// gain, and the weights that read them smaller by it, so that the model is the same function with activations that have
// outliers. Trained models of this size have few. See stage.h for what each function is.
//
// Into query, key and value, and into gate and up, the gain goes into the norm's weights; into the attention's output
// into rows of the values' projection; into down into rows of up. Of a model that computes in full precision the loss
// stays what it was but for rounding, and to the bit where the gain is a power of two.
#pragma once
#include "trainer/stages/stage.h"

extern const char *const plant_stage_needs[];
bool plant_stage_skips(const struct run_config *config);
bool plant_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                         struct error *error);
double plant_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
bool plant_stage_work(struct stage_work *work, struct error *error);
