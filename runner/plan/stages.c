// The stages of a plan: every training is the root of chains, one run for each value of each stage. See stages.h.
#include "runner/plan/stages.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/grid.h"
#include "runner/spec/names.h"
#include "trainer/data/corpus.h"
#include "trainer/search_budget.h"
#include "trainer/stages/work.h"

enum { MOST_RUNS = 20000000 };

// ---- one run ----

// Texts of runs live as long as the plan.
static struct arena *plan_arena(const struct plan *plan) { return (struct arena *)(uintptr_t)&plan->arena; }

// Applies the record's choice to the configuration of its parent.
static bool choose(const struct plan *plan, const struct plan_record *record, struct run_config *config,
                   const struct spec_stage_value **value) {
  const struct spec_stage *stage = &plan->spec->stages[record->stage - 1];
  if (!spec_stage_choose(stage, (size_t)record->combination, config, value)) return false;
  config->stage = stage->stage->name;
  return true;
}

bool plan_stage_training(const struct planned_run *run, struct run_config *training,
                         struct run_quantities *quantities) {
  if (!stage_trains(run->stage, &run->config) || !run->resolved) return false;
  *training = run->config;
  run->stage->training(training);
  const struct corpus_facts facts = stage_facts(&run->config, &run->corpus->facts);
  *quantities = config_quantities(training, &facts);
  return true;
}

void plan_stage_run(const struct plan *plan, size_t i, bool with_id, struct planned_run *run) {
  const struct plan_record *record = &plan->records[i];
  const struct spec_stage_value *value;
  struct error known = {0};  // that it resolves was seen when the plan was made
  if (with_id)
    plan_run(plan, record->parent, run);
  else
    plan_run_quick(plan, record->parent, run);
  const struct stage *stage = plan->spec->stages[record->stage - 1].stage;
  run->corpus = &plan->corpora[record->corpus];
  run->id_reason = run->id_reason ? run->id_reason : run->corpus->reason;
  memcpy(run->parent_id, run->id, sizeof run->parent_id);
  run->number = i;
  run->parent = record->parent;
  run->stage = stage;
  run->id[0] = '\0';
  choose(plan, record, &run->config, &value);
  if (run->resolved) stage->resolve(&run->config, &run->corpus->facts, plan_arena(plan), &known);
  if (run->resolved && search_removes(&run->config)) {  // a smaller model
    run->quantities.parameters = config_kept_parameters(&run->config);
    run->quantities.active_parameters = (double)run->quantities.parameters.non_embedding;
  }
  struct run_config training;
  struct run_quantities own = {0};
  bool trains = plan_stage_training(run, &training, &own);
  run->quantities.state_bytes = trains ? own.state_bytes : AUTO_INTEGER;
  if (stage->spends && run->resolved) {
    own.flops = run->quantities.flops_per_token / 3 * stage->forward_tokens(&run->config, &run->corpus->facts);
    *(double *)(void *)((char *)&run->quantities + stage->spends) += own.flops;
  }
  if (stage_begins(stage, &run->config) && trains) {
    // A selection that read the model before it has cost what that model did, too.
    double before = run->quantities.flops_selection > 0 ? run->quantities.flops : 0;
    run->quantities = own;
    run->quantities.flops_selection = before;
    run->quantities.flops += before;
  } else {
    run->quantities.flops_own = own.flops;
    run->quantities.flops += own.flops;
  }
  if (!*run->parent_id || run->corpus->reason) return;
  struct digest id = stage_run_id(stage, &run->config, run->corpus->facts.digest, run->parent_id);
  memcpy(run->id, id.hex, sizeof id.hex);
}

double plan_stage_tokens(const struct planned_run *run) {
  const struct corpus_facts *facts = &run->corpus->facts;
  double most = facts->known ? (double)facts->validation_tokens : INFINITY;
  return run->stage->forward_tokens(&run->config, facts) + fmin((double)run->config.train.final_eval_tokens, most);
}

// ---- all of them ----

// Whether the tokens of one corpus mean what those of another do.
struct token_check {
  uint32_t before, now;
  struct error why;
};

struct growth {
  struct plan *plan;
  struct plan_record *records;
  size_t capacity;
  struct diagnostics *diagnostics;
  bool too_many;
  struct error *error;         // a corpus that cannot be had
  struct token_check *checks;  // of pairs of corpora
  size_t check_count;
  const struct node **told;  // values of which a mistake was told
  size_t told_count;
};

