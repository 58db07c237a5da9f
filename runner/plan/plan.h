// A plan: the runs of a spec, each once, with everything known before training. The runs are not stored but made on
// demand from a few bytes each, so that a plan of a million runs is small; plan_run costs about a microsecond, and
// some tens more when the run's id is asked for.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/base.h"
#include "runner/plan/price.h"
#include "runner/spec/spec.h"
#include "trainer/config.h"

struct plan_options {
  bool prepare;       // build the corpora that are not cached yet (needed for ids); false: use what is cached
  const char *dtype;  // what model.dtype auto becomes; NULL: what suits this machine
  FILE *messages;     // "preparing corpus gcide ..." and the like; NULL: silent
};

// A corpus of the plan; runs that agree in all corpus fields share one.
struct plan_corpus {
  struct run_config config;   // whose corpus fields say what it is
  struct corpus_facts facts;  // facts.known: prepared
  const char *folder;         // of the prepared corpus; "" for a source that is made on the fly
  const char *reason;         // why it is not known ("the corpus is not prepared"); NULL when it is
  bool refused;               // its fields are wrong, `reason` says how: no run of the plan has it
  const char *about[3];       // the fields that are, as struct error has them
  bool unused;                // a custom trainer brings its data, the spec names no corpus: ids do without
};

// A path that the sweep or a `set` gives: a column of the plan's table.
struct plan_axis {
  const struct run_field *field;
  bool derived;  // by `set`
  bool varies;   // takes more than one value among the runs (resolved)
};

struct ops;
struct device;

struct plan {
  struct arena arena;
  const struct spec *spec;  // must outlive the plan
  const char *dtype;
  size_t count;         // runs
  size_t combinations;  // of all sweeps, before `where` and before equal runs were united
  size_t filtered;      // left out by `where`
  size_t united;        // equal to an earlier run
  size_t undecided;     // combinations kept only because an expression needs a corpus that is not prepared
  struct plan_axis *axes;
  size_t axis_count;
  struct plan_corpus *corpora;
  size_t corpus_count;
  const char *stage;  // of trainings, as identity hashes it: see plan_stage_name
  // The device of the spec, for memory estimates: for a GPU a table to calculate with and no device; ops NULL when it
  // cannot be opened here.
  const struct ops *ops;
  struct device *device;
  struct memo *memories;         // of training, by shape
  struct run_grid *grid;         // makes the runs, see grid.h
  struct plan_record *records;   // [count], see grid.h
  struct plan_halving *halving;  // who competes with whom (runner/plan/halving.h); NULL: the spec has no halving
  struct run_terms terms;        // price and what must be committed (runner/plan/price.h)
  struct plan_speed *speed;      // for time estimates (runner/plan/time.h); NULL until plan_measure_speed
};

struct planned_run {
  size_t number;              // from 0, in the plan's order
  const struct stage *stage;  // NULL: a training; of a folder's model a root
  size_t parent;              // the number of the run that a stage follows; SIZE_MAX of a training
  char parent_id[40];         // "" of a training, and where ids are not known
  struct run_config config;   // resolved; its strings live as long as the plan
  struct run_quantities quantities;
  const struct plan_corpus *corpus;
  char id[40];            // "" when the corpus is not prepared
  const char *id_reason;  // then: why there is no id; else NULL
  bool resolved;          // false: the corpus must be prepared first to know sizes and tokens
  double memory;          // bytes of one training, which is more than what its later stages take; NAN when not known
  double seconds;         // estimated, one run alone on its slot; NAN before plan_measure_speed
};

// Expands the spec. Mistakes that show only then (a grid that expands to nothing, combinations that no trainer can
// train) go to `diagnostics`, at the place of the value that caused them; then, or when a corpus cannot be prepared,
// false with an error. plan_free in either case.
bool plan_make(struct plan *plan, const struct spec *spec, const struct plan_options *options,
               struct diagnostics *diagnostics, struct error *error);
// For a spec that did not load: adds those that its sound sweeps show when they are expanded, so that all are seen at
// once.
void plan_check(const struct spec *spec, struct diagnostics *diagnostics);
// The same for commands: prints the diagnostics on standard error.
bool plan_open(struct plan *plan, const struct spec *spec, const struct plan_options *options, struct error *error);
// Run i, made anew.
void plan_run(const struct plan *plan, size_t i, struct planned_run *run);
// The same without its id (fast; run->id is "").
void plan_run_quick(const struct plan *plan, size_t i, struct planned_run *run);
void plan_free(struct plan *plan);

// Whether the memory planned for is a GPU's.
bool plan_on_gpu(const struct plan *plan);
// In words, what the run's planned memory leaves out: what its stage holds besides a training's model. NULL: nothing,
// or the memory is not known.
const char *plan_memory_without(const struct planned_run *run);
// The same of all stages that the plan has runs of, as a line; none where there is nothing.
void plan_print_unplanned(const struct plan *plan, FILE *out);
// What a run needs at once: its memory and its process'; NAN: not known, as with a custom trainer.
double plan_needs(const struct plan *plan, const struct planned_run *run);
// What runs on this machine's cores may take side by side: memory_usable less a twentieth, for all else that is at
// work; INFINITY where the system does not say, or where plans are for a GPU. `limit` as there.
double plan_memory_limit(const struct plan *plan, const char **limit);
// Cards that plans are held against, by the gigabytes they are sold with; ends with 0. A run fits when its memory and
// its process' are within 0.92 of as many GiB: what error correction and the driver leave of the smallest of a kind.
extern const int plan_gpu_cards[];
double plan_gpu_card_bytes(int card);
// The smallest that the run fits; 0: none, or not planned for a GPU.
int plan_gpu_card(const struct plan *plan, const struct planned_run *run);

// Fills in what time estimates need: measured tokens per second of this host from the store when there are such rows,
// else a rate measured now (well under a second). After this, planned_run.seconds is known.
void plan_measure_speed(struct plan *plan);
// One line on where the estimates come from ("from 12 runs on this host", "rough: ..."); "" before.
const char *plan_speed_note(const struct plan *plan);

// The name of the stage that identity hashes: "train" for the built-in trainer, and for somebody's own the command and
// version too, so that two trainers never share a run. Owned by the arena.
const char *plan_stage_name(const struct spec *spec, struct arena *arena);
