// Compute-optimal sizes as figures.
#include "plots/plot_isoflop.h"

#include <math.h>

#include "plots/build.h"

bool plot_isoflop_curves(struct arena *arena, const struct plot_isoflop *data, struct figure *figure) {
  *figure =
      (struct figure){.name = "isoflop-curves", .title = "IsoFLOP curves", .legend = data->measures.compute.brief};
  double *flops = arena_array(arena, data->count + 1, sizeof *flops);
  size_t optima = 0, shown = 0;
  for (size_t b = 0; b < data->count; b++) {
    flops[b] = data->budgets[b].flops;
    optima += !data->budgets[b].rejected;
    shown += data->budgets[b].count > 0;
  }
  if (!shown) return false;
  struct levels levels = levels_of(arena, flops, data->count, 1e-9, data->count + 2);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  for (size_t b = 0; b < data->count; b++) {
    const struct plot_isoflop_budget *budget = &data->budgets[b];
    struct figure_colour colour = level_colour(&levels, level_of(&levels, budget->flops));
    struct figure_series *line = drawing_series(&drawing, MARK_LINE, budget->curve_count);
    line->colour = colour;
    line->thin = true;
    for (size_t i = 0; i < budget->curve_count; i++)
      series_point(line, budget->curve_parameters[i], budget->curve_loss[i]);
    struct figure_series *points = drawing_series(&drawing, MARK_POINTS, budget->count);
    points->colour = colour;
    points->hollow = budget->rejected;
    points->legend_line = true;
    points->label = level_label(arena, &levels, level_of(&levels, budget->flops), TICKS_POWER);
    for (size_t i = 0; i < budget->count; i++) series_point(points, budget->parameters[i], budget->loss[i]);
  }
  struct figure_series *best = drawing_series(&drawing, MARK_POINTS, data->count);
  best->colour = (struct figure_colour){.palette = PALETTE_INK};
  best->shape = 3;
  best->label = "optimum";
  for (size_t b = 0; b < data->count; b++)
    if (!data->budgets[b].rejected) series_point(best, data->budgets[b].optimum, data->budgets[b].optimum_loss);
  drawing_end(&drawing);
  figure->x = measure_axis(&data->measures.size, SCALE_LOG, TICKS_COUNT);
  figure->y = measure_axis(&data->measures.outcome, SCALE_LOG, TICKS_PLAIN);
  figure->caption =
      arena_format(arena,
                   "Loss against size at equal compute, one curve a budget. %zu of %zu budgets have their "
                   "minimum inside the sizes trained; hollow points are of the others.",
                   optima, data->count);
  return true;
}

bool plot_isoflop_optima(struct arena *arena, const struct plot_isoflop *data, struct figure *figure) {
  *figure = (struct figure){.name = "isoflop-optima", .title = "Compute-optimal size"};
  size_t count = 0;
  double *low = arena_array(arena, data->count + 1, sizeof *low),
         *high = arena_array(arena, data->count + 1, sizeof *high);
  double least = INFINITY, most = 0;
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  struct figure_series *points = drawing_series(&drawing, MARK_POINTS, data->count);
  points->colour = (struct figure_colour){.palette = PALETTE_CATEGORY};
  points->label = "optima";
  points->low = low;
  points->high = high;
  for (size_t b = 0; b < data->count; b++) {
    const struct plot_isoflop_budget *budget = &data->budgets[b];
    if (budget->rejected) continue;
    low[count] = budget->low;
    high[count++] = budget->high;
    series_point(points, budget->flops, budget->optimum);
    least = fmin(least, budget->flops);
    most = fmax(most, budget->flops);
  }
  if (!count) return false;
  if (isfinite(data->exponent)) {
    struct figure_series *line = drawing_series(&drawing, MARK_LINE, 2);
    line->colour = (struct figure_colour){.palette = PALETTE_INK};
    line->label = arena_format(arena, "N* = %.3g C^%.3f", data->coefficient, data->exponent);
    double ends[] = {least / 1.3, most * 1.3};
    for (int i = 0; i < 2; i++) series_point(line, ends[i], data->coefficient * pow(ends[i], data->exponent));
  }
  drawing_end(&drawing);
  figure->x = measure_axis(&data->measures.compute, SCALE_LOG, TICKS_POWER);
  figure->y = measure_axis(&data->measures.size, SCALE_LOG, TICKS_COUNT);
  figure->caption = arena_format(arena,
                                 "The compute-optimal size of %zu budgets, with intervals over copies of the "
                                 "losses with seed noise.",
                                 count);
  return true;
}
