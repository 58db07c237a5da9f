// Pruning schedules: which share of the parameters is not zero, against the share of the training compute spent.
#include <math.h>
#include <string.h>

#include "plots/build.h"

enum { SAME_POINTS = 51 };
static const double same = 0.004;  // of densities, for one line to be drawn for two runs

// A run's schedule: compute spent and density at each logged point, in percent.
struct schedule {
  size_t run, count;
  double *compute, *density;
};

// A token costs as much as there are parameters that are not zero (6 of them a token); between logged points their
// number is taken to change evenly. False where a run has no schedule.
static bool schedule_of(struct arena *arena, const struct plot_data *data, size_t run, struct schedule *out) {
  const struct plot_active *active = &data->runs[run].active;
  double all = data->runs[run].parameters, spent = 0;
  // N may be counted in another way than the log counts it: what the run begins with is all of it.
  for (size_t i = 0; i < active->count; i++) all = i ? fmax(all, active->active[i]) : active->active[i];
  if (active->count < 2 || !(all > 0)) return false;
  *out = (struct schedule){run, active->count, arena_array(arena, active->count, sizeof(double)),
                           arena_array(arena, active->count, sizeof(double))};
  for (size_t i = 0; i < active->count; i++) {
    double before = i ? active->tokens[i - 1] : 0, mean = (active->active[i] + active->active[i ? i - 1 : 0]) / 2;
    spent += (active->tokens[i] - before) * mean;
    out->compute[i] = spent;
    out->density[i] = 100 * active->active[i] / all;
  }
  for (size_t i = 0; i < active->count; i++) out->compute[i] *= 100 / spent;
  return spent > 0;
}

static double density_at(const struct schedule *schedule, double compute) {
  size_t i = 0;
  while (i < schedule->count && schedule->compute[i] < compute) i++;
  if (i == 0) return schedule->density[0];
  if (i == schedule->count) return schedule->density[i - 1];
  double step = schedule->compute[i] - schedule->compute[i - 1],
         part = step > 0 ? (compute - schedule->compute[i - 1]) / step : 1;
  return schedule->density[i - 1] + part * (schedule->density[i] - schedule->density[i - 1]);
}

static bool are_same(const struct schedule *a, const struct schedule *b) {
  for (int i = 0; i < SAME_POINTS; i++) {
    double at = 100.0 * i / (SAME_POINTS - 1);
    if (fabs(density_at(a, at) - density_at(b, at)) > 100 * same) return false;
  }
  return true;
}

bool plot_density_vs_compute(struct arena *arena, const struct plot_data *data, struct figure *figure,
                             const char **nothing) {
  struct formats formats = formats_of(arena, data);
  const struct look *looks = format_looks(arena, formats.names, formats.count);
  struct drawing drawing = {.arena = arena, .figure = figure};
  size_t runs = 0, dense = 0, lines = 0;
  bool *shown = arena_array(arena, formats.count + 1, sizeof *shown);
  drawing_panel(&drawing, NULL);
  for (size_t f = 0; f < formats.count; f++) {
    struct schedule *drawn = arena_array(arena, data->count + 1, sizeof *drawn);
    struct figure_series **series = arena_array(arena, data->count + 1, sizeof *series);
    size_t count = 0;
    for (size_t i = 0; i < data->count; i++) {
      struct schedule schedule;
      if (strcmp(data->runs[i].format, formats.names[f]) != 0) continue;
      if (!schedule_of(arena, data, i, &schedule)) {
        dense++;
        continue;
      }
      size_t same_as = 0;
      while (same_as < count && !are_same(&schedule, &drawn[same_as])) same_as++;
      runs++;
      if (same_as < count) continue;
      struct figure_series *line = drawing_series(&drawing, MARK_LINE, schedule.count + 1);
      line->colour = looks[f].colour;
      for (size_t k = 0; k < f; k++) line->dashed |= shown[k] && looks[k].colour.index == looks[f].colour.index;
      line->label = formats.names[f];
      series_point(line, 0, schedule.density[0]);
      for (size_t k = 0; k < schedule.count; k++) series_point(line, schedule.compute[k], schedule.density[k]);
      drawing_target(&drawing, i, line, 0, line->count);
      drawn[count++] = schedule;
      lines++;
      shown[f] = true;
    }
  }
  if (lines == 0) {
    *nothing = data->count ? "no run logged how many of its parameters are not zero" : "there are no runs";
    return false;
  }
  drawing_end(&drawing);
  figure->legend = "format";
  figure->x = figure_axis("training compute spent", "%", SCALE_LINEAR, TICKS_PLAIN);
  figure->x.low = 0;
  figure->x.high = 100;
  figure->y = figure_axis("parameters that are not zero", "%", SCALE_LINEAR, TICKS_PLAIN);
  figure->y.low = 0;
  figure->y.high = 105;
  figure->title = "Density over compute";
  figure->caption = arena_format(
      arena,
      "Share of the non-embedding parameters that are not zero in %zu pruned run%s, against the share of the run's compute "
      "spent, where a token costs 6 FLOPs for each of them; one line is drawn for runs whose schedules differ by less than "
      "%g %%.%s",
      runs, runs == 1 ? "" : "s", 100 * same,
      dense ? arena_format(arena, " %zu run%s not pruned.", dense, dense == 1 ? " is" : "s are") : "");
  return true;
}
