// Plans: corpora, the expanded grid, and run i of it. See plan.h.
#include "runner/plan/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "runner/plan/grid.h"
#include "runner/plan/halving.h"
#include "runner/plan/memo.h"
#include "runner/plan/stages.h"
#include "runner/plan/time.h"
#include "trainer/data/corpus.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/tasks/task.h"
#include "trainer/trainer.h"

const char *plan_stage_name(const struct spec *spec, struct arena *arena) {
  if (spec->task) return task_stage(spec->task, arena);
  if (!spec->trainer.node) return "train";
  struct text text = {0};
  text_format(&text, "train version=%s", spec->trainer.version);
  for (size_t i = 0; i < spec->trainer.command_count; i++) text_format(&text, " %s", spec->trainer.command[i]);
  const char *name = arena_string(arena, text_string(&text));
  text_free(&text);
  return name;
}

// ---- corpora ----

struct corpora {
  struct plan *plan;
  const struct plan_options *options;
};

struct progress {
  FILE *messages;
  int tenth;  // last one shown
  char what[64];
};

static void show_progress(void *context, const char *what, double share) {
  struct progress *progress = context;
  if (!progress->messages) return;
  int tenth = share < 0 ? 0 : (int)(share * 10);
  bool same = strncmp(progress->what, what, sizeof progress->what - 1) == 0;
  if (same && tenth == progress->tenth) return;
  snprintf(progress->what, sizeof progress->what, "%s", what);
  progress->tenth = tenth;
  if (share >= 0 && tenth > 0)
    fprintf(progress->messages, "  %s: %d %%\n", what, tenth * 10);
  else if (!same)
    fprintf(progress->messages, "  %s\n", what);
  fflush(progress->messages);
}

static bool corpus_given(const struct spec *spec) {
  for (size_t i = 0; i < run_field_count; i++)
    if (starts_with(run_fields[i].path, "corpus.") && (spec->base_nodes[i] || spec->overridden[i])) return true;
  for (size_t s = 0; s < spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
        if (starts_with(sweep->groups[g].axes[a].field->path, "corpus.")) return true;
    for (size_t i = 0; i < sweep->set_count; i++)
      if (starts_with(sweep->set[i].field->path, "corpus.")) return true;
  }
  return false;
}

static bool find_corpus(void *context, const struct run_config *config, struct plan_corpus *corpus,
                        struct error *error) {
  struct corpora *corpora = context;
  struct plan *plan = corpora->plan;
  struct corpus_location location = {0};
  if (plan->spec->task || (plan->spec->trainer.node && !corpus_given(plan->spec))) {
    corpus->unused = true;
    corpus->reason = NULL;
    return true;
  }
  if (!corpus_check(config, NULL, error)) return false;
  if (!corpus_facts_usable(config, &corpus->facts, &location, &plan->arena, error)) return false;
  if (!corpus->facts.known && !corpus_preparable(config, error)) return false;
  if (!corpus->facts.known && corpora->options->prepare) {
    FILE *messages = corpora->options->messages;
    struct progress progress = {.messages = messages, .tenth = -1};
    if (messages)
      fprintf(messages, "preparing the corpus %s (%s), once\n", config->corpus.source, config->corpus.tokenizer);
    if (!corpus_prepare(config, false, show_progress, &progress, &plan->arena, &location, error) ||
        !corpus_facts_usable(config, &corpus->facts, &location, &plan->arena, error))
      return false;
  }
  corpus->folder = location.path ? location.path : "";
  if (corpus->facts.known) corpus->reason = NULL;
  return true;
}

// What a build lacks, and a GPU's kernels, which do not take all shapes, which is arithmetic: no GPU is needed to know.
static bool fits_device(const struct run_config *resolved, struct error *error) {
  const struct ops *ops;
  struct device *none;
  if (!trainer_has_libraries(resolved, error)) return false;
  return !starts_with(resolved->model.device, "cuda") ||
         (trainer_device_plan(resolved->model.device, 1, &ops, &none, error) &&
          trainer_supported(ops, none, resolved, error));
}

