// Loss over what a run costs, with the runs that no cheaper one beats: training FLOPs, bytes of the weights, seconds.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

struct cost {
  double (*of)(const struct plot_run *run);
  const char *label, *unit, *title, *in_words, *remark;
  enum figure_ticks ticks;
};

struct priced {
  double cost;
  const struct plot_run *run;
};

static int by_cost(const void *a, const void *b) {
  const struct priced *x = a, *y = b;
  if (x->cost != y->cost) return (x->cost > y->cost) - (x->cost < y->cost);
  return (x->run->loss > y->run->loss) - (x->run->loss < y->run->loss);
}

// Through the runs that no run of at most their cost reaches in loss. Of runs of one cost only the best can be there,
// and of runs of one loss only the cheapest.
static void put_front(struct figure_series *front, const struct priced *part, size_t count) {
  double best = INFINITY;
  for (size_t i = 0; i < count; i++) {
    if (part[i].run->loss >= best) continue;
    best = part[i].run->loss;
    series_point(front, part[i].cost, best);
  }
}

struct pareto {
  const struct plot_data *data;
  const struct cost *cost;
  struct shade shade;
  bool by_format;
  struct priced *part;  // room for the runs of one format
};

// The runs of one format, which are drawn by it, or by size where it is the only one. Returns how many there are.
static size_t put_format(struct drawing *drawing, const struct pareto *p, const char *format, const struct look *look) {
  struct priced *part = p->part;
  const struct shade *shade = &p->shade;
  size_t count = 0;
  for (size_t i = 0; i < p->data->count; i++) {
    const struct plot_run *run = &p->data->runs[i];
    double cost = p->cost->of(run);
    if (has_loss(run) && cost > 0 && isfinite(cost) && strcmp(run->format, format) == 0)
      part[count++] = (struct priced){cost, run};
  }
  if (count == 0) return 0;
  qsort(part, count, sizeof *part, by_cost);
  struct figure_colour colour = p->by_format ? look->colour : (struct figure_colour){.palette = PALETTE_MUTED};
  struct figure_series *front = drawing_series(drawing, MARK_LINE, count);
  front->colour = colour;
  front->label = p->by_format ? NULL : "front";
  put_front(front, part, count);
  size_t levels = p->by_format ? 1 : shade->levels.count;
  for (size_t level = 0; level < levels; level++) {
    struct figure_series *points = drawing_series(drawing, MARK_POINTS, count);
    points->colour = p->by_format ? colour : level_colour(&shade->levels, level);
    points->label = p->by_format ? format : level_label(drawing->arena, &shade->levels, level, shade->ticks);
    points->shape = p->by_format ? look->shape : (int)level % 4;
    points->legend_line = p->by_format;
    for (size_t i = 0; i < count; i++)
      if (p->by_format || level_of(&shade->levels, shade->values[part[i].run - p->data->runs]) == level) {
        series_point(points, part[i].cost, part[i].run->loss);
        drawing_target(drawing, (size_t)(part[i].run - p->data->runs), points, points->count - 1, 1);
      }
  }
  return count;
}

static bool plot_costs(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing,
                       const struct cost *cost) {
  if (!of_losses(arena, data, nothing)) return false;
  struct formats formats = formats_of(arena, data);
  struct pareto p = {.data = data,
                     .cost = cost,
                     .shade = shade_of_runs(arena, data),
                     .by_format = formats.count > 1,
                     .part = arena_array(arena, data->count + 1, sizeof *p.part)};
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  const struct look *looks = format_looks(arena, formats.names, formats.count);
  size_t used = 0;
  for (size_t f = 0; f < formats.count; f++) used += put_format(&drawing, &p, formats.names[f], &looks[f]);
  if (used == 0) {
    bool losses = false;
    for (size_t i = 0; i < data->count; i++) losses |= has_loss(&data->runs[i]);
    *nothing = losses ? arena_format(arena, "no run has its %s", cost->in_words) : "no run has a final loss yet";
    return false;
  }
  drawing_end(&drawing);
  figure->legend = p.by_format ? "format" : p.shade.title;
  figure->x = figure_axis(cost->label, cost->unit, SCALE_LOG, cost->ticks);
  figure->y = outcome_axis(data);
  figure->title = against_title(arena, words_of(data).outcome.title, cost->title);
  figure->caption =
      arena_format(arena,
                   "Final %s of %zu runs against %s; the line joins the runs that no run with as little "
                   "or less beats%s.%s",
                   words_of(data).outcome.name, used, cost->in_words, p.by_format ? ", per format" : "", cost->remark);
  return true;
}

static double flops_of(const struct plot_run *run) { return run->flops; }
static double bytes_of(const struct plot_run *run) { return run->weight_bytes; }
static double seconds_of(const struct plot_run *run) { return run->seconds; }

bool plot_pareto(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct measure compute = words_of(data).compute;
  const struct cost cost = {flops_of, compute.name, compute.unit, compute.title, "training FLOPs", "", TICKS_POWER};
  return plot_costs(arena, data, figure, nothing, &cost);
}

bool plot_pareto_bytes(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  static const struct cost cost = {bytes_of,
                                   "weights",
                                   "bytes",
                                   "stored bytes",
                                   "bytes of the weights",
                                   " Weights of the blocks take the format's stored bits, all others 16.",
                                   TICKS_COUNT};
  return plot_costs(arena, data, figure, nothing, &cost);
}

bool plot_pareto_seconds(struct arena *arena, const struct plot_data *data, struct figure *figure,
                         const char **nothing) {
  struct measure time = measure_of("wall_seconds", NULL);
  const struct cost cost = {seconds_of, time.name, time.unit, time.title, "seconds of training", "", TICKS_COUNT};
  return plot_costs(arena, data, figure, nothing, &cost);
}
