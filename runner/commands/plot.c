// isoloss plot: the figures of an experiment or a table as files for papers and slides.
#include <stdio.h>
#include <string.h>

#include "runner/commands.h"
#include "runner/report/paper.h"
#include "runner/report/source.h"
#include "runner/terminal/table.h"

struct plot_options {
  struct paper paper;
  const char *width, *formats, *legend;
  double points, dots;
  bool list, json;
};

static bool is_asked_for(const struct report_figure *figure, const char *name) {
  return strcmp(figure->name, name) == 0 || strcmp(report_figure_name(figure), name) == 0;
}

// The name must be a figure's; what is found of it, the one that is drawn before others.
static const struct report_figure *find_name(const struct report *report, const char *name, struct error *error) {
  const struct report_figure *found = NULL;
  struct arena arena = {0};
  const char **names = arena_array(&arena, 2 * report->figure_count + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; i < report->figure_count; i++) {
    names[count++] = report_figure_name(&report->figures[i]);
    names[count++] = report->figures[i].name;
    if (is_asked_for(&report->figures[i], name) && (!found || !found->drawn)) found = &report->figures[i];
  }
  if (!found) {
    error_set(error, EXIT_USAGE_ERROR, "plot: there is no figure '%s' of %s", name, report->name);
    error_hint(error, nearest_name(name, names, count), "; --list names them");
  }
  arena_free(&arena);
  return found;
}

static bool is_wanted(const struct command_line *line, const struct report_figure *figure) {
  if (line->count == 1) return true;
  for (int i = 1; i < line->count; i++)
    if (is_asked_for(figure, line->arguments[i])) return true;
  return false;
}

// ---- what was drawn, or can be ----

static void figure_json(const struct report_figure *figure, const struct paper_files *files, struct json_writer *json) {
  json_object_begin(json);
  json_key_string(json, "name", report_figure_name(figure));
  json_key_string(json, "fit", figure->fit);
  json_key_boolean(json, "drawn", figure->drawn && !figure->fault);
  json_key_string(json, "title", figure->drawn ? figure->figure.title : NULL);
  json_key_string(json, "caption", figure->drawn ? figure->figure.caption : NULL);
  json_key_string(json, "reason", figure->drawn ? figure->fault : figure->nothing);
  json_key(json, "files");
  json_array_begin(json);
  for (size_t i = 0; i < files->count; i++) json_put_string(json, files->paths[i]);
  json_array_end(json);
  json_object_end(json);
}

