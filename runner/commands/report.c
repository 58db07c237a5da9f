// isoloss report: the report of an experiment as one HTML page, as JSON, and its figures as SVG files.
#include <spawn.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/report/data.h"
#include "runner/report/of_table.h"

extern char **environ;

struct report_options {
  const char *output, *figures, *open;
  bool json;
};

// Shows the page in the desktop's browser, without waiting for it.
static void open_page(char *path) {
  static char program[] = "xdg-open";
  char *arguments[] = {program, path, NULL};
  pid_t child;
  if (posix_spawnp(&child, program, NULL, NULL, arguments, environ) != 0)
    notice_print("isoloss", "xdg-open is not there, so the page is not shown");
}

// What was gathered, as the options want it.
static bool put_report(const struct report *report, const struct report_options *options, struct error *error) {
  struct arena arena = {0};
  char *path = NULL;
  if (options->output || !options->json)
    path = options->output ? arena_string(&arena, options->output)
                           : path_join(&arena, path_join(&arena, report->home, "reports"),
                                       arena_format(&arena, "%s.html", report_file_stem(&arena, report->name)));
  bool fine = !path || report_write_page(report, path, error);
  if (fine && options->figures) fine = report_write_figures(report, options->figures, error);
  if (fine && options->json) {
    struct text json = {0};
    report_json(report, path, &json);
    fputs(text_string(&json), stdout);
    text_free(&json);
  } else if (fine) {
    printf("%s\n", path);
  }
  if (fine && path && strcmp(options->open, "yes") == 0) open_page(path);
  arena_free(&arena);
  return fine;
}

