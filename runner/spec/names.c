// See names.h.
#include "runner/spec/names.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trainer/stages/results.h"

bool run_name_find(const struct spec *spec, const char *name, struct run_name *found) {
  const struct run_column *column = run_column_find(name);
  *found = (struct run_name){0};
  if (column && column->planned)
    found->column = column;
  else
    found->field = spec_field_find(spec, name);
  if (found->field && spec && spec->task && !config_has(&spec->base, found->field)) found->field = NULL;
  return found->column || found->field;
}

bool run_result_known(const struct spec *spec, const char *name) {
  if (spec && spec->task && task_of_result(name, NULL) == spec->task) return true;
  const struct stage_result *of_stage = stage_result_find(name);
  for (size_t i = 0; spec && of_stage && i < spec->stage_count; i++)
    if (strcmp(spec->stages[i].stage->name, of_stage->stage) == 0) return true;
  const struct run_column *column = run_column_find(name);
  return column && run_column_listed(column) && !column->planned;
}

// The last part of a path, "lr" of train.lr.
static const char *last_part(const char *path) {
  const char *dot = strrchr(path, '.');
  return dot ? dot + 1 : path;
}

// A name whose last part is that of this one, whatever the case and the path: lr, Train.LR and model.parameters are
// train.lr and parameters. NULL when there is none, or several.
static const char *same_part(const char *name, const char *const *names, size_t count) {
  const char *found = NULL;
  for (size_t i = 0; i < count; i++) {
    if (strcasecmp(last_part(names[i]), last_part(name)) != 0) continue;
    if (found) return NULL;
    found = names[i];
  }
  return found;
}

const char *run_name_nearest(const struct spec *spec, const char *name, bool with_results) {
  const struct task *task = spec ? spec->task : NULL;
  size_t more = task ? task->field_count + task->result_count : 0;
  const char **names = memory_get((run_field_count + run_column_count + stage_result_count + more) * sizeof *names);
  size_t count = 0, of_trainings;
  for (size_t i = 0; task && i < task->field_count; i++) names[count++] = task->fields[i].path;
  for (size_t i = 0; task && with_results && i < task->result_count; i++) names[count++] = task->results[i].name;
  for (size_t i = 0; i < run_field_count; i++)
    if (!run_fields[i].stage && (!task || run_fields[i].groups & GROUP_ALL_TASKS)) names[count++] = run_fields[i].path;
  for (int results = 0; results <= with_results; results++)
    for (size_t i = 0; i < run_column_count; i++)
      if (results ? run_result_known(NULL, run_columns[i].name) : run_columns[i].planned != NULL)
        names[count++] = run_columns[i].name;
  of_trainings = count;
  for (size_t i = 0; i < stage_result_count && with_results; i++)
    if (run_result_known(spec, stage_results[i].result.name)) names[count++] = stage_results[i].result.name;
  for (size_t i = 0; i < run_field_count; i++)
    if (run_fields[i].stage && !task) names[count++] = run_fields[i].path;
  const char *nearest = same_part(name, names, of_trainings);  // lr is train.lr before it is a stage's
  if (!nearest) nearest = same_part(name, names, count);
  if (!nearest) nearest = nearest_name(name, names, count);
  free(names);
  return nearest;
}
