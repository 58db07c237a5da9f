// Figures for paper. PDF and PNG are gnuplot's own, by its cairo terminals, which embed fonts; SVG and TikZ are
// rewritten. All have the layout of one script.
#include <math.h>
#include <string.h>

#include "plots/internal.h"

static const double points_per_inch = 72;

// The size of a unit in points.
static double unit_of(const struct figure_print *print) { return print->text / TEXT_UNITS; }

static struct canvas canvas_of(const struct figure_print *print, bool words) {
  return (struct canvas){.width = print->width * points_per_inch / unit_of(print),
                         .title = print->title,
                         .print = true,
                         .words = words,
                         .legend = print->legend};
}

static const char *font_of(const struct figure_print *print) { return print->font ? print->font : "Sans"; }

// What gnuplot's cairo terminals make of their options, found by drawing: they take a font's size for pixels of 96 an
// inch and scale by fontscale, so that 0.75 gives points; a line of width 1 is half a point in PDF and a pixel in PNG;
// a mark of size 1 is as large as in SVG at 8 points in PDF and at a pixel a unit in PNG.
static const double font_scale = 0.75, pdf_line = 0.5, pdf_mark_text = 8;

static void pdf_terminal(const struct figure_print *print, const struct size *size, struct text *script) {
  double inch = unit_of(print) / points_per_inch;
  text_format(script,
              "set terminal pdfcairo size %.5fin,%.5fin font '%s,%g' fontscale %g noenhanced linewidth %.4g "
              "pointscale %.4g\n",
              size->width * inch, size->height * inch, font_of(print), print->text, font_scale,
              unit_of(print) / pdf_line, print->text / pdf_mark_text);
}

static void png_terminal(const struct figure_print *print, const struct size *size, struct text *script) {
  double pixels = unit_of(print) * print->dots / points_per_inch;
  text_format(script,
              "set terminal pngcairo size %.0f,%.0f font '%s,%.5g' fontscale %g noenhanced linewidth %.4g "
              "pointscale %.4g background rgb '%s'\n",
              size->width * pixels, size->height * pixels, font_of(print), print->text * print->dots / points_per_inch,
              font_scale, pixels, pixels, ink_paper.light);
}

// The whole script for a file that gnuplot draws itself; `name`: where it writes it, or NULL for its standard output.
static bool whole_script(const struct figure *figure, const struct figure_print *print, enum figure_format format,
                         const char *name, struct text *script, struct error *error) {
  struct arena arena = {0};
  struct text body = {0};
  struct size size;
  struct canvas canvas = canvas_of(print, true);
  bool fine = figure_script(figure, &canvas, &arena, NULL, &body, &size, error);
  if (fine) {
    text_add(script, "set encoding utf8\n");
    (format == FIGURE_PNG ? png_terminal : pdf_terminal)(print, &size, script);
    if (name) text_format(script, "set output '%s.pdf'\n", name);
    text_append(script, text_string(&body), body.length);
  }
  text_free(&body);
  arena_free(&arena);
  return fine;
}

static bool draw_by_gnuplot(const struct figure *figure, const struct figure_print *print, enum figure_format format,
                            struct text *out, struct error *error) {
  struct text script = {0};
  bool missing,
      fine = whole_script(figure, print, format, NULL, &script, error) && gnuplot_run(&script, out, &missing, error);
  text_free(&script);
  return fine;
}

static bool draw_rewritten(const struct figure *figure, const struct figure_print *print, enum figure_format format,
                           struct text *out, struct error *error) {
  struct arena arena = {0};
  struct labels labels = {.arena = &arena};
  struct text raw = {0};
  struct size size;
  struct canvas canvas = canvas_of(print, false);
  bool fine = figure_raw(figure, &canvas, &arena, &labels, &raw, &size, error);
  if (fine) {
    double inch = unit_of(print) / points_per_inch;
    const struct drawing_kind kind = {.tikz = format == FIGURE_TIKZ,
                                      .width = arena_format(&arena, "%.5gin", size.width * inch),
                                      .height = arena_format(&arena, "%.5gin", size.height * inch),
                                      .font = print->font,
                                      .unit = unit_of(print)};
    fine = svg_rewrite(figure, &kind, &raw, &labels, out, error);
  }
  text_free(&raw);
  arena_free(&arena);
  return fine;
}

bool figure_draw(const struct figure *figure, const struct figure_print *print, enum figure_format format,
                 struct text *out, struct error *error) {
  bool by_gnuplot = format == FIGURE_PDF || format == FIGURE_PNG;
  if ((by_gnuplot ? draw_by_gnuplot : draw_rewritten)(figure, print, format, out, error)) return true;
  return error_context(error, "figure %s", figure->name);
}

bool figure_gnuplot(const struct figure *figure, const struct figure_print *print, struct text *out,
                    struct error *error) {
  text_format(out, "# Drawn by isoloss plot. To change the figure, change this file; then: gnuplot %s.gp\n",
              figure->name);
  return whole_script(figure, print, FIGURE_PDF, figure->name, out, error) ||
         error_context(error, "figure %s", figure->name);
}
