// From sweeps to runs. A grid is a spec made ready for expansion: combination c of sweep s is turned into a run's
// configuration (axis values, `set`, resolution, `where`) the same way each time it is asked for, so that a plan keeps
// 24 bytes a run and nothing else.
#pragma once
#include "runner/plan/folders.h"
#include "runner/plan/plan.h"
#include "runner/spec/names.h"

// What a plan keeps of a run.
struct plan_record {
  uint64_t combination;  // of the sweep; of a later stage the number of its choice
  uint32_t sweep, corpus;
  uint32_t stage;   // of the spec's, from 1; 0: a training
  uint32_t parent;  // of a stage: the record that it follows
};

// Says what is known of the corpus of a configuration (whose corpus fields and model.context count). False with an
// error when the fields are wrong (EXIT_USAGE_ERROR: the runs that have them are refused) or the corpus cannot be had
// (any other code: the expansion stops).
typedef bool grid_find_corpus(void *context, const struct run_config *config, struct plan_corpus *corpus,
                              struct error *error);

// Whether the device of a resolved configuration can train it. False with an error: the runs that have it are refused.
typedef bool grid_fits_device(const struct run_config *resolved, struct error *error);

// An expression whose names are looked up.
struct grid_expression {
  const struct expression *expression;
  struct run_name *names;  // [expression->name_count]
};

struct grid_sweep {
  const struct spec_sweep *sweep;
  struct grid_expression where, *set;  // [set_count]
  uint64_t combinations;
  bool skipped;  // broken, or too large: not expanded
};

struct run_grid {
  struct arena *arena;
  const struct spec *spec;
  const char *dtype;
  struct grid_sweep *sweeps;
  grid_find_corpus *find_corpus;  // NULL: nothing is known of any corpus
  void *find_context;
  grid_fits_device *fits_device;  // NULL: not looked at
  bool corpus_varies;             // some sweep touches what the corpus depends on
  struct plan_corpus *corpora;
  size_t corpus_count, corpus_capacity;
  uint32_t *corpus_table;  // open addressing by hash; 1 + index
  size_t corpus_table_size;
  struct grid_format {
    const char *text;
    const struct format *format;  // NULL: none, or one that the built-in trainer does not know
  } * formats;                    // those met so far, parsed
  size_t format_count, format_capacity;
  struct grid_spelling {
    const struct run_field *field;
    const char *text, *spelling;
  } * spellings;  // of texts met so far that can be written in several ways
  size_t spelling_count, spelling_capacity;
  struct plan_folders *folders;                   // those met so far (runner/plan/folders.h)
  struct grid_expression counts[TRAINER_COUNTS];  // of a custom trainer; expression NULL: not given
};

enum grid_outcome {
  GRID_RUN,
  GRID_FILTERED,  // `where` is false
  GRID_REFUSED,   // cannot be trained; the problem says why
  GRID_STOPPED,   // the corpus cannot be had: no use in going on
};

// Why a combination is refused.
struct grid_problem {
  const struct node *node;  // the value or expression that caused it, or NULL
  bool in_expression;       // the error has a place in the node's text
  struct error error;
};

struct grid_result {
  struct run_config config;  // resolved when `resolved`; its format is parsed, in the grid's arena
  struct run_quantities quantities;
  uint32_t corpus;
  bool resolved;   // false: sizes need a corpus that is not prepared
  bool undecided;  // an expression needs a corpus that is not prepared
};

// Makes the grid of a spec. A sweep with too many combinations is a diagnostic.
void grid_prepare(struct run_grid *grid, struct diagnostics *diagnostics);
// Combination `combination` of sweep `sweep`. New corpora are looked for and added.
enum grid_outcome grid_evaluate(struct run_grid *grid, size_t sweep, uint64_t combination, struct grid_result *result,
                                struct grid_problem *problem);
// The axis values of a combination alone, put into a configuration.
void grid_apply(const struct spec_sweep *sweep, uint64_t combination, struct run_config *config);
// The field's value as runs are compared by it: a text in its one spelling (field_spelling), in the grid's arena.
struct value grid_value(struct run_grid *grid, const struct run_field *field, struct value value);
// Value number of each axis of a group in a combination.
size_t grid_index(const struct spec_sweep *sweep, uint64_t combination, size_t group);

// Whether a corpus depends on the field.
bool grid_corpus_field(const struct run_field *field);
// The corpus of a configuration: found among those known, or asked for. False when it cannot be had; a corpus whose
// fields are wrong is kept with its reason.
bool grid_corpus_find(struct run_grid *grid, const struct run_config *config, uint32_t *index, struct error *error);
// The corpus of a configuration whose stage may have another than its training: found among those known, or asked for
// and added; grid->corpora may move. False with an error when it cannot be had, a refused one included.
bool grid_corpus(struct run_grid *grid, const struct run_config *config, uint32_t *index, struct error *error);

// Expands all sweeps into plan->records and what the plan knows of them. Diagnostics and false on mistakes; false with
// `error` set when a corpus cannot be had.
bool grid_expand(struct run_grid *grid, struct plan *plan, struct diagnostics *diagnostics, struct error *error);

// ---- grid_problems.c: mistakes of combinations, each kind reported once ----

struct grid_problems;
struct grid_problems *grid_problems_new(void);
void grid_problems_add(struct grid_problems *problems, const struct run_grid *grid, size_t sweep, uint64_t combination,
                       const struct grid_problem *problem);
// Puts "FILE:LINE:COLUMN: " of the value that an error is about, if it is about any, before its text.
void grid_problem_place(const struct run_grid *grid, size_t sweep, uint64_t combination, struct error *error);
// Reports and frees.
void grid_problems_end(struct grid_problems *problems, const struct run_grid *grid, struct diagnostics *diagnostics);
// A value in one line, clipped: "0.002", "w4a4", "auto" ...
const char *field_shown(const struct run_field *field, struct value value, char out[64]);
