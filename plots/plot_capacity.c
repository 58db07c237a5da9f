// rho-vs-gmse: what a format's parameters are worth against its error on Gaussian data. The curve is a law fitted in
// that error; the points are factors that another fit gave each format freely, so their distance from the curve shows
// what one number misses.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum { CURVE_POINTS = 121 };

// The operands that a panel's formats represent, all with one error.
struct side {
  const char *title;
  bool activations;
};
static const struct side sides[] = {{"weights", false}, {"weights and activations", true}};

static bool stands_on(const struct plot_effective *format, const struct side *side) {
  if (!(format->gmse_weights > 0) || !(format->value > 0) || format->gmse_gradients > 0) return false;
  if (!side->activations) return format->gmse_activations == 0;
  return fabs(format->gmse_activations / format->gmse_weights - 1) < 0.01;
}

static bool is_noise(const struct plot_effective *format) { return starts_with(format->format, "noise"); }

static size_t count_on(const struct plot_fit *fit, const struct side *side, double *least) {
  size_t count = 0;
  for (size_t i = 0; i < fit->effective_count; i++) {
    if (!stands_on(&fit->effective[i], side)) continue;
    *least = fmin(*least, fit->effective[i].gmse_weights);
    count++;
  }
  return count;
}

static int by_error(const void *a, const void *b) {
  const struct plot_effective *const *x = a, *const *y = b;
  return ((*x)->gmse_weights > (*y)->gmse_weights) - ((*x)->gmse_weights < (*y)->gmse_weights);
}

// Ends of intervals that are not limited there: they go to the frame's edge, which is known when all points are.
struct open_ends {
  double **items;
  size_t count;
};

static double put_points(struct drawing *drawing, const struct plot_fit *fit, const struct side *side, bool noise,
                         struct open_ends *open) {
  struct figure_series *points = drawing_series(drawing, MARK_POINTS, fit->effective_count);
  double *low = arena_array(drawing->arena, fit->effective_count + 1, sizeof *low),
         *high = arena_array(drawing->arena, fit->effective_count + 1, sizeof *high), most = 0;
  const struct plot_effective **sorted = arena_array(drawing->arena, fit->effective_count + 1, sizeof *sorted);
  size_t count = 0;
  for (size_t i = 0; i < fit->effective_count; i++)
    if (stands_on(&fit->effective[i], side) && is_noise(&fit->effective[i]) == noise)
      sorted[count++] = &fit->effective[i];
  if (count) qsort(sorted, count, sizeof *sorted, by_error);
  points->colour = (struct figure_colour){PALETTE_CATEGORY, noise, 0};
  points->shape = noise;
  points->hollow = noise;
  points->label = count == 0 ? NULL : noise ? "noise of that variance" : "formats";
  points->low = low;
  points->high = high;
  for (size_t i = 0; i < count; i++) {
    low[i] = sorted[i]->low;
    high[i] = sorted[i]->high;
    if (isfinite(high[i]) && !isfinite(low[i])) low[i] = 0;  // nothing is worth less
    if (isfinite(low[i]) && !isfinite(high[i])) open->items[open->count++] = &high[i];
    most = fmax(most, isfinite(high[i]) ? high[i] : sorted[i]->value);
    series_point(points, sorted[i]->gmse_weights, sorted[i]->value);
    // Names stand to the right of a format's mark and to the left of noise's: pairs of one error stay readable.
    drawing_note(drawing, sorted[i]->format, sorted[i]->gmse_weights, sorted[i]->value, noise ? NOTE_RIGHT : NOTE_LEFT);
  }
  return most;
}

bool plot_rho_vs_gmse(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  if (!fit || !fit->capacity) {
    *nothing = fit ? "no fitted law is a function of the formats' Gaussian error" : "there is no fit";
    return false;
  }
  double least = 0.5, most = 1;
  size_t counts[2];
  for (int s = 0; s < 2; s++) counts[s] = count_on(fit, &sides[s], &least);
  double low = least / 10;  // room for the name of the leftmost mark
  struct drawing drawing = {.arena = arena, .figure = figure};
  struct open_ends open = {.items = arena_array(arena, fit->effective_count + 1, sizeof *open.items)};
  bool several = counts[0] && counts[1];
  for (int s = 0; s < 2; s++) {
    if (!counts[s] && (s == 1 || counts[1])) continue;  // without any point the curve of weights stands alone
    drawing_panel(&drawing, several ? sides[s].title : NULL);
    struct figure_series *curve = drawing_series(&drawing, MARK_LINE, CURVE_POINTS);
    curve->label = "fitted law";
    curve->colour = (struct figure_colour){.palette = PALETTE_INK};
    for (int i = 0; i < CURVE_POINTS; i++) {
      double gmse = low * pow(1 / low, (double)i / (CURVE_POINTS - 1));
      double rho = fit->capacity(fit->context, gmse, sides[s].activations ? gmse : 0);
      if (isfinite(rho)) series_point(curve, gmse, rho);
    }
    for (int noise = 0; noise < 2; noise++) most = fmax(most, put_points(&drawing, fit, &sides[s], noise, &open));
  }
  drawing_end(&drawing);
  const char *operands = several ? "" : counts[1] ? " of weights and activations" : " of weights";
  figure->x = figure_axis(arena_format(arena, "Gaussian error (GMSE)%s", operands), "", SCALE_LOG, TICKS_POWER);
  figure->x.low = low;
  figure->x.high = 1;
  figure->y = figure_axis("effective parameters per parameter", "", SCALE_LINEAR, TICKS_PLAIN);
  figure->y.low = 0;
  figure->y.high = 1.05 * most;
  for (size_t i = 0; i < open.count; i++) *open.items[i] = figure->y.high;
  figure->title = "Capacity against Gaussian error";
  const char *open_words = open.count ? " An interval that goes up to the frame has no upper limit." : "";
  figure->caption =
      counts[0] + counts[1]
          ? arena_format(
                arena, "%s%s",
                "What a parameter is worth against the mean squared error its format makes on Gaussian values: the fitted "
                "law as a curve, and the factors that a fit with one free factor a format gives, with its intervals.",
                open_words)
          : "What a parameter is worth against the mean squared error its format makes on Gaussian values: the fitted "
            "law. A fit of effective-parameters next to it would add each format's own factor.";
  return true;
}
