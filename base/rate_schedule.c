// See rate_schedule.h.
#include "base/rate_schedule.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *const rate_piece_fields[PIECE_FIELDS] = {"steps", "lr", "drop", "since", "area"};
const double RATE_PIECE_SHARE = 0.1;

enum { COSINE_PARTS = 200 };
static const double least_share = 1e-6;  // of the peak, below which no rate counts as
static const double largest_step = 1e12;

double rate_piece_value(const struct rate_piece *piece, enum rate_piece_field field) {
  const double values[PIECE_FIELDS] = {piece->steps, piece->lr, piece->drop, piece->since, piece->area};
  return values[field];
}

// ---- reading ----

struct reader {
  struct arena *arena;
  struct rate_schedule *schedule;
  struct error *error;
  const char *text;
  size_t knot_capacity, bound_capacity;
};

static bool fail(const struct reader *reader, const char *at, const char *what) {
  return error_at(reader->error, EXIT_USAGE_ERROR, reader->text, (int)(at - reader->text), "%s", what);
}

static void add_bound(struct reader *reader, double step) {
  struct rate_schedule *schedule = reader->schedule;
  if (schedule->bound_count && schedule->bounds[schedule->bound_count - 1] >= step) return;
  if (schedule->bound_count == reader->bound_capacity) {
    reader->bound_capacity = 2 * reader->bound_capacity + 8;
    schedule->bounds = arena_grow(reader->arena, schedule->bounds, schedule->bound_count, reader->bound_capacity,
                                  sizeof *schedule->bounds);
  }
  schedule->bounds[schedule->bound_count++] = step;
}

static void add_knot(struct reader *reader, double step, double rate) {
  struct rate_schedule *schedule = reader->schedule;
  double area = 0;
  if (schedule->knot_count == reader->knot_capacity) {
    reader->knot_capacity = 2 * reader->knot_capacity + 8;
    schedule->knots = arena_grow(reader->arena, schedule->knots, schedule->knot_count, reader->knot_capacity,
                                 sizeof *schedule->knots);
  }
  if (schedule->knot_count) {  // the steps after the knot before, at s + 1 to step
    const struct rate_knot *before = &schedule->knots[schedule->knot_count - 1];
    double count = step - before->step, slope = count > 0 ? (rate - before->rate) / count : 0;
    area = before->area + before->rate * count + slope * count * (count + 1) / 2;
  } else {
    area = rate * step;
  }
  schedule->knots[schedule->knot_count++] = (struct rate_knot){step, rate, area};
}

// Half a cosine from the last knot.
static void add_cosine(struct reader *reader, double step, double rate) {
  struct rate_knot from = reader->schedule->knots[reader->schedule->knot_count - 1];
  double count = step - from.step, parts = fmin(count, COSINE_PARTS), last = from.step;
  for (double part = 1; part < parts; part++) {
    double at = from.step + round(count * part / parts);
    if (at <= last) continue;
    last = at;
    add_knot(reader, at, rate + (from.rate - rate) * 0.5 * (1 + cos(M_PI * (at - from.step) / count)));
  }
  add_knot(reader, step, rate);
}

static bool number_of(const struct reader *reader, const char *from, size_t length, const char *what, double *value) {
  char digits[64];
  if (length && length < sizeof digits) {
    memcpy(digits, from, length);
    digits[length] = 0;
    if (number_parse(digits, value) && isfinite(*value)) return true;
  }
  return fail(reader, from, what);
}

// One knot of `length` bytes.
static bool read_knot(struct reader *reader, const char *item, size_t length) {
  struct rate_schedule *schedule = reader->schedule;
  const char *end = item + length, *colon = memchr(item, ':', length);
  if (!colon) return fail(reader, item, "a knot of a schedule is STEP:RATE, as in 0:0,100:3e-4,10000:3e-5");
  const char *rate_text = colon + 1, *shape = memchr(rate_text, ':', (size_t)(end - rate_text));
  double step, rate;
  if (!number_of(reader, item, (size_t)(colon - item), "expected a step, a whole number, before the ':'", &step) ||
      !number_of(reader, rate_text, (size_t)((shape ? shape : end) - rate_text), "expected a learning rate here",
                 &rate))
    return false;
  if (step < 0 || step != floor(step) || step > largest_step)
    return fail(reader, item, "a step is a whole number from 0 on");
  if (rate < 0) return fail(reader, rate_text, "a learning rate is not below 0");
  bool cosine =
      shape && (size_t)(end - shape) == strlen(":cosine") && strncmp(shape, ":cosine", strlen(":cosine")) == 0;
  if (shape && !cosine) return fail(reader, shape + 1, "the only shape of a knot is cosine, as in 10000:3e-5:cosine");
  if (cosine && !schedule->knot_count) return fail(reader, shape + 1, "the first knot has nothing to come from");
  if (schedule->knot_count && step < schedule->knots[schedule->knot_count - 1].step)
    return fail(reader, item, "steps must ascend");
  bool jump = schedule->knot_count && step == schedule->knots[schedule->knot_count - 1].step;
  if (cosine && !jump)
    add_cosine(reader, step, rate);
  else
    add_knot(reader, step, rate);
  add_bound(reader, step);
  if (jump) add_bound(reader, step + 1);
  return true;
}

