// How good a fit is: predicted against observed, residuals; and what it says: effective parameters.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

static bool is_predicted(const struct plot_run *run) {
  return isfinite(run->loss) && isfinite(run->predicted) && (run->fitted || run->held_out);
}

// Residuals are relative, in the logarithm; where an outcome that took part is 0 or less they are differences.
static bool are_absolute(const struct plot_data *data) {
  for (size_t i = 0; i < data->count; i++)
    if (is_predicted(&data->runs[i]) && !(data->runs[i].loss > 0)) return true;
  return false;
}

static bool has_prediction(const struct plot_run *run, bool absolute) {
  return is_predicted(run) && (absolute || (run->loss > 0 && run->predicted > 0));
}

static double residual_of(const struct plot_run *run, bool absolute) {
  return absolute ? run->loss - run->predicted : log(run->loss / run->predicted);
}

// Runs with a prediction, and the root mean square of their residuals: fitted and held out.
struct quality {
  bool absolute;
  size_t fitted, held_out;
  double rms_fitted, rms_held_out, largest;
};

static bool measure(const struct plot_data *data, struct quality *quality, const char **nothing) {
  *quality = (struct quality){.absolute = are_absolute(data)};
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_run *run = &data->runs[i];
    if (!has_prediction(run, quality->absolute)) continue;
    double residual = residual_of(run, quality->absolute);
    quality->largest = fmax(quality->largest, fabs(residual));
    if (run->held_out) {
      quality->held_out++;
      quality->rms_held_out += residual * residual;
    } else {
      quality->fitted++;
      quality->rms_fitted += residual * residual;
    }
  }
  if (quality->fitted) quality->rms_fitted = sqrt(quality->rms_fitted / (double)quality->fitted);
  if (quality->held_out) quality->rms_held_out = sqrt(quality->rms_held_out / (double)quality->held_out);
  if (!data->fit)
    *nothing = "there is no fit";
  else if (quality->fitted + quality->held_out == 0)
    *nothing = "the fit predicts none of the runs";
  return data->fit && quality->fitted + quality->held_out > 0;
}

static const char *quality_words(struct arena *arena, const struct plot_data *data, const struct quality *q) {
  struct measure outcome = words_of(data).outcome;
  if (q->absolute)
    return arena_format(
        arena, "Residuals of %zu fitted runs have a root mean square of %.3g in %s%s; the largest is %.3g.", q->fitted,
        q->rms_fitted, outcome.title,
        q->held_out ? arena_format(arena, "; those of %zu held-out runs %.3g", q->held_out, q->rms_held_out) : "",
        q->largest);
  const char *fitted =
      arena_format(arena, "Residuals of %zu fitted runs have a root mean square of %.2f %% of %s%s", q->fitted,
                   100 * q->rms_fitted, measure_is_loss(&outcome) ? "the " : "", outcome.title);
  if (!q->held_out) return arena_format(arena, "%s; the largest is %.2f %%.", fitted, 100 * expm1(q->largest));
  return arena_format(arena, "%s; those of %zu held-out runs %.2f %%; the largest is %.2f %%.", fitted, q->held_out,
                      100 * q->rms_held_out, 100 * expm1(q->largest));
}

// Points grouped by format (when there are several) or shade; x and y by the function.
static void put_groups(struct drawing *drawing, const struct plot_data *data, const struct shade *shade,
                       const struct formats *formats, bool residuals, bool absolute) {
  bool by_format = formats->count > 1, any_held_out = false;
  size_t groups = by_format ? formats->count : shade->levels.count;
  const struct look *looks = format_looks(drawing->arena, formats->names, formats->count);
  for (int held_out = 1; held_out >= 0; held_out--)
    for (size_t g = 0; g < groups; g++) {
      struct figure_series *points = drawing_series(drawing, MARK_POINTS, data->count);
      points->colour = by_format ? looks[g].colour : level_colour(&shade->levels, g);
      points->shape = by_format ? looks[g].shape : (int)g % 4;
      points->hollow = held_out;
      if (!held_out)
        points->label = by_format ? formats->names[g] : level_label(drawing->arena, &shade->levels, g, shade->ticks);
      for (size_t i = 0; i < data->count; i++) {
        const struct plot_run *run = &data->runs[i];
        if (!has_prediction(run, absolute) || run->held_out != (bool)held_out) continue;
        bool here =
            by_format ? strcmp(run->format, formats->names[g]) == 0 : level_of(&shade->levels, shade->values[i]) == g;
        if (!here) continue;
        if (residuals)
          series_point(points, run->parameters,
                       absolute ? residual_of(run, true) : 100 * expm1(residual_of(run, false)));
        else
          series_point(points, run->predicted, run->loss);
        drawing_target(drawing, i, points, points->count - 1, 1);
        any_held_out |= held_out;
      }
    }
  if (any_held_out) {
    struct figure_series *entry = drawing_series(drawing, MARK_POINTS, 0);
    entry->label = "held out";
    entry->hollow = true;
    entry->colour = (struct figure_colour){.palette = PALETTE_INK};
  }
}

