// Loss over compute, with the runs that no cheaper one beats.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

static int by_flops(const void *a, const void *b) {
  const struct plot_run *const *x = a, *const *y = b;
  return ((*x)->flops > (*y)->flops) - ((*x)->flops < (*y)->flops);
}

bool plot_pareto(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct formats formats = formats_of(arena, data);
  struct shade shade = shade_of_runs(arena, data);
  const struct plot_run **part = arena_array(arena, data->count + 1, sizeof *part);
  struct drawing drawing = {.arena = arena, .figure = figure};
  size_t used = 0;
  bool by_format = formats.count > 1;
  drawing_panel(&drawing, NULL);
  const struct look *looks = format_looks(arena, formats.names, formats.count);
  for (size_t f = 0; f < formats.count; f++) {
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++) {
      const struct plot_run *run = &data->runs[i];
      if (has_loss(run) && run->flops > 0 && strcmp(run->format, formats.names[f]) == 0) part[count++] = run;
    }
    if (count == 0) continue;
    used += count;
    qsort(part, count, sizeof *part, by_flops);
    struct figure_colour colour = by_format ? looks[f].colour : (struct figure_colour){.palette = PALETTE_MUTED};
    // The front: no run of this format reaches a lower loss with as little compute.
    struct figure_series *front = drawing_series(&drawing, MARK_LINE, count);
    front->colour = colour;
    front->label = by_format ? NULL : "front";
    double best = INFINITY;
    for (size_t i = 0; i < count; i++) {
      if (part[i]->loss >= best) continue;
      best = part[i]->loss;
      series_point(front, part[i]->flops, best);
    }
    size_t levels = by_format ? 1 : shade.levels.count;
    for (size_t level = 0; level < levels; level++) {
      struct figure_series *points = drawing_series(&drawing, MARK_POINTS, count);
      points->colour = by_format ? colour : level_colour(&shade.levels, level);
      points->label = by_format ? formats.names[f] : level_label(arena, &shade.levels, level, shade.ticks);
      points->shape = by_format ? looks[f].shape : (int)level % 4;
      points->legend_line = by_format;
      for (size_t i = 0; i < count; i++)
        if (by_format || level_of(&shade.levels, shade.values[part[i] - data->runs]) == level)
          series_point(points, part[i]->flops, part[i]->loss);
    }
  }
  if (used == 0) {
    *nothing = "no run has a final loss yet";
    return false;
  }
  drawing_end(&drawing);
  figure->legend = by_format ? "format" : shade.title;
  figure->x = figure_axis("training compute", "FLOPs", SCALE_LOG, TICKS_POWER);
  figure->y = figure_axis("validation loss", "nats per token", SCALE_LOG, TICKS_PLAIN);
  figure->title = "Loss against compute";
  figure->caption =
      arena_format(arena,
                   "Final validation loss of %zu runs against training FLOPs; the line joins the runs that "
                   "no run with less compute beats%s.",
                   used, by_format ? ", per format" : "");
  return true;
}
