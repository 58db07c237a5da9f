// The root of a chain that begins with a folder instead of a training: its model becomes a run of its own, with a
// checkpoint that later stages read and a loss that they are held against.
#pragma once
#include "trainer/stages/stage.h"

bool from_stage_skips(const struct run_config *config);
bool from_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                        struct error *error);
double from_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
bool from_stage_work(struct stage_work *work, struct error *error);
