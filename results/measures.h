// What the numbers that runs report are called where people read them, and in which units: on the axes of figures, in
// tables and captions of reports, in comparisons and claims. This is their one author. Units are those of the table of
// columns (columns.c), of the tables of results and of fields; names of N, D, C and losses are a table of measures.c.
// A task whose runs have something else in these columns says what in its own table (struct task_word).
#pragma once
#include "base/base.h"
#include "trainer/tasks/task.h"

struct measure {
  const char *column;  // of runs, or of a table
  const char *symbol;  // "N"; NULL: none
  const char *name;    // on an axis, in a caption: "non-embedding parameters", "validation loss"
  const char *brief;   // in a legend, at the head of a table: "parameters", "loss"
  const char *title;   // in titles: "model size", "loss"
  const char *unit;    // "nats/token"; "": none, or the name says it
};

// Of a column of runs, a run field or a result of a task or stage, for runs of the task; NULL: of trainings. A column
// that nothing else is known of is called by its name and has no unit. Strings live as long as `column` and the task.
struct measure measure_of(const char *column, const struct task *task);
// The same in a table of anybody's: what the columns of a table are in is not known, so that a loss has no unit and
// is not said to be of validation.
struct measure measure_of_table(const char *column);
// "validation loss (nats/token)", or the name alone without a unit. In the arena.
const char *measure_words(const struct measure *measure, struct arena *arena);
// " nats/token" behind a number; "" without a unit. In the arena.
const char *measure_behind(const struct measure *measure, struct arena *arena);

// Those that figures and reports name most. `outcome` is what a law predicts and axes show: mostly the loss, whose
// curves over the training are `loss` and `training`.
struct measures {
  struct measure size, length, ratio, compute, outcome, loss, training;
};
struct measures measures_of(const struct task *task, const char *size_column, const char *outcome_column);
struct measures measures_of_table(const char *size_column, const char *outcome_column);
bool measure_is_loss(const struct measure *measure);  // "loss", of which less is better

// The task that runs of a stage ("task boolean", column `stage`) are of; NULL: of none, they train language models.
const struct task *measure_task(const char *stage);
