// The stage evaluate: the model of a chain next to the training that the chain began with, on the same validation
// tokens: loss, KL divergence, agreement of the likeliest tokens, recovery of accuracy, how long greedy decoding stays
// the same. See stage.h for what each function is.
#pragma once
#include "trainer/stages/stage.h"

bool evaluate_stage_skips(const struct run_config *config);
bool evaluate_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                            struct error *error);
double evaluate_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
const char *evaluate_stage_libraries(const struct run_config *config, struct arena *arena);
bool evaluate_stage_work(struct stage_work *work, struct error *error);
