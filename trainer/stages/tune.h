// The stage `train` of a spec: the parent's model is trained on, with other tokens, corpus, rate, schedule or format
// (fine-tuning, a quantization-aware finish, recovery after compression). Its fields and rows are called tune, since
// `train` is what trainings have. The training loop itself does the work (trainer/train.c): checkpoints, resumption and
// events are a training's. See stage.h for what each function is; docs/stages.md is the manual.
//
// It starts from the parent's checkpoint as it stands: the master weights of a training in a format, the represented
// values of a compression; learned scales are kept where both formats have them, and moments begin at 0. Or, with
// tune.weights initial, it is a first training on selected data: what comes before it served the selection alone.
#pragma once
#include "trainer/stages/stage.h"

extern const char *const tune_stage_needs[];
bool tune_stage_skips(const struct run_config *config);
bool tune_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                        struct error *error);
void tune_stage_training(struct run_config *config);
bool tune_stage_becomes(struct run_config *config, struct arena *arena, struct error *error);
double tune_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
// Whether the weights are initial ones, not the parent's.
bool tune_stage_begins(const struct run_config *config);
// Whether a run has been compressed and then trained on, in this order.
bool tune_stage_is_after_compress(const struct run_config *config);
// The seed by which a training draws its batches: of a further training another than of a training with the same seed,
// so that it does not begin with the same tokens.
uint64_t tune_data_seed(const struct run_config *training);
