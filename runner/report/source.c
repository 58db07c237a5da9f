// See source.h.
#include "runner/report/source.h"

#include <string.h>

#include "base/options.h"
#include "base/terminal.h"
#include "runner/report/of_table.h"

// ---- experiments ----

// Opens the store; without one nothing has run yet.
static struct store *open_store(const char *spec, struct error *error) {
  if (store_exists_home()) return store_open_home(STORE_READ, error);
  struct arena arena = {0};
  error_set(error, EXIT_ENVIRONMENT, "nothing has run yet in %s; isoloss run %s comes first", isoloss_home(&arena),
            spec);
  arena_free(&arena);
  return NULL;
}

// The spec as it was stored with the experiment: for a report by name.
static const char *stored_spec(struct store *store, struct arena *arena, const char *name, const char **path,
                               struct error *error) {
  const char *text = NULL;
  struct store_rows *rows = store_experiments(store, name, error);
  if (rows && store_rows_next(rows, error)) {
    text = arena_string(arena, store_rows_get(rows, "spec_text").text);
    *path = arena_string(arena, store_rows_get(rows, "spec_path").text);
  }
  store_rows_close(rows);
  return text;
}

static bool of_name(struct report_source *source, const char *name, struct error *error) {
  struct error ignored = {0};
  if (!(source->store = open_store("SPEC", error))) return false;
  const char *path = name, *text = stored_spec(source->store, &source->report.arena, name, &path, error);
  const struct spec_options stored = {.experiment = name};
  if (error->code) return false;
  bool parsed = text && spec_parse(&source->spec, path, text, strlen(text), &stored, &source->diagnostics, &ignored);
  if (text && !parsed)
    notice_print("isoloss", "the stored spec of '%s' does not parse any more (%s)", name, ignored.text);
  return report_gather(&source->report, source->store, name, parsed ? &source->spec : NULL, NULL, error);
}

// Mistakes of the spec come before a store that is missing.
static bool of_file(struct report_source *source, const char *path, const struct spec_choices *choices,
                    struct error *error) {
  return spec_open(&source->spec, path, choices, error) && (source->store = open_store(source->spec.call, error)) &&
         report_gather(&source->report, source->store, source->spec.name, &source->spec, source->spec.source, error);
}

// ---- anybody's table ----

static bool is_table(const char *name) {
  return ends_with(name, ".csv") || ends_with(name, ".tsv") || ends_with(name, ".txt");
}

static bool no_law(const struct report_request *request, struct error *error) {
  struct arena arena = {0};
  const char **names;
  size_t count;
  struct text list = {0};
  if (law_names(&arena, &names, &count, error)) {
    for (size_t i = 0; i < count; i++) text_format(&list, "%s%s", i ? ", " : "", names[i]);
    error_set(error, EXIT_USAGE_ERROR, "%s: which law is fitted to %s? name one with --law: your own .yaml file, or %s",
              request->command, request->named, text_string(&list));
  }
  text_free(&list);
  arena_free(&arena);
  return false;
}

// The command's options, as a shell takes them.
static const char *words_given(const struct report_request *request, struct arena *arena) {
  struct text words = {0};
  for (size_t i = 0; i < request->given_count; i++) {
    text_format(&words, "%s%s", i ? " " : "", request->given[i].option);
    if (!request->given[i].value) continue;
    text_char(&words, ' ');
    text_add_shell(&words, request->given[i].value);
  }
  const char *kept = arena_string(arena, text_string(&words));
  text_free(&words);
  return kept;
}

static bool of_rows(struct report_source *source, const struct report_request *request, struct error *error) {
  struct fit_arguments *fit = request->fit;
  struct arena *arena = &source->report.arena;
  struct fit_options options;
  fit->given = request->given;
  fit->given_count = request->given_count;
  bool fitted = fit->entry.law != NULL;
  if (!fitted && !request->rows_alone) return no_law(request, error);
  if (!fitted) fit->entry.law = "chinchilla";  // for the columns that it names
  return fit_arguments_read(request->command, fit, arena, &options, error) &&
         report_of_table(&source->report, request->named, fit, &options, words_given(request, arena), fitted, error);
}

// ---- which of them ----

static bool only_own_options(const struct report_request *request, struct error *error) {
  for (size_t i = 0; i < request->given_count; i++) {
    const char *given = request->given[i].option;
    bool own = strcmp(given, "--preset") == 0;
    for (const struct option *o = request->own; o->name; o++) own |= strcmp(given + 2, o->name) == 0;
    if (!own)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: %s is for tables; of a spec the %s shows the fits that isoloss fit has made",
                       request->command, given, request->command);
  }
  return true;
}

bool report_source_open(struct report_source *source, const struct report_request *request, struct error *error) {
  const char *named = request->named;
  *source = (struct report_source){.report = {.every_figure = request->every_figure}};
  // As everywhere: a spec ends in .yaml or is a path; anything else is an experiment of the store.
  bool spec = ends_with(named, ".yaml") || ends_with(named, ".yml");
  if (!spec && (is_table(named) || request->fit->entry.law)) return of_rows(source, request, error);
  if (!only_own_options(request, error)) return false;
  if (spec || (strchr(named, '/') && file_exists(named))) return of_file(source, named, &request->fit->choices, error);
  if (request->fit->choices.preset)
    return error_set(error, EXIT_USAGE_ERROR, "%s: --preset needs a spec, not an experiment of the store",
                     request->command);
  return of_name(source, named, error);
}

void report_source_close(struct report_source *source) {
  report_free(&source->report);
  spec_free(&source->spec);
  diagnostics_free(&source->diagnostics);
  store_close(source->store);
}
