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
// The same, not resolved; where bits are allocated, without them.
bool compress_settings_read(const struct run_config *config, struct compress_settings *settings, struct arena *arena,
                            struct error *error);
// A matrix of these values as trainer/compress/ takes it, with its Hessian where the calibration has any; the values'
// and the calibration's.
struct calibration;
struct model_values;
struct compress_layer compress_matrix_of(struct stage_work *work, const struct model_values *values,
                                         struct calibration *calibration, int64_t layer, int which);
const char *compress_matrix_name(int which);  // "mlp.down_proj", of enum model_matrix
// Makes an error of trainer/compress/, which is about its own fields, one about the stage's. Always false.
bool compress_about_stage(struct error *error);
// Whether every matrix of a block can be compressed so; the configuration's calibration tokens are known.
bool compress_check_matrices(const struct run_config *config, const struct compress_settings *settings,
                             struct error *error);
