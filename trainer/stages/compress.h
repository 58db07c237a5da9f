// The stage compress: a trained model's matrices brought to a weight format, or pruned, by a method of
// trainer/compress/. See stage.h for what each function is.
#pragma once
#include "trainer/compress/compress.h"
#include "trainer/stages/stage.h"

bool compress_stage_skips(const struct run_config *config);
bool compress_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                            struct error *error);
bool compress_stage_becomes(struct run_config *config, struct arena *arena, struct error *error);
double compress_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts);
const char *compress_stage_libraries(const struct run_config *config, struct arena *arena);
bool compress_stage_work(struct stage_work *work, struct error *error);

// The settings that a configuration gives its method, resolved; in the arena. False with an error about the fields at
// fault: a setting that the method does not read is one.
bool compress_settings_of(const struct run_config *config, struct compress_settings *settings, struct arena *arena,
                          struct error *error);
