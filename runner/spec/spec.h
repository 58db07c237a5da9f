// An experiment spec: one YAML file that says which runs to train, which laws to fit and what to report. Loading checks
// the whole file in one pass and gives every mistake its place, the reason and the nearest valid name; what comes out
// is valid as far as it can be known without expanding the grid (runner/plan/grid.h does that). docs/spec.md is the
// manual.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"
#include "base/options.h"
#include "runner/spec/comparison.h"
#include "trainer/config.h"
#include "trainer/stages/stage.h"

// A value of a field, typed and checked, ready to be put into a run's configuration.
struct spec_value {
  struct value value;           // for field_put
  const struct format *format;  // of a field that names one: parsed; NULL: none, or not known
  const struct node *node;      // where it was written (the whole range for the values of {log: ...})
};

// One swept path and its values. The values of a scalar are one.
struct spec_axis {
  const struct run_field *field;
  const struct node *key;  // where the path was written
  struct spec_value *values;
  size_t count;
  bool constant;  // written as a plain value, no list: takes any length in a zip
};

// Axes that move together: one axis of a `grid`, or all axes of a `zip`.
struct spec_axis_group {
  struct spec_axis *axes;
  size_t axis_count;
  size_t count;  // values of each axis
};

// `set`: a field derived from an expression, in order.
struct spec_derivation {
  const struct run_field *field;
  const struct node *key, *node;
  const struct expression *expression;
};

// One entry of `sweep`. Its combinations are the product of the groups, the last one fastest.
struct spec_sweep {
  const struct node *node;
  bool broken;  // it has mistakes of its own: not expanded
  struct spec_axis_group *groups;
  size_t group_count;
  const struct node *where_node;  // NULL: no filter
  const struct expression *where;
  struct spec_derivation *set;
  size_t set_count;
};

// An expression of a fit entry: a condition, or what the best run has the lowest of. All zeroes: not given.
struct spec_condition {
  const char *text;               // as written
  const struct expression *tree;  // over the store's columns; NULL when it comes from the command line
};

// One entry of `fit`. Its keys are the table in entries.h.
struct spec_fit {
  const struct node *node;  // the entry, for error places
  const char *name;         // unique in the spec; the law's name when none was given
  const char *law;          // a law that ships, or the path of a .yaml file
  struct spec_condition where, holdout, best_by;
  const char *by;                              // column: a law for each of its values by itself; NULL: one for all
  const char *objective;                       // "huber:1e-3", "least-squares", "lad"; NULL: the law's own
  const char *residual;                        // "log", "plain"; NULL: the law's own
  int64_t bootstrap;                           // resamples; -1: the fitter's default
  const char *interval;                        // "percentile", "bca", "t"; NULL: the fitter chooses
  struct option_list profile;                  // parameters whose profile likelihood is wanted; "all": every one
  struct option_list contour;                  // pairs of parameters: "alpha,beta"
  struct option_list leave_out;                // columns whose values are left out one after the other
  struct option_list tie, low, high;           // "beta=alpha"; "E=1"
  struct option_list prior;                    // "alpha=0.34~0.05", "log(A)=6~0.5"
  struct option_list partial_pooling;          // per-category parameters
  bool global_check;                           // look for lower minima on a grid
  struct option_list ratio;                    // of coefficients: "A/B"
  struct option_list score;                    // coefficients from elsewhere
  struct option_list best_over, average_over;  // paths of run fields
  const char *parameter_count;                 // of parameter_count_names (results/columns.h)
  struct option_list compare;                  // laws to hold against this one on the same rows, as `law`
};

// An entry of `fit` with `method: isoflop`: compute-optimal sizes of the runs, without a law.
struct spec_isoflop {
  const struct node *node;
  const char *name;             // unique among the fits
  const char *method;           // "isoflop"
  const char *minimum;          // "akima", "parabola", "envelope"
  const char *budget;           // column of the budgets; NULL: flops
  const char *noise;            // "0.002", "0.002@3,0.05@7"; NULL: the method's own
  struct spec_condition where;  // which runs take part
  double window;                // parabola: sizes within this factor of the best; 0: all
  int64_t copies;               // with noise
  const char *pin;              // exponents that are held: "a=0.5,b=0.5"; NULL: none
  bool average;                 // several runs of one size: their mean, not the lowest
  const char *parameter_count;
};