// The rise at the beginning: rates that grow from knot to knot. Ends at the first knot that is not below the next one.
static void find_warmup(struct rate_schedule *schedule) {
  size_t k = 0;
  while (k + 1 < schedule->knot_count && schedule->knots[k + 1].rate > schedule->knots[k].rate) k++;
  schedule->warmup_end = k ? schedule->knots[k].step : 0;
}

bool rate_schedule_parse(struct arena *arena, const char *text, struct rate_schedule *schedule, struct error *error) {
  static const char blanks[] = ",; \t\r\n";
  struct reader reader = {.arena = arena, .schedule = schedule, .error = error, .text = text};
  size_t count = 0;
  *schedule = (struct rate_schedule){0};
  for (const char *at = text + strspn(text, blanks); *at;) {
    size_t length = strcspn(at, blanks);
    if (++count > RATE_KNOTS)
      return error_set(error, EXIT_USAGE_ERROR, "the schedule has more than %d knots", RATE_KNOTS);
    if (!read_knot(&reader, at, length)) return false;
    at += length;
    at += strspn(at, blanks);
  }
  if (!count) return error_set(error, EXIT_USAGE_ERROR, "the schedule is empty; write one as 0:0,100:3e-4,10000:3e-5");
  for (size_t k = 0; k < schedule->knot_count; k++) schedule->peak = fmax(schedule->peak, schedule->knots[k].rate);
  schedule->end = schedule->knots[schedule->knot_count - 1].step;
  if (schedule->end < 1) return error_set(error, EXIT_USAGE_ERROR, "the schedule '%s' has no step", text);
  if (!(schedule->peak > 0)) return error_set(error, EXIT_USAGE_ERROR, "the schedule's learning rate is always 0");
  find_warmup(schedule);
  return true;
}

// ---- sums ----

// The knot after which a step from 1 on comes: the last one below it, -1 before the first.
static ptrdiff_t knot_before(const struct rate_schedule *schedule, double step) {
  size_t low = 0, high = schedule->knot_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (schedule->knots[middle].step < step)
      low = middle + 1;
    else
      high = middle;
  }
  return (ptrdiff_t)low - 1;
}

static double slope_after(const struct rate_schedule *schedule, size_t k) {
  if (k + 1 >= schedule->knot_count) return 0;
  const struct rate_knot *from = &schedule->knots[k], *to = from + 1;
  return (to->rate - from->rate) / (to->step - from->step);
}

double rate_schedule_rate(const struct rate_schedule *schedule, double step) {
  ptrdiff_t k = knot_before(schedule, step);
  if (k < 0) return schedule->knots[0].rate;
  const struct rate_knot *from = &schedule->knots[k];
  return fmax(from->rate + slope_after(schedule, (size_t)k) * (step - from->step), 0);
}

double rate_schedule_area(const struct rate_schedule *schedule, double step) {
  ptrdiff_t k = knot_before(schedule, step);
  if (k < 0) return schedule->knots[0].rate * step;
  const struct rate_knot *from = &schedule->knots[k];
  double count = step - from->step;
  return from->area + from->rate * count + slope_after(schedule, (size_t)k) * count * (count + 1) / 2;
}

// The mean over steps first..last of the area from `first` up to the step before each.
static double mean_area_within(const struct rate_schedule *schedule, double first, double last) {
  double base = rate_schedule_area(schedule, first - 1), sum = 0;
  for (double from = first; from <= last;) {
    ptrdiff_t k = knot_before(schedule, from);
    double to = last, rate = schedule->knots[0].rate, slope = 0;
    if ((size_t)(k + 1) < schedule->knot_count) to = fmin(to, schedule->knots[k + 1].step);
    if (k >= 0) {
      slope = slope_after(schedule, (size_t)k);
      rate = schedule->knots[k].rate + slope * (from - schedule->knots[k].step);
    }
    double count = to - from + 1, before = rate_schedule_area(schedule, from - 1) - base;
    sum += count * (before + rate * (count - 1) / 2 + slope * (count - 1) * (count - 2) / 6);
    from = to + 1;
  }
  return sum / (last - first + 1);
}

