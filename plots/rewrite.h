// What a figure's drawing is made of once gnuplot's SVG has been read: paths, polygons, marks and words. svg.c reads it
// and writes SVG; tikz.c writes TikZ.
#pragma once
#include "plots/internal.h"

// gnuplot's own numbers of the outlines of marks; a filled one has the next number.
enum {
  MARK_SQUARE = 3,
  MARK_CIRCLE = 5,
  MARK_TRIANGLE = 7,
  MARK_TRIANGLE_DOWN = 9,
  MARK_DIAMOND = 11,
  MARK_PENTAGON = 13
};
struct mark {
  int outline;
  bool filled;
  double x, y, size;
};
enum { MARK_PLACES = 5 };
static const double mark_stroke = 1.5;  // of a hollow mark
// The corners of a mark, of sizes such that the shapes look equally large; 0 of a circle, whose radius is its size.
int mark_places(const struct mark *mark, double places[MARK_PLACES][2]);

// Each appends one command. Colours are "#0072b2"; lengths are in units.
void tikz_begin(const struct figure *figure, const struct drawing_kind *kind, double width, double height,
                struct text *out);
void tikz_end(struct text *out);
// d: "M1,2 L3,4 ..."; dash: "8,5" or "".
void tikz_path(const struct drawing_kind *kind, const char *hex, double width, const char *dash, const char *d,
               size_t length, struct text *out);
// points: "1,2 3,4 ..."
void tikz_polygon(const char *hex, double opacity, const char *points, size_t length, struct text *out);
void tikz_mark(const struct drawing_kind *kind, const struct mark *mark, const char *hex, struct text *out);
// y: of the words' base line; angle: in degrees, clockwise.
void tikz_text(const struct label *label, double x, double y, double angle, const char *anchor, const char *hex,
               struct text *out);
