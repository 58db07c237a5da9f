// `task`: what the spec's runs do, and so which fields they have (trainer/tasks/task.h).
#include "trainer/tasks/task.h"

#include <string.h>

#include "runner/spec/internal.h"

bool spec_trains_model(const struct spec *spec) { return !spec->trainer.node && !spec->task; }

static size_t task_names(const char *names[16]) {
  size_t count = 0;
  names[count++] = TASK_LM;
  for (size_t i = 0; run_tasks[i] && count < 16; i++) names[count++] = run_tasks[i]->name;
  return count;
}

void spec_read_task(struct spec_reader *reader, const struct node *node, const struct node *root) {
  static const char *const not_with_tasks[] = {"corpus", "from", "stages", "fields", "trainer"};
  struct spec *spec = reader->spec;
  const char *names[16];
  if (!node) return;
  const char *name = spec_read_choice(reader, node, names, task_names(names), "task");
  spec->task = name && strcmp(name, TASK_LM) != 0 ? task_find(name) : NULL;
  if (!spec->task) return;
  for (size_t i = 0; i < sizeof not_with_tasks / sizeof *not_with_tasks; i++) {
    const struct node *other = node_find(root, not_with_tasks[i]);
    if (other)
      node_error(other, reader->diagnostics, NULL, "%s goes with task lm: runs of task %s have no language model",
                 not_with_tasks[i], spec->task->name);
  }
  spec->own = task_fields(spec->task, &spec->arena);
  spec->own_count = spec->task->field_count;
  task_give(&spec->base, spec->task, spec->own);
  task_give(&reader->scratch, spec->task, spec->own);
}

bool spec_task_section(const char *name) {
  for (size_t i = 0; run_tasks[i]; i++)
    if (strcmp(run_tasks[i]->name, name) == 0) return true;
  return false;
}

// "boolean.clauses, boolean.literals, ...": a few of what the task has.
static const char *few_fields(struct spec_reader *reader) {
  const struct spec *spec = reader->spec;
  struct text list = {0};
  for (size_t i = 0; i < spec->own_count && i < 4; i++) text_format(&list, "%s%s", i ? ", " : "", spec->own[i].path);
  const char *few = arena_format(&reader->spec->arena, "it has %s%s, seed and train.threads", text_string(&list),
                                 spec->own_count > 4 ? ", ..." : "");
  text_free(&list);
  return few;
}

bool spec_refuse_other_task(struct spec_reader *reader, const char *path, const struct node *key) {
  const struct spec *spec = reader->spec;
  const struct run_field *field = spec_field_find(spec, path);
  const struct task *other = task_of_field(path);
  if (field && strcmp(field->path, "task") == 0)
    node_error(key, reader->diagnostics, "task: NAME at the top of the spec",
               "task is the same for all runs of a spec");
  else if (field && spec->task && !field->own && !(field->groups & GROUP_ALL_TASKS))
    node_error(key, reader->diagnostics, few_fields(reader), "%s is a field of task lm, not of task %s", field->path,
               spec->task->name);
  else if (!field && other)
    node_error(key, reader->diagnostics,
               arena_format(&reader->spec->arena, "task: %s at the top of the spec", other->name),
               "%s is a field of task %s, not of task %s", path, other->name, spec->task ? spec->task->name : TASK_LM);
  else
    return false;
  return true;
}
