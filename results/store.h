// The store: one SQLite file ($ISOLOSS_HOME/isoloss.db) with experiments, runs, metrics, fits, claims, imported tables
// and measured speeds. docs/store.md describes the tables for people who query them with SQL.
//
// Writers: the coordinator and `isoloss rm`, one at a time by the home's lock, write experiments, runs and metrics;
// whoever fits, imports, measures or marks writes the table of its own. Any number of readers may look on (write-ahead
// log). Every function that can fail takes a struct error: a locked, unreadable, damaged or newer database is
// EXIT_ENVIRONMENT with what to do about it.
//
// Columns that a query over runs can name (run columns): those of results/columns.h that are listed, and every path of
// the table of run fields ("train.lr").
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"
#include "results/columns.h"
#include "trainer/config.h"

struct store;

enum store_mode {
  STORE_READ,    // must exist; nothing is written (an older version is migrated first, which needs write permission)
  STORE_WRITE,   // must exist
  STORE_KEEP,    // as STORE_WRITE; of a store that may only be read, a private copy: what is written is lost with it
  STORE_CREATE,  // made, with its folder, when it is not there
};

// A store whose folder may only be read (another user's, a mount) is read as well, also while its owner writes.
//
// Opens the database at `path` (":memory:" is a private one) and brings its schema up to date. NULL on error.
struct store *store_open(const char *path, enum store_mode mode, struct error *error);
// The database of this home: isoloss_home()/isoloss.db.
struct store *store_open_home(enum store_mode mode, struct error *error);
// True when this home has a database at all (commands that only read then say "nothing has run yet").
bool store_exists_home(void);
void store_close(struct store *store);  // fine on NULL; folds the write-ahead log of a writer into the file
const char *store_path(const struct store *store);
bool store_read_only(const struct store *store);
bool store_is_copy(const struct store *store);  // of STORE_KEEP: nothing that is written stays

// One transaction around several writes: all of them or none. Transactions do not nest. store_rollback is fine after
// a failed write. Writes outside a transaction are transactions of their own.
bool store_begin(struct store *store, struct error *error);
bool store_commit(struct store *store, struct error *error);
void store_rollback(struct store *store);

// ---- experiments and runs ----

struct experiment_record {
  const char *name;
  const char *spec_path, *spec_text;  // as read
  const char *about;                  // or NULL
};
// Adds the experiment, or renews its spec.
bool store_experiment_put(struct store *store, const struct experiment_record *experiment, struct error *error);
// Makes the experiment consist of exactly these runs, in this order. A run may belong to many experiments; a run that
// leaves an experiment stays in the store.
bool store_experiment_set_runs(struct store *store, const char *name, const char *const *ids, size_t count,
                               struct error *error);
bool store_experiment_exists(struct store *store, const char *name, bool *exists, struct error *error);
// False with an error where it does not: bad usage, with the nearest name.
bool store_experiment_expect(struct store *store, const char *name, struct error *error);
// How an experiment of the store compares with a list of runs.
struct experiment_view {
  size_t done, ended, there;  // of the list: finished; ended without a loss; in the store at all
  size_t left_out;            // finished runs of the stored experiment that are not in the list
};
// From here on this connection sees the experiment as consisting of those of these runs that are in the store; nothing
// is written. The store may be open for reading only.
bool store_view_experiment(struct store *store, const char *name, const char *const *ids, size_t count,
                           struct experiment_view *view, struct error *error);
// The experiment's name nearest to `name`, for "did you mean", or NULL.
const char *store_nearest_experiment(struct store *store, struct arena *arena, const char *name);

// What is known of a run before it starts.
struct run_record {
  const char *id;
  const char *stage;                // "train", ...
  const char *parent;               // id of the stage before, or NULL
  const struct run_config *config;  // resolved
  const char *trainer;              // command template of a custom trainer, or NULL for the built-in one
  struct corpus_facts corpus;
  struct run_quantities quantities;
};
// Adds the run as pending; a run that is there already is left as it is, except that unknown quantities (those of a
// corpus that was not prepared then) are filled in.
bool store_run_add(struct store *store, const struct run_record *run, struct error *error);

