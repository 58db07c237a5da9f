// Loss against model size and against training tokens, with the fitted law as lines; and against the learning rate.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum {
  LINE_POINTS = 81,
  MOST_LEVELS = 12,
  MOST_MARKS = 12,  // on an axis
};
static const double same_level = 0.005;  // distance in logarithm
static const double same_rate = 1.0001;  // ratio of learning rates that differ by rounding

// What divides the runs into lines. Against tokens: model size. Against size: tokens, or tokens per parameter when the
// design holds that constant (then each size has tokens of its own, and lines of equal tokens would hold a point each).
struct lines {
  struct levels levels;
  enum { BY_PARAMETERS, BY_TOKENS, BY_RATIO } by;
  const char *title;
};

static double line_value(const struct lines *lines, const struct plot_run *run) {
  return lines->by == BY_PARAMETERS ? run->parameters
         : lines->by == BY_TOKENS   ? run->tokens
                                    : run->tokens / run->parameters;
}

static struct lines choose_lines(struct arena *arena, const struct plot_data *data, bool against_tokens) {
  double *sizes = arena_array(arena, data->count + 1, sizeof *sizes),
         *tokens = arena_array(arena, data->count + 1, sizeof *tokens),
         *ratios = arena_array(arena, data->count + 1, sizeof *ratios);
  struct measures words = words_of(data);
  size_t n = 0;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!has_loss(run)) continue;
    sizes[n] = run->parameters;
    tokens[n] = run->tokens;
    ratios[n++] = run->tokens / run->parameters;
  }
  if (against_tokens)
    return (struct lines){levels_of(arena, sizes, n, same_level, MOST_LEVELS), BY_PARAMETERS, words.size.brief};
  struct lines by_tokens = {levels_of(arena, tokens, n, 0.03, n + 1), BY_TOKENS, words.length.brief},
               by_ratio = {levels_of(arena, ratios, n, 0.03, n + 1), BY_RATIO, words.ratio.brief};
  if (by_ratio.levels.count < by_tokens.levels.count) {
    by_ratio.levels = levels_of(arena, ratios, n, 0.03, MOST_LEVELS);
    // A design's ratio is a round number; steps that are rounded down make it 19.9.
    for (size_t i = 0; i < by_ratio.levels.count; i++) {
      double value = by_ratio.levels.values[i], unit = pow(10, floor(log10(value)) - 1),
             round = unit * rint(value / unit);
      if (fabs(round / value - 1) < 0.02) by_ratio.levels.values[i] = round;
    }
    return by_ratio;
  }
  by_tokens.levels = levels_of(arena, tokens, n, 0.03, MOST_LEVELS);
  return by_tokens;
}

// Draws the law's confidence as a band around the line, whose points are at N and D; false where it is not known.
static bool put_band(struct drawing *drawing, const struct plot_data *data, const struct figure_series *line,
                     const char *format, const double *parameters, const double *tokens) {
  double *low = arena_array(drawing->arena, line->count + 1, sizeof *low),
         *high = arena_array(drawing->arena, line->count + 1, sizeof *high);
  struct plot_band at;
  if (!data->fit->band) return false;
  struct figure_series band = {.mark = MARK_BAND, .colour = line->colour, .x = line->x, .y = line->y};
  for (size_t i = 0; i < line->count; i++) {
    if (!data->fit->band(data->fit->context, format, parameters[i], tokens[i], &at)) return false;
    low[i] = at.law[0];
    high[i] = at.law[1];
  }
  band.count = line->count;
  band.low = low;
  band.high = high;
  *drawing_series(drawing, MARK_BAND, 0) = band;
  return band.count > 0;
}

// The fitted law along one line, over the range of x that the runs span and a little further.
static bool law_line(struct drawing *drawing, const struct plot_data *data, const struct lines *lines, size_t level,
                     const char *format, const double range[2], bool against_tokens) {
  struct figure_series *line = drawing_series(drawing, MARK_LINE, LINE_POINTS);
  line->colour = level_colour(&lines->levels, level);
  line->label = level_label(drawing->arena, &lines->levels, level, TICKS_COUNT);
  double low = log(range[0]), high = log(range[1]), margin = 0.03 * (high - low), value = lines->levels.values[level];
  double sizes[LINE_POINTS], seen[LINE_POINTS];
  for (int i = 0; i < LINE_POINTS; i++) {
    double x = exp(low - margin + (high - low + 2 * margin) * i / (LINE_POINTS - 1));
    double parameters = against_tokens ? value : x, tokens = against_tokens           ? x
                                                             : lines->by == BY_TOKENS ? value
                                                                                      : value * x;
    sizes[i] = parameters;
    seen[i] = tokens;
    series_point(line, x, data->fit->evaluate(data->fit->context, format, parameters, tokens));
  }
  const struct figure_series drawn = *line;  // which moves when another one is added
  return put_band(drawing, data, &drawn, format, sizes, seen);
}

