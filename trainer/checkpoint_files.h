// The files of a checkpoint, each written with its checksum and synced, and read back; used by trainer/checkpoint.c.
#pragma once
#include "trainer/checkpoint.h"

// The weights as a safetensors file with Hugging Face's names: float32, or BF16 for matrices whose masters are
// bfloat16, in the order of the table.
bool model_file_write(struct arena *arena, struct model *model, const char *path, struct digest *digest,
                      struct error *error);
// The same for any values laid out as the parameters are (device memory), with matrices of this type.
bool tensor_file_write(struct arena *arena, struct model *model, const void *values, enum dtype matrices,
                       const char *path, struct digest *digest, struct error *error);
// Reads such a file: every tensor of the model must be there in its shape, and nothing else.
bool model_file_read(struct arena *arena, struct model *model, const char *path, struct error *error);

// Hugging Face's config.json for LlamaForCausalLM.
bool model_config_write(struct arena *arena, const struct model *model, const char *path, struct digest *digest,
                        struct error *error);

// The training state: a header of 160 bytes, then both moments as they stand in memory.
bool state_file_write(struct arena *arena, struct model *model, const struct checkpoint_state *state, const char *path,
                      struct digest *digest, struct error *error);
bool state_file_read(struct arena *arena, struct model *model, const char *path, const struct digest *config,
                     struct checkpoint_state *state, struct error *error);
