// See folders.h.
#include "runner/plan/folders.h"

#include <string.h>

#include "runner/plan/grid.h"
#include "trainer/data/corpus.h"
#include "trainer/model_folder.h"
#include "trainer/tasks/task.h"

struct plan_folders {
  struct plan_folders *next;
  const char *path;  // as the spec has it
  struct model_folder folder;
  bool refused;
  struct error why;
};

static struct plan_folders *find(struct plan_folders *folders, const char *path) {
  while (folders && strcmp(folders->path, path) != 0 && strcmp(folders->folder.path, path) != 0)
    folders = folders->next;
  return folders;
}

// The folder, read once. NULL with an error that is about the field `about`.
static const struct plan_folders *take(struct plan_folders **folders, struct arena *arena, const char *path,
                                       const char *about, struct error *error) {
  struct plan_folders *known = find(*folders, path);
  if (!known) {
    known = arena_alloc(arena, sizeof *known);
    *known = (struct plan_folders){.next = *folders, .path = path};
    known->refused = !model_folder_read(path, arena, &known->folder, &known->why);
    *folders = known;
  }
  if (!known->refused) return known;
  *error = known->why;
  error->code = EXIT_USAGE_ERROR;
  memset(error->about, 0, sizeof error->about);  // whichever field it is, the folder says it
  error_about(error, about, NULL);
  return NULL;
}

bool plan_folder_take(struct plan_folders **folders, struct arena *arena, struct run_config *config,
                      struct error *error) {
  const struct plan_folders *known = take(folders, arena, config->from.path, "from.path", error);
  return known && model_folder_apply(&known->folder, config, error);
}

static void put_found(struct run_config *config, const char *path, struct value value) {
  for (size_t i = 0; i < config->own.count; i++)
    if (strcmp(config->own.fields[i].path, path) == 0) config->own.values[i] = value;
}

bool plan_task_folder_take(struct plan_folders **folders, struct arena *arena, const char *spec,
                           struct run_config *config, struct error *error) {
  const struct task *task = task_of(config);
  const char *path = "";
  for (size_t i = 0; task && task->folder && i < config->own.count; i++)
    if (strcmp(config->own.fields[i].path, task->folder->path) == 0) path = config->own.values[i].text;
  if (!path || !*path) return true;
  const char *slash = spec ? strrchr(spec, '/') : NULL;
  if (*path != '/' && slash) path = path_join(arena, arena_copy(arena, spec, (size_t)(slash - spec + 1)), path);
  const struct plan_folders *known = take(folders, arena, path, task->folder->path, error);
  if (!known) return false;
  struct run_config model = known->folder.config;
  struct run_quantities q = config_quantities(&model, &(struct corpus_facts){0});
  bool trained = known->folder.of_run && q.tokens != AUTO_INTEGER;
  put_found(config, task->folder->path, (struct value){.kind = VALUE_TEXT, .text = known->folder.path});
  put_found(config, task->folder->digest, (struct value){.kind = VALUE_TEXT, .text = known->folder.digest});
  put_found(config, task->folder->parameters,
            (struct value){.kind = VALUE_NUMBER, .number = (double)q.parameters.non_embedding});
  put_found(config, task->folder->tokens,
            (struct value){.kind = VALUE_NUMBER, .number = trained ? (double)q.tokens : 0});
  return true;
}

// Where the spec names the folder of a run.
static const struct node *place_of(const struct plan *plan, const struct plan_record *record) {
  const struct spec_sweep *sweep = &plan->spec->sweeps[record->sweep];
  return sweep->groups[0].axes[0].values[grid_index(sweep, record->combination, 0)].node;
}

static bool told_before(const struct plan *plan, size_t i) {
  for (size_t before = 0; before < i; before++)
    if (plan->records[before].corpus == plan->records[i].corpus &&
        place_of(plan, &plan->records[before]) == place_of(plan, &plan->records[i]))
      return true;
  return false;
}

bool plan_folders_check(const struct plan *plan, struct diagnostics *diagnostics, struct error *error) {
  if (!plan->spec->from) return true;
  size_t before = diagnostics->errors;
  struct arena arena = {0};
  bool fine = true;
  for (size_t i = 0; i < plan->count && fine; i++) {
    const struct plan_corpus *corpus = &plan->corpora[plan->records[i].corpus];
    struct planned_run run;
    const char *why;
    if (!corpus->facts.known || told_before(plan, i)) continue;
    plan_run_quick(plan, i, &run);
    const struct plan_folders *known = find(plan->grid->folders, run.config.from.path);
    struct corpus *open = corpus_open(corpus->folder, corpus->facts.digest, &run.config, error);
    fine = open && known;
    if (!fine) break;
    enum tokenizer_match match = model_folder_tokenizer(&known->folder, corpus_tokenizer(open), &arena, &why);
    const struct node *node = place_of(plan, &plan->records[i]);
    if (match == TOKENIZER_OTHER)
      node_error(node, diagnostics, "corpus: {tokenizer: FOLDER/tokenizer.model}",
                 "%s has another tokenizer than the corpus: %s", known->path, why);
    if (match == TOKENIZER_UNKNOWN)
      node_warning(node, diagnostics, NULL, "whether the tokens of %s are those of the corpus is not known: %s",
                   known->path, why);
    corpus_close(open);
  }
  arena_free(&arena);
  return fine && diagnostics->errors == before;
}
