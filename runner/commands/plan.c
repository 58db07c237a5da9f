// isoloss plan: the runs a spec expands to, before any of them is trained.
#include "runner/plan/plan.h"

#include "results/store.h"
#include "runner/commands.h"
#include "runner/fits/identified.h"
#include "runner/plan/print.h"

struct plan_arguments {
  struct spec_choices choices;
  const char *device;
  bool json, counts, prepare;
  int64_t limit;
};

// Whether what the runs will identify can be worked out: every run is known, there are fits, and few enough runs.
static bool has_ids(const struct plan *plan) {
  struct planned_run run;
  if (!plan->spec->fit_count || !plan->count || plan->count > IDENTIFIED_LIMIT) return false;
  for (size_t i = 0; i < plan->corpus_count; i++)
    if (plan->corpora[i].reason && !plan->corpora[i].unused) return false;
  plan_run(plan, 0, &run);
  return *run.id != 0;
}

static bool show(const struct plan_arguments *a, const char *path, struct arena *arena, struct error *error) {
  struct spec spec = {0};
  struct plan plan = {0};
  struct store *store = NULL;
  struct plan_options options = {.prepare = a->prepare, .messages = stderr};
  struct spec_choices choices = {{arena_array(arena, a->choices.set.count + 1, sizeof(char *)), 0}, a->choices.preset};
  struct option_list *set = &choices.set;
  if (a->device) set->items[set->count++] = arena_format(arena, "model.device=%s", a->device);
  for (size_t i = 0; i < a->choices.set.count; i++) set->items[set->count++] = a->choices.set.items[i];
  bool fine = spec_open(&spec, path, &choices, error) && plan_open(&plan, &spec, &options, error);
  if (fine && store_exists_home()) {
    store = store_open_home(STORE_READ, error);
    fine = store != NULL;
  }
  if (fine) {
    plan_measure_speed(&plan);
    fine = a->json ? plan_print_json(&plan, store, stdout, error)
                   : plan_print_table(&plan, store, a->counts, (size_t)a->limit, stdout, error);
    if (fine && !a->json && has_ids(&plan)) identified_print(&spec, &plan, stdout);
  }
  store_close(store);
  plan_free(&plan);
  spec_free(&spec);
  return fine;
}

void command_plan(struct command_line *line) {
  struct plan_arguments a = {.prepare = true, .limit = 200};
  const struct option options[] = {
      {"set", 0, OPTION_LIST, &a.choices.set, "PATH=VALUE", "give a field of base another value (repeatable)"},
      {"preset", 0, OPTION_TEXT, &a.choices.preset, "NAME", "with what this preset of the spec changes"},
      {"device", 0, OPTION_TEXT, &a.device, "DEVICE", "plan for this model.device, such as cuda (no GPU is needed)"},
      {"counts", 0, OPTION_FLAG, &a.counts, NULL, "parameters by every count"},
      {"limit", 0, OPTION_INTEGER, &a.limit, "N", "lines of the table; 0 for all (200)"},
      {"prepare", 0, OPTION_FLAG, &a.prepare, NULL, "build a corpus that is not there yet (--no-prepare: do not)"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "all runs as one JSON array"},
      {0}};
  const struct command_usage usage = {
      "isoloss plan SPEC [--device DEVICE] [--set PATH=VALUE]... [--preset NAME] [--counts] [--json]",
      "N is non-embedding parameters, D training tokens, FLOPs are counted per operation (attention and the\n"
      "vocabulary matrix included). A run's id needs the corpus: plan prepares it the first time;\n"
      "with --no-prepare the ids are missing. With --device cuda it says which GPUs hold the runs.",
      1, 1, "one spec"};
  if (!command_begin(line, &usage, options)) return;
  if (a.limit < 0)
    error_set(&line->error, EXIT_USAGE_ERROR, "plan: --limit needs a number of lines, 0 for all");
  else
    show(&a, line->arguments[0], &line->arena, &line->error);
}
