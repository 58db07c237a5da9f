// See selection.h.
#include "runner/execute/selection.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runner/plan/stages.h"
#include "trainer/trainer.h"

// ---- a plan's runs ----

bool plan_set_begin(struct plan_set *set, const struct plan *plan, struct error *error) {
  *set = (struct plan_set){.plan = plan};
  const struct spec_trainer *trainer = &plan->spec->trainer;
  if (trainer->node) {
    struct text text = {0};
    struct json_writer json = json_writer(&text, false);
    json_array_begin(&json);
    for (size_t i = 0; i < trainer->command_count; i++) json_put_string(&json, trainer->command[i]);
    json_array_end(&json);
    set->command = arena_string(&set->arena, text_string(&text));
    text_free(&text);
  }
  for (size_t i = 0; i < plan->corpus_count; i++) {
    const struct plan_corpus *corpus = &plan->corpora[i];
    if (corpus->facts.known || corpus->unused || corpus->refused) continue;
    return error_set(error, EXIT_ENVIRONMENT, "%s: the runs have no ids yet: %s (isoloss plan %s prepares it)",
                     plan->spec->path, corpus->reason ? corpus->reason : "the corpus is not prepared",
                     plan->spec->path);
  }
  return true;
}

void plan_set_end(struct plan_set *set) { arena_free(&set->arena); }

// What sets a run apart: the axes that vary, by the last part of their paths.
static void write_label(const struct plan *plan, const struct run_config *config, char *label, size_t size) {
  size_t used = 0;
  label[0] = '\0';
  if (config->stage) used = (size_t)snprintf(label, size, "%s", config->stage);
  for (size_t i = 0; i < plan->axis_count && used + 1 < size; i++) {
    const struct plan_axis *axis = &plan->axes[i];
    if (!axis->varies || (axis->field->stage && !config->stage)) continue;
    struct value value = field_get(config, axis->field);
    const char *dot = strrchr(axis->field->path, '.'), *name = dot ? dot + 1 : axis->field->path;
    char number[32];
    if (value.kind == VALUE_NUMBER && fabs(value.number) < 1e7 && value.number == floor(value.number))
      snprintf(number, sizeof number, "%.0f", value.number);
    else if (value.kind == VALUE_NUMBER)
      snprintf(number, sizeof number, "%.3g", value.number);
    int wrote = snprintf(label + used, size - used, "%s%s %s", used ? ", " : "", name,
                         value.kind == VALUE_TEXT      ? value.text
                         : value.kind == VALUE_NUMBER  ? number
                         : value.kind == VALUE_MISSING ? "auto"
                         : value.number != 0           ? "true"
                                                       : "false");
    used += wrote > 0 ? (size_t)wrote : 0;
  }
}

void plan_set_describe(void *plan_set, size_t i, struct coordinator_run *run) {
  struct plan_set *set = plan_set;
  struct planned_run *planned = &set->run;
  plan_run(set->plan, i, planned);
  const struct corpus_facts *facts = &planned->corpus->facts;
  run->file.config = planned->config;
  memcpy(run->file.id, planned->id, sizeof run->file.id);
  run->file.corpus_path = planned->corpus->folder ? planned->corpus->folder : "";
  memcpy(run->file.parent, planned->parent_id, sizeof run->file.parent);
  run->parent = planned->parent;
  memcpy(run->file.corpus_digest, facts->digest, sizeof run->file.corpus_digest);
  run->record = (struct run_record){
      .stage = planned->stage ? planned->stage->name : set->plan->stage,
      .parent = planned->stage && !planned->stage->root ? planned->parent_id : NULL,
      .trainer = set->command,
      .corpus = *facts,
      .quantities = planned->quantities,
  };
  run->seconds = planned->seconds;
  run->work = planned->stage && planned->resolved
                  ? planned->quantities.flops_per_token / 3 * plan_stage_tokens(planned)  // forward alone
                  : NAN;
  // Somebody else's trainer needs what it needs.
  run->memory = plan_needs(set->plan, planned);
  write_label(set->plan, &planned->config, run->label, sizeof run->label);
}

static bool find_run(struct plan_set *set, const char *prefix, const bool *chosen, const char **id,
                     struct error *error) {
  size_t length = strlen(prefix), found = 0, at = 0;
  if (length < 4 || length > DIGEST_LENGTH || strspn(prefix, "0123456789abcdef") != length)
    return error_set(error, EXIT_USAGE_ERROR, "'%s' is no run id: give its first characters, at least 4 of 0-9a-f",
                     prefix);
  for (size_t i = 0; i < set->plan->count; i++) {
    plan_run(set->plan, i, &set->run);
    if (strncmp(set->run.id, prefix, length) != 0) continue;
    *id = arena_string(&set->arena, set->run.id);
    at = i;
    found++;
  }
  if (found != 1)
    return error_set(error, EXIT_USAGE_ERROR, "%s ids of %s's runs start with '%s' (isoloss runs %s lists them)",
                     found ? "several" : "no", set->plan->spec->name, prefix, set->plan->spec->call);
  return !chosen || chosen[at] ||
         error_set(error, EXIT_USAGE_ERROR, "run %s is one of those that --only leaves out", prefix);
}

