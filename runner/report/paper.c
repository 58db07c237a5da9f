// See paper.h.
#include "runner/report/paper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double points_per_inch = 72;

// ---- what is asked for ----

struct named_width {
  const char *name;
  double inches, text;
};
static const struct named_width widths[] = {{"column", 3.3, 8}, {"text", 5.5, 8}, {"slide", 10, 16}};

static const struct {
  const char *name;
  double inches;
} units[] = {{"in", 1}, {"cm", 1 / 2.54}, {"mm", 0.1 / 2.54}, {"pt", 1 / 72.27}};

static bool read_length(const char *width, double *inches) {
  char *end;
  double value = strtod(width, &end);
  if (end == width || !isfinite(value)) return false;
  for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
    if (strcmp(end, units[i].name) != 0) continue;
    *inches = value * units[i].inches;
    return true;
  }
  return false;
}

bool paper_width(struct paper *paper, const char *width, double text, struct error *error) {
  enum { LEAST_LETTERS = 24, MOST_INCHES = 40, LEAST_TEXT = 4, MOST_TEXT = 60 };
  bool known = false;
  paper->print.text = widths[0].text;
  for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
    if (strcmp(width, widths[i].name) != 0) continue;
    paper->print.width = widths[i].inches;
    paper->print.text = widths[i].text;
    known = true;
  }
  if (!known && !read_length(width, &paper->print.width))
    return error_set(error, EXIT_USAGE_ERROR,
                     "--width is column, text, slide, or a length such as 3.3in, 84mm, 8.4cm, 240pt; not '%s'", width);
  if (text != 0) {
    if (!(text >= LEAST_TEXT && text <= MOST_TEXT))
      return error_set(error, EXIT_USAGE_ERROR, "--points is the size of text, from %d to %d; not %g", LEAST_TEXT,
                       MOST_TEXT, text);
    paper->print.text = text;
  }
  double least = LEAST_LETTERS * paper->print.text / points_per_inch;
  if (paper->print.width < least)
    return error_set(error, EXIT_USAGE_ERROR,
                     "--width %s has no room for text of %g points: at least %.1fin, or smaller text (--points)", width,
                     paper->print.text, least + 0.05);
  if (paper->print.width > MOST_INCHES)
    return error_set(error, EXIT_USAGE_ERROR, "--width %s is more than %d inches", width, MOST_INCHES);
  return true;
}

bool paper_formats(struct paper *paper, const char *formats, struct error *error) {
  for (const char *word = formats;; word++) {
    size_t length = strcspn(word, ",");
    bool known = false;
    for (int f = 0; f < FIGURE_FORMATS; f++)
      if (strlen(figure_format_names[f]) == length && strncmp(figure_format_names[f], word, length) == 0)
        paper->formats[f] = known = true;
    if (!known)
      return error_set(error, EXIT_USAGE_ERROR, "--format is pdf, svg, png, tikz, or several such as pdf,png; not '%s'",
                       formats);
    word += length;
    if (!*word) return true;
  }
}

static const char *const label_names[] = {"x=", "y=", "title=", "legend="};

bool paper_labels(const struct paper *paper, struct error *error) {
  for (size_t i = 0; i < paper->labels.count; i++) {
    bool known = false;
    for (size_t k = 0; k < sizeof label_names / sizeof *label_names; k++)
      known |= starts_with(paper->labels.items[i], label_names[k]);
    if (!known)
      return error_set(error, EXIT_USAGE_ERROR, "--label is x=TEXT, y=TEXT, title=TEXT or legend=TEXT; not '%s'",
                       paper->labels.items[i]);
  }
  return true;
}

const char *const paper_legends[] = {"auto", "right", "below", "none", NULL};

bool paper_legend(struct paper *paper, const char *legend, struct error *error) {
  static const enum figure_legend places[] = {LEGEND_AUTO, LEGEND_RIGHT, LEGEND_BELOW, LEGEND_NONE};
  for (int i = 0; paper_legends[i]; i++) {
    if (strcmp(legend, paper_legends[i]) != 0) continue;
    paper->print.legend = places[i];
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR, "--legend is auto, right, below or none; not '%s'", legend);
}

// ---- files ----

// The figure with the words that were asked for.
static struct figure labelled(const struct paper *paper, const struct figure *figure) {
  struct figure own = *figure;
  for (size_t i = 0; i < paper->labels.count; i++) {
    const char *item = paper->labels.items[i], *text = strchr(item, '=') + 1;
    if (*item == 'x' || *item == 'y') {
      struct figure_axis *axis = *item == 'x' ? &own.x : &own.y;
      axis->label = *text ? text : NULL;
      axis->unit = NULL;
    } else if (*item == 't') {
      own.title = text;
    } else {
      own.legend = *text ? text : NULL;
    }
  }
  return own;
}

static bool put_file(const struct paper *paper, const char *stem, const char *end, const struct text *content,
                     struct arena *arena, struct paper_files *files, struct error *error) {
  const char *path = path_join(arena, paper->folder, arena_format(arena, "%s%s", stem, end));
  if (!file_write_atomic(path, content->bytes, content->length, error)) return false;
  files->paths = arena_grow(arena, files->paths, files->count, files->count + 1, sizeof *files->paths);
  files->paths[files->count++] = path;
  return true;
}

bool paper_write(const struct paper *paper, const struct figure *figure, struct arena *arena, struct paper_files *files,
                 struct error *error) {
  struct figure own = labelled(paper, figure);
  struct text content = {0};
  own.name = report_file_stem(arena, own.name);
  bool folder = folder_make(paper->folder, error), fine = folder;
  for (int f = 0; f < FIGURE_FORMATS && folder; f++) {
    if (!paper->formats[f]) continue;
    // A gnuplot without one of its terminals draws the other formats.
    struct error format = {0};
    text_clear(&content);
    if (figure_draw(&own, &paper->print, (enum figure_format)f, &content, &format) &&
        put_file(paper, own.name, figure_format_end((enum figure_format)f), &content, arena, files, &format))
      continue;
    if (fine) error_take(error, &format);
    fine = false;
  }
  if (fine && paper->data) {
    text_clear(&content);
    figure_csv(&own, &content);
    fine = put_file(paper, own.name, ".csv", &content, arena, files, error);
  }
  if (fine && paper->data) {
    text_clear(&content);
    fine = figure_gnuplot(&own, &paper->print, &content, error) &&
           put_file(paper, own.name, ".gp", &content, arena, files, error);
  }
  text_free(&content);
  return fine;
}
