// What must be said of runs besides their states: what was asked of them (marks), logs with lines that are no events,
// runs that went on under other conditions.
#pragma once
#include "base/base.h"
#include "results/store.h"

struct run_note {
  const char *id;
  enum run_state state;
  enum run_mark mark;
  const char *marked_by;         // NULL without a mark
  double marked_at;              // seconds since 1970; NAN without
  double damaged, damaged_line;  // lines of its log, and the first of them; 0: none
  const char *resumed_under;     // or NULL
};

struct run_notes {
  struct run_note *notes;
  size_t count;
};

// Those of an experiment (NULL: of the store) that there is something to say of, in the order of store_runs; in the
// arena.
bool run_notes_read(struct run_notes *notes, struct store *store, const char *experiment, struct arena *arena,
                    struct error *error);
// In words, a line for each, indented by two; marks of one call of a command are one line.
void run_notes_say(const struct run_notes *notes, struct text *out);
// As an array of objects: id, state, mark, marked_by, marked_at, log_damaged, log_damaged_line, resumed_under.
void run_notes_json(const struct run_notes *notes, struct json_writer *json);
// How many runs of custom trainers, of an experiment (NULL: of all) or one of this id (NULL: any), have the counts of
// the built-in model's components: those of a store that was written before trainers could tell theirs, mostly.
bool run_notes_built_in_counts(struct store *store, const char *experiment, const char *id, size_t *count,
                               struct error *error);
// "paused by ann@host at 2026-01-31 12:00:00", in the arena.
const char *run_mark_words(enum run_mark mark, const char *marked_by, double marked_at, struct arena *arena);
