// What kind of solution trainings are at: metrics (docs/metrics.md) over training tokens, a panel each.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum { MOST_PANELS = 6 };
static const double least_change = 1e-3;  // of a metric that is shown, as a share of its size
static const double wide = 20;  // from this ratio of the largest to the smallest value on, an axis is logarithmic

// Those that are shown where there are more than panels come first.
static const struct {
  const char *name, *title;
} known[] = {{"weight_stable_rank", "stable rank, weights"},
             {"activation_stable_rank", "stable rank, activations"},
             {"update_ratio", "update over weights"},
             {"activation_kurtosis", "kurtosis, activations"},
             {"gradient_energy_svd", "gradient in SVD basis"},
             {"gradient_over_noise", "gradient over noise"},
             {"gradient_energy_dct", "gradient in DCT basis"},
             {"gradient_energy_random", "gradient, random basis"},
             {"weight_effective_rank", "effective rank, weights"},
             {"activation_effective_rank", "eff. rank, activations"},
             {"activation_outlier", "outliers, activations"},
             {"activation_zero_fraction", "zeros, activations"},
             {"gradient_norm", "gradient norm"},
             {"quantization_noise", "quantization noise"}};
enum { KNOWN = sizeof known / sizeof *known };

static size_t place_of(const char *name) {
  size_t place = 0;
  while (place < KNOWN && strcmp(known[place].name, name) != 0) place++;
  return place;
}

static int by_place(const void *a, const void *b) {
  const char *x = *(const char *const *)a, *y = *(const char *const *)b;
  size_t i = place_of(x), k = place_of(y);
  return i != k ? (i > k) - (i < k) : strcmp(x, y);
}

static const struct plot_metric *metric_of(const struct plot_run *run, const char *name) {
  for (size_t i = 0; i < run->metric_count; i++)
    if (strcmp(run->metrics[i].name, name) == 0) return &run->metrics[i];
  return NULL;
}

// Names of metrics that are not (nearly) the same all the time in all runs, in the order of panels. `rank` is a
// setting.
static const char **names_of(struct arena *arena, const struct plot_data *data, size_t *count) {
  struct seen {
    const char *name;
    double low, high;
  } *seen = NULL;
  size_t seen_count = 0;
  for (size_t r = 0; r < data->count; r++)
    for (size_t m = 0; m < data->runs[r].metric_count; m++) {
      const struct plot_metric *metric = &data->runs[r].metrics[m];
      size_t place = 0;
      if (strcmp(metric->name, "rank") == 0) continue;
      while (place < seen_count && strcmp(seen[place].name, metric->name) != 0) place++;
      if (place == seen_count) {
        seen = arena_grow(arena, seen, seen_count, seen_count + 1, sizeof *seen);
        seen[seen_count++] = (struct seen){metric->name, INFINITY, -INFINITY};
      }
      for (size_t i = 0; i < metric->count; i++) {
        if (!isfinite(metric->values[i])) continue;
        seen[place].low = fmin(seen[place].low, metric->values[i]);
        seen[place].high = fmax(seen[place].high, metric->values[i]);
      }
    }
  const char **names = arena_array(arena, seen_count + 1, sizeof *names);
  *count = 0;
  for (size_t i = 0; i < seen_count; i++)
    if (seen[i].high - seen[i].low > least_change * fmax(fabs(seen[i].high), fabs(seen[i].low)))
      names[(*count)++] = seen[i].name;
  if (*count) qsort(names, *count, sizeof *names, by_place);
  return names;
}

// What distinguishes lines: the optimizer, the format, or both where both differ.
struct lines {
  bool optimizers, formats;
  const char **labels;  // of each run; NULL: it has no metrics
  const char **names;   // of groups, in the order in which they come
  size_t count;
};

static struct lines lines_of(struct arena *arena, const struct plot_data *data) {
  struct lines lines = {.labels = arena_array(arena, data->count + 1, sizeof *lines.labels),
                        .names = arena_array(arena, data->count + 1, sizeof *lines.names)};
  const struct plot_run *first = NULL;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!run->metric_count) continue;
    if (!first) first = run;
    lines.formats |= strcmp(run->format, first->format) != 0;
    lines.optimizers |= run->optimizer && first->optimizer && strcmp(run->optimizer, first->optimizer) != 0;
  }
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!run->metric_count) continue;
    const char *optimizer = run->optimizer ? run->optimizer : "unknown";
    lines.labels[i] = lines.optimizers && lines.formats ? arena_format(arena, "%s, %s", optimizer, run->format)
                      : lines.optimizers                ? optimizer
                                                        : run->format;
    size_t group = 0;
    while (group < lines.count && strcmp(lines.names[group], lines.labels[i]) != 0) group++;
    if (group == lines.count) lines.names[lines.count++] = lines.labels[i];
  }
  return lines;
}