// Removes a run with its points, and from all experiments; an experiment with its claims and fits, its runs stay. In a
// transaction of the caller's.
bool store_run_remove(struct store *store, const char *id, struct error *error);
bool store_experiment_remove(struct store *store, const char *name, struct error *error);
// Removes a run with its points, to be added anew (store_run_add) in the same transaction: its experiments keep it.
bool store_run_forget(struct store *store, const char *id, struct error *error);

// Writes the experiment as a store of its own at `path`, under another name until it is whole: its runs with their
// points, its fits and claims, nothing of others, no measured speeds.
bool store_copy_experiment(struct store *store, const char *name, const char *path, struct error *error);

// What follows from the counts that a trainer of the user's own reported: 6 N D.
bool store_run_follow(struct store *store, const char *id, struct error *error);

// Sets columns of table `runs`; VALUE_MISSING sets NULL. False with an error for a column that does not exist.
struct store_field {
  const char *name;
  struct value value;
};
bool store_run_update(struct store *store, const char *id, const struct store_field *fields, size_t count,
                      struct error *error);
struct value store_number(double value);    // a NAN becomes VALUE_MISSING
struct value store_text(const char *text);  // NULL becomes VALUE_MISSING

// The full id of the run whose id starts with `prefix` (at least 4 characters), in the arena. NULL with an error when
// there is none, or several (their ids are listed).
char *store_run_find(struct store *store, struct arena *arena, const char *prefix, struct error *error);

// ---- marks ----

// Sets what was asked of a run, by whom (store_marker) and now, in the place of what was asked before; MARK_NONE takes
// it back.
bool store_mark_set(struct store *store, const char *id, enum run_mark mark, const char *marked_by,
                    struct error *error);
// Removes the marks of runs that have results: nothing can be asked of them any more.
bool store_marks_of_finished_remove(struct store *store, struct error *error);
// user@host of this process, in the arena.
const char *store_marker(struct arena *arena);
// A number that is another one after any other connection has written.
bool store_data_version(struct store *store, int64_t *version, struct error *error);

// ---- metrics ----

enum metric_kind { METRIC_TRAIN, METRIC_EVAL };
// A point of a run's curve. Numbers that were not reported are NAN.
struct metric {
  enum metric_kind kind;
  int64_t step;  // optimizer steps done
  double tokens, loss, lr, gradient_norm, tokens_per_second, seconds, oracle_loss, active_parameters;
};
// Puts a point in the place of the one of the same run, kind and step: reading a log twice changes nothing.
bool store_metric_put(struct store *store, const char *run, const struct metric *metric, struct error *error);
// Removes the points after `step`: a run resumed from a checkpoint of that step writes them again.
bool store_metrics_cut(struct store *store, const char *run, int64_t step, struct error *error);

// ---- solutions: numbers of `metrics` events (docs/metrics.md) ----

// Puts a number in the place of the one of the same run, name and step.
bool store_solution_put(struct store *store, const char *run, const char *name, int64_t step, double tokens,
                        double value, struct error *error);
// Removes those after `step`, -1: all.
bool store_solutions_cut(struct store *store, const char *run, int64_t step, struct error *error);

// ---- layers: what a stage made of one matrix ----

// Numbers that were not reported are NAN.
struct layer_record {
  int64_t layer;  // block, from 0
  const char *matrix;
  double rows, columns, relative_error, output_error, weighted_error, bound, bits, sparsity, alpha, alpha_error;
};
// Puts it in the place of the one of the same run, layer and matrix.
bool store_layer_put(struct store *store, const char *run, const struct layer_record *layer, struct error *error);
bool store_layers_cut(struct store *store, const char *run, struct error *error);  // removes all of a run

// Puts a result of a task's run (trainer/tasks/task.h) by its name; removes all that a run has.
bool store_result_put(struct store *store, const char *run, const char *name, double value, struct error *error);
bool store_results_cut(struct store *store, const char *run, struct error *error);

// layer, matrix, rows, columns, relative_error, output_error, weighted_error, bound, bits, sparsity, alpha,
// alpha_error, by layer and matrix.
struct store_rows *store_layers(struct store *store, const char *run, struct error *error);

