// Which N, D and format to train for a budget (or a loss) and the tokens that the model is to serve: each format at its
// best, then against each other on the same resamples.
#include <math.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

static bool positive(double value) { return isnan(value) || (value > 0 && isfinite(value)); }

bool predict_serving_check(const struct predict_arguments *a, struct error *error) {
  bool asked = !isnan(a->inference_tokens), budget = a->budgets.count > 0, money = !isnan(a->money);
  if (!asked &&
      (!isnan(a->loss) || money || a->serving_speeds.count || !isnan(a->flops_per_second) || !isnan(a->price_per_hour)))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "predict: --loss, --money, --serving-speed, --flops-per-second and --price-per-hour are of a model that "
        "is served: --inference-tokens 1e12 says how many tokens");
  if (!asked) return true;
  if (!(a->inference_tokens >= 0) || !isfinite(a->inference_tokens))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --inference-tokens takes a number of tokens: 1e12");
  if (budget + money + !isnan(a->loss) != 1)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "predict: with --inference-tokens say what training and serving may cost (--budget 1e21, or --money "
        "5000) or which loss is to be reached (--loss 2.5)");
  if (!positive(a->loss) || !positive(a->money) || !positive(a->flops_per_second) || !positive(a->price_per_hour))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --loss, --money, --flops-per-second and --price-per-hour take numbers above 0");
  if (a->overtraining || a->table)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "predict: --inference-tokens chooses N and D: --table and --overtraining are of points that are given");
  if ((money || !isnan(a->price_per_hour)) && isnan(a->flops_per_second))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: what an hour buys is not known: --flops-per-second 4e14 says what training at speed 1 "
                     "makes");
  if (money && isnan(a->price_per_hour))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --money needs --price-per-hour");
  return true;
}

// X, XFLOP/s or Xtokens/s@N as a multiple of training at speed 1.
static bool read_speed(const struct predict_arguments *a, const char *text, double *speed, struct error *error) {
  char number[64];
  size_t length = strspn(text, "0123456789.eE+-");
  const char *unit = text + length;
  double size;
  snprintf(number, sizeof number, "%.*s", (int)length, text);
  bool fine = length < sizeof number && number_parse(number, speed) && *speed > 0 && isfinite(*speed), absolute = true;
  if (fine && !*unit)
    absolute = false;
  else if (fine && starts_with(unit, "tokens/s@"))
    fine = number_parse(unit + strlen("tokens/s@"), &size) && size > 0 && isfinite(size);
  else
    fine = fine && strcmp(unit, "FLOP/s") == 0;
  if (!fine)
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --serving-speed %s: the speed is X (times the FLOPs for the same cost), XFLOP/s, or "
                     "Xtokens/s@N (measured on a model of N parameters)",
                     text);
  if (absolute && isnan(a->flops_per_second))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --serving-speed %s is held against that of training: --flops-per-second 4e14 gives it",
                     text);
  if (absolute && *unit == 't') *speed *= 2 * size;
  if (absolute) *speed /= a->flops_per_second;
  return true;
}

// The speed at which a format is served: its own, that of all, or 1.
static bool serving_speed(const struct predict_arguments *a, const char *name, double *speed, struct error *error) {
  *speed = 1;
  const char *of_all = NULL, *own = NULL;
  for (size_t i = 0; i < a->serving_speeds.count; i++) {
    const char *item = a->serving_speeds.items[i], *equals = strrchr(item, '=');
    size_t length = equals ? (size_t)(equals - item) : 0;
    if (!equals)
      of_all = item;
    else if (name && length == strlen(name) && strncmp(item, name, length) == 0)
      own = equals + 1;
  }
  if (!own) own = of_all;
  return !own || read_speed(a, own, speed, error);
}

