// See plot_formats.h.
#include "plots/plot_formats.h"

#include <math.h>

#include "plots/build.h"

static struct figure_series bound_up_to(struct arena *arena, double bits) {
  enum { POINTS = 33 };
  double *x = arena_array(arena, 2 * POINTS, sizeof *x), *y = x + POINTS;
  for (int i = 0; i < POINTS; i++) {
    x[i] = bits * i / (POINTS - 1);
    y[i] = exp2(-2 * x[i]);
  }
  return (struct figure_series){.mark = MARK_LINE,
                                .label = "rate-distortion bound",
                                .colour = {PALETTE_MUTED, 0, 0},
                                .dashed = true,
                                .count = POINTS,
                                .x = x,
                                .y = y};
}

void plot_formats(struct arena *arena, const struct plot_format *points, size_t count, struct figure *figure) {
  const char **names = arena_array(arena, count + 1, sizeof *names);
  for (size_t i = 0; i < count; i++) names[i] = points[i].label;
  const struct look *looks = format_looks(arena, names, count);
  struct figure_series *series = arena_array(arena, count + 1, sizeof *series);
  struct figure_panel *panel = arena_alloc(arena, sizeof *panel);
  double most = 1;
  size_t drawn = 1;
  for (size_t i = 0; i < count; i++) {
    const struct plot_format *point = &points[i];
    if (!(point->gmse > 0)) continue;
    if (isfinite(point->bits)) most = fmax(most, point->bits);
    series[drawn++] = (struct figure_series){.mark = MARK_POINTS,
                                             .label = point->label,
                                             .colour = looks[i].colour,
                                             .shape = looks[i].shape,
                                             .count = 1,
                                             .x = &point->bits,
                                             .y = &point->gmse};
  }
  series[0] = bound_up_to(arena, most);
  *panel = (struct figure_panel){.series = series, .count = drawn};
  *figure = (struct figure){.name = "capacity",
                            .title = "Error of formats on random data",
                            .caption = "Mean squared error relative to the data against stored bits per value.",
                            .x = figure_axis("stored bits per value", NULL, SCALE_LINEAR, TICKS_PLAIN),
                            .y = figure_axis("relative mean squared error", NULL, SCALE_LOG, TICKS_POWER),
                            .panels = panel,
                            .panel_count = 1};
}
