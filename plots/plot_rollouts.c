// How far off a law is beyond the rows it was fitted to: rollouts.
#include <math.h>
#include <string.h>

#include "plots/build.h"

bool plot_rollouts(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  struct drawing drawing = {.arena = arena, .figure = figure};
  size_t shown = 0;
  double farthest = 1, largest = 0;
  struct measures words = words_of(data);
  drawing_panel(&drawing, NULL);
  for (size_t i = 0; fit && i < fit->rollout_count; i++) {
    const struct plot_rollout *first = &fit->rollouts[i];
    bool known = false;
    for (size_t k = 0; k < i; k++) known |= strcmp(fit->rollouts[k].column, first->column) == 0;
    if (known) continue;
    struct figure_series *points = drawing_series(&drawing, MARK_POINTS, fit->rollout_count);
    double *low = arena_array(arena, fit->rollout_count, sizeof *low),
           *high = arena_array(arena, fit->rollout_count, sizeof *high);
    for (size_t k = i; k < fit->rollout_count; k++) {
      const struct plot_rollout *cut = &fit->rollouts[k];
      if (strcmp(cut->column, first->column) != 0 || !isfinite(cut->error)) continue;
      low[points->count] = 0;
      high[points->count] = 100 * fabs(cut->largest);
      series_point(points, cut->farthest, 100 * cut->error);
      farthest = fmax(farthest, cut->farthest);
      largest = fmax(largest, 100 * fabs(cut->largest));
      shown++;
    }
    int index = strcmp(first->column, "parameters") == 0 ? 0 : strcmp(first->column, "tokens") == 0 ? 1 : 2;
    points->low = low;
    points->high = high;
    points->colour = (struct figure_colour){PALETTE_CATEGORY, index, 0};
    points->shape = index;
    points->label = index == 0 ? words.size.brief : index == 1 ? words.length.brief : words.compute.brief;
  }
  if (shown == 0) {
    *nothing = fit ? "the fit has no rollouts (leave_out asks for them)" : "there is no fit";
    return false;
  }
  drawing_end(&drawing);
  figure->legend = "cut along";
  figure->x = figure_axis("times outside the fitted rows", "", SCALE_LOG, TICKS_PLAIN);
  figure->x.low = 0.95;
  figure->x.high = 1.1 * farthest;
  figure->y = figure_axis("error of what was predicted", "%", SCALE_LINEAR, TICKS_PLAIN);
  figure->y.low = 0;
  figure->y.high = 1.08 * largest;
  figure->title = "Rollouts";
  figure->caption =
      arena_format(arena,
                   "The law fitted to the lower part of the rows predicts the others, %zu cut%s: mean error, up to the "
                   "largest, against how many times outside the farthest of them lies.",
                   shown, shown == 1 ? "" : "s");
  return true;
}