bool plan_set_find(struct plan_set *set, const struct option_list *prefixes, const bool *chosen, const char ***ids,
                   struct error *error) {
  *ids = arena_array(&set->arena, prefixes->count, sizeof **ids);
  for (size_t i = 0; i < prefixes->count; i++)
    if (!find_run(set, prefixes->items[i], chosen, &(*ids)[i], error)) return false;
  return true;
}

// ---- selections ----

static bool add_runs(struct store *store, const struct plan *plan, struct error *error) {
  struct plan_set set;
  const struct spec *spec = plan->spec;
  struct experiment_record experiment = {spec->name, spec->path, spec->source, spec->about};
  struct arena scratch = {0};
  struct coordinator_run run = {0};
  const char **ids = arena_array(&scratch, plan->count, sizeof *ids);
  bool fine =
      plan_set_begin(&set, plan, error) && store_begin(store, error) && store_experiment_put(store, &experiment, error);
  for (size_t i = 0; i < plan->count && fine; i++) {
    plan_set_describe(&set, i, &run);
    run.record.id = ids[i] = arena_string(&scratch, run.file.id);
    run.record.config = &run.file.config;
    fine = store_run_add(store, &run.record, error);
  }
  fine = fine && store_experiment_set_runs(store, spec->name, ids, plan->count, error) && store_commit(store, error);
  store_columns_renew(store);
  plan_set_end(&set);
  arena_free(&scratch);
  return fine;
}

// A private store of a plan's runs, with what the home's knows of them. NULL on error.
struct store *store_of_plan(const struct plan *plan, struct error *error) {
  struct store *store = store_open(":memory:", STORE_CREATE, error);
  bool fine = store && add_runs(store, plan, error);
  if (fine && store_exists_home()) {
    // Opened for a moment first: a damaged or newer database is reported as everywhere.
    struct store *home = store_open_home(STORE_READ, error);
    fine = home && store_overlay(store, home, error);
    store_close(home);
  }
  if (fine) return store;
  store_close(store);
  return NULL;
}

bool plan_set_choose(struct plan_set *set, const char *where, bool **chosen, struct error *error) {
  const struct plan *plan = set->plan;
  struct run_query query = {.experiment = plan->spec->name, .where = where};
  struct store *store = store_of_plan(plan, error);
  struct store_rows *rows = store ? store_runs(store, &query, error) : NULL;
  size_t next = 0, found = 0;
  *chosen = arena_array(&set->arena, plan->count, sizeof **chosen);
  while (rows && store_rows_next(rows, error)) {
    const char *id = store_rows_get(rows, "id").text;
    for (bool same = false; !same && next < plan->count; next++) {  // rows come in the plan's order
      plan_run(plan, next, &set->run);
      same = (*chosen)[next] = strcmp(set->run.id, id) == 0;
      found += same;
    }
  }
  bool read = rows && !error->code;
  store_rows_close(rows);
  store_close(store);
  return read &&
         (found > 0 || error_set(error, EXIT_USAGE_ERROR, "the condition '%s' holds for none of the %zu runs of %s",
                                 where, plan->count, plan->spec->path));
}

bool selection_plan(struct selection *selection, const char *path, const struct spec_choices *choices,
                    struct error *error) {
  *selection = (struct selection){.planned = true};
  if (!spec_open(&selection->spec, path, choices, error)) return false;
  struct plan_options options = {.prepare = false};
  if (!plan_open(&selection->plan, &selection->spec, &options, error)) return false;
  selection->experiment = selection->spec.name;
  selection->store = store_of_plan(&selection->plan, error);
  return selection->store != NULL;
}

static bool open_experiment(struct selection *selection, const char *name, struct error *error) {
  if (!store_exists_home()) {
    struct arena scratch = {0};
    error_set(error, name ? EXIT_USAGE_ERROR : EXIT_ENVIRONMENT,
              "nothing has run yet: there is no database in %s (isoloss run SPEC makes it)%s%s%s",
              isoloss_home(&scratch), name ? "; '" : "", name ? name : "", name ? "' is no file either" : "");
    arena_free(&scratch);
    return false;
  }
  selection->store = store_open_home(STORE_READ, error);
  bool exists;
  if (!selection->store) return false;
  if (!name) return true;
  if (!store_experiment_exists(selection->store, name, &exists, error)) return false;
  if (!exists) {
    struct arena scratch = {0};
    const char *near = store_nearest_experiment(selection->store, &scratch, name);
    error_set(error, EXIT_USAGE_ERROR, "'%s' is neither a file nor an experiment of the store", name);
    error_hint(error, near, " (isoloss status lists them)");
    arena_free(&scratch);
    return false;
  }
  selection->experiment = name;
  return true;
}

bool selection_open(struct selection *selection, const char *argument, const struct spec_choices *choices,
                    struct error *error) {
  memset(selection, 0, sizeof *selection);
  bool file = argument && spec_is_file(argument);
  if (file) return selection_plan(selection, argument, choices, error);
  if (choices && (choices->set.count || choices->preset))
    return error_set(error, EXIT_USAGE_ERROR, "--%s needs a spec, not an experiment of the store",
                     choices->preset ? "preset" : "set");
  return open_experiment(selection, argument, error);
}

void selection_close(struct selection *selection) {
  store_close(selection->store);
  if (!selection->planned) return;
  plan_free(&selection->plan);
  spec_free(&selection->spec);
}