// Whether the law says anything of a run from its format, N and D alone.
static bool has_lines(const struct plot_data *data) {
  const struct plot_fit *fit = data->fit;
  for (size_t i = 0; i < data->count && fit && fit->evaluate; i++) {
    const struct plot_run *run = &data->runs[i];
    if (isfinite(fit->evaluate(fit->context, run->format, run->parameters, run->tokens))) return true;
  }
  return false;
}

// What a logarithmic axis has no place for.
static const char *left_out_words(struct arena *arena, const struct plot_data *data) {
  size_t count = 0;
  for (size_t i = 0; i < data->count; i++) count += isfinite(data->runs[i].loss) && !(data->runs[i].loss > 0);
  if (!count) return "";
  return arena_format(arena, " Not shown: %zu run%s of 0 or less, since the axis is logarithmic.", count,
                      count == 1 ? "" : "s");
}

// Points of one look: those of the level in the fit, held out, or outside.
enum part { PART_FITTED, PART_HELD_OUT, PART_OUTSIDE };

static enum part part_of(const struct plot_data *data, const struct plot_run *run) {
  return outside_fit(data, run) ? PART_OUTSIDE : data->fit && run->held_out ? PART_HELD_OUT : PART_FITTED;
}

// Returns how many points are means over seeds.
static size_t put_points(struct drawing *drawing, const struct plot_data *data, const struct lines *lines, size_t level,
                         const char *format, enum part part, bool against_tokens, bool law, const char *label) {
  struct figure_series *points = drawing_series(drawing, MARK_POINTS, data->count);
  points->colour = level_colour(&lines->levels, level);
  points->hollow = part != PART_FITTED;
  if (part == PART_OUTSIDE) points->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  points->shape = (int)level % 4;
  points->label = label;
  points->legend_line = law;
  struct sample *samples = memory_get((data->count + 1) * sizeof *samples);
  size_t count = 0;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!has_loss(run) || strcmp(run->format, format) != 0 || part_of(data, run) != part) continue;
    if (level_of(&lines->levels, line_value(lines, run)) != level) continue;
    samples[count++] = (struct sample){run->setting, i, against_tokens ? run->tokens : run->parameters, run->loss};
  }
  size_t means = series_means(drawing, points, samples, count);
  free(samples);
  return means;
}

// An entry of the legend without points of its own.
static void legend_only(struct drawing *drawing, const char *label, struct figure_colour colour, bool hollow) {
  struct figure_series *series = drawing_series(drawing, MARK_POINTS, 0);
  series->label = label;
  series->colour = colour;
  series->hollow = hollow;
}

