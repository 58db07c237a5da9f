// What a run was trained from, on and by: RUN/provenance.jsonl. Whoever starts workers appends a line when one begins
// (source, machine, environment) and one when it ends (its share of the machine's time and energy); the store's columns
// are read from there, by a local coordinator and by whoever collects from jobs.
#pragma once
#include <stdbool.h>

#include "results/store.h"
#include "runner/execute/meter.h"
#include "runner/execute/revision.h"

// Where the spec, and the source of a custom trainer, stand.
struct provenance_source {
  struct revision spec, trainer;  // commit NULL: not known, or there is none
};
// Asks git; `command` NULL: the built-in trainer, which has no source of the user's.
void provenance_find(const char *spec_path, const char *const *command, size_t count, const char *home,
                     struct arena *arena, struct provenance_source *source);
// An error (EXIT_USAGE_ERROR) where a source is not committed, or not in a repository: what require_clean asks for.
bool provenance_check_clean(const struct provenance_source *source, bool custom, struct error *error);

// What is the same for all workers of a coordinator: the line's beginning, in the arena.
const char *provenance_common(const struct provenance_source *source, const struct meter *meter, struct arena *arena);

// A worker's share of what the machine did while it was at work.
struct provenance_share {
  double machine_seconds;  // of the time, split evenly by threads among the workers at work
  double joules;           // of the energy, split likewise; NAN: none was read
  double joules_seconds;   // of the worker's own time, during which it was read
};

// `environment`: of the worker, NULL-terminated. The names that count are in the table of provenance.c. False with an
// error where the file cannot be written.
bool provenance_begin(const char *folder, const char *common, char *const *environment, const char *gpu,
                      const struct meter *meter, struct error *error);
bool provenance_end(const char *folder, const struct provenance_share *share, const char *source, struct error *error);

// Reads the file into the run's columns of the store: of the last beginning, and the sums over all ends. A run without
// the file changes nothing, a line that is torn is left out.
bool provenance_ingest(struct store *store, const char *id, const char *folder, struct error *error);
