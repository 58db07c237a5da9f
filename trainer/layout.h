// Where a model's device memory goes: the same arithmetic sizes a plan and places a model's pointers, so that the two
// cannot disagree.
#pragma once
#include "trainer/model.h"

extern const char *const recompute_words[RECOMPUTES];  // of train.recompute, each with less memory and more work
enum recompute recompute_find(const char *name);

// The matrices of block `layer`, and the head, as the kernels want them described.
enum model_matrix { MATRIX_QKV, MATRIX_OUTPUT, MATRIX_GATE_UP, MATRIX_DOWN, MATRIX_HEAD };
struct weight_description layout_weight(const struct run_config *config, enum model_matrix which, int64_t layer);
// Where such a matrix starts in the parameters.
int64_t layout_weight_offset(const struct parameter_table *table, enum model_matrix which, int64_t layer);

// Evaluations take as many whole sequences at a time as so many tokens hold, at least one, whatever the training's
// batch and accumulation are, so that a loss is the same to the bit.
enum { EVALUATION_TOKENS = 4096 };
// Tokens of a micro-batch or of an evaluation's batch, and attention's shape for them; tokens of the host's batch.
int64_t layout_rows(const struct run_config *config, enum model_use use);
int64_t layout_host_tokens(const struct run_config *config, enum model_use use);
struct attention layout_attention(const struct run_config *config, int64_t rows);

// Places the activations in the model's memory for them, which has layout_activation_bytes: enough for either use where
// the model trains.
void layout_activations(struct model *model, enum model_use use);
int64_t layout_activation_bytes(const struct ops *ops, const struct device *device, const struct run_config *config,
                                enum model_use use);
// Bytes of all prepared weights, each rounded up to DEVICE_ALIGNMENT.
int64_t layout_prepared_bytes(const struct ops *ops, const struct device *device, const struct run_config *config);
int64_t layout_align(int64_t bytes);

// Asks the device whether it takes every shape of the model; and for the largest scratch of any of them.
bool layout_supported(const struct ops *ops, const struct device *device, const struct run_config *config,
                      struct error *error);
enum dtype layout_master(const struct run_config *config);  // type of the matrices' master weights
int64_t layout_parameter_bytes(const struct run_config *config);
int64_t layout_workspace_bytes(const struct ops *ops, const struct device *device, const struct run_config *config,
                               enum model_use use);

// The configuration as it holds before a format that begins later does: in full precision.
struct run_config layout_before_format(const struct run_config *config);
// Of a format that begins later, what either phase needs.
struct memory_plan layout_memory(const struct ops *ops, const struct device *device, const struct run_config *config,
                                 enum model_use use);
