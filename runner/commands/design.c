// isoloss design: what intervals a spec's fits will give, before it is run.
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "runner/commands.h"
#include "runner/fits/design_print.h"
#include "runner/terminal/progress.h"

enum { DESIGN_LIMIT = 32 };

struct design_arguments {
  const char *law, *assume, *target;
  double noise;
  int64_t repeats, seed, threads, starts, bootstrap;
  struct option_list overrides, variants;
  bool quick, json;
};

// ---- progress ----

static volatile sig_atomic_t interrupted;
static void interrupt(int signal) { interrupted = 1; }

struct watch {
  const char *label;
  double started, shown;
  bool terminal, drawn;
};

static bool watch_progress(void *context, int done, int repeats) {
  struct watch *watch = context;
  double now = seconds_now(), passed = now - watch->started;
  char left[32];
  bool due = now - watch->shown > (watch->terminal ? 0.3 : 20) && passed > 2;
  if (due && done < repeats) {
    seconds_human(passed / done * (repeats - done), left);
    fprintf(stderr, "%s%s: %d of %d simulated fits, %s left%s", watch->terminal ? "\r\033[K" : "", watch->label, done,
            repeats, left, watch->terminal ? "" : "\n");
    fflush(stderr);
    watch->shown = now;
    watch->drawn = watch->terminal;
  }
  return !interrupted;
}

// ---- one fit of one spec ----

struct made {  // a design with what it was made from
  size_t spec;
  const char *fit;
  struct design_truth truth;
  const char *noise_source;
  struct design_result result;
};

struct session {
  const struct design_arguments *arguments;
  struct arena arena;
  struct design_spec specs[DESIGN_LIMIT];
  size_t spec_count;
  struct made *made;
  size_t made_count;
};

static void choose_noise(const struct design_arguments *a, struct made *made, struct design_options *options) {
  options->noise = a->noise > 0 ? a->noise : made->truth.noise > 0 ? made->truth.noise : 0.003;
  made->noise_source = a->noise > 0            ? "given"
                       : made->truth.noise > 0 ? "the residual scatter of the stored fit"
                                               : "assumed: nothing tells it (--noise)";
}

static bool design_fit(struct session *session, size_t number, const struct spec_fit *entry, struct error *error) {
  const struct design_arguments *a = session->arguments;
  struct design_spec *spec = &session->specs[number];
  struct law law = {0};
  struct table table = {0};
  struct fit_notes notes;
  struct made *made = &session->made[session->made_count];
  struct watch watch = {.label = entry->name, .started = seconds_now(), .terminal = isatty(STDERR_FILENO)};
  struct fit_options fit = {.objective = entry->objective, .residual = entry->residual, .holdout = entry->holdout_text};
  struct design_options options = {.repeats = a->quick ? 0 : (int)a->repeats,
                                   .starts = (int)a->starts,
                                   .bootstrap = (int)a->bootstrap,
                                   .target = a->target,
                                   .seed = (uint64_t)a->seed,
                                   .threads = (int)a->threads,
                                   .progress = watch_progress,
                                   .context = &watch};
  *made = (struct made){.spec = number, .fit = entry->name};
  bool fine = law_open(&law, entry->law, error) &&
              fit_entry_table(&spec->selection.spec, entry, NULL, spec->selection.store, &table, &notes, error) &&
              design_truth_read(&made->truth, a->assume, spec->selection.spec.name, entry->name, entry->law,
                                &session->arena, error);
  if (fine) {
    options.assumptions = made->truth.assumptions;
    options.assumption_count = made->truth.count;
    options.extra_assumptions = made->truth.of_fit || session->made_count > 0;
    choose_noise(a, made, &options);
    fine = design_run(&law, &table, &fit, &options, &made->result, error);
    session->made_count++;
  }
  if (watch.drawn) fprintf(stderr, "\r\033[K");
  table_free(&table);
  law_free(&law);
  return fine || error_context(error, "%s, fit %s", spec->label, entry->name);
}

static bool design_fits(struct session *session, size_t number, struct error *error) {
  const struct spec *spec = &session->specs[number].selection.spec;
  const char *law = session->arguments->law;
  struct spec_fit own = {.name = law, .law = law, .bootstrap = -1};
  size_t asked = 0;
  session->made = arena_grow(&session->arena, session->made, session->made_count,
                             session->made_count + spec->fit_count + 1, sizeof *session->made);
  for (size_t i = 0; i < spec->fit_count && !interrupted; i++) {
    const struct spec_fit *entry = &spec->fits[i];
    if (law && strcmp(entry->law, law) != 0 && strcmp(entry->name, law) != 0) continue;
    asked++;
    if (!design_fit(session, number, entry, error)) return false;
  }
  if (!asked && law && !interrupted) return design_fit(session, number, &own, error);
  if (!asked && !law)
    return error_set(error, EXIT_USAGE_ERROR, "%s has no fit entries; name a law with --law", spec->path);
  return true;
}

