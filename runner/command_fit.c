// isoloss fit: a law fitted to the runs of a spec, or to anybody's table.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/fit_internal.h"

struct fit_arguments {
  const char *law, *map, *where, *holdout, *objective, *residual, *weight, *group, *best_over, *average_over, *interval,
      *leave_out;
  int64_t bootstrap, seed, threads, starts;
  double confidence;
  struct option_list fixes, frees, baselines, profiles;
  bool residuals, profile_all, json;
};

// "a,b" into the arena.
static const char **split_list(struct arena *arena, const char *text, size_t *count) {
  *count = 0;
  if (!text) return NULL;
  char *copy = arena_string(arena, text), *save = NULL;
  const char **list = arena_array(arena, strlen(text) + 1, sizeof *list);
  for (char *item = strtok_r(copy, ", ", &save); item; item = strtok_r(NULL, ", ", &save)) list[(*count)++] = item;
  return list;
}

// --fix NAME=VALUE, --free NAME, --baseline COLUMN=CATEGORY
static bool read_settings(const struct fit_arguments *arguments, struct arena *arena, struct fit_options *options,
                          struct error *error) {
  struct fit_fix *fixes = arena_array(arena, arguments->fixes.count + arguments->frees.count + 1, sizeof *fixes);
  struct fit_baseline *baselines = arena_array(arena, arguments->baselines.count + 1, sizeof *baselines);
  for (size_t i = 0; i < arguments->fixes.count; i++) {
    const char *text = arguments->fixes.items[i], *equals = strrchr(text, '=');
    double value;
    if (!equals || equals == text || !number_parse(equals + 1, &value) || !isfinite(value))
      return error_set(error, EXIT_USAGE_ERROR, "fit: --fix %s is not of the form NAME=NUMBER", text);
    fixes[options->fix_count++] = (struct fit_fix){arena_copy(arena, text, (size_t)(equals - text)), value};
  }
  for (size_t i = 0; i < arguments->frees.count; i++)
    fixes[options->fix_count++] = (struct fit_fix){arguments->frees.items[i], NAN};
  for (size_t i = 0; i < arguments->baselines.count; i++) {
    const char *text = arguments->baselines.items[i], *equals = strchr(text, '=');
    if (!equals || equals == text || !equals[1])
      return error_set(error, EXIT_USAGE_ERROR, "fit: --baseline %s is not of the form COLUMN=CATEGORY", text);
    baselines[options->baseline_count++] =
        (struct fit_baseline){arena_copy(arena, text, (size_t)(equals - text)), equals + 1};
  }
  options->fixes = fixes;
  options->baselines = baselines;
  return true;
}

static bool read_options(const struct fit_arguments *arguments, struct arena *arena, struct fit_options *options,
                         struct error *error) {
  if (arguments->bootstrap < -1 || arguments->bootstrap > 1000000)
    return error_set(error, EXIT_USAGE_ERROR, "fit: --bootstrap takes 0 to 1000000 resamples");
  if (arguments->threads < 0 || arguments->starts < 0 || arguments->starts > 10000000)
    return error_set(error, EXIT_USAGE_ERROR, "fit: --threads and --starts are not negative (at most 10000000 starts)");
  if (arguments->confidence && !(arguments->confidence > 0 && arguments->confidence < 1))
    return error_set(error, EXIT_USAGE_ERROR, "fit: --confidence lies between 0 and 1 (0.95)");
  *options = (struct fit_options){.where = arguments->where,
                                  .holdout = arguments->holdout,
                                  .objective = arguments->objective,
                                  .residual = arguments->residual,
                                  .weight = arguments->weight,
                                  .group = arguments->group,
                                  .bootstrap = (int)arguments->bootstrap,
                                  .confidence = arguments->confidence,
                                  .seed = (uint64_t)arguments->seed,
                                  .threads = (int)(arguments->threads > 256 ? 256 : arguments->threads),
                                  .starts = (int)arguments->starts,
                                  .profile_all = arguments->profile_all,
                                  .profiles = (const char *const *)arguments->profiles.items,
                                  .profile_count = arguments->profiles.count};
  if (arguments->interval && !interval_parse(arguments->interval, &options->interval, error))
    return error_context(error, "fit");
  options->leave_out = (const char *const *)split_list(arena, arguments->leave_out, &options->leave_out_count);
  return read_settings(arguments, arena, options, error);
}

