// isoloss plan: the runs a spec expands to, before any of them is trained.
#include "runner/plan/plan.h"

#include <stdlib.h>

#include "results/store.h"
#include "runner/commands.h"
#include "runner/plan/print.h"

struct plan_arguments {
  const char *path;
  struct option_list overrides;
  const char *device;
  bool json, counts, prepare;
  int64_t limit;
};

static int show(const struct plan_arguments *arguments) {
  struct spec spec = {0};
  struct plan plan = {0};
  struct store *store = NULL;
  struct error error = {0};
  struct plan_options options = {.prepare = arguments->prepare, .messages = stderr};
  struct option_list overrides = {memory_get((arguments->overrides.count + 1) * sizeof *overrides.items), 0};
  struct arena arena = {0};
  if (arguments->device)
    overrides.items[overrides.count++] = arena_format(&arena, "model.device=%s", arguments->device);
  for (size_t i = 0; i < arguments->overrides.count; i++)
    overrides.items[overrides.count++] = arguments->overrides.items[i];
  bool fine = spec_open(&spec, arguments->path, &overrides, &error) && plan_open(&plan, &spec, &options, &error);
  if (fine && store_exists_home()) {
    store = store_open_home(STORE_READ, &error);
    fine = store != NULL;
  }
  if (fine) {
    plan_measure_speed(&plan);
    fine = arguments->json
               ? plan_print_json(&plan, store, stdout, &error)
               : plan_print_table(&plan, store, arguments->counts, (size_t)arguments->limit, stdout, &error);
  }
  store_close(store);
  plan_free(&plan);
  spec_free(&spec);
  option_list_free(&overrides);
  arena_free(&arena);
  return fine ? EXIT_DONE : command_fail(&error);
}

int command_plan(int argc, char **argv) {
  struct plan_arguments arguments = {.prepare = true, .limit = 200};
  bool done;
  struct option options[] = {
      {"set", 0, OPTION_LIST, &arguments.overrides, "PATH=VALUE", "give a field of base another value (repeatable)"},
      {"device", 0, OPTION_TEXT, &arguments.device, "DEVICE",
       "plan for this model.device, such as cuda (no GPU is needed)"},
      {"counts", 0, OPTION_FLAG, &arguments.counts, NULL, "parameters by every count"},
      {"limit", 0, OPTION_INTEGER, &arguments.limit, "N", "lines of the table; 0 for all (200)"},
      {"prepare", 0, OPTION_FLAG, &arguments.prepare, NULL,
       "build a corpus that is not there yet (--no-prepare: do not)"},
      {"json", 0, OPTION_FLAG, &arguments.json, NULL, "all runs as one JSON array"},
      {0},
  };
  struct command command = {
      "plan", "Shows the runs of a spec: sizes, tokens, FLOPs, memory, time, and what is done already.",
      "isoloss plan SPEC [--device DEVICE] [--set PATH=VALUE]... [--counts] [--json]",
      "N is non-embedding parameters, D training tokens, FLOPs are counted per operation (attention and the\n"
      "vocabulary matrix included). A run's id needs the corpus: plan prepares it the first time.",
      options};
  struct error error = {0};
  struct arena arena = {0};
  const char **rest = arena_array(&arena, (size_t)argc, sizeof *rest);
  int count, code = EXIT_DONE;
  if (!options_parse(&command, argc, argv, rest, &count, &done, &error)) {
    code = command_fail(&error);
  } else if (!done && (count != 1 || arguments.limit < 0)) {
    if (count != 1)
      error_set(&error, EXIT_USAGE_ERROR, "plan needs one spec: %s", command.usage);
    else
      error_set(&error, EXIT_USAGE_ERROR, "plan: --limit needs a number of lines, 0 for all");
    code = command_fail(&error);
  } else if (!done) {
    arguments.path = rest[0];
    code = show(&arguments);
  }
  option_list_free(&arguments.overrides);
  arena_free(&arena);
  return code;
}