static void add(struct growth *g, const struct plan_record *record) {
  if (g->plan->count == g->capacity) {
    g->capacity = g->capacity ? 2 * g->capacity : 256;
    g->records = memory_grow(g->records, g->capacity * sizeof *g->records);
  }
  g->records[g->plan->count++] = *record;
}

// Where the setting at fault is, or the whole value.
static const struct node *blame(const struct spec_stage_value *value, const struct error *error) {
  for (size_t e = 0; e < sizeof error->about / sizeof *error->about && error->about[e]; e++)
    for (size_t i = 0; i < value->settings.group_count; i++) {
      const struct spec_axis *axis = &value->settings.groups[i].axes[0];
      if (strcmp(axis->field->path, error->about[e]) == 0) return axis->constant ? axis->values[0].node : axis->key;
    }
  return value->node;
}

static bool is_told(const struct growth *g, const struct node *node) {
  for (size_t i = 0; i < g->told_count; i++)
    if (g->told[i] == node) return true;
  return false;
}

static void tell_once(struct growth *g, const struct node *node) {
  g->told = memory_grow(g->told, (g->told_count + 1) * sizeof *g->told);
  g->told[g->told_count++] = node;
}

// Each value's first mistake is reported, with the training that has it.
static void refuse(struct growth *g, const struct spec_stage_value *value, const struct run_config *config,
                   const struct error *error) {
  if (is_told(g, value->node)) return;
  tell_once(g, value->node);
  node_error(blame(value, error), g->diagnostics, NULL, "%s (first after the %s of width %lld, seed %lld)", error->text,
             g->plan->spec->from ? "model" : "training", (long long)config->model.width, (long long)config->seed);
}

// Whether a run has the value, by the value's condition over the run and the settings chosen. What only a corpus that
// is not prepared would tell leaves it in, as in sweeps.
static bool has_value(struct growth *g, const struct spec_stage_value *value, const struct run_config *config,
                      const struct planned_run *run) {
  const struct expression *where = value->where;
  if (!where) return true;
  struct spec *spec = (struct spec *)(uintptr_t)g->plan->spec;  // for its spelling of texts alone
  struct value *slots = memory_get(((size_t)where->name_count + 1) * sizeof *slots), result = {0};
  for (int i = 0; i < where->name_count; i++) {
    struct run_name name = {0};
    run_name_find(spec, where->names[i].name, &name);
    slots[i] = name.field ? field_get(config, name.field) : name.column->planned(&run->quantities, &run->corpus->facts);
    if (slots[i].kind == VALUE_TEXT)
      slots[i].text = spec_text_spelling(spec, where->names[i].name, slots[i].text, &g->plan->arena);
  }
  struct error error = {0};
  bool fine = expression_evaluate(where, slots, &result, &error);
  free(slots);
  if (fine && result.kind == VALUE_TEXT)
    fine = error_at(&error, EXIT_USAGE_ERROR, where->source, 0, "where must be a condition, not text");
  if (fine) return result.number != 0;
  if (!run->resolved || !run->corpus->facts.known) return true;
  if (!is_told(g, value->where_node)) {
    tell_once(g, value->where_node);
    spec_error_at(spec, value->where_node, error.offset, g->diagnostics, NULL, "%s", error.text + error.place);
  }
  return false;
}

// Whether an earlier choice for the same parent is the same run: what counts in its id is equal.
static bool is_twice(struct growth *g, size_t first, const struct run_config *parent, const struct run_config *config,
                     uint32_t corpus) {
  struct text own = {0}, other = {0};
  bool twice = false;
  config_canonical(config, &own);
  for (size_t i = first; i < g->plan->count && !twice; i++) {
    struct run_config before = *parent;
    const struct spec_stage_value *value;
    struct error ignored = {0};
    if (g->records[i].corpus != corpus) continue;
    choose(g->plan, &g->records[i], &before, &value);
    stage_find(before.stage)->resolve(&before, &(struct corpus_facts){0}, &g->plan->arena, &ignored);
    text_clear(&other);
    config_canonical(&before, &other);
    twice = strcmp(text_string(&own), text_string(&other)) == 0;
  }
  text_free(&own);
  text_free(&other);
  return twice;
}

// ---- another corpus ----