bool plot_predicted_vs_observed(struct arena *arena, const struct plot_data *data, struct figure *figure,
                                const char **nothing) {
  struct quality quality;
  if (!measure(data, &quality, nothing)) return false;
  double *losses = arena_array(arena, 2 * data->count + 1, sizeof *losses), low = INFINITY, high = -INFINITY, least,
         most;
  size_t count = 0;
  for (size_t i = 0; i < data->count; i++) {
    if (!has_prediction(&data->runs[i], quality.absolute)) continue;
    losses[count++] = data->runs[i].loss;
    losses[count++] = data->runs[i].predicted;
  }
  if (!quality.absolute) sizes_window(losses, count, &least, &most);
  for (size_t i = 0; i < count; i++) {
    if (!quality.absolute && (losses[i] < least || losses[i] > most)) continue;
    low = fmin(low, losses[i]);
    high = fmax(high, losses[i]);
  }
  double margin = quality.absolute ? fmax(0.05 * (high - low), 1e-6) : fmax(0.05 * log(high / low), 0.005);
  low = quality.absolute ? low - margin : low * exp(-margin);
  high = quality.absolute ? high + margin : high * exp(margin);
  struct shade shade = shade_of_runs(arena, data);
  struct formats formats = formats_of(arena, data);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  struct figure_series *diagonal = drawing_series(&drawing, MARK_LINE, 2);
  diagonal->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  diagonal->thin = true;
  series_point(diagonal, low, low);
  series_point(diagonal, high, high);
  put_groups(&drawing, data, &shade, &formats, false, quality.absolute);
  drawing_end(&drawing);
  figure->legend = formats.count > 1 ? "format" : shade.title;
  struct measure outcome = words_of(data).outcome;
  enum figure_scale scale = quality.absolute ? SCALE_LINEAR : SCALE_LOG;
  figure->x = figure_axis(arena_format(arena, "predicted %s", outcome.brief), outcome.unit, scale, TICKS_PLAIN);
  figure->y = figure_axis(arena_format(arena, "observed %s", outcome.brief), outcome.unit, scale, TICKS_PLAIN);
  figure->x.low = figure->y.low = low;
  figure->x.high = figure->y.high = high;
  figure->title = arena_format(arena, "Predicted against observed %s", outcome.title);
  figure->caption = arena_format(arena, "%s On the line the law is exact.", quality_words(arena, data, &quality));
  return true;
}

