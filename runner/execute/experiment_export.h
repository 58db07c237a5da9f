// An experiment as one file for other programs.
#pragma once
#include "base/base.h"
#include "results/store.h"

// True when such a file is meant by the path: it ends in .db, .csv or .jsonl.
bool experiment_file(const char *path);
// Writes the experiment's runs with all their columns (.csv; .jsonl: an object a line), or a store of its own (.db:
// runs, points, fits, claims). The file must not be there yet. *runs and *done get how many there are, and are done.
bool experiment_export(struct store *store, const char *name, const char *path, size_t *runs, size_t *done,
                       struct error *error);
