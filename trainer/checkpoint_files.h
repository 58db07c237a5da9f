// The files of a checkpoint, each written with its checksum and synced, and read back; used by trainer/checkpoint.c, by
// exports and by dumps of gradients.
#pragma once
#include "trainer/checkpoint.h"

#define MODEL_FILE "model.safetensors"
#define SCALES_FILE "format_scales.st"  // no name that readers of Hugging Face's folders look into
#define CONFIG_FILE "config.json"
#define STATE_FILE "state.bin"

// What the files of a model say of where it comes from: config.json under "isoloss", safetensors in their metadata.
struct model_stamp {
  const char *run;      // its id; NULL: none
  const char *format;   // canonical name
  const char *weights;  // WEIGHTS_MASTERS or WEIGHTS_REPRESENTED
  const char *dtype;    // of the run's products
  int64_t step;         // optimizer steps done
  int64_t end_token;    // -1: none
};
#define WEIGHTS_MASTERS "masters"          // what the optimizer moves
#define WEIGHTS_REPRESENTED "represented"  // by the format, as the forward products take them
// Of a model's masters after so many steps.
struct model_stamp model_stamp(const struct model *model, int64_t step, struct arena *arena);

// The weights as a safetensors file with Hugging Face's names: float32, or BF16 for matrices whose masters are
// bfloat16, in the order of the table. A format's learned scales stand in SCALES_FILE, which is written (and whose
// digest is set) where there are any: what converts Hugging Face's folders knows no such tensors.
bool model_files_write(struct arena *arena, struct model *model, const struct model_stamp *stamp, const char *folder,
                       struct digest digests[2], struct error *error);
// The same for any values laid out as the parameters are, to one file.
enum tensor_part { PART_ALL, PART_WEIGHTS, PART_SCALES };
struct tensor_source {
  const void *values;   // device memory
  enum dtype matrices;  // their type
  enum tensor_part part;
};
bool tensor_file_write(struct arena *arena, struct model *model, const struct tensor_source *source,
                       const struct model_stamp *stamp, const char *path, struct digest *digest, struct error *error);
// Reads such files: every tensor of the model must be there in its shape, and nothing else. Scales may stand among the
// weights, as they once did. *step (may be NULL): steps done, 0 where nothing says.
bool model_files_read(struct arena *arena, struct model *model, const char *folder, int64_t *step, struct error *error);

// Hugging Face's config.json for LlamaForCausalLM (hugging_face.c).
bool model_config_write(const struct model *model, const struct model_stamp *stamp, const char *path,
                        struct digest *digest, struct error *error);

// A text as a file, synced.
bool text_file_write(const struct text *text, const char *path, struct digest *digest, struct error *error);

// The training state: a header of 160 bytes, then both moments as they stand in memory.
bool state_file_write(struct arena *arena, struct model *model, const struct checkpoint_state *state, const char *path,
                      struct digest *digest, struct error *error);
bool state_file_read(struct arena *arena, struct model *model, const char *path, const struct digest *config,
                     struct checkpoint_state *state, struct error *error);
int64_t state_file_step(const char *path);  // steps done; 0 when it is no such file