// ---- queries ----

// Rows of a query, one at a time:
//
//   struct store_rows *rows = store_runs(store, &(struct run_query){.experiment = "quickstart", .where = "N > 1e5"},
//   &error); int loss = store_rows_find(rows, "loss"); while (store_rows_next(rows, &error)) use(store_rows_value(rows,
//   loss).number); store_rows_close(rows);   // then look at error.code
struct store_rows;
bool store_rows_next(struct store_rows *rows, struct error *error);  // false at the end, and on error
int store_rows_columns(const struct store_rows *rows);
const char *store_rows_name(const struct store_rows *rows, int column);
int store_rows_find(const struct store_rows *rows, const char *name);  // column of that name, or -1
bool store_rows_is_text(const struct store_rows *rows, int column);    // of a query over runs: it holds texts
// The value in the present row: NULL is VALUE_MISSING, a boolean field VALUE_BOOLEAN. Texts live until the next row.
struct value store_rows_value(const struct store_rows *rows, int column);
// True when the value is an integer that no double holds: its exact value.
bool store_rows_long(const struct store_rows *rows, int column, int64_t *value);
double store_rows_number(const struct store_rows *rows, int column);           // NAN for what is no number
struct value store_rows_get(const struct store_rows *rows, const char *name);  // by name; MISSING for an unknown one
void store_rows_close(struct store_rows *rows);                                // fine on NULL

struct run_query {
  const char *experiment;  // runs of this experiment, in its order; NULL: all runs, oldest first
  const char *state;       // only runs in this state, or NULL
  const char *where;       // condition over run columns (base/expression.h), or NULL. A number that is missing counts
                           // as NaN (every comparison but != is false), a text that is missing as "".
  const char *sort;        // run column to sort by ("-loss": falling); missing values last; NULL: natural order
  int64_t limit;           // at most this many rows; 0: all
};
// Rows over all run columns. NULL on error: an unknown column comes with the nearest name.
struct store_rows *store_runs(struct store *store, const struct run_query *query, struct error *error);
// Takes up fields that specs declare and runs that were added since the store was opened have. No rows may be open.
void store_columns_renew(struct store *store);
// The names of all run columns, in the order of store_runs.
const char *const *store_run_columns(struct store *store, int *count);
// One run's row: the values can be read at once; NULL when there is no such run (or on error).
struct store_rows *store_run(struct store *store, const char *id, struct error *error);
// Rows of a run's points in order of step: kind, step, tokens, loss, lr, gradient_norm, tokens_per_second, seconds,
// oracle_loss, active_parameters.
struct store_rows *store_metrics(struct store *store, const char *run, enum metric_kind kind, struct error *error);
// The curves of all runs of an experiment, by one query: place (of the run in the experiment, from 0, those without
// points counted), tokens, loss; in order of place and step.
struct store_rows *store_curves(struct store *store, const char *experiment, enum metric_kind kind,
                                struct error *error);
// name, about, spec_path, spec_text, created_at, updated_at, runs, pending, running, done, diverged, failed, killed;
// of one experiment, or of all (NULL), oldest first.
struct store_rows *store_experiments(struct store *store, const char *name, struct error *error);
// Any statement that reads, with ?1, ?2, ... bound to the values.
struct store_rows *store_select(struct store *store, const char *sql, const struct value *values, size_t count,
                                struct error *error);
// The rows of a statement that a person wrote: one, which can do nothing but read. Any other is bad usage, reported
// without the statement. After this the connection takes no writes.
struct store_rows *store_ask(struct store *store, const char *sql, struct error *error);

// ---- formats: what follows from one is kept once for all runs of it; store_run_add fills in all but the errors ----

// The canonical names of formats whose errors are not known, in the arena.
const char **store_formats_unmeasured(struct store *store, struct arena *arena, size_t *count, struct error *error);
// Keeps the errors of a format on Gaussian data by operand: weights, activations, gradients.
bool store_format_measured(struct store *store, const char *format, const double gmse[OPERANDS], struct error *error);

