// See range.h.
#include "fitting/range.h"

#include <math.h>
#include <string.h>

#include "fitting/table_internal.h"

const char range_of_peak[] = ".peak";

double range_factor(double value, double low, double high) {
  static const double rounding = 1e-9;
  double slack = rounding * fmax(fabs(low), fabs(high));
  if (isnan(value) || (value >= low - slack && value <= high + slack)) return 1;
  bool above = value > high;
  if (above && high > 0) return value / high;
  if (!above && low > 0 && value > 0) return low / value;
  if (!above && low < 0) return value / low;
  return 1 + (above ? value - high : low - value) / (high - low);
}

bool range_is_far(double factor) {
  static const double limit = 10, rounding = 1e-9;
  return factor > limit * (1 + rounding);
}

bool outside_hides(const struct outside *outside, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (outside[i].open || range_is_far(outside[i].factor)) return true;
  return false;
}

static const struct value *input_of(const struct law_input *inputs, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(column_canonical(inputs[i].name), name) == 0 && inputs[i].value.kind != VALUE_MISSING)
      return &inputs[i].value;
  return NULL;
}

struct finding {
  const struct fit_ranges *ranges;
  const struct law_input *inputs;
  size_t input_count;
  struct outside *found;
  size_t count;
};

// Adds what lies outside, in place of what the same column was outside of by less.
static void add_outside(struct finding *finding, struct outside outside) {
  for (size_t i = 0; i < finding->count; i++) {
    if (strcmp(finding->found[i].column, outside.column) != 0) continue;
    if (outside.factor > finding->found[i].factor) finding->found[i] = outside;
    return;
  }
  finding->found[finding->count++] = outside;
}

// The number that a range is of; NAN where the inputs do not have it.
static double number_of(const struct law_input *inputs, size_t count, const char *column) {
  const struct value *value = input_of(inputs, count, column);
  if (value) return value->kind == VALUE_NUMBER ? value->number : NAN;
  if (!ends_with(column, range_of_peak)) return NAN;
  struct arena arena = {0};
  struct error error = {0};
  struct rate_schedule schedule;
  value = input_of(inputs, count, arena_copy(&arena, column, strlen(column) - strlen(range_of_peak)));
  bool fine = value && value->kind == VALUE_TEXT && rate_schedule_parse(&arena, value->text, &schedule, &error);
  arena_free(&arena);
  return fine ? schedule.peak : NAN;
}

static void add_ranges(struct finding *finding, const struct fit_range *ranges, size_t count, const char *of,
                       const char *category) {
  for (size_t i = 0; i < count; i++) {
    const struct fit_range *range = &ranges[i];
    double number = number_of(finding->inputs, finding->input_count, range->column);
    if (isnan(number)) continue;
    double factor = range_factor(number, range->low, range->high);
    if (factor > 1)
      add_outside(finding, (struct outside){.column = range->column,
                                            .of = of,
                                            .category = category,
                                            .value = number,
                                            .low = range->low,
                                            .high = range->high,
                                            .factor = factor});
  }
}

static const char *text_of(const struct value *value, char number[32]) {
  if (value->kind == VALUE_TEXT) return value->text;
  number_shortest(value->number, number);
  return number;
}

static bool is_category(const struct fit_category *category, const struct value *value) {
  char number[32];
  return strcmp(category->category, text_of(value, number)) == 0;
}

double ranges_outside(struct arena *arena, const struct fit_ranges *ranges, const struct law_input *inputs,
                      size_t input_count, struct outside **outside, size_t *count) {
  struct finding finding = {.ranges = ranges, .inputs = inputs, .input_count = input_count};
  finding.found = arena_array(arena, ranges->column_count + ranges->category_count + 1, sizeof *finding.found);
  add_ranges(&finding, ranges->columns, ranges->column_count, NULL, NULL);
  for (size_t i = 0; i < ranges->category_count; i++) {
    const struct fit_category *one = &ranges->categories[i];
    const struct value *value = input_of(inputs, input_count, one->column);
    if (value && is_category(one, value) && one->own)
      add_ranges(&finding, one->ranges, one->range_count, one->column, one->category);
    if (i && strcmp(ranges->categories[i - 1].column, one->column) == 0) continue;
    char number[32];
    bool seen = !value;  // the first of its column
    for (size_t k = i; k < ranges->category_count && !seen; k++)
      seen = strcmp(ranges->categories[k].column, one->column) == 0 && is_category(&ranges->categories[k], value);
    if (!seen)
      add_outside(&finding, (struct outside){.column = one->column,
                                             .unseen = arena_string(arena, text_of(value, number)),
                                             .value = NAN,
                                             .low = NAN,
                                             .high = NAN,
                                             .factor = INFINITY});
  }
  double most = 1;
  for (size_t i = 0; i < finding.count; i++) most = fmax(most, finding.found[i].factor);
  *outside = finding.found;
  *count = finding.count;
  return most;
}