static bool check_speeds(const struct predict_arguments *a, const char *const *names, size_t count,
                         struct error *error) {
  for (size_t i = 0; i < a->serving_speeds.count; i++) {
    const char *item = a->serving_speeds.items[i], *equals = strrchr(item, '=');
    bool known = !equals;
    for (size_t k = 0; k < count && equals; k++)
      known |=
          names[k] && strlen(names[k]) == (size_t)(equals - item) && strncmp(names[k], item, strlen(names[k])) == 0;
    if (!known)
      return error_set(error, EXIT_USAGE_ERROR, "predict: --serving-speed %s is of no format of the question", item);
  }
  return true;
}

static const struct estimate *loosest(const struct served *served) {
  const struct estimate *const all[] = {&served->parameters, &served->tokens, &served->loss, &served->cost};
  for (int status = COEFFICIENT_UNIDENTIFIED;; status = COEFFICIENT_ONE_SIDED) {
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
      if (all[i]->status == (enum coefficient_status)status) return all[i];
    if (status == COEFFICIENT_ONE_SIDED) return all[0];
  }
}

static void price(const struct predict_arguments *a, struct predict_served *one) {
  const struct served *served = &one->served;
  one->cost = served->training_flops / one->training_speed + served->serving_flops / one->serving_speed;
  one->seconds = one->cost / a->flops_per_second;
  one->money = one->seconds / 3600 * a->price_per_hour;
  one->memory = served->parameters.value * one->bits / 8;
}

static bool serve_one(struct predict_report *report, const struct predict_arguments *a,
                      const struct predict_serve *serve, struct predict_served *one, struct alternative *alternative,
                      struct error *error) {
  struct law_input *inputs = (struct law_input *)serve->inputs;
  size_t count = serve->input_count;
  struct error missing = {0};
  double training = one->name ? predict_setting(&a->speeds, one->name) : NAN;
  one->training_speed = isnan(training) ? 1 : training;
  if (!serving_speed(a, one->name, &one->serving_speed, error)) return false;
  one->bits = 16;
  if (one->name &&
      (!predict_format_bits(a, one->name, &one->bits, error) ||
       !predict_format_inputs(report, serve->inputs, serve->input_count, one->name, &inputs, &count, error)))
    return false;
  const struct serving serving = {.tokens = a->inference_tokens,
                                  .budget = serve->budget,
                                  .loss = serve->loss,
                                  .training_speed = one->training_speed,
                                  .serving_speed = one->serving_speed,
                                  .largest = isnan(a->memory) ? INFINITY : a->memory * 8 / one->bits};
  size_t rows = fitted_law_rows(&report->fitted);
  double *none = arena_array(&report->arena, rows + 1, sizeof *none);
  for (size_t b = 0; b < rows; b++) none[b] = NAN;
  *alternative = (struct alternative){.loss = NAN, .losses = none};
  if (!fitted_law_serve(&report->arena, &report->fitted, inputs, count, &serving, &one->served, &missing))
    one->missing = arena_string(&report->arena, missing.text);
  else if (one->served.unbounded > 0.5)
    one->missing = "there is no best size: the least lies at the end of the range";
  if (one->missing && (a->formats || !one->name))
    return error_set(error, EXIT_USAGE_ERROR, "predict: %s%s%s", one->name ? one->name : "", one->name ? ": " : "",
                     one->missing);
  if (one->missing) return true;
  price(a, one);
  predict_outside(report, inputs, count, one->served.parameters.value, one->served.tokens.value, &one->outside,
                  &one->outside_count);
  one->far = outside_hides(one->outside, one->outside_count);
  *alternative = (struct alternative){.loss = one->served.score, .losses = one->served.scores};
  return true;
}

static void withhold(struct served *served) {
  predict_withhold(&served->parameters);
  predict_withhold(&served->tokens);
  predict_withhold(&served->loss);
  predict_withhold(&served->cost);
}

