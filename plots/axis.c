// Limits, ticks and numbers of axes.
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plots/internal.h"

enum { MOST_TICKS = 200 };

struct figure_axis figure_axis(const char *label, const char *unit, enum figure_scale scale, enum figure_ticks ticks) {
  return (struct figure_axis){.label = label, .unit = unit, .scale = scale, .ticks = ticks, .low = NAN, .high = NAN};
}

// What gnuplot draws without trouble, and how far from the middle value a value may be to share an axis with it.
static const double smallest_drawn = 1e-100, largest_drawn = 1e100, farthest = 1e12;

bool axis_holds(const struct figure_axis *axis, double value) {
  double size = fabs(value);
  if (axis->ticks == TICKS_NAMES) return isfinite(value);
  return size <= (axis->most > 0 ? axis->most : largest_drawn) && (value == 0 || size >= smallest_drawn) &&
         (axis->scale != SCALE_LOG || (value > 0 && value >= axis->least));
}

double axis_part(const struct figure_axis *axis, double value) {
  if (axis->scale == SCALE_LOG) return log(value / axis->low) / log(axis->high / axis->low);
  return (value - axis->low) / (axis->high - axis->low);
}

// Calls `use` with each value that is in the axis' direction.
static void each_value(const struct figure *figure, bool vertical, void (*use)(void *, double), void *context) {
  for (size_t p = 0; p < figure->panel_count; p++)
    for (size_t s = 0; s < figure->panels[p].count; s++) {
      const struct figure_series *series = &figure->panels[p].series[s];
      // Intervals are in the direction of y, those of bars in the direction of x.
      bool interval = vertical ? series->mark != MARK_BARS : series->mark == MARK_BARS;
      const double *values = vertical ? series->y : series->x;
      for (size_t i = 0; i < series->count; i++) {
        if (values && !(vertical && series->mark == MARK_BAND)) use(context, values[i]);
        if (interval && series->low) use(context, series->low[i]);
        if (interval && series->high) use(context, series->high[i]);
      }
    }
}

struct sizes {
  double *items;
  size_t count, capacity;
  bool positive;  // only these
};

