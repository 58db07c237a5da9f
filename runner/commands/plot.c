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

// The name that a figure has among all of the report: with its fit's where there are several.
static const char *name_of(const struct report_figure *figure) {
  return figure->drawn ? figure->figure.name : figure->name;
}

static bool is_asked_for(const struct report_figure *figure, const char *name) {
  return strcmp(figure->name, name) == 0 || strcmp(name_of(figure), name) == 0;
}

static bool check_name(const struct report *report, const char *name, struct error *error) {
  const struct report_figure *found = NULL;
  struct arena arena = {0};
  const char **names = arena_array(&arena, 2 * report->figure_count + 1, sizeof *names);
  size_t count = 0;
  for (size_t i = 0; i < report->figure_count; i++) {
    names[count++] = name_of(&report->figures[i]);
    names[count++] = report->figures[i].name;
    if (is_asked_for(&report->figures[i], name) && (!found || !found->drawn)) found = &report->figures[i];
  }
  if (!found) {
    error_set(error, EXIT_USAGE_ERROR, "plot: there is no figure '%s' of %s", name, report->name);
    error_hint(error, nearest_name(name, names, count), "; --list names them");
  } else if (!found->drawn) {
    error_set(error, EXIT_USAGE_ERROR, "plot: these data give no %s: %s", name, found->nothing);
  }
  arena_free(&arena);
  return !error->code;
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
  json_key_string(json, "name", name_of(figure));
  json_key_string(json, "fit", figure->fit);
  json_key_boolean(json, "drawn", figure->drawn);
  json_key_string(json, "title", figure->drawn ? figure->figure.title : NULL);
  json_key_string(json, "caption", figure->drawn ? figure->figure.caption : NULL);
  json_key_string(json, "reason", figure->drawn ? NULL : figure->nothing);
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
    text_table_cell(&table, "%s", name_of(figure));
    if (figure->drawn)
      text_table_cell(&table, "%s", figure->figure.title);
    else
      text_table_cell(&table, "not drawn: %s", figure->nothing);
  }
  text_table_print(&table, stdout);
  text_table_free(&table);
}

static bool write_figures(struct command_line *line, const struct report *report, const struct plot_options *options) {
  struct text document = {0};
  struct json_writer json = json_writer(&document, true);
  json_object_begin(&json);
  json_key_string(&json, "source", report->name);
  json_key_number(&json, "width_inches", options->paper.print.width);
  json_key_number(&json, "text_points", options->paper.print.text);
  json_key(&json, "figures");
  json_array_begin(&json);
  bool fine = true;
  for (size_t i = 0; i < report->figure_count && fine; i++) {
    const struct report_figure *figure = &report->figures[i];
    struct paper_files files = {0};
    if (!options->list && !is_wanted(line, figure)) continue;
    if (!options->list && figure->drawn)
      fine = paper_write(&options->paper, &figure->figure, &line->arena, &files, &line->error);
    else if (!options->list && line->count == 1)
      notice_print("isoloss", "%s is not drawn: %s", figure->name, figure->nothing);
    figure_json(figure, &files, &json);
    for (size_t f = 0; f < files.count && !options->json; f++) printf("%s\n", files.paths[f]);
  }
  json_array_end(&json);
  json_object_end(&json);
  if (fine && options->json) printf("%s\n", text_string(&document));
  text_free(&document);
  return fine;
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

static void plot(struct command_line *line, const struct report_request *request, const struct plot_options *options) {
  struct report_source source;
  bool fine = report_source_open(&source, request, &line->error);
  for (int i = 1; i < line->count && fine; i++) fine = check_name(&source.report, line->arguments[i], &line->error);
  if (fine && options->list && !options->json)
    list(&source.report);
  else if (fine)
    write_figures(line, &source.report, options);
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
