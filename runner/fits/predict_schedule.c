// Curves before they are trained: points along --schedule, and the schedule of least final loss (--best-schedule).
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

enum { CURVE_STEPS = 20, BENDS = 10, ROUNDS = 400 };

static bool law_columns(const struct predict_report *report, const char *option, const char **schedule,
                        const char **step, struct error *error) {
  if (law_schedule(report->law, schedule, step) && *step) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "predict: --%s is for laws that sum over a schedule up to a step; %s has none", option,
                   report->law->name);
}

// ---- the least final loss ----

// A decay of given length and peak: rates at steps that are denser towards the end, none above the one before.
struct decay {
  double length, peak, warmup;
  double step[BENDS], share[BENDS];  // share of the rate before it, 0 to 1
};

static const char *text_of(const struct decay *decay, struct arena *arena) {
  struct text text = {0};
  char step[32], rate[32];
  double at = decay->peak;
  number_digits(decay->peak, 6, rate);
  number_shortest(decay->warmup, step);
  if (decay->warmup > 0)
    text_format(&text, "0:0,%s:%s", step, rate);
  else
    text_format(&text, "0:%s", rate);
  for (int k = 0; k < BENDS; k++) {
    at *= decay->share[k];
    number_shortest(decay->step[k], step);
    text_format(&text, ",%s:%s", step, number_digits(at, 4, rate));
  }
  const char *made = arena_string(arena, text_string(&text));
  text_free(&text);
  return made;
}

struct searching {
  const struct predict_report *report;
  const char *schedule, *step;
  const struct law_input *inputs;
  size_t input_count;
};

static double final_loss(const struct searching *search, const char *text, double length) {
  struct law_input all[64];
  size_t count = 0;
  for (; count < search->input_count && count < 60; count++) all[count] = search->inputs[count];
  all[count++] = (struct law_input){search->schedule, {.kind = VALUE_TEXT, .text = text}};
  all[count++] = (struct law_input){search->step, {.kind = VALUE_NUMBER, .number = length}};
  const struct fitted_law *fitted = &search->report->fitted;
  double loss = law_evaluate(fitted->law, fitted->coefficients, fitted->coefficient_count, all, count);
  return isfinite(loss) ? loss : INFINITY;
}

static double loss_of(const struct searching *search, const struct decay *decay) {
  struct arena arena = {0};
  double loss = final_loss(search, text_of(decay, &arena), decay->length);
  arena_free(&arena);
  return loss;
}

// Shares that follow a shape: constant, linear to 0, half a cosine to a tenth, constant with a linear decay at the end.
static void begin_shape(struct decay *decay, int shape) {
  double before = 1, span = decay->length - decay->warmup;
  for (int k = 0; k < BENDS; k++) {
    double x = (decay->step[k] - decay->warmup) / span, at = 1;
    if (shape == 1) at = 1 - 0.99 * x;
    if (shape == 2) at = 0.1 + 0.45 * (1 + cos(M_PI * x));
    if (shape == 3) at = x < 0.8 ? 1 : 1 - 0.99 * (x - 0.8) / 0.2;
    decay->share[k] = at / before;
    before = at;
  }
}

// One share after the other up and down, by steps of its logarithm that halve where nothing is gained.
static double descend(const struct searching *search, struct decay *decay) {
  double best = loss_of(search, decay), size = 0.5;
  for (int round = 0; round < ROUNDS && size > 1e-3; round++) {
    bool lower = false;
    for (int k = 0; k < BENDS; k++)
      for (int way = -1; way <= 1; way += 2) {
        double kept = decay->share[k];
        decay->share[k] = fmin(kept * exp(way * size), 1);
        double loss = decay->share[k] == kept ? INFINITY : loss_of(search, decay);
        lower |= loss < best;
        if (loss < best)
          best = loss;
        else
          decay->share[k] = kept;
      }
    if (!lower) size /= 2;
  }
  return best;
}

static bool read_request(const char *text, struct decay *decay, struct error *error) {
  struct arena arena = {0};
  size_t count;
  const char **items = text_split(&arena, text, ":", &count);
  bool fine = (count == 2 || count == 3) && number_parse(items[0], &decay->length) &&
              number_parse(items[1], &decay->peak) && (count == 2 || number_parse(items[2], &decay->warmup));
  fine = fine && decay->length >= 2 * BENDS && decay->length == floor(decay->length) && decay->length <= 1e9 &&
         decay->peak > 0 && isfinite(decay->peak) && decay->warmup >= 0 && decay->warmup == floor(decay->warmup) &&
         decay->warmup < decay->length / 2;
  arena_free(&arena);
  return fine ||
         error_set(error, EXIT_USAGE_ERROR,
                   "predict: --best-schedule takes STEPS:PEAK or STEPS:PEAK:WARMUP (20 steps or more, a warm-up "
                   "of less than half): 10000:1e-3:200, not '%s'",
                   text);
}

