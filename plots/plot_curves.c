// Loss over training, and loss over compute.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum {
  MOST_POINTS = 240,  // of a curve
  THICK_LINES = 12,   // more lines are drawn thin
};

// A curve thinned to at most MOST_POINTS, evenly in log tokens, first and last kept.
static void add_curve(struct figure_series *series, const struct plot_curve *curve) {
  double first = 0, last = 0;
  for (size_t i = 0; i < curve->count; i++) {
    if (!(curve->tokens[i] > 0)) continue;
    if (!first) first = curve->tokens[i];
    last = curve->tokens[i];
  }
  double step = curve->count > MOST_POINTS ? log(last / first) / (MOST_POINTS - 2) : 0, next = -INFINITY;
  for (size_t i = 0; i < curve->count; i++) {
    double at = log(curve->tokens[i]);
    if (!isfinite(at) || !isfinite(curve->loss[i])) continue;
    if (at < next && i + 1 < curve->count) continue;
    series_point(series, curve->tokens[i], curve->loss[i]);
    next = at + step;
  }
}

static size_t curve_room(const struct plot_curve *curve) {
  return curve->count < MOST_POINTS ? curve->count : MOST_POINTS + 2;
}

// The curves of a figure: of the validation loss, or of the training loss where no run has more than one validation.
struct curves {
  const struct plot_data *data;
  struct shade shade;
  bool only_training;
  size_t drawn;        // runs with a curve
  double first, last;  // tokens
};

static const struct plot_curve *curve_of(const struct curves *curves, size_t run) {
  const struct plot_run *runs = curves->data->runs;
  return curves->only_training ? &runs[run].training : &runs[run].validation;
}

static struct curves curves_of(const struct plot_data *data) {
  struct curves curves = {.data = data, .only_training = true, .first = INFINITY};
  for (size_t i = 0; i < data->count; i++)
    if (data->runs[i].validation.count > 1) curves.only_training = false;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_curve *curve = curve_of(&curves, i);
    for (size_t k = 0; k < curve->count; k++)
      if (isfinite(curve->loss[k]) && curve->loss[k] > 0 && curve->tokens[k] > 0)
        curves.first = fmin(curves.first, curve->tokens[k]);
    curves.drawn += curve->count > 1;
  }
  return curves;
}

static bool is_of(const struct curves *curves, size_t run, const char *format, size_t level) {
  return strcmp(curves->data->runs[run].format, format) == 0 &&
         level_of(&curves->shade.levels, curves->shade.values[run]) == level;
}

static void put_lines(struct drawing *drawing, struct curves *curves, const char *format, size_t level) {
  const struct shade *shade = &curves->shade;
  const char *label = level_label(drawing->arena, &shade->levels, level, shade->ticks);
  for (size_t i = 0; i < curves->data->count; i++) {
    const struct plot_curve *curve = curve_of(curves, i);
    if (curve->count < 2 || !is_of(curves, i, format, level)) continue;
    struct figure_series *line = drawing_series(drawing, MARK_LINE, curve_room(curve));
    line->colour = level_colour(&shade->levels, level);
    line->thin = curves->drawn > THICK_LINES || curves->only_training;
    line->label = label;
    add_curve(line, curve);
    curves->last = fmax(curves->last, curve->tokens[curve->count - 1]);
  }
}

// Where each run ended.
static void put_ends(struct drawing *drawing, const struct curves *curves, const char *format, size_t level) {
  struct figure_series *ends = drawing_series(drawing, MARK_POINTS, curves->data->count);
  ends->colour = level_colour(&curves->shade.levels, level);
  for (size_t i = 0; i < curves->data->count; i++) {
    const struct plot_curve *curve = &curves->data->runs[i].validation;
    if (curve->count > 1 && has_loss(&curves->data->runs[i]) && is_of(curves, i, format, level))
      series_point(ends, curve->tokens[curve->count - 1], curve->loss[curve->count - 1]);
  }
}

static void put_irreducible(struct drawing *drawing, const struct curves *curves) {
  double loss = curves->data->irreducible_loss;
  if (!isfinite(loss) || !(loss > 0)) return;
  struct figure_series *line = drawing_series(drawing, MARK_LINE, 2);
  line->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  line->dashed = line->thin = true;
  line->label = "irreducible";
  series_point(line, curves->first, loss);
  series_point(line, curves->last, loss);
}

bool plot_loss_curves(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct curves curves = curves_of(data);
  if (curves.drawn == 0) {
    *nothing = "no run has logged a curve yet";
    return false;
  }
  curves.shade = shade_of_runs(arena, data);
  size_t levels = curves.shade.levels.count;
  struct formats formats = formats_of(arena, data);
  struct drawing drawing = {.arena = arena, .figure = figure};
  for (size_t f = 0; f < formats.count; f++) {
    drawing_panel(&drawing, formats.names[f]);
    for (size_t level = 0; level < levels; level++) put_lines(&drawing, &curves, formats.names[f], level);
    // above all lines
    for (size_t level = 0; !curves.only_training && level < levels; level++)
      put_ends(&drawing, &curves, formats.names[f], level);
    put_irreducible(&drawing, &curves);
  }
  drawing_end(&drawing);
  figure->legend = curves.shade.title;
  figure->x = figure_axis("training tokens", "", SCALE_LOG, TICKS_COUNT);
  figure->y =
      figure_axis(curves.only_training ? "training loss" : "validation loss", "nats per token", SCALE_LOG, TICKS_PLAIN);
  figure->title = "Loss curves";
  figure->caption = arena_format(arena, "%s loss of %zu runs over the tokens seen, shaded by %s.",
                                 curves.only_training ? "Training" : "Validation", curves.drawn, curves.shade.title);
  return true;
}

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
