// Loss against compute, as the fitted law has it: a line a size, and the frontier below all of them.
#include <math.h>
#include <string.h>

#include "plots/build.h"

enum { LINE_POINTS = 81, MOST_SIZES = 8 };
static const double beyond = 10;  // how far the frontier continues behind the runs, as a factor of compute

static double compute_of(const struct plot_run *run) { return 6 * run->parameters * run->tokens; }

struct compute {
  const struct plot_data *data;
  double low, high;    // compute of the runs
  double least, most;  // sizes among which the best is sought
};

static double loss_at(const struct compute *c, const char *format, double compute, double log_size) {
  double size = exp(log_size);
  return c->data->fit->evaluate(c->data->fit->context, format, size, compute / (6 * size));
}

// The least loss over all sizes at one compute: the best of a grid, then a golden-section search around it. NAN where
// the law does not say, or where the best is at the end of the sizes, so that it is no minimum.
static double best_loss(const struct compute *c, const char *format, double compute) {
  enum { GRID = 200, STEPS = 40 };
  double low = log(c->least), step = (log(c->most) - low) / (GRID - 1), least = INFINITY;
  int best = -1;
  for (int i = 0; i < GRID; i++) {
    double loss = loss_at(c, format, compute, low + i * step);
    if (!(loss < least)) continue;
    least = loss;
    best = i;
  }
  if (best <= 0 || best == GRID - 1) return NAN;
  double a = low + (best - 1) * step, b = low + (best + 1) * step;
  static const double golden = 0.6180339887498949;
  for (int i = 0; i < STEPS; i++) {
    double left = b - golden * (b - a), right = a + golden * (b - a);
    if (loss_at(c, format, compute, left) < loss_at(c, format, compute, right))
      b = right;
    else
      a = left;
  }
  return fmin(least, loss_at(c, format, compute, (a + b) / 2));
}

// The size of the least loss for the compute, searched in the logarithm as best_loss does.
static double best_size(const struct compute *c, const char *format, double compute) {
  double size = NAN, least = INFINITY;
  for (int i = 0; i <= 400; i++) {
    double at = log(c->least) + (log(c->most) - log(c->least)) * i / 400, loss = loss_at(c, format, compute, at);
    if (!(loss < least)) continue;
    least = loss;
    size = exp(at);
  }
  return size;
}

// Bands around the frontier: the law's confidence, and below it, wider, where new runs fall (`runs`). To first order
// the best size moves nothing: the loss is flat there. False where the intervals are not known.
static bool put_bands(struct drawing *drawing, const struct compute *c, const char *format, struct figure_colour colour,
                      bool runs) {
  const struct plot_fit *fit = c->data->fit;
  if (!fit->band) return false;
  double low = log(c->low), high = log(c->high * beyond), at[LINE_POINTS], loss[LINE_POINTS];
  struct plot_band ends[LINE_POINTS];
  for (int i = 0; i < LINE_POINTS; i++) {
    at[i] = exp(low + (high - low) * i / (LINE_POINTS - 1));
    double size = best_size(c, format, at[i]);
    loss[i] = best_loss(c, format, at[i]);
    if (!isfinite(loss[i]) || !fit->band(fit->context, format, size, at[i] / (6 * size), &ends[i])) return false;
  }
  for (int kind = runs; kind >= 0; kind--) {
    struct figure_series *band = drawing_series(drawing, MARK_BAND, LINE_POINTS);
    double *below = arena_array(drawing->arena, LINE_POINTS, sizeof *below),
           *above = arena_array(drawing->arena, LINE_POINTS, sizeof *above);
    for (int i = 0; i < LINE_POINTS; i++) {
      const double *of = kind ? ends[i].run : ends[i].law;
      below[i] = of[0];
      above[i] = of[1];
      series_point(band, at[i], loss[i]);
    }
    band->colour = colour;
    band->low = below;
    band->high = above;
  }
  return true;
}

static void put_frontier(struct drawing *drawing, const struct compute *c, const char *format,
                         struct figure_colour colour, const char *label, bool further) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, LINE_POINTS);
  double low = log(further ? c->high : c->low), high = log(further ? c->high * beyond : c->high);
  line->colour = colour;
  line->dashed = further;
  line->label = label;
  for (int i = 0; i < LINE_POINTS; i++) {
    double compute = exp(low + (high - low) * i / (LINE_POINTS - 1)), loss = best_loss(c, format, compute);
    if (isfinite(loss)) series_point(line, compute, loss);
  }
}

