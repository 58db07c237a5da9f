// Loss over training. Of many runs a figure shows the range at every number of tokens, and three runs of each shade.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/build.h"

enum {
  MOST_POINTS = 240,  // of a curve
  THICK_LINES = 12,   // more lines are drawn thin
  MOST_CURVES = 150,  // more are not drawn one by one
  COLUMNS = 240,      // of a range
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
  bool only_training, many;
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
    if (curve->count > 1) curves.last = fmax(curves.last, curve->tokens[curve->count - 1]);
  }
  curves.many = curves.drawn > MOST_CURVES;
  return curves;
}

static bool is_of(const struct curves *curves, size_t run, const char *format, size_t level) {
  return strcmp(curves->data->runs[run].format, format) == 0 &&
         level_of(&curves->shade.levels, curves->shade.values[run]) == level;
}

// ---- many curves ----

// The lowest and the highest loss of some curves at numbers of tokens that are evenly spaced in the logarithm.
struct range {
  double first, step;  // in the logarithm
  double low[COLUMNS], high[COLUMNS];
};

static void range_take(struct range *range, int column, double loss) {
  if (column < 0 || column >= COLUMNS || !isfinite(loss) || !(loss > 0)) return;
  range->low[column] = fmin(range->low[column], loss);
  range->high[column] = fmax(range->high[column], loss);
}

// Every point counts where it is; between points a curve is straight, as it is drawn.
static void range_add(struct range *range, const struct plot_curve *curve) {
  double last = NAN, last_loss = NAN;
  for (size_t i = 0; i < curve->count; i++) {
    double at = (log(curve->tokens[i]) - range->first) / range->step, loss = log(curve->loss[i]);
    if (!isfinite(at) || !isfinite(loss)) continue;
    range_take(range, (int)lrint(at), curve->loss[i]);
    for (int column = isfinite(last) ? (int)ceil(last) : COLUMNS; column <= at; column++) {
      double part = at > last ? (column - last) / (at - last) : 1;
      range_take(range, column, exp(last_loss + part * (loss - last_loss)));
    }
    last = at;
    last_loss = loss;
  }
}

static void put_range(struct drawing *drawing, const struct curves *curves, const struct range *range, size_t level) {
  struct figure_series *band = drawing_series(drawing, MARK_BAND, COLUMNS);
  double *low = arena_array(drawing->arena, COLUMNS, sizeof *low),
         *high = arena_array(drawing->arena, COLUMNS, sizeof *high);
  band->colour = level_colour(&curves->shade.levels, level);
  band->low = low;
  band->high = high;
  for (int i = 0; i < COLUMNS; i++) {
    if (!isfinite(range->low[i])) continue;
    low[band->count] = range->low[i];
    high[band->count] = range->high[i];
    series_point(band, exp(range->first + range->step * i), range->low[i]);
  }
}

struct end {
  double loss;
  size_t run;
};

static int by_end(const void *left, const void *right) {
  const struct end *a = left, *b = right;
  if (a->loss != b->loss) return (a->loss > b->loss) - (a->loss < b->loss);
  return (a->run > b->run) - (a->run < b->run);
}

static void put_line(struct drawing *drawing, const struct curves *curves, size_t run, size_t level,
                     const char *label) {
  const struct plot_curve *curve = curve_of(curves, run);
  struct figure_series *line = drawing_series(drawing, MARK_LINE, curve_room(curve));
  line->colour = level_colour(&curves->shade.levels, level);
  line->thin = curves->drawn > THICK_LINES || curves->only_training;
  line->label = label;
  add_curve(line, curve);
  drawing_target(drawing, run, line, 0, line->count);
}

// The curves of one shade in one panel, which `members` has room for; returns how many are drawn, theirs first.
static size_t put_lines(struct drawing *drawing, const struct curves *curves, const char *format, size_t level,
                        struct end *members) {
  const struct shade *shade = &curves->shade;
  const char *label = level_label(drawing->arena, &shade->levels, level, shade->ticks);
  struct range range = {.first = log(curves->first), .step = log(curves->last / curves->first) / (COLUMNS - 1)};
  for (int i = 0; i < COLUMNS; i++) {
    range.low[i] = INFINITY;
    range.high[i] = -INFINITY;
  }
  size_t count = 0;
  for (size_t i = 0; i < curves->data->count; i++) {
    const struct plot_curve *curve = curve_of(curves, i);
    if (curve->count < 2 || !is_of(curves, i, format, level)) continue;
    members[count++] = (struct end){curve->loss[curve->count - 1], i};
    if (curves->many && range.step > 0) range_add(&range, curve);
  }
  if (curves->many && count > 3) {
    put_range(drawing, curves, &range, level);
    qsort(members, count, sizeof *members, by_end);
    members[1] = members[count / 2];
    members[2] = members[count - 1];
    count = 3;
  }
  for (size_t i = 0; i < count; i++) put_line(drawing, curves, members[i].run, level, label);
  return count;
}

