// Two coefficients at once: the region that the runs allow them together, and the resamples' values of both.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum { MOST_PANELS = 6 };
static const double wide = 5;          // a positive axis that spans more is logarithmic
static const double tail = 0.01;       // of the resamples: what lies farther out does not set the axes
static const int quiet = 0, loud = 1;  // categories of colour: the region's, the resamples'

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double coordinate(const struct plot_pair *pair, int axis) { return axis ? pair->y : pair->x; }

// The range of an axis: of the lines and the estimate, and of the resamples but for their tails.
static void range_of(struct arena *arena, const struct plot_contour *contour, int axis, bool resamples, double *low,
                     double *high) {
  *low = *high = coordinate(&contour->estimate, axis);
  for (int line = 0; line < PLOT_CONTOUR_LINES; line++)
    for (size_t i = 0; i < contour->point_count; i++) {
      double at = coordinate(&contour->lines[line][i], axis);
      if (contour->lines[line][i].open || !isfinite(at)) continue;
      *low = fmin(*low, at);
      *high = fmax(*high, at);
    }
  if (!resamples || !contour->resample_count) return;
  double *sorted = arena_array(arena, contour->resample_count, sizeof *sorted);
  for (size_t i = 0; i < contour->resample_count; i++) sorted[i] = coordinate(&contour->resamples[i], axis);
  qsort(sorted, contour->resample_count, sizeof *sorted, ascending);
  size_t out = (size_t)(tail * (double)contour->resample_count);
  *low = fmin(*low, sorted[out]);
  *high = fmax(*high, sorted[contour->resample_count - 1 - out]);
}

static struct figure_axis axis_of(const char *label, double low, double high) {
  bool logarithmic = low > 0 && high > wide * low;
  bool long_numbers = logarithmic && (high >= 1e4 || low < 1e-3);
  struct figure_axis axis =
      figure_axis(label, "", logarithmic ? SCALE_LOG : SCALE_LINEAR, long_numbers ? TICKS_POWER : TICKS_PLAIN);
  double from = logarithmic ? log(low) : low, to = logarithmic ? log(high) : high, margin = 0.06 * (to - from);
  if (!(margin > 0)) margin = from != 0 ? 0.05 * fabs(from) : 0.05;
  axis.low = logarithmic ? exp(from - margin) : from - margin;
  axis.high = logarithmic ? exp(to + margin) : to + margin;
  return axis;
}

static bool is_inside(const struct figure_axis axes[2], const struct plot_pair *pair) {
  for (int axis = 0; axis < 2; axis++) {
    double at = coordinate(pair, axis);
    if (!(at >= axes[axis].low && at <= axes[axis].high)) return false;
  }
  return true;
}

// A closed line, or the pieces of it between points at which the region has no end.
static void put_line(struct drawing *drawing, const struct plot_contour *contour, int line, bool thin) {
  const struct plot_pair *points = contour->lines[line];
  size_t n = contour->point_count, first = 0;
  const char *label = arena_format(drawing->arena, "%.3g %% of both", 100 * contour->levels[line]);
  while (first < n && !points[first].open) first++;
  bool closed = first == n;
  struct figure_series *series = NULL;
  // From a point that is open, if there is one, once around.
  for (size_t i = 0; i <= n && n; i++) {
    const struct plot_pair *point = &points[(first + i) % n];
    if (point->open || (!closed && i == n)) {
      series = NULL;
      continue;
    }
    if (!series) {
      series = drawing_series(drawing, MARK_LINE, n + 1);
      series->colour = (struct figure_colour){PALETTE_CATEGORY, quiet, 0};
      series->thin = thin || line + 1 < PLOT_CONTOUR_LINES;
      series->dashed = line + 1 < PLOT_CONTOUR_LINES;
      series->label = label;
    }
    series_point(series, point->x, point->y);
  }
}

static void put_estimate(struct drawing *drawing, const struct plot_contour *contour) {
  struct figure_series *point = drawing_series(drawing, MARK_POINTS, 1);
  point->colour = (struct figure_colour){.palette = PALETTE_INK};
  point->shape = 3;
  point->label = "estimate";
  series_point(point, contour->estimate.x, contour->estimate.y);
}