// An error of corpora that are both prepared; where one is not, the trainer looks.
static void check_tokens(const struct plan *plan, const struct run_config *config, struct token_check *check) {
  const struct plan_corpus *a = &plan->corpora[check->before], *b = &plan->corpora[check->now];
  if (!a->facts.known || !b->facts.known) return;
  struct corpus *before = corpus_open(a->folder, a->facts.digest, &a->config, &check->why);
  struct corpus *now = before ? corpus_open(b->folder, b->facts.digest, config, &check->why) : NULL;
  if (now) stage_corpora_agree(before, now, &check->why);
  corpus_close(before);
  corpus_close(now);
}

// The record's corpus, where its stage names one. False with an error about the value.
static bool take_corpus(struct growth *g, const struct run_config *config, struct plan_record *record,
                        struct error *error) {
  struct plan *plan = g->plan;
  uint32_t before = record->corpus;
  if (!grid_corpus(plan->grid, config, &record->corpus, error)) return false;
  plan->corpora = plan->grid->corpora;
  plan->corpus_count = plan->grid->corpus_count;
  if (record->corpus == before) return true;
  size_t i = 0;
  while (i < g->check_count && (g->checks[i].before != before || g->checks[i].now != record->corpus)) i++;
  if (i == g->check_count) {
    g->checks = memory_grow(g->checks, (g->check_count + 1) * sizeof *g->checks);
    g->checks[g->check_count++] = (struct token_check){.before = before, .now = record->corpus};
    check_tokens(plan, config, &g->checks[i]);
  }
  if (!g->checks[i].why.code) return true;
  *error = g->checks[i].why;
  return error_about(error, "corpus.source", "corpus.files", "corpus.tokenizer", NULL);
}

// ---- growing ----

// Resolves a choice after a resolved parent. False with an error about its settings.
static bool resolve_choice(struct growth *g, const struct stage *stage, struct run_config *config,
                           struct plan_record *record, struct error *error) {
  struct plan *plan = g->plan;
  if (stage->corpus) config_name_source(config);
  if (stage->corpus && !take_corpus(g, config, record, error)) return false;
  if (!stage->resolve(config, &plan->corpora[record->corpus].facts, &plan->arena, error)) return false;
  if (!stage_trains(stage, config) || !plan->grid->fits_device) return true;
  struct run_config training = *config;
  stage->training(&training);
  return plan->grid->fits_device(&training, error);
}

// The runs of stage `level` after the run `parent`; what comes next hangs on `ends`.
static void grow(struct growth *g, size_t level, size_t parent, size_t **ends, size_t *end_count) {
  struct plan *plan = g->plan;
  const struct spec_stage *stage = &plan->spec->stages[level - 1];
  struct planned_run run;
  plan->records = g->records;
  plan_run_quick(plan, parent, &run);
  size_t first = plan->count;
  bool skipped = false;
  if (plan->count + stage->choices > MOST_RUNS) {
    if (!g->too_many)
      node_error(stage->key, g->diagnostics, NULL, "with %s the plan has more than 20 million runs",
                 stage->stage->name);
    g->too_many = true;
    return;
  }
  for (size_t c = 0; c < stage->choices; c++) {
    struct run_config config = run.config;
    const struct spec_stage_value *value;
    struct plan_record record = g->records[parent];
    struct error error = {0};
    record.combination = c;
    record.stage = (uint32_t)level;
    record.parent = (uint32_t)parent;
    if (!choose(plan, &record, &config, &value)) {
      if (!skipped) {
        *ends = memory_grow(*ends, (*end_count + 1) * sizeof **ends);
        (*ends)[(*end_count)++] = parent;
      }
      skipped = true;
      continue;
    }
    if (!has_value(g, value, &config, &run)) continue;
    if (run.resolved && !resolve_choice(g, stage->stage, &config, &record, &error)) {
      if (error.code != EXIT_USAGE_ERROR) {
        if (!g->error->code) error_take(g->error, &error);
        return;
      }
      refuse(g, value, &config, &error);
      continue;
    }
    if (run.resolved && is_twice(g, first, &run.config, &config, record.corpus)) {
      plan->united++;
      continue;
    }
    *ends = memory_grow(*ends, (*end_count + 1) * sizeof **ends);
    (*ends)[(*end_count)++] = plan->count;
    add(g, &record);
  }
}

static bool is_given(const struct spec_stage *stage, const struct run_field *field) {
  for (size_t v = 0; v < stage->count; v++)
    for (size_t g = 0; g < stage->values[v].settings.group_count; g++)
      if (stage->values[v].settings.groups[g].axes[0].field == field) return true;
  return false;
}

