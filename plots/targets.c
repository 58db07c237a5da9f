// Where the runs of a figure are drawn on a page: for the page's script, which shows a run under the pointer.
#include <math.h>
#include <stdlib.h>

#include "plots/layout.h"

enum { NEAR = 2 };  // places of a curve that are nearer to the last one are left out

struct place {
  long x, y;
};

static bool place_of(const struct layout *l, size_t panel, double x, double y, struct place *place) {
  if (!axis_holds(&l->x, x) || !axis_holds(&l->y, y)) return false;
  double left, top;
  layout_corner(l, panel, &left, &top);
  *place = (struct place){lrint(left + l->panel_width * axis_part(&l->x, x)),
                          lrint(top + l->panel_height * (1 - axis_part(&l->y, y)))};
  return true;
}

static void put_mark(const struct layout *l, size_t panel, const struct figure_target *target, struct text *out) {
  struct place place;
  if (place_of(l, panel, target->x[0], target->y[0], &place))
    text_format(out, "%s%zu,%ld,%ld", out->length ? " " : "", target->run, place.x, place.y);
}

static void put_curve(const struct layout *l, size_t panel, const struct figure_target *target, struct text *out) {
  struct place place, last = {0, 0};
  bool begun = false;
  for (size_t i = 0; i < target->count; i++) {
    if (!place_of(l, panel, target->x[i], target->y[i], &place)) continue;
    if (begun && labs(place.x - last.x) < NEAR && labs(place.y - last.y) < NEAR && i + 1 < target->count) continue;
    if (begun)
      text_format(out, " %ld,%ld", place.x, place.y);
    else
      text_format(out, "%s%zu:%ld,%ld", out->length ? ";" : "", target->run, place.x, place.y);
    last = place;
    begun = true;
  }
}

void figure_targets(const struct figure *figure, struct text *out) {
  struct arena arena = {0};
  struct layout layout;
  struct text marks = {0}, curves = {0};
  struct error ignored = {0};
  if (layout_make(&layout, figure, &canvas_of_page, &arena, &ignored))
    for (size_t p = 0; p < figure->panel_count; p++) {
      layout_panel(&layout, p);
      for (size_t t = 0; t < figure->panels[p].target_count; t++) {
        const struct figure_target *target = &figure->panels[p].targets[t];
        if (target->count == 1)
          put_mark(&layout, p, target, &marks);
        else if (target->count > 1)
          put_curve(&layout, p, target, &curves);
      }
    }
  if (marks.length) text_format(out, " data-marks=\"%s\"", text_string(&marks));
  if (curves.length) text_format(out, " data-curves=\"%s\"", text_string(&curves));
  text_free(&marks);
  text_free(&curves);
  arena_free(&arena);
}
