// isoloss report: the report of an experiment or a table as one HTML page, as Markdown, LaTeX or JSON, and its figures.
#include <spawn.h>
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/report/paper.h"
#include "runner/report/source.h"

extern char **environ;

struct report_options {
  const char *output, *figures, *open, *form;
  bool json, overwrite;
};

static enum report_form form_of(const char *name) {
  for (int form = 0; report_forms[form]; form++)
    if (strcmp(report_forms[form], name) == 0) return (enum report_form)form;
  return REPORT_HTML;
}

// Shows the page in the desktop's browser, without waiting for it.
static void open_page(char *path) {
  static char program[] = "xdg-open";
  char *arguments[] = {program, path, NULL};
  pid_t child;
  if (posix_spawnp(&child, program, NULL, NULL, arguments, environ) != 0)
    notice_print("isoloss", "xdg-open is not there, so the page is not shown");
}

// What was gathered, as the options want it.
static void put_report(struct report *report, const struct report_options *options, struct error *error) {
  struct arena arena = {0};
  char *path = NULL;
  if (options->output || !options->json)
    path = options->output ? arena_string(&arena, options->output)
                           : path_join(&arena, path_join(&arena, report->home, "reports"),
                                       arena_format(&arena, "%s%s", report_file_stem(&arena, report->name),
                                                    report_form_ends[form_of(options->form)]));
  struct paper paper = {.folder = options->figures, .formats = {[FIGURE_PDF] = true}};
  const struct report_figures figures = {.folder = options->figures,
                                         .pdf = form_of(options->form) == REPORT_LATEX ? &paper : NULL};
  // What somebody names is theirs to overwrite; the folder of reports is everybody's.
  struct figure_faults faults = {.arena = &arena};
  bool fine = paper_width(&paper, "text", 0, error) &&
              (!path || options->output || options->overwrite || report_may_replace(report, path, error));
  // Figures first: the report says which are missing.
  if (fine && options->figures) report_write_figures(report, &figures, &faults);
  fine = fine && (!path || report_write(report, path, form_of(options->form), &figures, error));
  if (fine && options->json) {
    struct text json = {0};
    report_json(report, path, &json);
    fputs(text_string(&json), stdout);
    text_free(&json);
  } else if (fine) {
    printf("%s\n", path);
  }
  if (fine && path && strcmp(options->open, "yes") == 0) open_page(path);
  if (fine && !figure_faults_end(&faults, error) && options->json) error->told = NULL;  // the document is there already
  arena_free(&arena);
}

void command_report(struct command_line *line) {
  struct report_options a = {.open = "no", .form = "html"};
  struct fit_arguments fit;
  struct option options[FIT_ARGUMENT_OPTIONS + 10];
  size_t count = fit_arguments_options(&fit, OF_FIT, options);
  const struct option own[] = {
      {"output", 'o', OPTION_TEXT, &a.output, "FILE", "where it goes (default: reports/NAME.html in the home)"},
      {"format", 'f', OPTION_TEXT, &a.form, "FORMAT",
       "html, markdown, or latex to be taken in by \\input (default: html)", report_forms},
      {"figures", 0, OPTION_TEXT, &a.figures, "FOLDER", "write each figure there as SVG too, for latex as PDF"},
      {"overwrite", 0, OPTION_FLAG, &a.overwrite, NULL, "replace a page of another spec in reports/"},
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
  bool known = false;
  for (int form = 0; report_forms[form]; form++) known |= strcmp(report_forms[form], a.form) == 0;
  if (!known) {
    error_set(&line->error, EXIT_USAGE_ERROR, "report: --format is html, markdown or latex, not '%s'", a.form);
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
