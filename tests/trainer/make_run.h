// Runs for tests: a folder with a config.json, as the runner writes it, on a synthetic source.
#pragma once
#include "trainer/data/corpus.h"
#include "trainer/trainer.h"

// Writes FOLDER/config.json from "path=value" pairs over the defaults, resolved in float32 with the facts of the corpus
// that they name (which must be prepared, or synthetic).
bool make_run(const char *folder, int count, char *const *pairs, struct error *error);
