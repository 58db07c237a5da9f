// The stage compress: a trained model's matrices brought to a weight format. See stage.h for what each function is.
#pragma once
#include "trainer/stages/stage.h"

bool compress_skips(const struct run_config *config);
bool compress_resolve(struct run_config *config, const struct corpus_facts *facts, struct error *error);
bool compress_becomes(struct run_config *config, struct arena *arena, struct error *error);
double compress_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
bool compress_work(struct stage_work *work, struct error *error);