struct spec_claim {
  const struct node *node;
  const char *text;  // with what is matched
  const struct expression *expression;
  // Of a claim with match_on, COLUMN[A] < COLUMN[B] or the other way round: how runs of A and of B are compared.
  const struct spec_comparison *matched;
};

// The first two follow from a run's fields but those of its length, the others from all that is known of it.
enum trainer_count { COUNT_PARAMETERS, COUNT_TOTAL, COUNT_ACTIVE, COUNT_FLOPS, TRAINER_COUNTS };
extern const char *const trainer_count_names[TRAINER_COUNTS];  // the keys, and columns of runs

// Somebody's own trainer: `trainer: {command: [python, train.py, "{config}"], version: "3"}`.
struct spec_trainer {
  const struct node *node;  // NULL: the built-in trainer
  const char **command;     // argv; {config} {folder} {id} {seed} and every dotted path of a run field are filled in
  size_t command_count;
  const char *version;  // part of the runs' identity, with the command; "" when not given
  // What is known of its model before it trains; it may tell more in its events.
  struct {
    const struct node *node;  // NULL: not given
    const struct expression *expression;
  } counts[TRAINER_COUNTS];
};

// One value of a stage: settings whose axes multiply, or none.
struct spec_stage_value {
  const struct node *node;
  bool none;
  size_t first;                // choice number of its first combination
  struct spec_sweep settings;  // groups of one axis each
  // Which runs have the value, an expression over what is known before they are trained; NULL: all.
  const struct expression *where;
  const struct node *where_node;
};

// What follows training: `stages: {compress: [none, {method: rtn, bits: [3, 4]}]}`.
enum { MOST_STAGE_CHOICES = 100000 };
struct spec_stage {
  const struct stage *stage;
  const struct node *key;
  struct spec_stage_value *values;
  size_t count;
  size_t choices;  // combinations of all values; none is one
};

// `run: {halving: ...}`: of the runs that differ in these axes alone, a share goes on from each rung.
enum { HALVING_AXES = 4, HALVING_RUNGS = 8 };
struct spec_halving {
  const struct node *node;  // NULL: all runs are trained to their ends
  const struct run_field *over[HALVING_AXES];
  size_t over_count;
  const struct run_field *average[HALVING_AXES];  // runs that differ in these are decided together, by their mean loss
  size_t average_count;
  double keep;               // share of the competitors that continues, rounded up
  double at[HALVING_RUNGS];  // shares of a run's steps, ascending
  size_t rung_count;
};

struct task;
struct spec {
  struct arena arena;  // owns everything here
  const char *path;    // as given; of a stored spec, as it was given then
  bool stored;         // named as an experiment: the spec is the one of its last run
  const char *preset;  // its preset that was taken; NULL: none
  const char *call;    // how a command line names it: "spec.yaml --preset small", the experiment's name where stored
  const char *source;  // the file's text
  size_t source_length;
  const struct node *root;
  const char *name;         // `experiment`; the file's name without .yaml when not given
  const char *about;        // "" when not given
  bool base_fine;           // no mistakes in base, corpus, trainer and --set: what a sweep makes of them can be checked
  const struct task *task;  // what its runs do; NULL: they train language models
  struct run_field *own;    // fields that it declares, or its task's, [own_count], sorted by path
  size_t own_count;
  struct run_config base;          // defaults, then `corpus` and `base`, then --set; not resolved
  const struct node **base_nodes;  // by spec_field_index: where the spec set the field, or NULL
  bool *overridden;                // the same: given by --set
  struct spec_sweep *sweeps;       // at least one; a spec without `sweep` has one with no axes: a single run
  size_t sweep_count;
  struct spec_fit *fits;
  size_t fit_count;
  struct spec_isoflop *isoflops;
  size_t isoflop_count;
  struct spec_claim *claims;
  size_t claim_count;
  struct spec_comparison *comparisons;
  size_t comparison_count;
  const char *title;   // `report.title`; the experiment's name when not given
  const char **plots;  // `report.plots`; NULL when not given (the report then chooses)
  const struct node **plot_nodes;
  size_t plot_count;
  struct spec_trainer trainer;
  const struct node *from;    // folders that chains begin with, an axis of every sweep; NULL: trainings
  struct spec_stage *stages;  // in the order in which they follow training
  size_t stage_count;
  struct spec_limits {
    double time, stall;  // seconds; 0: none
    bool retry_stalled;
    bool share_trunks;  // true unless the spec says otherwise
  } limits;             // `run`: {time_limit: 6 h, stall_limit: 15 min, on_stall: retry}
  bool require_clean;   // `run`: the folders of spec and trainer must be as they are committed
  const char *price;    // `run`: {price_per_hour: 2.5 EUR}, as written; NULL: not given
  struct spec_halving halving;
  const struct node *slurm;  // `run: {slurm: ...}`, see slurm.h; NULL: not given
};