static bool loss_against(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing,
                         bool against_tokens) {
  double range[2] = {INFINITY, 0};
  size_t used = 0, held_out = 0, outside = 0;
  struct measures words = words_of(data);
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!has_loss(run)) continue;
    double x = against_tokens ? run->tokens : run->parameters;
    range[0] = fmin(range[0], x);
    range[1] = fmax(range[1], x);
    used++;
    held_out += part_of(data, run) == PART_HELD_OUT;
    outside += part_of(data, run) == PART_OUTSIDE;
  }
  if (used == 0) {
    *nothing = arena_format(arena, "no run has a final %s yet", words.outcome.brief);
    return false;
  }
  if (range[1] < range[0] * 1.01) {
    *nothing = against_tokens ? arena_format(arena, "all runs have the same number of %s", words.length.brief)
                              : arena_format(arena, "all runs have the same %s", words.size.title);
    return false;
  }
  struct lines lines = choose_lines(arena, data, against_tokens);
  struct formats formats = formats_of(arena, data);
  bool law = has_lines(data), bands = false;
  struct drawing drawing = {.arena = arena, .figure = figure};
  size_t means = 0;
  for (size_t f = 0; f < formats.count; f++) {
    drawing_panel(&drawing, formats.names[f]);
    for (size_t level = 0; law && level < lines.levels.count; level++)
      bands |= law_line(&drawing, data, &lines, level, formats.names[f], range, against_tokens);
    for (enum part part = PART_OUTSIDE + 1; part-- > 0;)
      for (size_t level = 0; level < lines.levels.count; level++)
        means += put_points(&drawing, data, &lines, level, formats.names[f], part, against_tokens, law,
                            part == PART_FITTED ? level_label(arena, &lines.levels, level, TICKS_COUNT) : NULL);
    if (held_out && f == 0) legend_only(&drawing, "held out", (struct figure_colour){.palette = PALETTE_INK}, true);
    if (outside && f == 0)
      legend_only(&drawing, "not in the fit", (struct figure_colour){.palette = PALETTE_MUTED}, true);
  }
  drawing_end(&drawing);
  figure->legend = lines.title;
  figure->x = measure_axis(against_tokens ? &words.length : &words.size, SCALE_LOG, TICKS_COUNT);
  figure->y = outcome_axis(data);
  const char *each = lines.by == BY_PARAMETERS ? words.size.title
                     : lines.by == BY_TOKENS   ? arena_format(arena, "number of %s", words.length.brief)
                                               : words.ratio.title;
  figure->title = against_title(arena, words.outcome.title, against_tokens ? words.length.title : words.size.title);
  const char *about_means = means ? means_words : "";
  about_means = arena_format(arena, "%s%s", about_means, left_out_words(arena, data));
  if (bands)
    about_means =
        arena_format(arena, " Shaded: the law's %g %% confidence.%s", 100 * data->fit->confidence, about_means);
  figure->caption = law ? arena_format(arena, "Final %s of %zu runs; lines: the fitted law (%s), one per %s.%s",
                                       words.outcome.name, used, data->fit->law, each, about_means)
                        : arena_format(arena, "Final %s of %zu runs, one colour per %s.%s", words.outcome.name, used,
                                       each, about_means);
  return true;
}

bool plot_loss_vs_parameters(struct arena *arena, const struct plot_data *data, struct figure *figure,
                             const char **nothing) {
  return loss_against(arena, data, figure, nothing, false);
}

bool plot_loss_vs_tokens(struct arena *arena, const struct plot_data *data, struct figure *figure,
                         const char **nothing) {
  return loss_against(arena, data, figure, nothing, true);
}

static int by_learning_rate(const void *a, const void *b) {
  const struct plot_run *const *x = a, *const *y = b;
  return ((*x)->learning_rate > (*y)->learning_rate) - ((*x)->learning_rate < (*y)->learning_rate);
}

// The runs of a figure of learning rates, by size and by what else distinguishes their lines.
struct sweep {
  const struct plot_data *data;
  struct levels rates, sizes;
  struct lines budgets;
  const struct plot_run **part;  // room for the runs of one line
};

// Puts into `part` the runs of one line, in order of their learning rates. Returns how many there are.
static size_t gather_part(const struct sweep *sweep, const char *format, size_t size, size_t budget) {
  size_t count = 0;
  for (size_t i = 0; i < sweep->data->count; i++) {
    const struct plot_run *run = &sweep->data->runs[i];
    if (has_loss(run) && strcmp(run->format, format) == 0 && level_of(&sweep->sizes, run->parameters) == size &&
        level_of(&sweep->budgets.levels, line_value(&sweep->budgets, run)) == budget)
      sweep->part[count++] = run;
  }
  qsort(sweep->part, count, sizeof *sweep->part, by_learning_rate);
  return count;
}

// The line goes through the mean of runs that share a rate (seeds). Returns how many points are means.
static size_t put_part(struct drawing *drawing, const struct sweep *sweep, const char *format, size_t size,
                       size_t budget) {
  const struct plot_run **part = sweep->part;
  size_t count = gather_part(sweep, format, size, budget);
  if (count == 0) return 0;
  struct figure_series *line = drawing_series(drawing, MARK_LINE, count);
  line->colour = level_colour(&sweep->sizes, size);
  line->dashed = budget % 2 == 1;
  for (size_t i = 0; i < count;) {
    double sum = 0;
    size_t end = i;
    while (end < count && part[end]->learning_rate <= part[i]->learning_rate * same_rate) sum += part[end++]->loss;
    series_point(line, part[i]->learning_rate, sum / (double)(end - i));
    i = end;
  }
  struct figure_series *points = drawing_series(drawing, MARK_POINTS, count);
  points->colour = level_colour(&sweep->sizes, size);
  points->shape = (int)budget % 4;
  struct sample *samples = memory_get((count + 1) * sizeof *samples);
  for (size_t i = 0; i < count; i++)
    samples[i] =
        (struct sample){part[i]->setting, (size_t)(part[i] - sweep->data->runs), part[i]->learning_rate, part[i]->loss};
  size_t means = series_means(drawing, points, samples, count);
  free(samples);
  return means;
}

