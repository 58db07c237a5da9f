// isoloss report: the report of an experiment as one HTML page, as JSON, and its figures as SVG files.
#include <spawn.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/report/source.h"

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
  const struct report_request request = {.command = "report",
                                         .named = line->arguments[0],
                                         .fit = &fit,
                                         .given = line->given,
                                         .given_count = line->given_count,
                                         .own = own};
  struct report_source source;
  if (report_source_open(&source, &request, &line->error)) put_report(&source.report, &a, &line->error);
  report_source_close(&source);
}