static bool find_best(struct predict_report *report, const char *request, const struct law_input *inputs,
                      size_t input_count, struct error *error) {
  static const double shares[BENDS] = {0.2, 0.4, 0.55, 0.65, 0.74, 0.82, 0.89, 0.94, 0.98, 1};
  static const char *const shapes[] = {"constant", "linear to 0", "cosine to a tenth",
                                       "constant for 80 %, then linear to 0"};
  struct searching search = {.report = report, .inputs = inputs, .input_count = input_count};
  struct decay decay = {.warmup = 0}, lowest = {.warmup = 0};
  if (!law_columns(report, "best-schedule", &search.schedule, &search.step, error) ||
      !read_request(request, &decay, error))
    return false;
  for (int k = 0; k < BENDS; k++)
    decay.step[k] = fmax(round(decay.warmup + shares[k] * (decay.length - decay.warmup)),
                         k ? decay.step[k - 1] + 1 : decay.warmup + 1);
  struct predict_best *best = &report->best;
  best->loss = INFINITY;
  for (int shape = 0; shape < 4; shape++) {
    begin_shape(&decay, shape);
    best->plain[shape] = (struct predict_plain){shapes[shape], loss_of(&search, &decay)};
    double loss = descend(&search, &decay);
    if (loss < best->loss) {
      best->loss = loss;
      lowest = decay;
    }
  }
  if (!isfinite(best->loss))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "predict: --best-schedule: the law gives no loss for such schedules; say its other columns with --at");
  best->text = text_of(&lowest, &report->arena);
  best->family = arena_format(&report->arena,
                              "schedules of %g steps%s that fall from %g, linear between %d steps, and nowhere rise",
                              lowest.length, lowest.warmup > 0 ? " with a warm-up" : "", lowest.peak, BENDS);
  return true;
}

// ---- curves ----

// Adds the points of a schedule: steps that are even in number, from the end of its warm-up on.
static bool add_curve(struct predict_report *report, const char *text, struct table *table, struct error *error) {
  struct arena arena = {0};
  struct rate_schedule schedule;
  if (!rate_schedule_parse(&arena, text, &schedule, error)) {
    arena_free(&arena);
    return error_context(error, "predict: --schedule");
  }
  size_t first = table->row_count, wanted = (size_t)fmin(CURVE_STEPS, schedule.end);
  double from = fmax(schedule.warmup_end, floor(schedule.end / CURVE_STEPS));
  table_resize(table, first + wanted);
  for (size_t i = 0; i < wanted; i++) {
    double share = wanted > 1 ? (double)i / (double)(wanted - 1) : 1;
    table->columns[0].numbers[first + i] = fmax(1, round(from + share * (schedule.end - from)));
    table_set_category(table, 1, first + i, text);
  }
  arena_free(&arena);
  return true;
}

bool predict_schedules(struct predict_report *report, const struct predict_arguments *arguments,
                       const struct table *contexts, struct table *table, struct error *error) {
  const char *schedule, *step;
  if (!arguments->schedules.count && !arguments->best_schedule) return true;
  if (!law_columns(report, arguments->best_schedule ? "best-schedule" : "schedule", &schedule, &step, error))
    return false;
  if (contexts->row_count > 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: with --schedule, --at gives the law's other columns, one point");
  struct law_input *inputs = NULL;
  size_t count = 0;
  if (!predict_inputs(report, contexts->row_count ? contexts : NULL, 0, &inputs, &count, error)) return false;
  if (arguments->best_schedule && !find_best(report, arguments->best_schedule, inputs, count, error)) return false;
  table_init(table, "schedules", 0);
  table_add_number(table, step, ROLE_SETTING);
  table_add_category(table, schedule, ROLE_SETTING);
  bool fine = true;
  for (size_t i = 0; i < arguments->schedules.count && fine; i++)
    fine = add_curve(report, arguments->schedules.items[i], table, error);
  if (fine && report->best.text) fine = add_curve(report, report->best.text, table, error);
  for (size_t i = 0; i < count && fine; i++) {
    if (table_find(table, inputs[i].name) >= 0) continue;
    bool text = inputs[i].value.kind == VALUE_TEXT;
    size_t column = text ? table_add_category(table, inputs[i].name, ROLE_SETTING)
                         : table_add_number(table, inputs[i].name, ROLE_SETTING);
    for (size_t row = 0; row < table->row_count; row++) {
      if (text)
        table_set_category(table, column, row, inputs[i].value.text);
      else
        table->columns[column].numbers[row] = inputs[i].value.number;
    }
  }
  return fine;
}

// ---- writing ----

void predict_csv(const struct predict_report *report, FILE *out) {
  const char *schedule, *step;
  if (!law_schedule(report->law, &schedule, &step) || !step) return;
  fprintf(out, "schedule,%s,train.lr,%s,low,high,run_low,run_high,outside\n", step, report->law->target);
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    const struct prediction *p = &point->prediction;
    const char *text = NULL;
    double at = NAN;
    for (size_t k = 0; k < point->input_count; k++) {
      if (strcmp(point->inputs[k].name, schedule) == 0) text = point->inputs[k].value.text;
      if (strcmp(point->inputs[k].name, step) == 0) at = point->inputs[k].value.number;
    }
    struct arena arena = {0};
    struct rate_schedule rates;
    struct error error = {0};
    double rate = text && rate_schedule_parse(&arena, text, &rates, &error) ? rate_schedule_rate(&rates, at) : NAN;
    const double numbers[] = {at,          rate,       p->law.value, p->law.low,
                              p->law.high, p->run_low, p->run_high,  p->outside_most};
    fprintf(out, "\"%s\"", text ? text : "");
    for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
      char number[32];
      number_shortest(numbers[k], number);
      fprintf(out, ",%s", isnan(numbers[k]) ? "" : number);
    }
    fprintf(out, "\n");
    arena_free(&arena);
  }
}
