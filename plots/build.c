// See build.h.
#include "plots/build.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

struct levels levels_of(struct arena *arena, const double *values, size_t count, double tolerance, size_t most) {
  struct levels levels = {.values = arena_array(arena, count + 1, sizeof(double))};
  double *sorted = arena_array(arena, count + 1, sizeof *sorted);
  size_t n = 0;
  for (size_t i = 0; i < count; i++)
    if (isfinite(values[i]) && values[i] > 0) sorted[n++] = values[i];
  if (n) qsort(sorted, n, sizeof *sorted, ascending);
  for (size_t i = 0; i < n;) {
    size_t end = i;
    double sum = 0;
    while (end < n && sorted[end] <= sorted[i] * (1 + tolerance)) sum += log(sorted[end++]);
    // Values that are all the same stay exactly that.
    levels.values[levels.count++] = sorted[i] == sorted[end - 1] ? sorted[i] : exp(sum / (double)(end - i));
    i = end;
  }
  if (levels.count > most && most >= 2) {
    double low = log(levels.values[0]), high = log(levels.values[levels.count - 1]);
    levels.count = most > 6 ? 6 : most;
    levels.approximate = true;
    for (size_t i = 0; i < levels.count; i++)
      levels.values[i] = exp(low + (high - low) * (double)i / (double)(levels.count - 1));
  }
  return levels;
}

size_t level_of(const struct levels *levels, double value) {
  size_t best = 0;
  double distance = INFINITY;
  for (size_t i = 0; i < levels->count; i++) {
    double d = fabs(log(value / levels->values[i]));
    if (d < distance) {
      distance = d;
      best = i;
    }
  }
  return best;
}

struct figure_colour level_colour(const struct levels *levels, size_t level) {
  return (struct figure_colour){PALETTE_ORDERED, (int)level, (int)levels->count};
}

const char *level_label(struct arena *arena, const struct levels *levels, size_t level, enum figure_ticks ticks) {
  enum { MOST = 12 };
  if (levels->count > MOST) {
    size_t every = (levels->count + MOST - 2) / (MOST - 1);
    if (level % every != 0 && level != levels->count - 1) return NULL;
    if (level != levels->count - 1 && levels->count - 1 - level < every / 2 + 1) return NULL;
  }
  char number[40];
  // A million tokens in whole batches are 999424: still a million.
  double value = levels->values[level], unit = pow(10, floor(log10(value)) - 1), round = unit * rint(value / unit);
  axis_number(ticks, fabs(round / value - 1) < 0.002 ? round : value, number);
  return arena_format(arena, "%s%s", levels->approximate ? "≈ " : "", number);
}

struct shade shade_of_runs(struct arena *arena, const struct plot_data *data) {
  struct measures words = words_of(data);
  const char *const titles[] = {words.size.brief, words.length.brief, measure_of("train.lr", NULL).brief};
  static const enum figure_ticks ticks[] = {TICKS_COUNT, TICKS_COUNT, TICKS_PLAIN};
  struct shade shade = {0};
  for (int kind = 0; kind < 3; kind++) {
    double *values = arena_array(arena, data->count + 1, sizeof *values);
    for (size_t i = 0; i < data->count; i++)
      values[i] = kind == 0 ? data->runs[i].parameters : kind == 1 ? data->runs[i].tokens : data->runs[i].learning_rate;
    struct levels levels = levels_of(arena, values, data->count, 0.005, 24);
    if (kind == 0 || levels.count > 1) shade = (struct shade){levels, values, titles[kind], ticks[kind]};
    if (levels.count > 1) break;
  }
  return shade;
}

struct formats formats_of(struct arena *arena, const struct plot_data *data) {
  struct formats formats = {.names = arena_array(arena, data->count + 1, sizeof(char *))};
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < data->count; i++) {
      const char *format = data->runs[i].format ? data->runs[i].format : "none";
      if ((strcmp(format, "none") == 0) != (pass == 0)) continue;
      bool known = false;
      for (size_t f = 0; f < formats.count; f++) known |= strcmp(formats.names[f], format) == 0;
      if (!known) formats.names[formats.count++] = format;
    }
  return formats;
}

