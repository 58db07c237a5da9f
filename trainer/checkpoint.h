// Checkpoints: RUN/checkpoints/step-N/ with the model as Hugging Face has it (model.safetensors, config.json), the
// training state (state.bin) and checksums of all three (checksums.xxh128, written last); docs/checkpoints.md is the
// contract. A checkpoint is made in a folder of another name, synced, and renamed, so that a folder named step-N is
// whole, and what happens to the disk or the process while one is written costs nothing but that one.
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "trainer/model.h"

// What a resumed run needs besides weights and moments. Everything else follows from configuration and step.
struct checkpoint_state {
  int64_t step, tokens, targets;  // done so far
  int64_t log_size;               // bytes of the event log before the checkpoint's own event
  double seconds, train_seconds;  // see `step` in docs/events.md
  struct digest config;           // of configuration, corpus and trainer version: must be the run's
};

// RUN/checkpoints/step-N, relative to the run ("checkpoints/step-120") or under it.
char *checkpoint_name(struct arena *arena, int64_t step);

// Writes a checkpoint of the model. On a failure the run's other checkpoints are as they were.
bool checkpoint_write(struct model *model, const struct checkpoint_state *state, const char *run_folder,
                      struct error *error);

// Steps of the folders named step-N, newest first, in the arena; whether they are whole is not looked at.
bool checkpoint_list(struct arena *arena, const char *run_folder, int64_t **steps, int *count, struct error *error);

// Compares all files with their checksums. False with what is wrong.
bool checkpoint_verify(const char *folder, struct error *error);
// Verifies the checkpoint and loads weights, moments and state. False with what is wrong; the model's values are then
// undefined. EXIT_USAGE_ERROR: damaged, or of another configuration; EXIT_ENVIRONMENT: cannot be read.
bool checkpoint_load(struct model *model, const char *folder, const struct digest *config,
                     struct checkpoint_state *state, struct error *error);
// Loads the weights alone from a folder with a model.safetensors of this shape. Prepares them for the step that it says
// it was written after: what is pruned, and what is drawn, is that step's.
// *step (may be NULL) gets it; 0 where nothing says.
bool checkpoint_load_weights(struct model *model, const char *folder, int64_t *step, struct error *error);

// Removes what a killed worker left half-made or half-removed.
bool checkpoint_clean(const char *run_folder, struct error *error);
// Keeps the newest `keep` checkpoints up to `step`, and removes the older ones; those of the steps `branches` are left
// alone and not counted.
bool checkpoint_prune(const char *run_folder, int64_t step, int64_t keep, const int64_t *branches, size_t branch_count,
                      struct error *error);
// Removes one checkpoint, as if it had never been.
bool checkpoint_remove(const char *run_folder, int64_t step, struct error *error);
