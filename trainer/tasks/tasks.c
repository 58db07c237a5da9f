// The table of tasks, and what follows from an entry of it. See task.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/tasks/list.h"
#include "trainer/tasks/task.h"

#define DECLARE(name) extern const struct task task_##name;
EACH_TASK(DECLARE)
#define ENTRY(name) &task_##name,
const struct task *const run_tasks[] = {EACH_TASK(ENTRY) NULL};

const struct task *task_find(const char *name) {
  for (size_t i = 0; run_tasks[i]; i++)
    if (strcmp(run_tasks[i]->name, name) == 0) return run_tasks[i];
  return NULL;
}

// A configuration that nobody has set up has no task.
const struct task *task_of(const struct run_config *config) {
  return config->task && strcmp(config->task, TASK_LM) != 0 ? task_find(config->task) : NULL;
}

const struct task *task_of_field(const char *path) {
  for (size_t t = 0; run_tasks[t]; t++)
    for (size_t i = 0; i < run_tasks[t]->field_count; i++)
      if (strcmp(run_tasks[t]->fields[i].path, path) == 0) return run_tasks[t];
  return NULL;
}

const struct task *task_of_result(const char *name, const struct task_result **result) {
  for (size_t t = 0; run_tasks[t]; t++)
    for (size_t i = 0; i < run_tasks[t]->result_count; i++) {
      if (strcmp(run_tasks[t]->results[i].name, name) != 0) continue;
      if (result) *result = &run_tasks[t]->results[i];
      return run_tasks[t];
    }
  return NULL;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct run_field *)a)->path, ((const struct run_field *)b)->path);
}

struct run_field *task_fields(const struct task *task, struct arena *arena) {
  struct run_field *fields = arena_array(arena, task->field_count + 1, sizeof *fields);
  memcpy(fields, task->fields, task->field_count * sizeof *fields);
  qsort(fields, task->field_count, sizeof *fields, by_path);
  for (size_t i = 0; i < task->field_count; i++) fields[i].own = i + 1;
  return fields;
}

void task_give(struct run_config *config, const struct task *task, const struct run_field *fields) {
  struct error ignored = {0};
  config->task = task->name;
  config->own.fields = fields;
  config->own.count = task->field_count;
  for (size_t i = 0; i < task->field_count; i++) {
    if (fields[i].type >= FIELD_CHOICE)
      field_put(config, &fields[i], (struct value){.kind = VALUE_TEXT, .text = fields[i].fallback});
    else
      config_set(config, &fields[i], fields[i].fallback, NULL, &ignored);
  }
}

// The entry of the table itself, whose place is in the settings.
static const struct run_field *of_table(const struct task *task, const struct run_field *field) {
  for (size_t i = 0; i < task->field_count; i++)
    if (strcmp(task->fields[i].path, field->path) == 0) return &task->fields[i];
  return NULL;
}

void task_settings_read(const struct run_config *config, const struct task *task, void *settings) {
  for (size_t i = 0; i < config->own.count; i++)
    field_put_in(settings, of_table(task, &config->own.fields[i]), config->own.values[i]);
}

void task_settings_write(struct run_config *config, const struct task *task, const void *settings) {
  for (size_t i = 0; i < config->own.count; i++)
    config->own.values[i] = field_get_in(settings, of_table(task, &config->own.fields[i]));
}

bool task_resolve(struct run_config *config, const struct task *task, struct error *error) {
  if (!task->resolve) return true;
  void *settings = memory_get(task->settings_size);
  task_settings_read(config, task, settings);
  bool fine = task->resolve(settings, error);
  if (fine) task_settings_write(config, task, settings);
  free(settings);
  return fine;
}

static int64_t whole(double count) { return count >= 0 && count < 9e15 ? (int64_t)count : AUTO_INTEGER; }

struct run_quantities task_quantities(const struct run_config *config, const struct task *task) {
  struct task_numbers counts = {NAN, NAN, NAN, NAN};
  if (task->counts) {
    void *settings = memory_get(task->settings_size);
    task_settings_read(config, task, settings);
    task->counts(settings, &counts);
    free(settings);
  }
  double n = counts.parameters, d = counts.tokens;
  return (struct run_quantities){.own_model = {true, n, n, n, counts.flops},
                                 .active_parameters = n,
                                 .average_active_parameters = NAN,
                                 .steps = whole(counts.steps),
                                 .tokens = whole(d),
                                 .flops = counts.flops,
                                 .flops_own = counts.flops,
                                 .flops_6nd = NAN,
                                 .flops_per_token = counts.flops / d,
                                 .full_precision_share = NAN,
                                 .epochs = NAN,
                                 .tokens_per_parameter = d / n};
}

const char *task_stage(const struct task *task, struct arena *arena) {
  return arena_format(arena, TASK_STAGE "%s", task->name);
}