struct figure_panel *drawing_panel(struct drawing *drawing, const char *title) {
  drawing->panels = arena_grow(drawing->arena, drawing->panels, drawing->panel_count, drawing->panel_count + 1,
                               sizeof *drawing->panels);
  struct figure_panel *panel = &drawing->panels[drawing->panel_count++];
  *panel = (struct figure_panel){.title = title};
  return panel;
}

struct figure_series *drawing_series(struct drawing *drawing, enum figure_mark mark, size_t capacity) {
  struct figure_panel *panel = &drawing->panels[drawing->panel_count - 1];
  struct figure_series *all = (struct figure_series *)panel->series;
  // Room for twice as many, whenever all of it is taken.
  if ((panel->count & (panel->count - 1)) == 0)
    all = arena_grow(drawing->arena, panel->series, panel->count, panel->count ? 2 * panel->count : 1, sizeof *all);
  panel->series = all;
  struct figure_series *series = &all[panel->count++];
  *series = (struct figure_series){.mark = mark};
  series->x = arena_array(drawing->arena, capacity + 1, sizeof(double));
  series->y = arena_array(drawing->arena, capacity + 1, sizeof(double));
  return series;
}

void series_point(struct figure_series *series, double x, double y) {
  ((double *)series->x)[series->count] = x;
  ((double *)series->y)[series->count] = y;
  series->count++;
}

void drawing_note(struct drawing *drawing, const char *text, double x, double y, int align) {
  struct figure_panel *panel = &drawing->panels[drawing->panel_count - 1];
  struct figure_note *all =
      arena_grow(drawing->arena, panel->notes, panel->note_count, panel->note_count + 1, sizeof *all);
  panel->notes = all;
  all[panel->note_count++] =
      (struct figure_note){.text = text, .x = x, .y = y, .align = align, .colour = {.palette = PALETTE_MUTED}};
}

void drawing_target(struct drawing *drawing, size_t run, const struct figure_series *series, size_t first,
                    size_t count) {
  struct figure_panel *panel = &drawing->panels[drawing->panel_count - 1];
  struct figure_target *all = (struct figure_target *)panel->targets;
  if ((panel->target_count & (panel->target_count - 1)) == 0)
    all = arena_grow(drawing->arena, panel->targets, panel->target_count,
                     panel->target_count ? 2 * panel->target_count : 1, sizeof *all);
  panel->targets = all;
  all[panel->target_count++] =
      (struct figure_target){.run = run, .count = count, .x = series->x + first, .y = series->y + first};
}

void drawing_end(struct drawing *drawing) {
  drawing->figure->panels = drawing->panels;
  drawing->figure->panel_count = drawing->panel_count;
}

struct measures words_of(const struct plot_data *data) {
  return data->measures ? *data->measures : measures_of(NULL, "parameters", "loss");
}

struct figure_axis measure_axis(const struct measure *measure, enum figure_scale scale, enum figure_ticks ticks) {
  return figure_axis(measure->name, measure->unit, scale, ticks);
}

struct figure_axis size_axis(const struct plot_data *data) {
  struct measures words = words_of(data);
  return measure_axis(&words.size, SCALE_LOG, TICKS_COUNT);
}

struct figure_axis outcome_axis(const struct plot_data *data) {
  struct measures words = words_of(data);
  return measure_axis(&words.outcome, SCALE_LOG, TICKS_PLAIN);
}

const char *against_title(struct arena *arena, const char *outcome, const char *other) {
  char *title = arena_format(arena, "%s against %s", outcome, other);
  bool column = strcspn(outcome, "._") < strlen(outcome);
  if (!column && *title >= 'a' && *title <= 'z') *title = (char)(*title - 'a' + 'A');
  return title;
}

bool of_losses(struct arena *arena, const struct plot_data *data, const char **nothing) {
  struct measures words = words_of(data);
  if (measure_is_loss(&words.outcome)) return true;
  *nothing = arena_format(arena, "these are of %s, of which the lowest is not the best", words.outcome.name);
  return false;
}

bool has_loss(const struct plot_run *run) { return isfinite(run->loss) && run->loss > 0; }

bool outside_fit(const struct plot_data *data, const struct plot_run *run) {
  return data->fit && !run->fitted && !run->held_out;
}