// What a command line says besides the spec. All zeroes: nothing.
struct spec_choices {
  struct option_list set;  // "path=value"
  const char *preset;      // NULL: the spec as it is
};

struct spec_options {
  const char *preset;      // laid over the document; NULL: none
  const char *experiment;  // the text is the stored one of this experiment: its preset is the one that makes this name
  const char *const *overrides;  // "path=value" of --set
  size_t override_count;
  const char *const *laws;  // names of the laws that ship, to check `fit`; NULL: any name will do
  size_t law_count;
  const char *const *plots;  // names of the plots there are, to check `report`; NULL: any name will do
  size_t plot_count;
};

// Loads and checks a spec. False with an error when the file cannot be read or has mistakes; the mistakes themselves
// are in `diagnostics` (warnings may stand there on success too). spec_free in either case.
bool spec_load(struct spec *spec, const char *path, const struct spec_options *options, struct diagnostics *diagnostics,
               struct error *error);
// The same from memory, under the name `path`.
bool spec_parse(struct spec *spec, const char *path, const char *bytes, size_t length,
                const struct spec_options *options, struct diagnostics *diagnostics, struct error *error);
void spec_free(struct spec *spec);

// Whether trainings of the spec that differ in length alone may begin from one another's checkpoints: not where it says
// `share_trunks: false`, where runs stop by halving, or with a trainer of one's own.
bool spec_shares_trunks(const struct spec *spec);
// "2.5 EUR", "2.5": an amount from 0, and a currency in one word ("": none). False when it is none.
bool spec_price(const char *text, double *amount, const char **currency);

// Whether its runs are trainings of the built-in language model: no other task, no trainer of one's own.
bool spec_trains_model(const struct spec *spec);

// All fields that a run of the spec has: those of the table, then those that it declares. `spec` NULL: the table.
size_t spec_field_count(const struct spec *spec);
const struct run_field *spec_field_at(const struct spec *spec, size_t index);
size_t spec_field_index(const struct run_field *field);
// The field of this path, or NULL.
const struct run_field *spec_field_find(const struct spec *spec, const char *path);

// Puts choice `choice` of a stage into the configuration of a run before it. False where that is no run of the stage:
// the chain continues without one. *value is where it was written.
bool spec_stage_choose(const struct spec_stage *stage, size_t choice, struct run_config *config,
                       const struct spec_stage_value **value);
// Whether runs of this stage (NULL: trainings) are ends of the spec's chains, as far as their values tell: nothing
// follows them, or none does. Chains of a spec without stages end with their trainings.
bool spec_chain_ends(const struct spec *spec, const char *stage);

// The one spelling of a text that the spec compares with the column `name` (see run_text_spelling); relative files lie
// in the spec's folder. An expression_spell, whose context is the spec.
const char *spec_text_spelling(void *spec, const char *name, const char *text, struct arena *arena);

// The entry {law: LAW}.
struct spec_fit spec_fit_of_law(const char *law);

// A diagnostic at a byte offset of a scalar's text (an expression), mapped back to its line and column in the file.
void spec_error_at(const struct spec *spec, const struct node *node, int offset, struct diagnostics *diagnostics,
                   const char *hint, const char *format, ...) __attribute__((format(printf, 6, 7)));

// Names of the laws that ship (the .yaml files in isoloss_data("laws"), without the ending, sorted), for spec_options.
const char **spec_law_names(struct arena *arena, size_t *count);

// What commands do first: loads a spec against the laws and plots that ship, with --set and --preset, and prints its
// diagnostics on standard error. `named` is a file, or the name of an experiment of the store, whose spec is taken as
// it was when it last ran (spec->stored). False with an error when it cannot be used. spec_free in either case.
bool spec_open(struct spec *spec, const char *named, const struct spec_choices *choices, struct error *error);
// Whether a command takes this argument for a file: it ends in .yaml or .yml, or is the path of a file.
bool spec_is_file(const char *named);