// ---- making ----

bool plan_make(struct plan *plan, const struct spec *spec, const struct plan_options *options,
               struct diagnostics *diagnostics, struct error *error) {
  *plan = (struct plan){.spec = spec};
  plan->stage = plan_stage_name(spec, &plan->arena);
  plan->memories = arena_alloc(&plan->arena, sizeof *plan->memories);
  plan->dtype = options->dtype ? options->dtype : "float32";
  if (!options->dtype) {
    struct error ignored = {0};
    if (trainer_device_plan(spec->base.model.device, spec->base.train.threads, &plan->ops, &plan->device, &ignored))
      plan->dtype = trainer_dtype(plan->ops, plan->device);
    else
      plan->ops = NULL;
  }
  struct corpora corpora = {.plan = plan, .options = options};
  plan->grid = arena_alloc(&plan->arena, sizeof *plan->grid);
  *plan->grid = (struct run_grid){
      .arena = &plan->arena, .spec = spec, .dtype = plan->dtype, .find_corpus = find_corpus, .find_context = &corpora};
  if (spec_trains_model(spec))
    plan->grid->fits_device = fits_device;  // what another trainer's kernels take is not known
  bool fine = grid_expand(plan->grid, plan, diagnostics, error);
  plan->corpora = plan->grid->corpora;
  plan->corpus_count = plan->grid->corpus_count;
  fine = fine && plan_folders_check(plan, diagnostics, error) && plan_halving_make(plan, diagnostics) &&
         plan_add_stages(plan, diagnostics, error);
  plan->grid->find_context = NULL;  // all corpora are known now: nothing is looked for when runs are made again
  plan->grid->find_corpus = NULL;
  if (fine) return true;
  if (error->code == EXIT_DONE) diagnostics_check(diagnostics, spec->path, error);
  return false;
}

void plan_check(const struct spec *spec, struct diagnostics *diagnostics) {
  struct plan plan;
  struct error ignored = {0};
  if (!spec->root || !spec->base_fine) return;
  plan_make(&plan, spec, &(struct plan_options){.dtype = "float32"}, diagnostics, &ignored);
  plan_free(&plan);
}

// Memory of a training, of which many runs of a grid have the same: the key has the shapes, and of all else what
// changes the speed (config_speed_settings), as whatever takes memory does too.
static double memory_of(const struct plan *plan, const struct run_config *config) {
  const int64_t numbers[] = {config->model.layers,
                             config->model.width,
                             config->model.heads,
                             config->model.kv_heads,
                             config->model.head_dim,
                             config->model.mlp_width,
                             config->model.context,
                             config->model.vocabulary,
                             config->model.tied_head,
                             config->train.batch_tokens,
                             config->train.accumulation,
                             config->train.threads,
                             config->train.average_checkpoints,
                             optimizer_state_bytes(config)};
  uint64_t key = hash64(numbers, sizeof numbers, 0);
  const char *const texts[] = {config->model.dtype, config->model.device, config->format};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) key = hash64(texts[i], strlen(texts[i]), key);
  struct text settings = {0};
  config_speed_settings(config, &settings);
  key = hash64(text_string(&settings), settings.length, key);
  text_free(&settings);
  double memory;
  if (memo_find(plan->memories, key, &memory)) return memory;
  memory = (double)trainer_memory(plan->ops, plan->device, config).total;
  memo_put(plan->memories, key, memory);
  return memory;
}

static double stage_seconds(const struct plan *plan, const struct planned_run *run) {
  struct run_config training = run->config;
  struct run_quantities quantities = run->quantities;
  plan_stage_training(run, &training, &quantities);
  return plan_forward_seconds(plan->speed, &training, &quantities, plan_stage_tokens(run));
}

