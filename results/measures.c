// See measures.h.
#include "results/measures.h"

#include <string.h>

#include "results/columns.h"

// The names of columns that have others than the column's own; unit NULL: the column's. Those of `models` are of
// language models: runs of a task have them only where the task says so.
struct line {
  struct measure measure;
  bool models;
};

static const struct line lines[] = {
    {{"parameters", "N", "non-embedding parameters", "parameters", "model size", NULL}, true},
    {{"parameters_total", "N", "total parameters", "parameters", "model size", NULL}, true},
    {{"parameters_prunable", "N", "prunable parameters", "parameters", "model size", NULL}, true},
    {{"parameters_active", "N", "active parameters", "parameters", "model size", NULL}, true},
    {{"parameters_active_average", "N", "average-active parameters", "parameters", "model size", NULL}, true},
    {{"tokens", "D", "training tokens", "tokens", "training tokens", ""}, true},
    {{"tokens_per_parameter", "D/N", "tokens per parameter", "tokens per parameter", "ratio of tokens to parameters",
      ""},
     true},
    {{"flops", "C", "training compute", "FLOPs", "compute", NULL}, false},
    {{"flops_6nd", "C", "training compute, 6ND", "FLOPs", "compute", NULL}, true},
    {{"loss", NULL, "validation loss", "loss", "loss", NULL}, true},
    {{"train_loss", NULL, "training loss", "training loss", "training loss", NULL}, true},
    {{"parent_loss", NULL, "loss before the stage", "loss before", "loss before the stage", NULL}, true},
    {{"bits_per_byte", NULL, "bits per byte", "bits per byte", "bits per byte", ""}, true},
    {{"wall_seconds", NULL, "training time", "time", "training time", NULL}, false},
    {{"train_seconds", NULL, "time of the steps", "time", "time of the steps", NULL}, false},
    {{"train.lr", NULL, "peak learning rate", "learning rate", "learning rate", NULL}, true},
};

static const struct line *line_of(const char *column) {
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
    if (strcmp(lines[i].measure.column, column) == 0) return &lines[i];
  return NULL;
}

static const char *unit_of(const char *column) {
  const struct run_column *found = run_column_find(column);
  const struct task_result *result = run_result_find(column);
  const struct run_field *field = field_find(column, NULL);
  const char *unit = found ? found->unit : result ? result->unit : field ? field->unit : NULL;
  return unit ? unit : "";
}

static struct measure of_trainings(const char *column) {
  const struct line *line = line_of(column);
  struct measure measure = line ? line->measure : (struct measure){column, NULL, column, column, column, NULL};
  if (!measure.unit) measure.unit = unit_of(column);
  return measure;
}

struct measure measure_of(const char *column, const struct task *task) {
  struct measure measure = of_trainings(column);
  const struct line *line = line_of(column);
  const struct task_word *word = task ? task->words : NULL;
  while (word && word->column && strcmp(word->column, column) != 0) word++;
  if (word && word->column) {
    if (!word->name) return measure;  // as of trainings
    bool loss = strcmp(column, "loss") == 0;
    return (struct measure){measure.column, measure.symbol, word->name, word->brief, loss ? word->brief : word->name,
                            word->unit};
  }
  if (!task || !line || !line->models) return measure;
  if (strcmp(column, "tokens_per_parameter") == 0) measure.brief = measure.symbol;  // of whatever N and D are
  return (struct measure){measure.column, measure.symbol, measure.brief, measure.brief, measure.brief, ""};
}

struct measure measure_of_table(const char *column) {
  struct measure measure = of_trainings(column);
  if (!measure_is_loss(&measure)) return measure;
  return (struct measure){measure.column, measure.symbol, measure.brief, measure.brief, measure.title, ""};
}

const char *measure_words(const struct measure *measure, struct arena *arena) {
  return *measure->unit ? arena_format(arena, "%s (%s)", measure->name, measure->unit) : measure->name;
}

const char *measure_behind(const struct measure *measure, struct arena *arena) {
  return *measure->unit ? arena_format(arena, " %s", measure->unit) : "";
}

struct measures measures_of(const struct task *task, const char *size_column, const char *outcome_column) {
  return (struct measures){.size = measure_of(size_column, task),
                           .length = measure_of("tokens", task),
                           .ratio = measure_of("tokens_per_parameter", task),
                           .compute = measure_of("flops", task),
                           .outcome = measure_of(outcome_column, task),
                           .loss = measure_of("loss", task),
                           .training = measure_of("train_loss", task)};
}

struct measures measures_of_table(const char *size_column, const char *outcome_column) {
  struct measures measures = measures_of(NULL, size_column, outcome_column);
  measures.size.name = measures.size.brief;
  measures.outcome = measure_of_table(outcome_column);
  return measures;
}

bool measure_is_loss(const struct measure *measure) { return strcmp(measure->column, "loss") == 0; }

const struct task *measure_task(const char *stage) {
  return stage && starts_with(stage, TASK_STAGE) ? task_find(stage + strlen(TASK_STAGE)) : NULL;
}