// Copies the runs of another store into this one, in the place of those of the same id, where this one has them:
// a private (":memory:") store of a plan's runs so gets the states and results that are known.
bool store_overlay(struct store *store, const struct store *other, struct error *error);

// ---- successive halving ----

// That a run of a competition goes on from a rung, or not.
struct halving_record {
  const char *experiment, *competition, *run;
  const char *over;    // axes in which the competitors differ
  int64_t rung, step;  // rung: from 1
  double share;        // of a run's steps, as the spec says
  int64_t loss_step;   // of the evaluation that was compared; 0: none
  double loss;         // there; NAN: the run had ended without one
  int64_t place;       // from 1, by the loss
  bool kept;
};
bool store_halving_put(struct store *store, const struct halving_record *record, struct error *error);
// competition, rung, run, over, share, step, loss_step, loss, place, kept, decided_at: of one competition, or all
// (NULL).
struct store_rows *store_halvings(struct store *store, const char *experiment, const char *competition,
                                  struct error *error);
// The last evaluation of a run up to `step`: its step and loss; 0 and NAN where there is none.
bool store_evaluation_before(struct store *store, const char *run, int64_t step, int64_t *at, double *loss,
                             struct error *error);
// Runs of the experiment that halving stopped: share, count; by share.
struct store_rows *store_halved(struct store *store, const char *experiment, struct error *error);

// ---- fits, claims, imports ----

// Keeps a fit: `source` is the experiment, imported table or file it was made on, `document` its JSON object in the
// form of the contract for scripts. A fit of the same source and name takes the place of the last one.
bool store_fit_put(struct store *store, const char *source, const char *name, const char *law, const char *document,
                   struct error *error);
// source, name, law, document, created_at; of one source, or of all (NULL).
struct store_rows *store_fits(struct store *store, const char *source, struct error *error);

// Outcomes of an experiment's claims, in its order, in the place of the former ones. outcome: "held", "not held",
// "undecided"; detail: the numbers behind it.
struct claim_record {
  const char *claim, *outcome, *detail;
};
bool store_claims_set(struct store *store, const char *experiment, const struct claim_record *claims, size_t count,
                      struct error *error);
struct store_rows *store_claims(struct store *store, const char *experiment, struct error *error);

// A table from elsewhere under a name of its own: rows are JSON objects of column -> value, by the store's names.
bool store_import_begin(struct store *store, const char *name, const char *path, const char *digest,
                        const char *mapping, struct error *error);  // replaces an import of that name; in a transaction
bool store_import_row(struct store *store, const char *name, int64_t position, const char *object, struct error *error);
struct store_rows *store_import_rows(struct store *store, const char *name, struct error *error);  // position, document
// name, path, digest, mapping, created_at, rows; of one import, or of all (NULL), by name.
struct store_rows *store_imports(struct store *store, const char *name, struct error *error);
// Removes an import with its rows; *found says whether there was one.
bool store_import_remove(struct store *store, const char *name, bool *found, struct error *error);

// ---- measured speed ----

// How fast a host trains a model shape: by `isoloss bench`, or by a finished run.
struct throughput {
  const char *host;                 // NULL: this one
  const char *backend;              // "cpu", "cuda"
  const char *source;               // "run" or "bench"
  const struct run_config *config;  // resolved: shape, batch, dtype, format, threads are kept
  double flops_per_token;
  double tokens_per_second;
};
bool store_throughput_put(struct store *store, const struct throughput *throughput, struct error *error);
// The speed to expect of this host for a configuration, in tokens per second of one run: from the shapes of the same
// backend and dtype (and format, where measured) nearest in FLOPs per token, FLOP/s interpolated in the logarithm.
// False when nothing comparable was measured (no error then).
bool store_throughput_estimate(struct store *store, const char *backend, const struct run_config *config,
                               double flops_per_token, double *tokens_per_second, struct error *error);
// Keeps the JSON document of a benchmark suite for a host (NULL: this one).
bool store_benchmark_put(struct store *store, const char *host, const char *suite, const char *document,
                         struct error *error);
const char *store_host(struct arena *arena);  // this machine's name, as kept in the store
