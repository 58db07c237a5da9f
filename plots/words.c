// Where words can stand in a panel without touching what is drawn: at the ends of curves (layout.c), next to marks.
#include <math.h>

#include "plots/layout.h"

bool layout_is_drawn(const struct layout *l, const struct figure_series *series, size_t i) {
  return axis_holds(&l->x, series->x[i]) && axis_holds(&l->y, series->y[i]);
}

bool layout_overlap(const struct box *a, const struct box *b) {
  return a->left < b->right && b->left < a->right && a->top < b->bottom && b->top < a->bottom;
}

// `reach`: of a mark, whose edge must not touch the words either.
static bool inside(const struct box *box, double x, double y, double reach) {
  return x > box->left - reach && x < box->right + reach && y > box->top - reach && y < box->bottom + reach;
}

// Whether a straight line from one place to another has a part in the box: what is left of it between the box's sides,
// one axis after the other (Liang and Barsky 1984).
static bool crosses(const struct box *box, double x0, double y0, double x1, double y1) {
  double from = 0, to = 1, starts[] = {x0, y0}, ways[] = {x1 - x0, y1 - y0}, low[] = {box->left, box->top},
         high[] = {box->right, box->bottom};
  for (int axis = 0; axis < 2; axis++) {
    if (ways[axis] == 0) {
      if (starts[axis] <= low[axis] || starts[axis] >= high[axis]) return false;
      continue;
    }
    double a = (low[axis] - starts[axis]) / ways[axis], b = (high[axis] - starts[axis]) / ways[axis];
    from = fmax(from, fmin(a, b));
    to = fmin(to, fmax(a, b));
  }
  return from < to;
}

static bool interval_crosses(const struct layout *l, const struct figure_series *series, size_t i,
                             const struct box *box) {
  if (!series->low || !axis_holds(&l->y, series->low[i]) || !axis_holds(&l->y, series->high[i])) return false;
  double x = layout_at_x(l, series->x[i]);
  return crosses(box, x, layout_at_y(l, series->low[i]), x, layout_at_y(l, series->high[i]));
}

bool layout_covered(const struct layout *l, size_t panel, const struct box *box) {
  const struct figure_panel *shown = &l->figure->panels[panel];
  for (size_t s = 0; s < shown->count; s++) {
    const struct figure_series *series = &shown->series[s];
    bool points = series->mark == MARK_POINTS;
    double last_x = NAN, last_y = NAN;
    for (size_t i = 0; series->mark != MARK_BAND && i < series->count; i++) {
      if (!layout_is_drawn(l, series, i)) continue;
      double x = layout_at_x(l, series->x[i]), y = layout_at_y(l, series->y[i]);
      if (inside(box, x, y, points ? 4 : 0)) return true;
      if (points && interval_crosses(l, series, i, box)) return true;
      if (series->mark == MARK_LINE && isfinite(last_x) && crosses(box, last_x, last_y, x, y)) return true;
      last_x = x;
      last_y = y;
    }
  }
  return false;
}

void layout_notes(struct layout *l, size_t index, struct placed_note *notes) {
  enum { AWAY = 8, HALF = 7 };
  static const double moves[] = {0, -9, 9, -14, 14, -20, 20};
  enum { MOVES = sizeof moves / sizeof *moves };
  const struct figure_panel *panel = &l->figure->panels[index];
  struct box *boxes = arena_array(l->arena, panel->note_count + 1, sizeof *boxes);
  for (size_t i = 0; i < panel->note_count; i++) {
    const struct figure_note *note = &panel->notes[i];
    bool fine = false;
    notes[i].shown = axis_holds(&l->x, note->x) && axis_holds(&l->y, note->y);
    if (!notes[i].shown) continue;
    double x = layout_at_x(l, note->x), y = layout_at_y(l, note->y), width = text_width(note->text);
    // As asked for, then on the other side; last of all as asked for, whatever is there.
    for (int turn = 0; turn <= 2 * MOVES && !fine; turn++) {
      bool other = turn < 2 * MOVES && turn % 2, right = (note->align == NOTE_RIGHT) != other;
      double left = note->align == NOTE_CENTRE ? x - width / 2
                    : right                    ? x - AWAY - width
                                               : x + AWAY,
             middle = y + (turn < 2 * MOVES ? moves[turn / 2] : 0);
      boxes[i] = (struct box){left, left + width, middle - HALF, middle + HALF};
      fine = left >= l->left && left + width <= l->left + l->panel_width && boxes[i].top >= l->top &&
             boxes[i].bottom <= l->top + l->panel_height && !layout_covered(l, index, &boxes[i]);
      for (size_t k = 0; k < i && fine; k++) fine = !notes[k].shown || !layout_overlap(&boxes[i], &boxes[k]);
      notes[i].x = left;
      notes[i].y = middle;
    }
  }
}
