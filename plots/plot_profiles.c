// Profile likelihoods: how much worse the fit gets as one parameter is held away from its estimate.
#include <math.h>
#include <string.h>

#include "plots/build.h"

enum { PER_PANEL = 6, MOST_PANELS = 4 };
static const double drawn_ratio = 1.6;  // a little above the threshold at 1

// Points near the interval, as multiples of the estimate; those of another sign have no place on the axis.
static void put_profile(struct figure_series *series, const struct plot_profile *profile, double *low, double *high) {
  for (size_t i = 0; i < profile->count; i++) {
    double x = profile->values[i] / profile->estimate;
    if (!(x > 1e-3) || !(x < 1e3) || !(profile->ratios[i] <= drawn_ratio)) continue;
    series_point(series, x, profile->ratios[i]);
    *low = fmin(*low, x);
    *high = fmax(*high, x);
  }
}

static void put_threshold(struct drawing *drawing, double low, double high) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, 2);
  line->colour = (struct figure_colour){.palette = PALETTE_INK};
  line->dashed = line->thin = true;
  series_point(line, low, 1);
  series_point(line, high, 1);
}

bool plot_profiles(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  const struct plot_fit *fit = data->fit;
  if (!fit || fit->profile_count == 0) {
    *nothing = fit ? "the fit has no profiles (profile: in its entry, or --profile)" : "there is no fit";
    return false;
  }
  double low = 1 / 1.05, high = 1.05, unused[2];
  size_t drawn = fit->profile_count < PER_PANEL * MOST_PANELS ? fit->profile_count : PER_PANEL * MOST_PANELS;
  struct drawing limits = {.arena = arena, .figure = &(struct figure){0}};
  drawing_panel(&limits, NULL);
  for (size_t i = 0; i < drawn; i++)
    put_profile(drawing_series(&limits, MARK_LINE, fit->profiles[i].count), &fit->profiles[i], &low, &high);
  struct drawing drawing = {.arena = arena, .figure = figure};
  for (size_t i = 0; i < drawn; i++) {
    if (i % PER_PANEL == 0) {
      const char *title = NULL;
      if (drawn > PER_PANEL)
        title = arena_format(arena, "%s to %s", fit->profiles[i].name,
                             fit->profiles[(i + PER_PANEL < drawn ? i + PER_PANEL : drawn) - 1].name);
      drawing_panel(&drawing, title);
      put_threshold(&drawing, low, high);
    }
    struct figure_series *line = drawing_series(&drawing, MARK_LINE, fit->profiles[i].count);
    line->label = fit->profiles[i].name;
    line->colour = (struct figure_colour){PALETTE_CATEGORY, (int)(i % PER_PANEL), 0};
    put_profile(line, &fit->profiles[i], &unused[0], &unused[1]);
  }
  drawing_end(&drawing);
  figure->legend = "parameter";
  figure->x = figure_axis("parameter over its estimate", "", SCALE_LOG, TICKS_PLAIN);
  figure->x.low = low;
  figure->x.high = high;
  figure->y = figure_axis("likelihood ratio over its threshold", "", SCALE_LINEAR, TICKS_PLAIN);
  figure->y.low = 0;
  figure->y.high = drawn_ratio;
  figure->title = "Profile likelihood";
  figure->caption = arena_format(arena,
                                 "Each parameter is held at the values of the axis and the others are refitted; its "
                                 "interval ends where the line crosses 1. A line that stays below 1 on one side is not "
                                 "bounded there by these runs.%s",
                                 drawn < fit->profile_count ? " The first parameters of many are shown." : "");
  return true;
}