bool plot_residuals(struct arena *arena, const struct plot_data *data, struct figure *figure, const char **nothing) {
  struct quality quality;
  if (!measure(data, &quality, nothing)) return false;
  // Size is on the axis: tokens make the shade where they differ.
  struct plot_data without_sizes = *data;
  struct plot_run *runs = arena_array(arena, data->count + 1, sizeof *runs);
  double low = INFINITY, high = 0;
  for (size_t i = 0; i < data->count; i++) {
    runs[i] = data->runs[i];
    runs[i].parameters = 1;
    if (!has_prediction(&data->runs[i], quality.absolute)) continue;
    low = fmin(low, data->runs[i].parameters);
    high = fmax(high, data->runs[i].parameters);
  }
  without_sizes.runs = runs;
  struct shade shade = shade_of_runs(arena, &without_sizes);
  if (shade.levels.count > 12) shade.levels = levels_of(arena, shade.values, data->count, 0.005, 6);
  struct formats formats = formats_of(arena, data);
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  double margin = exp(fmax(0.06 * log(high / low), 0.03));
  if (quality.fitted > 1) {
    double *x = arena_array(arena, 2, sizeof *x), *below = arena_array(arena, 2, sizeof *below),
           *above = arena_array(arena, 2, sizeof *above);
    x[0] = low / margin;
    x[1] = high * margin;
    above[0] = above[1] = (quality.absolute ? 1 : 100) * quality.rms_fitted;
    below[0] = below[1] = -above[0];
    struct figure_series *band = drawing_series(&drawing, MARK_BAND, 2);
    band->colour = (struct figure_colour){.palette = PALETTE_MUTED};
    band->count = 2;
    band->x = x;
    band->low = below;
    band->high = above;
  }
  struct figure_series *zero = drawing_series(&drawing, MARK_LINE, 2);
  zero->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  zero->thin = true;
  series_point(zero, low / margin, 0);
  series_point(zero, high * margin, 0);
  put_groups(&drawing, data, &shade, &formats, true, quality.absolute);
  if (quality.fitted > 1) {
    struct figure_series *entry = drawing_series(&drawing, MARK_BAND, 0);
    entry->label = "± rms of the fit";
    entry->colour = (struct figure_colour){.palette = PALETTE_MUTED};
  }
  drawing_end(&drawing);
  figure->legend = formats.count > 1 ? "format" : shade.title;
  figure->x = size_axis(data);
  figure->x.low = low / margin;
  figure->x.high = high * margin;
  struct measure outcome = words_of(data).outcome;
  figure->y = quality.absolute ? figure_axis("observed − predicted", outcome.unit, SCALE_LINEAR, TICKS_PLAIN)
                               : figure_axis("observed over predicted − 1", "", SCALE_LINEAR, TICKS_PERCENT);
  figure->title = measure_is_loss(&outcome) ? "Residuals of the fit"
                                            : arena_format(arena, "Residuals of the fit: %s", outcome.title);
  figure->caption = arena_format(arena, "%s A slope or a bow would show that the law's form misses something.",
                                 quality_words(arena, data, &quality));
  return true;
}

bool plot_effective_parameters(struct arena *arena, const struct plot_data *data, struct figure *figure,
                               const char **nothing) {
  const struct plot_fit *fit = data->fit;
  if (!fit || fit->effective_count == 0) {
    *nothing = fit ? "the fitted law has no effective parameters" : "there is no fit";
    return false;
  }
  size_t n = fit->effective_count;
  const char **names = arena_array(arena, n, sizeof *names);
  double *value = arena_array(arena, n, sizeof *value), *low = arena_array(arena, n, sizeof *low),
         *high = arena_array(arena, n, sizeof *high), *place = arena_array(arena, n, sizeof *place);
  bool intervals = false;
  double largest = 1;
  for (size_t i = 0; i < n; i++) {
    names[i] = fit->effective[i].format;
    value[i] = fit->effective[i].value;
    low[i] = fit->effective[i].low;
    high[i] = fit->effective[i].high;
    place[i] = (double)i;
    intervals |= isfinite(low[i]) && isfinite(high[i]);
    if (isfinite(value[i])) largest = fmax(largest, value[i]);
    if (isfinite(high[i])) largest = fmax(largest, high[i]);
  }
  struct drawing drawing = {.arena = arena, .figure = figure};
  drawing_panel(&drawing, NULL);
  for (size_t i = 0; i < n; i++) {
    struct figure_series *bar = drawing_series(&drawing, MARK_BARS, 1);
    series_point(bar, value[i], place[i]);
    bar->colour = format_look(names[i]).colour;
    if (!isfinite(low[i]) || !isfinite(high[i])) continue;
    bar->low = &low[i];
    bar->high = &high[i];
  }
  struct figure_series *one = drawing_series(&drawing, MARK_LINE, 2);
  one->colour = (struct figure_colour){.palette = PALETTE_INK};
  one->dashed = one->thin = true;
  series_point(one, 1, -0.5);
  series_point(one, 1, (double)n - 0.5);
  drawing_end(&drawing);
  figure->x = figure_axis("effective parameters per parameter", "", SCALE_LINEAR, TICKS_PLAIN);
  figure->x.low = 0;
  figure->x.high = 1.05 * largest;
  figure->y = figure_axis(NULL, NULL, SCALE_LINEAR, TICKS_NAMES);
  figure->y.names = names;
  figure->y.name_count = n;
  figure->title = "Effective parameters";
  figure->caption = arena_format(arena,
                                 "How many full-precision parameters one parameter of each format is worth%s; the "
                                 "dashed line is full precision.",
                                 intervals ? ", with bootstrap intervals" : "");
  return true;
}