static bool fit_spec(const char *path, const struct fit_arguments *arguments, const struct fit_options *options,
                     size_t *claims_not_held, struct error *error) {
  if (arguments->map || arguments->best_over || arguments->average_over)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "fit: --map, --best-over and --average-over are for tables; a spec's fit entries say it themselves");
  struct spec spec;
  struct text json = {0};
  struct store *store = NULL;
  bool fine = spec_open(&spec, path, NULL, error);
  if (fine && !spec.fit_count && !arguments->law)
    fine = error_set(error, EXIT_USAGE_ERROR, "%s has no fit entries; name a law with --law", path);
  if (fine && !store_exists_home())
    fine = error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", path);
  if (fine) fine = (store = store_open_home(STORE_WRITE, error)) != NULL;
  if (fine)
    fine = fit_experiment(&spec, store,
                          &(struct fit_experiment_options){.overrides = options,
                                                           .law = arguments->law,
                                                           .report = arguments->json ? NULL : stdout,
                                                           .json = arguments->json ? &json : NULL,
                                                           .claims_not_held = claims_not_held,
                                                           .residuals = arguments->residuals},
                          error);
  if (json.length) printf("%s\n", text_string(&json));
  text_free(&json);
  store_close(store);
  spec_free(&spec);
  return fine;
}

static bool reduce(struct table *table, const struct law *law, const struct fit_arguments *arguments,
                   struct arena *arena, struct fit_notes *notes, struct error *error) {
  struct reductions reductions = {.keys = law->columns, .key_count = (size_t)law->column_count};
  reductions.best_over = split_list(arena, arguments->best_over, &reductions.best_over_count);
  reductions.average_over = split_list(arena, arguments->average_over, &reductions.average_over_count);
  if (!reductions.best_over_count && !reductions.average_over_count) return true;
  // Rows that --where leaves out must not win or be averaged.
  bool *keep = arena_array(arena, table->row_count + 1, sizeof *keep);
  if (arguments->where) {
    if (!table_where(table, arguments->where, keep, error)) return false;
    table_keep_rows(table, keep);
  }
  return reduce_table(table, law->target, &reductions, notes, error);
}

static bool fit_csv(const char *path, const struct fit_arguments *arguments, const struct fit_options *options,
                    struct error *error) {
  struct arena arena = {0};
  struct law law = {0};
  struct table table = {0};
  struct fit_result result = {0};
  struct fit_notes notes = {.noise = NAN};
  struct column_map *maps = NULL;
  size_t map_count = 0;
  bool fine = law_open(&law, arguments->law ? arguments->law : "chinchilla", error) &&
              (!arguments->map || column_maps_parse(&arena, arguments->map, &maps, &map_count, error)) &&
              table_read_csv(&table, path, maps, map_count, error) &&
              reduce(&table, &law, arguments, &arena, &notes, error) && fit_run(&law, &table, options, &result, error);
  for (size_t i = 0; fine && i < notes.warning_count; i++) fit_result_warn(&result, "%s", notes.warnings[i]);
  if (fine) warn_of_mixture(&table, &result);
  if (fine && arguments->json) {
    struct text json = {0};
    struct json_writer writer = json_writer(&json, false);
    json_array_begin(&writer);
    fit_result_json(&result, &writer);
    json_array_end(&writer);
    printf("%s\n", text_string(&json));
    text_free(&json);
  } else if (fine) {
    fit_print(&result, &law, &notes, arguments->residuals, stdout);
  } else {
    for (size_t i = 0; i < result.excluded_count && i < 20; i++)
      fprintf(stderr, "  %s excluded: %s\n", result.exclusions[i].row, result.exclusions[i].reason);
  }
  fit_result_free(&result);
  table_free(&table);
  law_free(&law);
  arena_free(&arena);
  return fine;
}

static int run(const struct command *command, struct fit_arguments *arguments, int argc, char **argv) {
  struct error error = {0};
  struct arena arena = {0};
  struct fit_options options;
  size_t claims_not_held = 0;
  const char **rest = arena_array(&arena, (size_t)argc + 1, sizeof *rest);
  int count;
  bool done, fine = options_parse(command, argc, argv, rest, &count, &done, &error);
  if (fine && !done && count != 1)
    fine = error_set(&error, EXIT_USAGE_ERROR, "fit: give one spec (.yaml) or one table (.csv)");
  fine = fine && (done || read_options(arguments, &arena, &options, &error));
  if (fine && !done) {
    bool spec = ends_with(rest[0], ".yaml") || ends_with(rest[0], ".yml");
    fine = spec ? fit_spec(rest[0], arguments, &options, &claims_not_held, &error)
                : fit_csv(rest[0], arguments, &options, &error);
  }
  arena_free(&arena);
  option_list_free(&arguments->fixes);
  option_list_free(&arguments->frees);
  option_list_free(&arguments->baselines);
  option_list_free(&arguments->profiles);
  if (!fine) return command_fail(&error);
  return claims_not_held ? EXIT_RUNS_FAILED : EXIT_DONE;
}