static bool write_report(const char *name, const struct spec *spec, const char *spec_text,
                         const struct report_options *options, struct store *store, struct error *error) {
  struct report report = {0};
  bool fine = report_gather(&report, store, name, spec, spec_text, error) && put_report(&report, options, error);
  report_free(&report);
  return fine;
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

static bool report_of_name(const char *name, const struct report_options *options, struct store *store,
                           struct error *error) {
  struct arena arena = {0};
  struct spec spec = {0};
  struct diagnostics diagnostics = {0};
  struct error ignored = {0};
  const char *path = name, *text = stored_spec(store, &arena, name, &path, error);
  const struct spec_options stored = {.experiment = name};
  bool parsed = text && spec_parse(&spec, path, text, strlen(text), &stored, &diagnostics, &ignored);
  if (text && !parsed)
    notice_print("isoloss", "the stored spec of '%s' does not parse any more (%s)", name, ignored.text);
  bool fine = !error->code && write_report(name, parsed ? &spec : NULL, NULL, options, store, error);
  spec_free(&spec);
  diagnostics_free(&diagnostics);
  arena_free(&arena);
  return fine;
}

// Opens the store; without one nothing has run yet.
static struct store *open_store(const char *spec, struct error *error) {
  if (store_exists_home()) return store_open_home(STORE_READ, error);
  struct arena arena = {0};
  error_set(error, EXIT_ENVIRONMENT, "nothing has run yet in %s; isoloss run %s comes first", isoloss_home(&arena),
            spec);
  arena_free(&arena);
  return NULL;
}

// Mistakes of the spec come before a store that is missing.
static bool report_of_file(const char *path, const struct spec_choices *choices, const struct report_options *options,
                           struct error *error) {
  struct spec spec = {0};
  struct store *store = NULL;
  bool fine = spec_open(&spec, path, choices, error) && (store = open_store(spec.call, error)) &&
              write_report(spec.name, &spec, spec.source, options, store, error);
  store_close(store);
  spec_free(&spec);
  return fine;
}

// ---- anybody's table ----

static bool is_table(const char *name) {
  return ends_with(name, ".csv") || ends_with(name, ".tsv") || ends_with(name, ".txt");
}

static bool no_law(const char *source, struct arena *arena, struct error *error) {
  const char **names;
  size_t count;
  struct text list = {0};
  if (!law_names(arena, &names, &count, error)) return false;
  for (size_t i = 0; i < count; i++) text_format(&list, "%s%s", i ? ", " : "", names[i]);
  error_set(error, EXIT_USAGE_ERROR,
            "report: which law is fitted to %s? name one with --law: a .yaml file of your own, or %s", source,
            text_string(&list));
  text_free(&list);
  return false;
}

// The command's options, as a shell takes them.
static const char *words_given(struct command_line *line) {
  struct text words = {0};
  for (size_t i = 0; i < line->given_count; i++) {
    text_format(&words, "%s%s", i ? " " : "", line->given[i].option);
    if (!line->given[i].value) continue;
    text_char(&words, ' ');
    text_add_shell(&words, line->given[i].value);
  }
  const char *kept = arena_string(&line->arena, text_string(&words));
  text_free(&words);
  return kept;
}

static bool report_of_rows(struct command_line *line, struct fit_arguments *fit, const struct report_options *options) {
  struct error *error = &line->error;
  const char *source = line->arguments[0];
  struct fit_options fit_options;
  fit->given = line->given;
  fit->given_count = line->given_count;
  if (!fit->entry.law) return no_law(source, &line->arena, error);
  if (!fit_arguments_read("report", fit, &line->arena, &fit_options, error)) return false;
  struct report report = {0};
  bool fine = report_of_table(&report, source, fit, &fit_options, words_given(line), error) &&
              put_report(&report, options, error);
  report_free(&report);
  return fine;
}

void command_report(struct command_line *line) {
  struct report_options a = {.open = "no"};
  struct fit_arguments fit;
  struct option options[FIT_ARGUMENT_OPTIONS + 8];
  size_t count = fit_arguments_options(&fit, OF_FIT, options);
  const struct option own[] = {
      {"output", 'o', OPTION_TEXT, &a.output, "FILE", "where the page goes (default: reports/NAME.html in the home)"},
      {"figures", 0, OPTION_TEXT, &a.figures, "FOLDER", "write each figure there as an SVG file too"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "print the report's content as JSON (a page only with -o)"},
      {"open", 0, OPTION_TEXT, &a.open, "yes|no", "show the page in the browser (default: no)",
       (const char *const[]){"yes", "no", NULL}},
      {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss report SPEC|EXPERIMENT [options]\n"
      "       isoloss report TABLE.csv|IMPORT --law NAME [options]",
      "One self-contained HTML page: the fits with their intervals and what to mind about them, figures, runs,\n"
      "failures, environment, and how to run it again. SPEC is a file, EXPERIMENT the name of one that has run.\n"
      "With a table, the law is fitted to its rows now, with the options of isoloss fit: the fit, figures, residuals, how\n"
      "well it predicts what was left out, and where it comes from. The page's path is printed.",
      1, 1, "one spec, experiment or table"};
  if (!command_begin(line, &usage, options)) return;
  if (strcmp(a.open, "yes") != 0 && strcmp(a.open, "no") != 0) {
    error_set(&line->error, EXIT_USAGE_ERROR, "report: --open is yes or no, not '%s'", a.open);
    return;
  }
  // As everywhere: a spec ends in .yaml or is a path; anything else is an experiment of the store.
  const char *named = line->arguments[0];
  bool spec = ends_with(named, ".yaml") || ends_with(named, ".yml");
  if (!spec && (is_table(named) || fit.entry.law)) {
    report_of_rows(line, &fit, &a);
    return;
  }
  for (size_t i = 0; i < line->given_count; i++) {
    bool own_option = false;
    for (const struct option *o = own; o->name; o++) own_option |= strcmp(line->given[i].option + 2, o->name) == 0;
    if (own_option || strcmp(line->given[i].option, "--preset") == 0) continue;
    error_set(&line->error, EXIT_USAGE_ERROR,
              "report: %s is for tables; of a spec the report shows the fits that isoloss fit has made",
              line->given[i].option);
    return;
  }
  if (spec || (strchr(named, '/') && file_exists(named))) {
    report_of_file(named, &fit.choices, &a, &line->error);
    return;
  }
  if (fit.choices.preset) {
    error_set(&line->error, EXIT_USAGE_ERROR, "report: --preset needs a spec, not an experiment of the store");
    return;
  }
  struct store *store = open_store("SPEC", &line->error);
  if (store) report_of_name(named, &a, store, &line->error);
  store_close(store);
}