static void keep_size(void *context, double value) {
  struct sizes *sizes = context;
  if (!isfinite(value) || value == 0 || (sizes->positive && value < 0)) return;
  if (sizes->count == sizes->capacity) {
    sizes->capacity = sizes->capacity ? 2 * sizes->capacity : 256;
    sizes->items = memory_grow(sizes->items, sizes->capacity * sizeof *sizes->items);
  }
  sizes->items[sizes->count++] = fabs(value);
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void sizes_window(double *sizes, size_t count, double *least, double *most) {
  qsort(sizes, count, sizeof *sizes, ascending);
  double middle = fmin(fmax(sizes[count / 2], smallest_drawn * farthest), largest_drawn / farthest);
  *least = middle / farthest;
  *most = middle * farthest;
}

void axis_window(struct figure_axis *axis, const struct figure *figure, bool vertical) {
  struct sizes sizes = {.positive = axis->scale == SCALE_LOG};
  if (axis->ticks == TICKS_NAMES || axis->most > 0) return;
  each_value(figure, vertical, keep_size, &sizes);
  axis->least = smallest_drawn;
  axis->most = largest_drawn;
  if (sizes.count > 0) sizes_window(sizes.items, sizes.count, &axis->least, &axis->most);
  free(sizes.items);
  if (!axis_holds(axis, axis->low)) axis->low = NAN;
  if (!axis_holds(axis, axis->high)) axis->high = NAN;
}

size_t figure_left_out(const struct figure *figure, double *example) {
  struct figure_axis x = figure->x, y = figure->y;
  size_t count = 0;
  axis_window(&x, figure, false);
  axis_window(&y, figure, true);
  for (size_t p = 0; p < figure->panel_count; p++) {
    struct figure alone = *figure;
    alone.panels = &figure->panels[p];
    alone.panel_count = 1;
    if (figure->panels[p].x) {
      x = *figure->panels[p].x;
      axis_window(&x, &alone, false);
    }
    if (figure->panels[p].y) {
      y = *figure->panels[p].y;
      axis_window(&y, &alone, true);
    }
    for (size_t s = 0; s < figure->panels[p].count; s++) {
      const struct figure_series *series = &figure->panels[p].series[s];
      for (size_t i = 0; i < series->count && series->mark == MARK_POINTS; i++) {
        double at[2] = {series->x[i], series->y[i]};
        if (!isfinite(at[0]) || !isfinite(at[1]) || (x.scale == SCALE_LOG && at[0] <= 0) ||
            (y.scale == SCALE_LOG && at[1] <= 0))
          continue;
        bool held = axis_holds(&y, at[1]);
        if (held && axis_holds(&x, at[0])) continue;
        if (count++ == 0 && example) *example = held ? at[0] : at[1];
      }
    }
  }
  return count;
}

struct range {
  const struct figure_axis *axis;
  double low, high;
};

static void stretch(void *context, double value) {
  struct range *range = context;
  if (!axis_holds(range->axis, value)) return;
  if (value < range->low) range->low = value;
  if (value > range->high) range->high = value;
}

bool axis_limits(struct figure_axis *axis, const struct figure *figure, bool vertical) {
  if (axis->ticks == TICKS_NAMES) {
    // The first name is at the top (or left).
    axis->low = vertical ? (double)axis->name_count - 0.5 : -0.5;
    axis->high = vertical ? -0.5 : (double)axis->name_count - 0.5;
    return axis->name_count > 0;
  }
  axis_window(axis, figure, vertical);
  struct range range = {axis, DBL_MAX, -DBL_MAX};
  each_value(figure, vertical, stretch, &range);
  bool low_free = isnan(axis->low), high_free = isnan(axis->high);
  if (range.low > range.high) {
    if (low_free || high_free) return false;
    return true;
  }
  if (axis->scale == SCALE_LOG) {
    double low = log(range.low), high = log(range.high), margin = 0.045 * (high - low);
    if (high - low < 0.02) margin = 0.05;
    if (low_free) axis->low = exp(low - margin);
    if (high_free) axis->high = exp(high + margin);
  } else {
    double margin = 0.05 * (range.high - range.low);
    if (margin <= 1e-9 * fabs(range.high)) margin = range.high != 0 ? 0.05 * fabs(range.high) : 1;
    if (low_free) axis->low = range.low - margin;
    if (high_free) axis->high = range.high + margin;
  }
  return axis->low < axis->high;
}

static void power_of_ten(double value, char out[40]) {
  static const char *const digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  int exponent = (int)floor(log10(value) + 1e-9);
  double mantissa = value / pow(10, exponent);
  char number[16], power[24] = "";
  snprintf(number, sizeof number, "%d", exponent < 0 ? -exponent : exponent);
  if (exponent < 0) strcat(power, "⁻");
  for (const char *c = number; *c; c++) strcat(power, digits[*c - '0']);
  if (fabs(mantissa - 1) < 1e-6)
    snprintf(out, 40, "10%s", power);
  else
    snprintf(out, 40, "%.3g×10%s", mantissa, power);
}

void axis_number(enum figure_ticks ticks, double value, char out[40]) {
  if (ticks == TICKS_POWER && value > 0) {
    power_of_ten(value, out);
  } else if (ticks == TICKS_COUNT && fabs(value) >= 1e15) {
    snprintf(out, 40, "%.3g", value);
  } else if (ticks == TICKS_COUNT) {
    static const char *const suffix[] = {"", "k", "M", "B", "T"};
    int step = 0;
    while (step < 4 && fabs(value) >= 999.5) {
      value /= 1000;
      step++;
    }
    snprintf(out, 40, "%.3g%s", value, suffix[step]);
  } else if (ticks == TICKS_PERCENT) {
    snprintf(out, 40, "%s%.6g %%", value > 0 ? "+" : value < 0 ? "−" : "", fabs(value));
  } else {
    snprintf(out, 40, "%s%.6g", value < 0 ? "−" : "", fabs(value));
  }
}

static void add(struct arena *arena, struct ticks *ticks, const struct figure_axis *axis, double value, bool labelled) {
  double low = fmin(axis->low, axis->high), high = fmax(axis->low, axis->high), slack = 1e-9 * (high - low);
  if (value < low - slack || value > high + slack) return;
  ticks->items = arena_grow(arena, ticks->items, ticks->count, ticks->count + 1, sizeof *ticks->items);
  struct tick *tick = &ticks->items[ticks->count++];
  tick->value = value;
  if (labelled) axis_number(axis->ticks, value, tick->text);
}

static double nice_step(double span, int room) {
  double rough = span / room, power = pow(10, floor(log10(rough))), part = rough / power;
  return power * (part <= 1 + 1e-9 ? 1 : part <= 2 + 1e-9 ? 2 : part <= 5 + 1e-9 ? 5 : 10);
}

static void linear_ticks(struct arena *arena, const struct figure_axis *axis, int room, struct ticks *ticks) {
  double low = fmin(axis->low, axis->high), high = fmax(axis->low, axis->high), step = nice_step(high - low, room);
  // One label alone gives no scale.
  for (int i = 0; i < 3 && floor(high / step + 1e-9) - ceil(low / step - 1e-9) < 1; i++)
    step = nice_step(high - low, ++room);
  if (!(step > 0) || !isfinite(step) || !isfinite(low / step)) return;
  // Between limits that are the same but for their last bits a step leads nowhere.
  double k = ceil(low / step - 1e-9);
  for (int i = 0; i < MOST_TICKS && k * step <= high + 1e-9 * step; i++, k++)
    add(arena, ticks, axis, fabs(k) < 0.5 ? 0 : k * step, true);
}

// How many powers of ten the axis has.
static int powers_within(const struct figure_axis *axis) {
  return (int)(floor(log10(axis->high) + 1e-9) - ceil(log10(axis->low) - 1e-9)) + 1;
}

// Of powers of ten of which every few have words: from which exponent on, so that most of them are on the axis.
static int first_with_words(const struct figure_axis *axis, int every, int *words) {
  int low = (int)ceil(log10(axis->low) - 1e-9), high = (int)floor(log10(axis->high) + 1e-9), best = 0, most = -1;
  for (int phase = 0; phase < every; phase++) {
    int first = low + ((phase - low) % every + every) % every, count = first > high ? 0 : (high - first) / every + 1;
    if (count > most) {
      most = count;
      best = phase;
    }
  }
  *words = most;
  return best;
}

static void log_ticks(struct arena *arena, const struct figure_axis *axis, int room, struct ticks *ticks) {
  double decades = log10(axis->high / axis->low);
  if (!isfinite(decades) || !(axis->low > 0)) return;
  int first = (int)floor(log10(axis->low)), last = (int)ceil(log10(axis->high));
  if (decades < 0.7) {
    // Steps of equal size read better here than powers of ten, of which there may be none.
    linear_ticks(arena, axis, room, ticks);
    return;
  }
  static const double sparse[] = {1}, thirds[] = {1, 2, 5}, dense[] = {1, 1.5, 2, 3, 4, 5, 7};
  const double *marks = sparse;
  size_t mark_count = 1;
  int every = 1;
  if (decades * 7 <= room + 1) {
    marks = dense;
    mark_count = 7;
  } else if (decades * 3 <= room + 1 || powers_within(axis) < 2) {
    marks = thirds;
    mark_count = 3;
  } else {
    while (decades / every > room) every++;
  }
  // One label alone gives no scale.
  int words, phase = first_with_words(axis, every, &words);
  while (every > 1 && words < 2) phase = first_with_words(axis, --every, &words);
  for (int exponent = first; exponent <= last; exponent++) {
    double power = pow(10, exponent);
    if (((exponent - phase) % every + every) % every != 0) {
      add(arena, ticks, axis, power, false);
      continue;
    }
    for (int digit = 1; digit <= 9; digit++) {
      bool labelled = false;
      for (size_t m = 0; m < mark_count; m++) labelled |= marks[m] == digit;
      if (labelled || every == 1) add(arena, ticks, axis, digit * power, labelled);
    }
    if (marks == dense) add(arena, ticks, axis, 1.5 * power, true);
  }
}

struct ticks axis_ticks(struct arena *arena, const struct figure_axis *axis, int room) {
  struct ticks ticks = {0};
  if (room < 2) room = 2;
  if (axis->ticks == TICKS_NAMES) {
    for (size_t i = 0; i < axis->name_count; i++) {
      add(arena, &ticks, axis, (double)i, true);
      snprintf(ticks.items[ticks.count - 1].text, sizeof ticks.items->text, "%zu", i);
    }
  } else if (axis->marks) {
    for (size_t i = 0; i < axis->mark_count; i++) add(arena, &ticks, axis, axis->marks[i], true);
  } else if (axis->scale == SCALE_LOG) {
    log_ticks(arena, axis, room, &ticks);
  } else {
    linear_ticks(arena, axis, room, &ticks);
  }
  return ticks;
}

double text_width(const char *text) {
  // Of DejaVu Sans, the widest of the faces a viewer may choose.
  double width = 0;
  for (const char *c = text; *c; c++) {
    unsigned char byte = (unsigned char)*c;
    if ((byte & 0xC0) == 0x80) continue;  // inside a character
    width += strchr("ijl.,:;|'! ()", *c) ? 4.8 : strchr("mwMW%@", *c) ? 12 : *c >= 'A' && *c <= 'Z' ? 9.2 : 8.1;
  }
  return width;
}
