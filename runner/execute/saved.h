// Models on disk that a command line names: a run by its id, a run's folder, a checkpoint, an export.
#pragma once
#include "base/base.h"

struct saved_model {
  const char *config;   // the run's config.json, or an export's isoloss.json
  const char *weights;  // folder of its model.safetensors
  const char *run;      // the run's folder, NULL for an export
};
// The model behind `name`: the newest whole checkpoint of a run (an id in the store, or a folder), else the folder
// itself. In the arena. False with an error that says what was looked for.
bool saved_model_find(const char *name, struct arena *arena, struct saved_model *saved, struct error *error);
