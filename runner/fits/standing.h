// How the runs of a spec's file stand: which are done, which are pending, and which finished runs of the experiment the
// file no longer has. A fit of a spec is a fit of the file's runs.
#pragma once
#include "fitting/fitting.h"
#include "results/store.h"
#include "runner/spec/spec.h"

struct standing {
  size_t planned;  // runs of the file; 0: not asked for (a stored spec) or not known
  struct experiment_view view;
  const char *unknown;  // why the file's runs have no ids, or NULL; the experiment is then taken as stored
};

// Makes `store` show the experiment as the file has it, and counts. A stored spec is as it was stored. False with
// an error when the store cannot be read; texts are in the arena.
bool standing_find(const struct spec *spec, struct store *store, struct arena *arena, struct standing *standing,
                   struct error *error);
// What a reader of results must know: how many runs are pending, left out, or why that is not known. NULL each where
// there is nothing to say.
const char *standing_pending(const struct spec *spec, const struct standing *standing, struct arena *arena);
const char *standing_left_out(const struct spec *spec, const struct standing *standing, struct arena *arena);
// That so many of the runs ended above the loss of a uniform guess over their vocabulary; NULL for none.
const char *standing_at_chance(size_t count, size_t runs, struct arena *arena);
// The same as a warning of a fit, of the runs in its table. A custom trainer may mean another loss by its
// numbers: its runs are not looked at.
void standing_tell_chance(const struct spec *spec, const struct table *table, struct fit_result *result);
// What is pending and left out, as warnings of a fit.
void standing_tell(const struct spec *spec, const struct standing *standing, struct fit_result *result);
