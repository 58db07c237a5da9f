// See regions.h.
#include "plots/regions.h"

#include <math.h>

enum { ACROSS = 97, UP = 193, MOST_PARTS = 6 };  // of the grid; pieces of one format's region above one place

// The format of the lowest loss at a place; SIZE_MAX where no loss is known.
static size_t best_at(const struct plane *plane, double x, double y) {
  size_t best = SIZE_MAX;
  double least = INFINITY;
  for (size_t f = 0; f < plane->count; f++) {
    double loss = plane->loss(plane, f, x, y);
    if (!(loss < least)) continue;
    least = loss;
    best = f;
  }
  return best;
}

static double place(const struct plane *plane, int axis, double part) {
  return exp(log(plane->low[axis]) + (log(plane->high[axis]) - log(plane->low[axis])) * part);
}

// A format's region as bands: the k-th one has, at each place across, the k-th piece of it from below. Returns whether
// there is any.
static bool put_region(struct drawing *drawing, const struct plane *plane, const size_t *best, size_t format,
                       struct figure_colour colour) {
  double *low[MOST_PARTS], *high[MOST_PARTS];
  double half = exp(0.5 * (log(plane->high[1]) - log(plane->low[1])) / (UP - 1));
  for (int part = 0; part < MOST_PARTS; part++) {
    low[part] = arena_array(drawing->arena, ACROSS, sizeof(double));
    high[part] = arena_array(drawing->arena, ACROSS, sizeof(double));
  }
  bool any = false;
  for (int part = 0; part < MOST_PARTS; part++) {
    bool there = false;
    struct figure_series *band = NULL;
    for (int i = 0; i < ACROSS; i++) {
      int seen = -1;
      for (int k = 0; k < UP; k++) {
        bool begins = best[i * UP + k] == format && (k == 0 || best[i * UP + k - 1] != format);
        seen += begins;
        if (!begins || seen != part) continue;
        int end = k;
        while (end + 1 < UP && best[i * UP + end + 1] == format) end++;
        if (!there) band = drawing_series(drawing, MARK_BAND, ACROSS);
        there = true;
        double bottom = place(plane, 1, k / (UP - 1.0)) / half, top = place(plane, 1, end / (UP - 1.0)) * half;
        low[part][band->count] = fmax(bottom, plane->low[1]);
        high[part][band->count] = fmin(top, plane->high[1]);
        series_point(band, place(plane, 0, i / (ACROSS - 1.0)), bottom);
      }
    }
    if (!there) break;
    any = true;
    band->colour = colour;
    band->strong = true;
    band->low = low[part];
    band->high = high[part];
    band->label = part == 0 ? plane->names[format] : NULL;
  }
  return any;
}

static struct figure_series *thin_line(struct drawing *drawing, size_t capacity) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, capacity);
  line->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  line->thin = true;
  return line;
}

// Where a value is on its axis, from 0 to 1.
static double part_of(const struct plane *plane, int axis, double value) {
  return (log(value) - log(plane->low[axis])) / (log(plane->high[axis]) - log(plane->low[axis]));
}

// Slanted lines over all but the frame of the runs: y = x + shift in parts of the axes, from one end of the plane to
// the other.
static void put_hatch(struct drawing *drawing, const struct plane *plane) {
  enum { LINES = 16 };
  double left = part_of(plane, 0, plane->runs[0]), right = part_of(plane, 0, plane->runs[1]),
         bottom = part_of(plane, 1, plane->runs[2]), top = part_of(plane, 1, plane->runs[3]);
  for (int i = 1; i < LINES; i++) {
    double shift = 2.0 * i / LINES - 1, from = fmax(0, -shift), to = fmin(1, 1 - shift);
    double in = fmax(left, bottom - shift), out = fmin(right, top - shift);
    // Two pieces where the line meets the frame, else one.
    double ends[4] = {from, fmin(in, to), fmax(out, from), to};
    if (!(in < out)) ends[1] = ends[2] = to;
    for (int piece = 0; piece < 2; piece++) {
      double a = ends[2 * piece], b = ends[2 * piece + 1];
      if (!(b > a)) continue;
      struct figure_series *line = thin_line(drawing, 2);
      series_point(line, place(plane, 0, a), place(plane, 1, a + shift));
      series_point(line, place(plane, 0, b), place(plane, 1, b + shift));
    }
  }
}

bool plane_draw(struct drawing *drawing, const struct plane *plane, bool hatched, bool *wins) {
  struct arena *arena = drawing->arena;
  size_t *best = arena_array(arena, ACROSS * UP, sizeof *best);
  for (int i = 0; i < ACROSS; i++)
    for (int k = 0; k < UP; k++)
      best[i * UP + k] = best_at(plane, place(plane, 0, i / (ACROSS - 1.0)), place(plane, 1, k / (UP - 1.0)));
  const struct look *looks = format_looks(arena, plane->names, plane->count);
  bool any = false;
  for (size_t f = 0; f < plane->count; f++) {
    bool has = put_region(drawing, plane, best, f, looks[f].colour);
    if (wins) wins[f] = has;
    any |= has;
  }
  if (!any) return false;
  if (hatched) put_hatch(drawing, plane);
  struct figure_series *frame = thin_line(drawing, 5);
  static const int corners[5][2] = {{0, 2}, {1, 2}, {1, 3}, {0, 3}, {0, 2}};
  for (int i = 0; i < 5; i++) series_point(frame, plane->runs[corners[i][0]], plane->runs[corners[i][1]]);
  frame->dashed = true;
  frame->label = "the runs";
  return true;
}

void plane_axes(struct figure *figure, const struct plane *plane, struct figure_axis x) {
  figure->legend = "lowest loss";
  figure->x = x;
  struct measure length = words_of(plane->data).length;
  figure->y = measure_axis(&length, SCALE_LOG, TICKS_COUNT);
  figure->x.low = plane->low[0];
  figure->x.high = plane->high[0];
  figure->y.low = plane->low[1];
  figure->y.high = plane->high[1];
}
