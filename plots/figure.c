// Drawing a figure: script, gnuplot, and for SVG and TikZ its SVG rewritten.
#include <math.h>
#include <string.h>

#include "plots/internal.h"

const struct canvas canvas_of_page = {.width = 720, .legend = LEGEND_RIGHT};

const char *const figure_format_names[] = {"pdf", "svg", "png", "tikz", NULL};

const char *figure_format_end(enum figure_format format) {
  static const char *const ends[] = {".pdf", ".svg", ".png", ".tex"};
  return ends[format];
}

bool figure_raw(const struct figure *figure, const struct canvas *canvas, struct arena *arena, struct labels *labels,
                struct text *raw, struct size *size, struct error *error) {
  struct text body = {0}, script = {0};
  bool missing, fine = figure_script(figure, canvas, arena, labels, &body, size, error);
  if (fine) {
    text_format(&script, "set encoding utf8\nset terminal svg size %g,%g fixed noenhanced font 'F,13' name 'f'\n",
                size->width, size->height);
    text_append(&script, text_string(&body), body.length);
    fine = gnuplot_run(&script, raw, &missing, error);
  }
  text_free(&body);
  text_free(&script);
  return fine;
}

bool figure_svg(const struct figure *figure, enum figure_style style, struct text *out, struct error *error) {
  struct arena arena = {0};
  struct labels labels = {.arena = &arena};
  struct text raw = {0};
  struct size size;
  size_t before = out->length;
  struct canvas canvas = canvas_of_page;
  canvas.title = style == FIGURE_FILE;
  const struct drawing_kind kind = {.inline_in_html = style == FIGURE_INLINE};
  bool fine = figure_raw(figure, &canvas, &arena, &labels, &raw, &size, error) &&
              svg_rewrite(figure, &kind, &raw, &labels, out, error);
  if (!fine && style == FIGURE_INLINE) {
    out->length = before;
    // Numbers and words of a page, and its other figures, are worth having without this one.
    text_add(out, "<p>Not drawn: ");
    markup_escape(out, error->text);
    text_add(out, ".</p>\n");
    error_clear(error);
    fine = true;
  }
  if (!fine) error_context(error, "figure %s", figure->name);
  text_free(&raw);
  arena_free(&arena);
  return fine;
}

bool figure_write(const struct figure *figure, const char *folder, struct error *error) {
  struct arena arena = {0};
  struct text svg = {0};
  bool fine = folder_make(folder, error) && figure_svg(figure, FIGURE_FILE, &svg, error) &&
              file_write_atomic(path_join(&arena, folder, arena_format(&arena, "%s.svg", figure->name)), svg.bytes,
                                svg.length, error);
  text_free(&svg);
  arena_free(&arena);
  return fine;
}