// ---- output ----

// The designs of one fit, one a spec; 0 when not all specs have it with the same coefficients.
static size_t same_fit(const struct session *session, const char *fit, struct design_result *results) {
  size_t count = 0;
  for (size_t m = 0; m < session->made_count; m++)
    if (strcmp(session->made[m].fit, fit) == 0 && session->made[m].spec == count && count < DESIGN_LIMIT)
      results[count++] = session->made[m].result;
  if (count != session->spec_count || count < 2) return 0;
  for (size_t i = 1; i < count; i++) {
    if (results[i].coefficient_count != results[0].coefficient_count) return 0;
    for (size_t q = 0; q < results[0].coefficient_count; q++)
      if (strcmp(results[i].quantities[q].name, results[0].quantities[q].name) != 0) return 0;
  }
  return count;
}

static void print_people(const struct session *session) {
  struct design_result results[DESIGN_LIMIT];
  size_t shown = SIZE_MAX;
  for (size_t m = 0; m < session->made_count; m++) {
    const struct made *made = &session->made[m];
    if (made->spec != shown) {
      printf("%s", m ? "\n" : "");
      design_print_cost(&session->specs[made->spec], stdout);
      shown = made->spec;
    }
    design_print(&made->result, made->fit, &made->truth, made->noise_source, session->arguments->target, stdout);
  }
  for (size_t m = 0; m < session->made_count && session->made[m].spec == 0; m++) {
    size_t count = same_fit(session, session->made[m].fit, results);
    if (!count) continue;
    printf("\nfit %s: ", session->made[m].fit);
    design_print_comparison(results, session->specs, count, stdout);
  }
}

static void put_comparison(const struct session *session, size_t first, struct json_writer *writer) {
  struct design_result results[DESIGN_LIMIT];
  size_t count = same_fit(session, session->made[first].fit, results);
  if (!count) return;
  json_object_begin(writer);
  json_key_string(writer, "fit", session->made[first].fit);
  json_key(writer, "best");
  json_object_begin(writer);
  for (size_t q = 0; q < results[0].quantity_count; q++) {
    double error;
    int best = design_best_of(results, count, results[0].quantities[q].name, &error);
    json_key_string(writer, results[0].quantities[q].name, best < 0 ? NULL : session->specs[best].label);
  }
  json_object_end(writer);
  int best = design_best_overall(results, count);
  json_key_string(writer, "best_overall", best < 0 ? NULL : session->specs[best].label);
  json_object_end(writer);
}

static void print_json(const struct session *session) {
  struct text json = {0};
  struct json_writer writer = json_writer(&json, false);
  json_object_begin(&writer);
  json_key(&writer, "designs");
  json_array_begin(&writer);
  for (size_t m = 0; m < session->made_count; m++) {
    const struct made *made = &session->made[m];
    const struct design_cost *cost = &session->specs[made->spec].cost;
    json_object_begin(&writer);
    json_key_string(&writer, "spec", session->specs[made->spec].label);
    json_key_string(&writer, "fit", made->fit);
    json_key_string(&writer, "assumed", made->truth.source);
    json_key_string(&writer, "noise_source", made->noise_source);
    json_key_integer(&writer, "runs", (int64_t)cost->runs);
    json_key_number(&writer, "flops", cost->flops);
    json_key_number(&writer, "seconds", cost->seconds);
    design_json(&made->result, &writer);
    json_object_end(&writer);
  }
  json_array_end(&writer);
  json_key(&writer, "comparison");
  json_array_begin(&writer);
  for (size_t m = 0; m < session->made_count && session->made[m].spec == 0; m++) put_comparison(session, m, &writer);
  json_array_end(&writer);
  json_object_end(&writer);
  printf("%s\n", text_string(&json));
  text_free(&json);
}

// ---- the command ----