// Returns how many resamples lie outside the axes.
static size_t put_resamples(struct drawing *drawing, const struct plot_contour *contour,
                            const struct figure_axis axes[2]) {
  struct figure_series *points = drawing_series(drawing, MARK_POINTS, contour->resample_count);
  size_t outside = 0;
  points->colour = (struct figure_colour){PALETTE_CATEGORY, loud, 0};
  points->hollow = true;
  points->label = "resample";
  for (size_t i = 0; i < contour->resample_count; i++) {
    if (is_inside(axes, &contour->resamples[i]))
      series_point(points, contour->resamples[i].x, contour->resamples[i].y);
    else
      outside++;
  }
  return outside;
}

struct drawn {
  size_t panels, outside, open, resamples;
};

// Panels with a pair each, which has its own axes unless it is alone.
static struct drawn put_pairs(struct drawing *drawing, const struct plot_fit *fit, bool resamples) {
  struct arena *arena = drawing->arena;
  struct drawn drawn = {0};
  size_t all = 0;
  for (size_t i = 0; i < fit->contour_count; i++)
    all += resamples ? fit->contours[i].resample_count > 0 : fit->contours[i].point_count > 0;
  for (size_t i = 0; i < fit->contour_count && drawn.panels < MOST_PANELS; i++) {
    const struct plot_contour *contour = &fit->contours[i];
    if (!(resamples ? contour->resample_count : contour->point_count)) continue;
    struct figure_axis *axes = arena_array(arena, 2, sizeof *axes);
    for (int axis = 0; axis < 2; axis++) {
      double low, high;
      range_of(arena, contour, axis, resamples, &low, &high);
      axes[axis] = axis_of(all > 1 ? NULL : axis ? contour->y_name : contour->x_name, low, high);
    }
    struct figure_panel *panel =
        drawing_panel(drawing, all > 1 ? arena_format(arena, "%s over %s", contour->y_name, contour->x_name) : NULL);
    if (all > 1) {
      panel->x = &axes[0];
      panel->y = &axes[1];
    } else {
      drawing->figure->x = axes[0];
      drawing->figure->y = axes[1];
    }
    if (resamples) drawn.outside += put_resamples(drawing, contour, axes);
    for (int line = resamples ? PLOT_CONTOUR_LINES - 1 : 0; line < PLOT_CONTOUR_LINES; line++)
      put_line(drawing, contour, line, resamples);
    for (size_t k = 0; k < contour->point_count; k++) drawn.open += contour->lines[PLOT_CONTOUR_LINES - 1][k].open;
    drawn.resamples = contour->resample_count;
    put_estimate(drawing, contour);
    drawn.panels++;
  }
  return drawn;
}

static bool plot_pairs(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing,
                       bool resamples, struct drawn *drawn) {
  const struct plot_fit *fit = data->fit;
  bool any = false;
  for (size_t i = 0; fit && i < fit->contour_count; i++)
    any |= resamples ? fit->contours[i].resample_count > 0 : fit->contours[i].point_count > 0;
  if (!any) {
    *nothing = !fit                  ? "there is no fit"
               : !fit->contour_count ? "the fit has no pairs of coefficients (contour: in its entry, or --contour)"
               : resamples           ? "the fit was made without resamples"
                                     : "the law passes through its runs: there are no errors to make regions of";
    return false;
  }
  figure->x = figure->y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN);
  struct drawing drawing = {.arena = arena, .figure = figure};
  *drawn = put_pairs(&drawing, fit, resamples);
  drawing_end(&drawing);
  figure->aspect = drawn->panels > 1 ? 0.7 : 0.8;
  return true;
}

bool plot_contours(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct drawn drawn;
  if (!plot_pairs(arena, data, figure, nothing, false, &drawn)) return false;
  figure->title = "Joint confidence regions";
  figure->caption = arena_format(
      arena,
      "Which values of two coefficients the runs allow together, the others refitted, by the likelihood ratio: inside "
      "the lines at the confidence given. A long thin region says that the runs know a combination of both better than "
      "either.%s",
      drawn.open ? " Where a line is missing the runs set no limit." : "");
  return true;
}

bool plot_bootstrap_scatter(struct arena *arena, const struct plot_data *data, struct figure *figure,
                            const char **nothing) {
  struct drawn drawn;
  if (!plot_pairs(arena, data, figure, nothing, true, &drawn)) return false;
  figure->title = "Bootstrap resamples";
  figure->caption = arena_format(
      arena,
      "Each point is the fit to one resample of the runs, %zu of them; the line is the joint region by the likelihood "
      "ratio. Where points and line part, the intervals of the two ways will differ.%s",
      drawn.resamples,
      drawn.outside ? arena_format(arena, " %zu resample%s outside the axes.", drawn.outside,
                                   drawn.outside == 1 ? " lies" : "s lie")
                    : "");
  return true;
}