// What a run of a stage costs, where it is more than its parent's.
static void add_stage_costs(const struct plan *plan, struct planned_run *run) {
  struct run_config training;
  struct run_quantities quantities;
  if (!run->resolved) return;
  if (plan->ops && plan_stage_training(run, &training, &quantities))
    run->memory = fmax(run->memory, memory_of(plan, &training));
  if (plan->speed) run->seconds = stage_seconds(plan, run);
}

void plan_run_quick(const struct plan *plan, size_t i, struct planned_run *run) {
  const struct plan_record *record = &plan->records[i];
  if (record->stage) {
    plan_stage_run(plan, i, false, run);
    add_stage_costs(plan, run);
    return;
  }
  struct grid_result result;
  struct grid_problem problem;
  grid_evaluate(plan->grid, record->sweep, record->combination, &result, &problem);
  run->number = i;
  run->stage = stage_find(result.config.stage);
  run->parent = SIZE_MAX;
  run->parent_id[0] = '\0';
  run->config = result.config;
  run->quantities = result.quantities;
  run->corpus = &plan->corpora[record->corpus];
  run->id[0] = '\0';
  run->id_reason = run->corpus->reason;
  run->resolved = result.resolved;
  run->memory = run->seconds = NAN;
  if (!run->resolved) return;
  if (!spec_trains_model(plan->spec)) return;  // what another trainer takes is not known
  if (plan->ops) run->memory = memory_of(plan, &run->config);
  if (plan->speed && run->stage)
    run->seconds = stage_seconds(plan, run);
  else if (plan->speed)
    run->seconds = plan_seconds(plan->speed, &run->config, &run->quantities, &run->corpus->facts);
}

void plan_run(const struct plan *plan, size_t i, struct planned_run *run) {
  if (plan->records[i].stage) {
    plan_stage_run(plan, i, true, run);
    add_stage_costs(plan, run);
    return;
  }
  plan_run_quick(plan, i, run);
  if (!run->resolved || run->corpus->reason) return;
  struct digest id = run->stage ? stage_run_id(run->stage, &run->config, run->corpus->facts.digest, "")
                                : config_identity(&run->config, run->corpus->facts.digest, plan->stage, "");
  memcpy(run->id, id.hex, sizeof id.hex);
}

bool plan_on_gpu(const struct plan *plan) { return plan->ops && strcmp(plan->ops->name, "cuda") == 0; }

double plan_needs(const struct plan *plan, const struct planned_run *run) {
  bool known = plan->ops && spec_trains_model(plan->spec);
  return known ? run->memory + (double)trainer_process_bytes(plan->ops) : NAN;
}

double plan_memory_limit(const struct plan *plan, const char **limit) {
  double usable = memory_usable(limit);
  return plan->ops && !plan_on_gpu(plan) ? 0.95 * usable : INFINITY;
}

const int plan_gpu_cards[] = {16, 24, 80, 0};
double plan_gpu_card_bytes(int card) { return 0.92 * 1073741824.0 * card; }

int plan_gpu_card(const struct plan *plan, const struct planned_run *run) {
  if (!plan_on_gpu(plan) || isnan(run->memory)) return 0;
  for (const int *card = plan_gpu_cards; *card; card++)
    if (run->memory + (double)trainer_process_bytes(plan->ops) <= plan_gpu_card_bytes(*card)) return *card;
  return 0;
}

void plan_measure_speed(struct plan *plan) {
  if (!plan->speed && plan->device && spec_trains_model(plan->spec)) plan->speed = plan_speed_new(plan);
}

const char *plan_speed_note(const struct plan *plan) { return plan->speed ? plan_speed_source(plan->speed) : ""; }

void plan_free(struct plan *plan) {
  plan_speed_free(plan->speed);
  if (plan->memories) memo_free(plan->memories);
  if (plan->device) plan->ops->close(plan->device);
  arena_free(&plan->arena);
  *plan = (struct plan){0};
}