// The law at one size, over the compute of the runs.
static void put_size(struct drawing *drawing, const struct compute *c, const char *format, const struct levels *levels,
                     size_t level) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, LINE_POINTS);
  line->colour = level_colour(levels, level);
  line->thin = true;
  line->label = level_label(drawing->arena, levels, level, TICKS_COUNT);
  double first = INFINITY, last = 0;
  for (size_t i = 0; i < c->data->count; i++) {
    const struct plot_run *run = &c->data->runs[i];
    if (!has_loss(run) || level_of(levels, run->parameters) != level) continue;
    first = fmin(first, compute_of(run));
    last = fmax(last, compute_of(run));
  }
  if (!(last > 0)) return;
  double low = log(first / 2), high = log(last * 2);
  for (int i = 0; i < LINE_POINTS; i++) {
    double compute = exp(low + (high - low) * i / (LINE_POINTS - 1));
    series_point(line, compute, loss_at(c, format, compute, log(levels->values[level])));
  }
}

static size_t put_points(struct drawing *drawing, const struct compute *c, const char *format,
                         const struct levels *levels, size_t level, const struct look *look) {
  struct figure_series *points = drawing_series(drawing, MARK_POINTS, c->data->count);
  points->colour = look ? look->colour : level_colour(levels, level);
  points->shape = look ? look->shape : (int)level % 4;
  points->label = look ? format : level_label(drawing->arena, levels, level, TICKS_COUNT);
  points->legend_line = true;
  for (size_t i = 0; i < c->data->count; i++) {
    const struct plot_run *run = &c->data->runs[i];
    if (!has_loss(run) || strcmp(run->format, format) != 0) continue;
    if (!look && level_of(levels, run->parameters) != level) continue;
    series_point(points, compute_of(run), run->loss);
    drawing_target(drawing, i, points, points->count - 1, 1);
  }
  return points->count;
}

bool plot_loss_vs_compute(struct arena *arena, const struct plot_data *data, struct figure *figure,
                          const char **nothing) {
  struct compute c = {.data = data, .low = INFINITY};
  double *sizes = arena_array(arena, data->count + 1, sizeof *sizes);
  size_t used = 0;
  if (!data->fit || !data->fit->evaluate) {
    *nothing = data->fit ? "the law cannot be evaluated at N and D alone" : "there is no fit";
    return false;
  }
  if (!of_losses(arena, data, nothing)) return false;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!has_loss(run) || !(compute_of(run) > 0)) continue;
    sizes[used++] = run->parameters;
    c.low = fmin(c.low, compute_of(run));
    c.high = fmax(c.high, compute_of(run));
  }
  if (used == 0 || c.high < 1.01 * c.low) {
    *nothing = used ? "all runs have the same compute" : "no run has a final loss yet";
    return false;
  }
  struct levels levels = levels_of(arena, sizes, used, 0.005, MOST_SIZES);
  c.least = levels.values[0] / 1e4;
  c.most = levels.values[levels.count - 1] * 1e4;
  struct formats formats = formats_of(arena, data);
  const struct look *looks = format_looks(arena, formats.names, formats.count);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  bool by_format = formats.count > 1;
  const struct figure_colour ink = {.palette = PALETTE_INK};
  bool bands = false;
  for (size_t f = 0; f < formats.count && formats.count <= 3; f++)
    bands |= put_bands(&drawing, &c, formats.names[f], by_format ? looks[f].colour : ink, !by_format);
  for (size_t f = 0; f < formats.count; f++) {
    for (size_t level = 0; !by_format && level < levels.count; level++)
      put_size(&drawing, &c, formats.names[f], &levels, level);
    for (size_t level = 0; level < (by_format ? 1 : levels.count); level++)
      put_points(&drawing, &c, formats.names[f], &levels, level, by_format ? &looks[f] : NULL);
    for (int further = 0; further < 2; further++)
      put_frontier(&drawing, &c, formats.names[f], by_format ? looks[f].colour : ink,
                   by_format ? NULL
                   : further ? "extrapolated"
                             : "best size",
                   further);
  }
  drawing_end(&drawing);
  struct measures words = words_of(data);
  struct measure compute = measure_of("flops_6nd", NULL);
  figure->legend = by_format ? "format" : words.size.brief;
  figure->x = measure_axis(&compute, SCALE_LOG, TICKS_POWER);
  figure->y = outcome_axis(data);
  figure->title =
      arena_format(arena, "%s, and its frontier", against_title(arena, words.outcome.title, words.compute.title));
  figure->caption = arena_format(
      arena,
      "Final %s of %zu runs%s. %s the loss at the best size for each compute by the fitted law (%s), dashed "
      "up to %.0f times the runs' compute.%s",
      words.outcome.name, used, by_format ? "" : "; thin lines: the law at each size",
      by_format ? "Lines:" : "The line below them is", data->fit->law, beyond,
      bands ? arena_format(arena, " Shaded: the law's %g %% confidence%s.", 100 * data->fit->confidence,
                           by_format ? "" : " and, wider, where as many of new runs fall")
            : "");
  return true;
}