// The sum at these tokens over runs that differ from `first` in their seed alone; false where one of them has no value.
static bool sum_at(const struct plot_data *data, size_t first, const char *name, double tokens, double *sum,
                   size_t *runs) {
  *sum = 0;
  *runs = 0;
  for (size_t i = first; i < data->count; i++) {
    const struct plot_metric *metric = metric_of(&data->runs[i], name);
    if (!metric || (i != first && (!data->runs[i].setting || data->runs[i].setting != data->runs[first].setting)))
      continue;
    size_t k = 0;
    while (k < metric->count && metric->tokens[k] != tokens) k++;
    if (k == metric->count || !isfinite(metric->values[k])) return false;
    *sum += metric->values[k];
    (*runs)++;
  }
  return true;
}

static bool shown_before(const struct plot_data *data, size_t run, const char *name) {
  for (size_t i = 0; i < run; i++)
    if (data->runs[run].setting && data->runs[i].setting == data->runs[run].setting && metric_of(&data->runs[i], name))
      return true;
  return false;
}

// A panel with the lines of one metric, and its axis. Returns the most runs that a line is the mean of.
static size_t put_metric(struct drawing *drawing, const struct plot_data *data, const struct lines *lines,
                         const struct look *looks, const char *name, struct figure_axis *axis) {
  size_t place = place_of(name), most = 0;
  double low = INFINITY, high = -INFINITY;
  struct figure_panel *panel = drawing_panel(drawing, place < KNOWN ? known[place].title : name);
  panel->y = axis;
  for (size_t r = 0; r < data->count; r++) {
    const struct plot_metric *metric = metric_of(&data->runs[r], name);
    if (!metric || shown_before(data, r, name)) continue;
    struct figure_series *line = drawing_series(drawing, MARK_LINE, metric->count);
    size_t group = 0, runs = 0;
    while (strcmp(lines->names[group], lines->labels[r]) != 0) group++;
    line->colour = looks[group].colour;
    line->label = lines->count > 1 ? lines->names[group] : NULL;
    for (size_t k = 0; k < group; k++) line->dashed |= looks[k].colour.index == looks[group].colour.index;
    for (size_t i = 0; i < metric->count; i++) {
      double sum;
      if (!sum_at(data, r, name, metric->tokens[i], &sum, &runs)) continue;
      double mean = sum / (double)runs;
      series_point(line, metric->tokens[i], mean);
      low = fmin(low, mean);
      high = fmax(high, mean);
      most = runs > most ? runs : most;
    }
    drawing_target(drawing, r, line, 0, line->count);
  }
  *axis = figure_axis(NULL, NULL, low > 0 && high > wide * low ? SCALE_LOG : SCALE_LINEAR, TICKS_PLAIN);
  return most;
}

bool plot_metrics(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  size_t count;
  const char **names = names_of(arena, data, &count);
  bool any = false;
  for (size_t i = 0; i < data->count; i++) any |= data->runs[i].metric_count > 0;
  if (count == 0) {
    *nothing = any ? "no metric of a run changes over its steps" : "no run has metrics: base: {metrics: {every: 100}}";
    return false;
  }
  struct lines lines = lines_of(arena, data);
  const struct look *looks = format_looks(arena, lines.names, lines.count);
  struct drawing drawing = {.arena = arena, .figure = figure};
  struct figure_axis *axes = arena_array(arena, MOST_PANELS, sizeof *axes);
  size_t shown = count < MOST_PANELS ? count : MOST_PANELS, most = 0;
  for (size_t i = 0; i < shown; i++) {
    size_t runs = put_metric(&drawing, data, &lines, looks, names[i], &axes[i]);
    most = runs > most ? runs : most;
  }
  drawing_end(&drawing);
  const char *differ = lines.optimizers && lines.formats ? "optimizer, format"
                       : lines.optimizers                ? "optimizer"
                                                         : "format";
  if (lines.count > 1) figure->legend = differ;
  struct measure length = words_of(data).length;
  figure->x = measure_axis(&length, SCALE_LINEAR, TICKS_COUNT);
  figure->y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_PLAIN);
  figure->title = "Metrics of the solution";
  struct text left_out = {0};
  for (size_t i = shown; i < count; i++) text_format(&left_out, "%s%s", i > shown ? ", " : "", names[i]);
  figure->caption = arena_format(
      arena, "Metrics of the solution over training tokens, one line a configuration%s%s.%s%s%s",
      lines.count > 1 ? ", coloured by " : "", lines.count > 1 ? differ : "",
      most > 1 ? " Runs that differ in their seed alone are one line: their mean where all of them have a value." : "",
      left_out.length ? " Not shown: " : "", left_out.length ? arena_format(arena, "%s.", text_string(&left_out)) : "");
  text_free(&left_out);
  return true;
}