static void list(const struct report *report) {
  struct text_table table = text_list(0, 12);
  for (size_t i = 0; i < report->figure_count; i++) {
    const struct report_figure *figure = &report->figures[i];
    text_table_cell(&table, "%s", report_figure_name(figure));
    if (figure->drawn)
      text_table_cell(&table, "%s", figure->figure.title);
    else
      text_table_cell(&table, "not drawn: %s", figure->nothing);
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
}

// Draws one figure; what fails is among the faults, and the files that were written before it are named all the same.
static void draw(const struct command_line *line, struct report_figure *figure, const struct plot_options *options,
                 struct paper_files *files, struct figure_faults *faults, struct arena *arena) {
  struct error own = {0};
  if (!figure->drawn) {
    if (line->count == 1) notice_print("isoloss", "%s is not drawn: %s", figure->name, figure->nothing);
    return;
  }
  if (paper_write(&options->paper, &figure->figure, arena, files, &own)) return;
  if (own.code == EXIT_USAGE_ERROR && line->count == 1) {  // nothing to show, and nobody has named it
    notice_print("isoloss", "%s", own.text);
    figure->fault = arena_string(arena, own.text);
  } else {
    figure->fault = figure_faults_add(faults, figure->figure.name, &own);
  }
}

static void write_figures(struct command_line *line, struct report *report, const struct plot_options *options,
                          struct figure_faults *faults) {
  struct text document = {0};
  struct json_writer json = json_writer(&document, true);
  json_object_begin(&json);
  json_key_string(&json, "source", report->name);
  json_key_number(&json, "width_inches", options->paper.print.width);
  json_key_number(&json, "text_points", options->paper.print.text);
  json_key(&json, "figures");
  json_array_begin(&json);
  for (size_t i = 0; i < report->figure_count; i++) {
    struct report_figure *figure = &report->figures[i];
    struct paper_files files = {0};
    if (!options->list && !is_wanted(line, figure)) continue;
    if (!options->list) draw(line, figure, options, &files, faults, &line->arena);
    figure_json(figure, &files, &json);
    for (size_t f = 0; f < files.count && !options->json; f++) printf("%s\n", files.paths[f]);
  }
  json_array_end(&json);
  json_object_end(&json);
  if (options->json) printf("%s\n", text_string(&document));
  text_free(&document);
}

static bool read_options(struct plot_options *options, struct error *error) {
  struct paper *paper = &options->paper;
  if (paper->print.font && (!*paper->print.font || strpbrk(paper->print.font, ",'\"\\\n<&")))
    return error_set(error, EXIT_USAGE_ERROR, "--font is the name of one family, such as 'Liberation Sans'; not '%s'",
                     paper->print.font);
  if (!(options->dots >= 36 && options->dots <= 2400))
    return error_set(error, EXIT_USAGE_ERROR, "--dots is from 36 to 2400 per inch, not %g", options->dots);
  paper->print.dots = options->dots;
  return paper_width(paper, options->width, options->points, error) && paper_formats(paper, options->formats, error) &&
         paper_labels(paper, error) && paper_legend(paper, options->legend, error);
}

// Names of figures that there are, but with nothing to show; false at one that is none.
static bool check_names(struct command_line *line, const struct report *report, struct figure_faults *faults) {
  for (int i = 1; i < line->count; i++) {
    const struct report_figure *found = find_name(report, line->arguments[i], &line->error);
    if (!found) return false;
    struct error nothing = {0};
    if (!found->drawn) error_set(&nothing, EXIT_USAGE_ERROR, "%s", found->nothing);
    if (!found->drawn) figure_faults_add(faults, line->arguments[i], &nothing);
  }
  return true;
}

static void plot(struct command_line *line, const struct report_request *request, const struct plot_options *options) {
  struct report_source source;
  struct figure_faults faults = {.arena = &line->arena};
  if (report_source_open(&source, request, &line->error) && check_names(line, &source.report, &faults)) {
    if (options->list && !options->json)
      list(&source.report);
    else
      write_figures(line, &source.report, options, &faults);
    if (!figure_faults_end(&faults, &line->error)) error_context(&line->error, "plot");
    if (options->json) line->error.told = NULL;  // the document is there already
  }
  report_source_close(&source);
}

void command_plot(struct command_line *line) {
  struct plot_options a = {
      .width = "column", .formats = "pdf", .legend = "auto", .dots = 300, .paper = {.folder = "figures"}};
  struct fit_arguments fit;
  struct option options[FIT_ARGUMENT_OPTIONS + 16];
  size_t count = fit_arguments_options(&fit, OF_FIT, options);
  const struct option own[] = {
      {"output", 'o', OPTION_TEXT, &a.paper.folder, "FOLDER", "where the files go (default: figures)"},
      {"width", 0, OPTION_TEXT, &a.width, "WIDTH",
       "printed width: column (3.3in), text (5.5in), slide (10in), or in in, cm, mm, pt (default: column)",
       (const char *const[]){"column", "text", "slide", NULL}},
      {"format", 'f', OPTION_TEXT, &a.formats, "FORMAT", "pdf, svg, png, tikz, or several: pdf,png (default: pdf)",
       figure_format_names},
      {"points", 0, OPTION_NUMBER, &a.points, "N", "size of text at that width (default: 8, on slides 16)"},
      {"font", 0, OPTION_TEXT, &a.paper.print.font, "NAME", "family of the text (default: the system's sans serif)"},
      {"label", 0, OPTION_LIST, &a.paper.labels, "WHAT=TEXT", "another text for x, y, title or legend"},
      {"title", 0, OPTION_FLAG, &a.paper.print.title, NULL, "draw the title above the figure"},
      {"legend", 0, OPTION_TEXT, &a.legend, "PLACE",
       "auto (words at the curves where they fit), right, below, none (default: auto)", paper_legends},
      {"dots", 0, OPTION_NUMBER, &a.dots, "N", "dots per inch of PNG (default: 300)"},
      {"data", 0, OPTION_FLAG, &a.paper.data, NULL, "also what is drawn as CSV, and a gnuplot script to edit"},
      {"list", 0, OPTION_FLAG, &a.list, NULL, "only list the figures, and why others cannot be drawn"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "print names, captions and files as JSON"},
      {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss plot SPEC|EXPERIMENT [FIGURE...] [options]\n"
      "       isoloss plot TABLE.csv|IMPORT [--law NAME] [FIGURE...] [options]",
      "Figures as files, laid out for a printed width: text has the size that is asked for there, and fonts are embedded.\n"
      "Without FIGURE, those that the spec's report has. With a table, the law is fitted to its rows now, with the\n"
      "options of isoloss fit; without --law its rows are drawn as they are. Each path written is printed.",
      1, 32, "one spec, experiment or table"};
  if (!command_begin(line, &usage, options)) return;
  if (!read_options(&a, &line->error)) {
    error_context(&line->error, "plot");
    return;
  }
  const struct report_request request = {.command = "plot",
                                         .named = line->arguments[0],
                                         .fit = &fit,
                                         .given = line->given,
                                         .given_count = line->given_count,
                                         .own = own,
                                         .rows_alone = true,
                                         .every_figure = a.list || line->count > 1};
  plot(line, &request, &a);
}