int command_fit(int argc, char **argv) {
  struct fit_arguments a = {.bootstrap = -1};
  const struct option options[] = {
      {"law", 'l', OPTION_TEXT, &a.law, "NAME", "the law: one that ships (isoloss laws) or a .yaml file of your own"},
      {"map", 'm', OPTION_TEXT, &a.map, "LIST", "columns by other names: parameters=N_total,tokens=D_seen"},
      {"where", 'w', OPTION_TEXT, &a.where, "EXPR", "rows that take part: \"format == 'none' and N > 1e6\""},
      {"holdout", 0, OPTION_TEXT, &a.holdout, "EXPR", "rows kept from the fit to test it: \"N > 1e8\""},
      {"objective", 0, OPTION_TEXT, &a.objective, "KIND", "huber:DELTA, least-squares or lad (else the law's)"},
      {"residual", 0, OPTION_TEXT, &a.residual, "KIND", "log or plain (else the law's)"},
      {"weight", 0, OPTION_TEXT, &a.weight, "EXPR", "weight of a row in the objective: \"1 / std ^ 2\""},
      {"group", 0, OPTION_TEXT, &a.group, "COLUMN", "resample rows of equal COLUMN together (points of one run)"},
      {"best-over", 0, OPTION_TEXT, &a.best_over, "LIST", "keep the best row over these columns: lr,batch"},
      {"average-over", 0, OPTION_TEXT, &a.average_over, "LIST", "average over these columns: seed"},
      {"fix", 0, OPTION_LIST, &a.fixes, "NAME=VALUE", "hold a parameter: E=1.69 (may be given several times)"},
      {"free", 0, OPTION_LIST, &a.frees, "NAME", "fit a parameter that the law fixes"},
      {"baseline", 0, OPTION_LIST, &a.baselines, "COLUMN=CATEGORY", "the category that others are relative to"},
      {"bootstrap", 'b', OPTION_INTEGER, &a.bootstrap, "N", "resamples for the intervals (default 1000, 0: none)"},
      {"interval", 0, OPTION_TEXT, &a.interval, "KIND", "bca (default: bias-corrected and accelerated) or percentile"},
      {"confidence", 0, OPTION_NUMBER, &a.confidence, "P", "of the intervals (default 0.95)"},
      {"seed", 's', OPTION_INTEGER, &a.seed, "N", "of resamples and random starts"},
      {"starts", 0, OPTION_INTEGER, &a.starts, "N", "at most this many starts (default: the law's grid, up to 5000)"},
      {"threads", 'j', OPTION_INTEGER, &a.threads, "N", "threads (default: all cores); the result is the same"},
      {"profile", 0, OPTION_FLAG, &a.profile_all, NULL, "profile likelihood of every fitted parameter"},
      {"profile-of", 0, OPTION_LIST, &a.profiles, "NAME", "of one parameter (may be given several times)"},
      {"leave-out", 0, OPTION_TEXT, &a.leave_out, "LIST", "refit without each value of these columns, and predict it"},
      {"residuals", 'r', OPTION_FLAG, &a.residuals, NULL, "print the residual of every row"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {NULL, 0, OPTION_FLAG, NULL, NULL, NULL}};
  const struct command command = {
      "fit", "fit a law to runs or to a table", "isoloss fit SPEC.yaml|TABLE.csv [--law NAME] [options]",
      "With a spec, every fit entry is fitted on its finished runs and kept in the store; with a table, the law "
      "(default "
      "chinchilla) is fitted on its rows. A table's columns are used by name: parameters (or N), tokens (or D), flops "
      "(or C), loss, format, ...; --map gives others those names.\n\nThe objective is the plain sum over rows of the "
      "loss of the stated residual, so that it compares with published numbers.",
      options};
  return run(&command, &a, argc, argv);
}