// None wins where one of them lies far outside its rows or hangs on what the rows do not determine.
static void judge(struct predict_report *report, struct predict_serve *serve) {
  const struct predict_served *worst = NULL;
  const struct fitted_law *fitted = &report->fitted;
  for (size_t i = 0; i < serve->count; i++)
    if (!serve->candidates[i].missing) fitted = &serve->candidates[i].served.fitted;
  serve->best = alternatives_judge(serve->alternatives, serve->count, fitted, &serve->decided);
  for (size_t i = 0; i < serve->count; i++) {
    struct predict_served *one = &serve->candidates[i];
    const struct estimate *least = loosest(&one->served);
    if (one->missing) continue;
    bool open = least->status == COEFFICIENT_UNIDENTIFIED;
    if (!one->far && !open) continue;
    if (!worst || (one->far && !worst->far)) worst = one;
  }
  if (worst) {
    serve->cannot_tell = cannot_tell_sentence(&report->arena, loosest(&worst->served), worst->outside,
                                              worst->outside_count, report->result);
    if (worst->name && serve->cannot_tell)
      serve->cannot_tell = arena_format(&report->arena, "%s (%s)", serve->cannot_tell, worst->name);
    serve->decided = false;
  }
  for (size_t i = 0; i < serve->count; i++) {
    if (serve->candidates[i].far) withhold(&serve->candidates[i].served);
    if (!serve->cannot_tell) continue;
    predict_withhold(&serve->alternatives[i].behind);
    serve->alternatives[i].share_best = NAN;
  }
}

static bool answer(struct predict_report *report, const struct predict_arguments *a, const char *const *names,
                   size_t count, const struct table *points, size_t row, double budget, struct error *error) {
  struct predict_serve *serve = &report->serves[report->serve_count];
  struct law_input *inputs;
  *serve = (struct predict_serve){.budget = budget, .loss = a->loss, .count = count};
  if (!predict_inputs(report, points, row, &inputs, &serve->input_count, error)) return false;
  if (input_given(inputs, serve->input_count, "parameters", NULL) ||
      input_given(inputs, serve->input_count, "tokens", NULL))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: with --inference-tokens N and D are what is looked for: --at gives the other columns");
  serve->inputs = inputs;
  serve->candidates = arena_array(&report->arena, count + 1, sizeof *serve->candidates);
  serve->alternatives = arena_array(&report->arena, count + 1, sizeof *serve->alternatives);
  for (size_t i = 0; i < count; i++) {
    serve->candidates[i] = (struct predict_served){.name = names[i]};
    if (!serve_one(report, a, serve, &serve->candidates[i], &serve->alternatives[i], error)) return false;
  }
  judge(report, serve);
  report->serve_count++;
  return true;
}

bool predict_serving(struct predict_report *report, const struct predict_arguments *a, const struct table *budgets,
                     const struct table *points, struct error *error) {
  static const char *const nothing[] = {NULL};
  const char *list = a->formats, **names = (const char **)nothing;
  size_t count = 1;
  if (!predict_check_settings(&a->bits, "bits", error) || !predict_check_settings(&a->speeds, "speed", error))
    return false;
  if (a->formats || !isnan(a->memory)) {
    if (!predict_format_column(report, &list, error)) return false;
    if (!list)
      predict_all_formats(report, &names, &count);
    else if (!list_split(&report->arena, list, &names, &count, error))
      return error_context(error, "predict: --formats");
    if (!count) return error_set(error, EXIT_USAGE_ERROR, "predict: the fit has no format");
  }
  if (!check_speeds(a, names, count, error)) return false;
  size_t budget_count = budgets->row_count ? budgets->row_count : 1, rows = points->row_count ? points->row_count : 1;
  int flops = table_find(budgets, "flops");
  report->serves = arena_array(&report->arena, budget_count * rows + 1, sizeof *report->serves);
  for (size_t b = 0; b < budget_count; b++)
    for (size_t p = 0; p < rows; p++) {
      double budget = budgets->row_count ? budgets->columns[flops].numbers[b]
                                         : a->money / a->price_per_hour * 3600 * a->flops_per_second;
      if (!answer(report, a, names, count, points->row_count ? points : NULL, p, budget, error)) return false;
    }
  return true;
}