// Entries of the legend: which dashes and shapes mean which budget.
static void explain_budgets(struct drawing *drawing, const struct lines *budgets) {
  for (size_t t = 0; budgets->levels.count > 1 && t < budgets->levels.count; t++) {
    const char *label = level_label(drawing->arena, &budgets->levels, t, TICKS_COUNT);
    if (!label) continue;
    label = arena_format(drawing->arena, "%s %s", label, budgets->title);
    struct figure_series *line = drawing_series(drawing, MARK_LINE, 0);
    line->label = label;
    line->dashed = t % 2 == 1;
    line->colour = (struct figure_colour){.palette = PALETTE_MUTED};
    struct figure_series *mark = drawing_series(drawing, MARK_POINTS, 0);
    mark->label = label;
    mark->shape = (int)t % 4;
    mark->colour = line->colour;
  }
}

// One panel of the figure. Returns how many points are means.
static size_t put_sweep(struct drawing *drawing, const struct sweep *sweep, const char *format) {
  size_t means = 0;
  drawing_panel(drawing, format);
  for (size_t s = 0; s < sweep->sizes.count; s++) {
    for (size_t t = 0; t < sweep->budgets.levels.count; t++) means += put_part(drawing, sweep, format, s, t);
    struct figure_series *entry = drawing_series(drawing, MARK_LINE, 0);
    entry->colour = level_colour(&sweep->sizes, s);
    entry->label = level_label(drawing->arena, &sweep->sizes, s, TICKS_COUNT);
  }
  explain_budgets(drawing, &sweep->budgets);
  return means;
}

bool plot_loss_vs_learning_rate(struct arena *arena, const struct plot_data *data, struct figure *figure,
                                const char **nothing) {
  double *sizes = arena_array(arena, data->count + 1, sizeof *sizes),
         *rates = arena_array(arena, data->count + 1, sizeof *rates);
  struct measures words = words_of(data);
  struct measure rate = measure_of("train.lr", NULL);
  size_t n = 0;
  for (size_t i = 0; i < data->count; i++) {
    if (!has_loss(&data->runs[i])) continue;
    sizes[n] = data->runs[i].parameters;
    rates[n++] = data->runs[i].learning_rate;
  }
  if (n == 0) {
    *nothing = arena_format(arena, "no run has a final %s yet", words.outcome.brief);
    return false;
  }
  struct sweep sweep = {.data = data, .rates = levels_of(arena, rates, n, same_level, n + 1)};
  if (sweep.rates.count < 2) {
    *nothing = "all runs have the same learning rate";
    return false;
  }
  sweep.sizes = levels_of(arena, sizes, n, same_level, n + 1);
  sweep.budgets = choose_lines(arena, data, false);
  sweep.part = arena_array(arena, data->count + 1, sizeof *sweep.part);
  struct formats formats = formats_of(arena, data);
  struct drawing drawing = {.arena = arena, .figure = figure};
  size_t means = 0;
  for (size_t f = 0; f < formats.count; f++) means += put_sweep(&drawing, &sweep, formats.names[f]);
  drawing_end(&drawing);
  figure->legend = words.size.brief;
  figure->x = measure_axis(&rate, SCALE_LOG, TICKS_POWER);
  if (sweep.rates.count <= MOST_MARKS) {
    // The rates that were tried read better than round ones.
    figure->x.marks = sweep.rates.values;
    figure->x.mark_count = sweep.rates.count;
  }
  figure->y = outcome_axis(data);
  figure->title = against_title(arena, words.outcome.title, rate.title);
  figure->caption = arena_format(arena, "Final %s of %zu runs; lines join runs of one size and budget.%s%s",
                                 words.outcome.name, n, means ? means_words : "", left_out_words(arena, data));
  return true;
}
