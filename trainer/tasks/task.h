// Tasks: what a run does, where it is not the training of a language model. A task is a folder of its own: a table of
// the fields that a spec may give, a table of what its runs report, and a program that works and prints events. Plans,
// ids, the store, laws, claims and figures go by these tables and know no task by name. docs/tasks.md says how to add
// one. (What works is in program.h: the front links the tables alone.)
#pragma once
#include "trainer/config.h"

// A number that runs of a task report at their end: a column of runs.
struct task_result {
  const char *name;  // "boolean.accuracy"
  const char *unit;
  const char *help;  // one line
  bool measured;     // a time or a rate of the machine: the same run has another each time
};

// What runs of a task have in place of a language model's N, D and C, before they are started; NAN: it has none.
struct task_numbers {
  double parameters, tokens, flops;
  double steps;  // those that its `step` events count
};

// Fields of a task that works on a model: `path` names its folder (trainer/model_folder.h), "" for none; what a plan
// finds in it becomes the others, which no spec gives (GROUP_FOUND): the digest of weights and description, which
// counts in a run's id in the path's place, N, and the tokens that it was trained on (0: not known).
struct task_folder_fields {
  const char *path, *digest, *parameters, *tokens;
};

// What runs of a task have in a column that trainings have too (N is `parameters`, D `tokens`), as axes of figures,
// tables and captions say it. name NULL: the same as trainings.
struct task_word {
  const char *column;  // "loss"
  const char *name;    // of an axis: "mean squared error"
  const char *brief;   // of a legend: "error"
  const char *unit;    // "nats/example"; "": none, or the name says it
};

struct task {
  const char *name;  // a word; what its fields and results begin with
  const char *help;
  int version;  // raised by hand when a change of the task changes its results: counts in the ids of its runs
  const struct run_field *fields;  // `offset` is in the task's settings, a struct of its own
  size_t field_count, settings_size;
  const struct task_result *results;
  size_t result_count;
  const struct task_word *words;            // ends with a column of NULL; NULL: none
  const struct task_folder_fields *folder;  // NULL: it reads no model
  // Fills what is auto in settings and checks what fields say together. False with an error that is about fields
  // (error_about). NULL: there is nothing to do.
  bool (*resolve)(void *settings, struct error *error);
  // Of resolved settings. NULL: none.
  void (*counts)(const void *settings, struct task_numbers *counts);
};

extern const struct task *const run_tasks[];  // ends with NULL; "lm", the training of language models, is none of them

// NULL: there is none of that name.
const struct task *task_find(const char *name);
// The task of a configuration; NULL: it trains a language model.
const struct task *task_of(const struct run_config *config);
// The task that has a field, or reports a result, of that name; *result (may be NULL) gets the latter. NULL: none does.
const struct task *task_of_field(const char *path);
const struct task *task_of_result(const char *name, const struct task_result **result);

// The fields of a task as a configuration holds them (struct own_values): sorted by path, so that a field that is added
// to the table moves no other. In the arena.
struct run_field *task_fields(const struct task *task, struct arena *arena);
// Gives a configuration the task, its fields at their defaults. `fields` are the task's, from task_fields, and have to
// live as long as the configuration.
void task_give(struct run_config *config, const struct task *task, const struct run_field *fields);

// A configuration's values of the task's fields into a struct of settings, and back.
void task_settings_read(const struct run_config *config, const struct task *task, void *settings);
void task_settings_write(struct run_config *config, const struct task *task, const void *settings);
// Resolves the configuration of a task.
bool task_resolve(struct run_config *config, const struct task *task, struct error *error);
// config_quantities of a resolved configuration of a task.
struct run_quantities task_quantities(const struct run_config *config, const struct task *task);

// The stage that identity hashes, "task boolean". In the arena.
#define TASK_STAGE "task "
const char *task_stage(const struct task *task, struct arena *arena);