// Where each run ended that is drawn.
static void put_ends(struct drawing *drawing, const struct curves *curves, const struct end *members, size_t count,
                     size_t level) {
  struct figure_series *ends = drawing_series(drawing, MARK_POINTS, count);
  ends->colour = level_colour(&curves->shade.levels, level);
  for (size_t i = 0; i < count; i++) {
    const struct plot_curve *curve = &curves->data->runs[members[i].run].validation;
    if (curve->count > 1 && has_loss(&curves->data->runs[members[i].run]))
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
  struct end **members = arena_array(arena, levels + 1, sizeof(struct end *));
  size_t *counts = arena_array(arena, levels + 1, sizeof *counts);
  for (size_t level = 0; level < levels; level++) members[level] = memory_get((data->count + 1) * sizeof **members);
  for (size_t f = 0; f < formats.count; f++) {
    drawing_panel(&drawing, formats.names[f]);
    for (size_t level = 0; level < levels; level++)
      counts[level] = put_lines(&drawing, &curves, formats.names[f], level, members[level]);
    // above all lines
    for (size_t level = 0; !curves.only_training && level < levels; level++)
      put_ends(&drawing, &curves, members[level], counts[level], level);
    put_irreducible(&drawing, &curves);
  }
  for (size_t level = 0; level < levels; level++) free(members[level]);
  drawing_end(&drawing);
  figure->legend = curves.shade.title;
  struct measures words = words_of(data);
  const struct measure *shown = curves.only_training ? &words.training : &words.loss;
  figure->x = measure_axis(&words.length, SCALE_LOG, TICKS_COUNT);
  figure->y = measure_axis(shown, SCALE_LOG, TICKS_PLAIN);
  figure->title = "Loss curves";
  figure->caption =
      arena_format(arena, "%c%s of %zu runs over the %s seen, shaded by %s.%s", toupper(*shown->name), shown->name + 1,
                   curves.drawn, words.length.brief, curves.shade.title,
                   curves.many ? " Each band is the range of all runs of its shade; the lines are the runs "
                                 "of it that ended lowest, in the middle and highest."
                               : "");
  return true;
}

bool plot_loss_curves_end(struct arena *arena, const struct plot_data *data, struct figure *figure,
                          const char **nothing) {
  if (!plot_loss_curves(arena, data, figure, nothing)) return false;
  const double above = 0.25, below = 0.05;  // of the spread of the last losses
  struct curves curves = curves_of(data);
  double low = INFINITY, high = 0, first = INFINITY;
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_curve *curve = curve_of(&curves, i);
    double last = curve->count > 1 ? curve->loss[curve->count - 1] : NAN;
    if (!isfinite(last) || !(last > 0)) continue;
    low = fmin(low, last);
    high = fmax(high, last);
  }
  double spread = fmax(log(high / low), 0.01);
  figure->y.low = low * exp(-below * spread);
  figure->y.high = high * exp(above * spread);
  for (size_t i = 0; i < data->count; i++) {
    const struct plot_curve *curve = curve_of(&curves, i);
    for (size_t k = 0; curve->count > 1 && k < curve->count; k++)
      if (curve->loss[k] <= figure->y.high && curve->tokens[k] > 0) first = fmin(first, curve->tokens[k]);
  }
  if (!(first < curves.last)) {
    *nothing = "no curve comes near its end";
    return false;
  }
  figure->x.low = first;
  figure->x.high = curves.last * exp(0.03 * log(curves.last / first));
  figure->title = "Loss curves, near their ends";
  figure->caption = arena_format(arena, "%s Shown is where they come to the losses they end with (%.4g to %.4g).",
                                 figure->caption, low, high);
  return true;
}
