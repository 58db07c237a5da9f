// What a run says: one line of a table for each column of runs, and the states that a run can be in. Whatever names
// columns of runs in general goes by it: the store and its view, expressions of specs, tables of fits, claims, event
// logs, `isoloss runs`, `show`, reports. A new measured quantity is one line here, one in the trainer that reports it,
// and one in schema.sql and a migration. (A run's settings are the table of run fields, trainer/config.h.)
#pragma once
#include "base/base.h"
#include "trainer/config.h"

// ---- states ----

// In the order of a run's life; the ends come last.
enum run_state { RUN_PENDING, RUN_RUNNING, RUN_DONE, RUN_DIVERGED, RUN_FAILED, RUN_KILLED, RUN_STATES };
const char *run_state_name(enum run_state state);         // "pending", ...
enum run_state run_state_parse(const char *name);         // RUN_PENDING for any other name, and for NULL
bool run_state_has_result(enum run_state state);          // done or diverged: final, a worker changes nothing
bool run_state_ended_without_loss(enum run_state state);  // diverged, failed, killed

// ---- marks ----

// What people ask of a run that is not finished. It changes no state: a run that is held is not started, and stopped.
enum run_mark { MARK_NONE, MARK_PAUSED, MARK_CANCELLED, MARK_RETRY, RUN_MARKS };
const char *run_mark_name(enum run_mark mark);   // "paused", ...; NULL for MARK_NONE
enum run_mark run_mark_parse(const char *name);  // MARK_NONE for any other name, and for NULL
bool run_mark_holds(enum run_mark mark);         // paused or cancelled

// ---- columns ----

enum run_column_type { TYPE_TEXT, TYPE_INTEGER, TYPE_REAL };
const char *run_column_type_name(enum run_column_type type);  // SQL's word: "TEXT"

// What a column says about a run: what was asked for, what follows from it, what came out; a note is none of these, and
// no fit goes by it.
enum run_column_role { RUN_NOTE, RUN_SETTING, RUN_QUANTITY, RUN_OUTCOME };

// Where a column appears; from PLACE_LIST on, a place includes those before it.
enum run_column_place {
  PLACE_PLAN,    // in plans only: the store does not keep it
  PLACE_STORE,   // in table runs only: the coordinator's own, and documents
  PLACE_LIST,    // a column of runs (run_table, --columns, expressions, fits)
  PLACE_SHOW,    // also among the results of `isoloss show`
  PLACE_ALWAYS,  // also in the table of `isoloss runs` when no columns are named
};

// How people read it.
enum run_column_print {
  PRINT_PLAIN,
  PRINT_ID,        // its first characters
  PRINT_COUNT,     // 1.2M
  PRINT_LOSS,      // four decimals
  PRINT_DURATION,  // seconds as 1h 02m
  PRINT_BYTES,     // 1.2 GiB
  PRINT_TIME,      // seconds since 1970 as date and time
};

// The settings that a condition on a column chooses among: claims compare runs that are alike in all others.
enum run_column_choice {
  CHOOSES_NOTHING = 0,
  CHOOSES_FORMAT = 1,
  CHOOSES_LENGTH = 2,
  CHOOSES_SIZE = 4,
  CHOOSES_STATE = 8,  // the optimizer and what else its state follows from; a plan whose axes they are has the column
};

// What a column says of the run's format, from which alone it follows.
enum run_column_of_format {
  OF_FORMAT_NOTHING = 0,
  OF_FORMAT_FORWARD,   // its part in the forward pass
  OF_FORMAT_BACKWARD,  // and in the backward pass
  OF_FORMAT_BITS,      // stored bits of an operand
  OF_FORMAT_KV_BITS,   // of keys and values, which no format represents
  OF_FORMAT_ERROR,     // gmse of an operand
  OF_FORMAT_PLAIN,     // share of the training before it, in full precision
};

// An event of a run's log (docs/events.md: start, checkpoint, metrics or done) and the key in it that brings a column's
// value; "a.b" is b of object a.
struct run_column_event {
  const char *event, *key;
};

struct run_column {
  const char *name;  // of the store's column, and in expressions
  enum run_column_type type;
  enum run_column_role role;
  enum run_column_place place;
  enum run_column_print print;
  const char *unit, *help;
  // The SQL that derives it from a run r and its format f; NULL: a column of table runs.
  const char *sql;
  struct run_column_event events[2];
  // The value that follows from a resolved configuration and its corpus, so that plans know it and specs may name it;
  // VALUE_MISSING when it needs a corpus that is not prepared. NULL: only a run that was trained has it.
  struct value (*planned)(const struct run_quantities *quantities, const struct corpus_facts *corpus);
  unsigned chooses;  // bits of run_column_choice
  enum run_column_of_format of_format;
  int operand;        // of OF_FORMAT_BITS and _ERROR: its number in a format
  bool measured;      // a time, a rate, memory or energy of the machine: the same run has another each time
  bool axis;          // N, D, C or D / N: points to predict at name them, and each follows from two others
  const char *label;  // in a report's list of what the runs ran on, or NULL
  const char
      *mixed;  // plural: losses of runs that differ in it may differ for that reason, which a fit warns of; or NULL
};
extern const struct run_column run_columns[];
extern const size_t run_column_count;

// The column of that name, or NULL (a run field is none).
const struct run_column *run_column_find(const char *name);
bool run_column_kept(const struct run_column *column);    // in table runs itself
bool run_column_listed(const struct run_column *column);  // in run_table
// What a result of a task (trainer/tasks/task.h) or of a stage (trainer/stages/results.h) is: a column of the stores
// that hold such runs. NULL: it is none.
struct task_result;
const struct task_result *run_result_find(const char *name);
// Each of them once, in the order of tasks and stages; NULL from the last one on.
const struct task_result *run_result_at(size_t index);
bool run_column_is_result(const char *name);
// Of a column or a run field; RUN_NOTE for other names.
enum run_column_role run_column_role(const char *name);

// The one spelling of a text in this column, or run field (see field_spelling): int4 is w4. In the arena, or the text.
const char *run_text_spelling(const char *column, const char *text, struct arena *arena);

// ---- what N may count ----

// As fit entries and --parameter-count name the counts: "non-embedding" (the default), "total", ...; NULL ends them.
extern const char *const parameter_count_names[];
// The column of runs that holds a count, or NULL when none has that name.
const char *parameter_count_column(const char *name);