static bool check_arguments(const struct design_arguments *a, struct error *error) {
  if (a->repeats < 2 || a->repeats > 100000)
    return error_set(error, EXIT_USAGE_ERROR, "design: --repeats takes 2 to 100000 simulated fits (or --quick)");
  if (a->noise != 0 && !(a->noise > 0 && a->noise < 1))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "design: --noise is the standard deviation of ln(loss) between seeds, above 0 and below 1 (0.003)");
  if (a->bootstrap < -1 || a->bootstrap > 10000 || a->starts < 0 || a->starts > 1000000 || a->threads < 0 ||
      a->threads > 256)
    return error_set(error, EXIT_USAGE_ERROR,
                     "design: --bootstrap takes 0 to 10000 resamples, --starts and --threads are not negative");
  return true;
}

// Every spec as it is, and once for each variant.
static bool open_specs(struct session *session, const char *const *paths, int count, struct error *error) {
  const struct design_arguments *a = session->arguments;
  for (int p = 0; p < count; p++)
    for (size_t v = 0; v <= a->variants.count; v++) {
      struct option_list overrides = {arena_array(&session->arena, a->overrides.count + 1, sizeof(char *)), 0};
      for (size_t i = 0; i < a->overrides.count; i++) overrides.items[overrides.count++] = a->overrides.items[i];
      if (v) overrides.items[overrides.count++] = a->variants.items[v - 1];
      if (session->spec_count == DESIGN_LIMIT)
        return error_set(error, EXIT_USAGE_ERROR, "design: at most %d specs and variants at once", DESIGN_LIMIT);
      const char *label =
          v ? arena_format(&session->arena, "%s with %s", paths[p], a->variants.items[v - 1]) : paths[p];
      if (!design_spec_open(&session->specs[session->spec_count++], paths[p], label, &overrides, error)) return false;
    }
  return true;
}

static void design(const struct design_arguments *a, const char *const *paths, int count, struct error *error) {
  struct session session = {.arguments = a};
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESETHAND};
  sigaction(SIGINT, &action, NULL);
  bool fine = check_arguments(a, error) && open_specs(&session, paths, count, error);
  for (size_t i = 0; i < session.spec_count && fine && !interrupted; i++) fine = design_fits(&session, i, error);
  if (fine && a->json)
    print_json(&session);
  else if (fine)
    print_people(&session);
  for (size_t m = 0; m < session.made_count; m++) design_free(&session.made[m].result);
  for (size_t i = 0; i < session.spec_count; i++) design_spec_close(&session.specs[i]);
  arena_free(&session.arena);
}

void command_design(struct command_line *line) {
  struct design_arguments a = {.repeats = 200, .bootstrap = -1};
  const struct option options[] = {
      {"law", 'l', OPTION_TEXT, &a.law, "NAME", "only fits of this law or name, or this law where no entry has it"},
      {"assume", 'a', OPTION_TEXT, &a.assume, "LIST|FIT",
       "the truth: \"E=1.69,A=406.4,...\", a stored fit, a .json file"},
      {"noise", 'n', OPTION_NUMBER, &a.noise, "S", "s.d. of ln(loss) between seeds (a fit's scatter, else 0.003)"},
      {"repeats", 'r', OPTION_INTEGER, &a.repeats, "N", "simulated fits (200)"},
      {"quick", 'q', OPTION_FLAG, &a.quick, NULL, "linearised intervals only, no simulated fit"},
      {"target", 't', OPTION_TEXT, &a.target, "QUANTITY", "which added run would lower its error most"},
      {"variant", 'v', OPTION_LIST, &a.variants, "PATH=VALUE", "compare with the spec changed so (repeatable)"},
      {"set", 0, OPTION_LIST, &a.overrides, "PATH=VALUE", "give a field of base another value, in all (repeatable)"},
      {"bootstrap", 'b', OPTION_INTEGER, &a.bootstrap, "N", "resamples of each fit, for its coverage (100; 0: none)"},
      {"starts", 0, OPTION_INTEGER, &a.starts, "N", "starts of each simulated fit (200)"},
      {"seed", 's', OPTION_INTEGER, &a.seed, "N", "of the noise"},
      {"threads", 'j', OPTION_INTEGER, &a.threads, "N", "threads (all cores); the result is the same"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"},
      {0}};
  const struct command_usage usage = {
      "isoloss design SPEC... [--assume LIST|FIT] [--noise S] [options]",
      "Draws the losses of the spec's runs from an assumed law with noise, makes the spec's fits on them, and again and\n"
      "again: bias, spread and coverage of every parameter and derived quantity, and what the sweep cannot tell apart.\n"
      "Several specs, or --variant, are compared: which is better for each quantity and over all. Nothing is trained.\n"
      "Ctrl-C stops the simulation and prints what it has.",
      1, INT_MAX, "one or more specs (.yaml)"};
  if (command_begin(line, &usage, options)) design(&a, line->arguments, line->count, &line->error);
}
