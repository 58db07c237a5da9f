// Drawing a figure: script, gnuplot, rewritten SVG.
#include <string.h>

#include "plots/internal.h"

bool figure_svg(const struct figure *figure, enum figure_style style, struct text *out, struct error *error) {
  struct arena arena = {0};
  struct labels labels = {.arena = &arena};
  struct text script = {0}, raw = {0};
  bool missing;
  size_t before = out->length;
  bool fine = figure_script(figure, style, &arena, &labels, &script, error) &&
              gnuplot_run(&script, &raw, &missing, error) && svg_rewrite(figure, style, &raw, &labels, out, error);
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
  text_free(&script);
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
