// effective-vs-bits: what a parameter of each format is worth against the bits it takes, and where a bit is worth most.
#include <math.h>
#include <string.h>

#include "plots/build.h"

bool plot_effective_vs_bits(struct arena *arena, const struct plot_data *data, struct figure *figure,
                            const char **nothing) {
  const struct plot_fit *fit = data->fit;
  if (!fit || fit->effective_count == 0) {
    *nothing = fit ? "the fitted law has no effective parameters" : "there is no fit";
    return false;
  }
  const char **names = arena_array(arena, fit->effective_count + 1, sizeof *names);
  for (size_t i = 0; i < fit->effective_count; i++) names[i] = fit->effective[i].format;
  const struct look *looks = format_looks(arena, names, fit->effective_count);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  struct figure_series *ray = drawing_series(&drawing, MARK_LINE, 2);
  const struct plot_effective *best = NULL;
  double most = 1, widest = 0;
  size_t drawn = 0, intervals = 0;
  for (size_t i = 0; i < fit->effective_count; i++) {
    const struct plot_effective *one = &fit->effective[i];
    if (!(one->weight_bits > 0) || !isfinite(one->value)) continue;
    struct figure_series *point = drawing_series(&drawing, MARK_POINTS, 1);
    point->label = one->format;
    point->colour = looks[i].colour;
    point->shape = looks[i].shape;
    if (isfinite(one->low) && isfinite(one->high)) {
      point->low = &one->low;
      point->high = &one->high;
      intervals++;
    }
    series_point(point, one->weight_bits, one->value);
    most = fmax(most, isfinite(one->high) ? one->high : one->value);
    widest = fmax(widest, one->weight_bits);
    if (!best || one->value / one->weight_bits > best->value / best->weight_bits) best = one;
    drawn++;
  }
  if (drawn == 0) {
    *nothing = "the bits of these formats are not known";
    return false;
  }
  // Formats on one ray through the origin are worth the same per bit.
  ray = (struct figure_series *)&drawing.panels[0].series[0];
  double end = fmin(1.08 * widest, 1.08 * most * best->weight_bits / best->value);
  ray->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  ray->dashed = ray->thin = true;
  ray->label = "most per bit";
  series_point(ray, 0, 0);
  series_point(ray, end, end * best->value / best->weight_bits);
  drawing_end(&drawing);
  figure->legend = "format";
  figure->x = figure_axis("stored bits per weight", "", SCALE_LINEAR, TICKS_PLAIN);
  figure->x.low = 0;
  figure->x.high = 1.08 * widest;
  figure->y = figure_axis("effective parameters per parameter", "", SCALE_LINEAR, TICKS_PLAIN);
  figure->y.low = 0;
  figure->y.high = 1.08 * most;
  figure->title = "Effective parameters against bits";
  figure->caption = arena_format(
      arena,
      "What one parameter of each format is worth against the bits that its weights take%s. Per stored bit "
      "%s is worth most: %.3g of a full parameter; formats on the dashed line would equal it.",
      intervals ? ", with bootstrap intervals" : "; these runs give no interval", best->format,
      best->value / best->weight_bits);
  return true;
}