// Fields of a corpus that a stage names are columns of the table, too.
static void add_corpus_axes(struct plan *plan, const struct spec_stage *stage) {
  for (size_t v = 0; v < stage->count; v++)
    for (size_t s = 0; s < stage->values[v].settings.group_count; s++) {
      const struct run_field *field = stage->values[v].settings.groups[s].axes[0].field;
      size_t i = 0;
      if (field->stage) continue;
      while (i < plan->axis_count && plan->axes[i].field != field) i++;
      if (i == plan->axis_count) plan->axes[plan->axis_count++] = (struct plan_axis){.field = field};
      plan->axes[i].varies = true;
    }
}

// Fields of stages that vary are columns of the table, as the sweeps' are.
static void add_axes(struct plan *plan) {
  for (size_t s = 0; s < plan->spec->stage_count; s++) {
    const struct spec_stage *stage = &plan->spec->stages[s];
    add_corpus_axes(plan, stage);
    for (size_t f = 0; f < run_field_count; f++) {
      const struct run_field *field = &run_fields[f];
      if (!field->stage || strcmp(field->stage, stage->stage->name) != 0) continue;
      if (field->groups & (GROUP_FOLLOWS | GROUP_FOUND) && !is_given(stage, field)) continue;
      struct run_config plain = plan->spec->base;
      bool varies = false, told = false;
      struct value first = {0};
      for (size_t c = 0; c < stage->choices; c++) {
        struct run_config config = plain;
        const struct spec_stage_value *value;
        struct error ignored = {0};
        if (!spec_stage_choose(stage, c, &config, &value))
          config = plain;
        else
          stage->stage->resolve(&config, &(struct corpus_facts){0}, &plan->arena, &ignored);
        struct value now = field_get(&config, field);
        if (field_is_untouched(field, now)) continue;
        struct value unset = field_get(&plain, field);
        varies |= !field_is_untouched(field, unset) && !value_equal(now, unset);
        if (!told) first = now;
        varies |= !value_equal(first, now);
        told = true;
      }
      if (varies) plan->axes[plan->axis_count++] = (struct plan_axis){.field = field, .varies = true};
    }
  }
}

bool plan_add_stages(struct plan *plan, struct diagnostics *diagnostics, struct error *error) {
  const struct spec *spec = plan->spec;
  if (!spec->stage_count || !plan->count) return true;
  size_t before = diagnostics->errors;
  struct growth g = {.plan = plan, .diagnostics = diagnostics, .error = error};
  size_t trainings = plan->count, end_count = trainings, *ends = memory_get(trainings * sizeof *ends);
  const struct plan_record *records = plan->records;
  plan->count = 0;
  for (size_t i = 0; i < trainings; i++) {
    add(&g, &records[i]);
    ends[i] = i;
  }
  for (size_t level = 1; level <= spec->stage_count; level++) {
    size_t *next = NULL, next_count = 0;
    for (size_t i = 0; i < end_count && !error->code; i++) grow(&g, level, ends[i], &next, &next_count);
    free(ends);
    ends = next;
    end_count = next_count;
  }
  free(ends);
  free(g.told);
  free(g.checks);
  plan->records = arena_array(&plan->arena, plan->count, sizeof *plan->records);
  memcpy(plan->records, g.records, plan->count * sizeof *plan->records);
  free(g.records);
  add_axes(plan);
  return diagnostics->errors == before && !error->code;
}

size_t plan_stage_count(const struct plan *plan, size_t level) {
  size_t count = 0;
  for (size_t i = 0; i < plan->count; i++) count += plan->records[i].stage == level;
  return count;
}

void plan_stages_say(const struct plan *plan, struct text *out) {
  size_t trainings = plan_stage_count(plan, 0);
  const struct stage *root = plan->spec->from ? stage_find(ROOT_STAGE) : NULL;
  text_format(out, "%zu %s", trainings,
              trainings == 1 ? (root ? root->one : "training") : (root ? root->several : "trainings"));
  for (size_t level = 1; level <= plan->spec->stage_count; level++) {
    const struct stage *stage = plan->spec->stages[level - 1].stage;
    size_t count = plan_stage_count(plan, level);
    text_format(out, ", %zu %s", count, count == 1 ? stage->one : stage->several);
  }
}
