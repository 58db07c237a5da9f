// See plot_paired.h.
#include "plots/plot_paired.h"

#include <math.h>
#include <stdlib.h>

#include "plots/build.h"

struct place {
  double x, y;
};

static int by_x(const void *left, const void *right) {
  const struct place *a = left, *b = right;
  return a->x != b->x ? (a->x > b->x) - (a->x < b->x) : (a->y > b->y) - (a->y < b->y);
}

void plot_paired(struct arena *arena, const struct plot_paired *data, struct figure *figure) {
  struct place *places = arena_array(arena, data->count, sizeof *places);
  for (size_t i = 0; i < data->count; i++)
    places[i] = (struct place){data->x ? data->x[i] : (double)i + 1, data->difference[i]};
  if (data->count) qsort(places, data->count, sizeof *places, by_x);
  // Where all pairs are at one x, the lines need some width.
  double first = data->count ? places[0].x : 1, last = data->count ? places[data->count - 1].x : 1;
  double from = data->x ? first / 1.1 : 0.5, to = data->x ? last * 1.1 : (double)data->count + 0.5;
  struct drawing drawing = {.arena = arena, .figure = figure};
  *figure = (struct figure){.name = "compare"};
  drawing_panel(&drawing, NULL);
  if (isfinite(data->low) && isfinite(data->high)) {
    struct figure_series *band = drawing_series(&drawing, MARK_BAND, 2);
    double *low = arena_array(arena, 2, sizeof *low), *high = arena_array(arena, 2, sizeof *high);
    series_point(band, from, 0);
    series_point(band, to, 0);
    low[0] = low[1] = data->low;
    high[0] = high[1] = data->high;
    band->low = low;
    band->high = high;
    band->label = "95 % interval of the mean";
    band->colour = (struct figure_colour){PALETTE_CATEGORY, 0, 0};
  }
  struct figure_series *zero = drawing_series(&drawing, MARK_LINE, 2);
  series_point(zero, from, 0);
  series_point(zero, to, 0);
  zero->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  zero->dashed = true;
  struct figure_series *mean = drawing_series(&drawing, MARK_LINE, 2);
  series_point(mean, from, data->mean);
  series_point(mean, to, data->mean);
  mean->label = "mean";
  mean->colour = (struct figure_colour){PALETTE_CATEGORY, 0, 0};
  struct figure_series *points = drawing_series(&drawing, MARK_POINTS, data->count);
  for (size_t i = 0; i < data->count; i++) series_point(points, places[i].x, places[i].y);
  points->label = "pairs";
  points->colour = (struct figure_colour){PALETTE_CATEGORY, 1, 0};
  drawing_end(&drawing);
  figure->x = figure_axis(data->x ? data->x_label : "pair", data->x ? data->x_unit : NULL,
                          data->x ? SCALE_LOG : SCALE_LINEAR, data->x ? data->ticks : TICKS_PLAIN);
  figure->y = figure_axis(data->y_label, data->percent ? NULL : data->y_unit, SCALE_LINEAR,
                          data->percent ? TICKS_PERCENT : TICKS_PLAIN);
  figure->title = arena_format(arena, "%s against %s", data->b, data->a);
  figure->caption = arena_format(arena, "%s, of each of %zu pairs, and their mean.", data->y_label, data->count);
}