static struct rate_piece piece_of(const struct rate_schedule *schedule, double first, double last, double step) {
  double before = rate_schedule_area(schedule, first - 1), steps = last - first + 1,
         least = least_share * schedule->peak;
  double within = steps > 1 ? mean_area_within(schedule, first, last) : 0;
  struct rate_piece piece = {.steps = steps,
                             .lr = (rate_schedule_area(schedule, last) - before) / steps,
                             .since = step - first + 1 - (steps - 1) / 2,
                             .area = rate_schedule_area(schedule, step) - before - within};
  if (steps == 1) piece.lr = rate_schedule_rate(schedule, last);
  if (last > schedule->warmup_end) {
    double previous = first > 1 ? rate_schedule_rate(schedule, first - 1) : schedule->knots[0].rate;
    piece.drop = previous - rate_schedule_rate(schedule, last);
  }
  piece.lr = fmax(piece.lr, least);
  piece.area = fmax(piece.area, least);
  return piece;
}

size_t rate_schedule_pieces(const struct rate_schedule *schedule, double step, double share, struct rate_piece **pieces,
                            size_t *capacity) {
  size_t count = 0, bounds = schedule->bound_count;
  for (double last = step; last >= 1;) {
    while (bounds && schedule->bounds[bounds - 1] >= last) bounds--;
    double first = last - fmax(floor(share * (step - last + 1)), 1) + 1;
    first = fmax(first, bounds ? schedule->bounds[bounds - 1] + 1 : 1);
    if (count == *capacity) {
      *capacity = 2 * *capacity + 64;
      *pieces = memory_grow(*pieces, *capacity * sizeof **pieces);
    }
    (*pieces)[count++] = piece_of(schedule, first, last, step);
    last = first - 1;
  }
  return count;
}

// ---- texts of logged rates ----

struct thinning {
  const double *steps, *rates;
  bool *kept;
};

// The point between two kept ones that is farthest from the line between them.
static size_t farthest(const struct thinning *thinning, size_t from, size_t to, double *distance) {
  size_t place = from;
  double width = thinning->steps[to] - thinning->steps[from];
  *distance = 0;
  for (size_t i = from + 1; i < to; i++) {
    double share = width > 0 ? (thinning->steps[i] - thinning->steps[from]) / width : 0;
    double line = thinning->rates[from] + share * (thinning->rates[to] - thinning->rates[from]);
    double off = fabs(thinning->rates[i] - line);
    if (off <= *distance) continue;
    *distance = off;
    place = i;
  }
  return place;
}

struct stretch {  // between two kept points
  size_t from, to, place;
  double distance;
};

char *rate_schedule_text(struct arena *arena, const double *steps, const double *rates, size_t count, double tolerance,
                         double *error_share) {
  struct thinning thinning = {steps, rates, memory_get(count + 1)};
  struct stretch *open = memory_get((RATE_KNOTS + 1) * sizeof *open);
  size_t open_count = 0, kept = count > 1 ? 2 : 1;
  double peak = 0;
  for (size_t i = 0; i < count; i++) peak = fmax(peak, rates[i]);
  thinning.kept[0] = thinning.kept[count - 1] = true;
  if (count > 2) {
    open[0] = (struct stretch){.from = 0, .to = count - 1};
    open[0].place = farthest(&thinning, 0, count - 1, &open[0].distance);
    open_count = 1;
  }
  double left = 0;
  for (;;) {  // the stretch that is farthest off is parted at its farthest point
    size_t worst = 0;
    for (size_t i = 1; i < open_count; i++)
      if (open[i].distance > open[worst].distance) worst = i;
    left = open_count ? open[worst].distance : 0;
    if (!(left > tolerance * peak) || kept == RATE_KNOTS) break;
    struct stretch parted = open[worst];
    thinning.kept[parted.place] = true;
    kept++;
    open[worst] = (struct stretch){.from = parted.from, .to = parted.place};
    open[open_count] = (struct stretch){.from = parted.place, .to = parted.to};
    open[worst].place = farthest(&thinning, parted.from, parted.place, &open[worst].distance);
    open[open_count].place = farthest(&thinning, parted.place, parted.to, &open[open_count].distance);
    open_count++;
  }
  *error_share = peak > 0 ? left / peak : 0;
  struct text text = {0};
  for (size_t i = 0; i < count; i++) {
    char step[32], rate[32];
    if (!thinning.kept[i]) continue;
    number_shortest(steps[i], step);
    number_shortest(rates[i], rate);
    text_format(&text, "%s%s:%s", text.length ? "," : "", step, rate);
  }
  char *made = arena_string(arena, text_string(&text));
  text_free(&text);
  free(open);
  free(thinning.kept);
  return made;
}
