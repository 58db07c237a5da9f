// Which format is best for a memory, a budget of compute, or at a point: each at what it can afford, then against each
// other on the same resamples.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "results/columns.h"
#include "runner/fits/format_capacity.h"
#include "runner/fits/predict_internal.h"

// The column that distinguishes formats, in the order: named in --formats COLUMN=..., format, the only category column.
bool predict_format_column(struct predict_report *report, const char **list, struct error *error) {
  const struct law *law = report->law;
  const char *only = NULL;
  const char *equals = *list ? strchr(*list, '=') : NULL;
  int by = 0;
  if (equals) {
    report->format_column = arena_copy(&report->arena, *list, (size_t)(equals - *list));
    *list = equals + 1;
  }
  for (int i = 0; i < law->column_count; i++) {
    bool wanted = equals ? strcmp(law->columns[i], report->format_column) == 0
                         : strcmp(law->columns[i], "format") == 0 || number_of_format(law->columns[i]);
    if (wanted && !equals) report->format_column = "format";
    if (wanted) return true;
  }
  for (int p = 0; p < law->parameter_count && !equals; p++) {
    if (!law->parameters[p].by || (only && strcmp(only, law->parameters[p].by) == 0)) continue;
    only = law->parameters[p].by;
    by++;
  }
  report->format_column = by == 1 && !equals ? only : report->format_column;
  if (by == 1 && !equals) return true;
  if (by > 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: the law %s has several columns of formats; name one: "
                     "--formats %s=A,B",
                     law->name, only);
  return error_set(error, EXIT_USAGE_ERROR, "predict: the law %s does not tell formats apart%s%s", law->name,
                   equals ? ": it has no column " : "", equals ? report->format_column : "");
}

// The format's own column, and those whose values a format brings with it.
static bool follows_from_format(const struct predict_report *report, const char *column) {
  if (strcmp(column, report->format_column) == 0) return true;
  const struct run_column *known = run_column_find(column);
  return strcmp(report->format_column, "format") == 0 && known && known->of_format;
}

// Every category of the column that has a value.
void predict_all_formats(struct predict_report *report, const char ***names, size_t *count) {
  *names = arena_array(&report->arena, report->fitted.coefficient_count + 1, sizeof **names);
  *count = 0;
  for (size_t c = 0; c < report->fitted.coefficient_count; c++) {
    const struct coefficient *coefficient = &report->fitted.coefficients[c];
    bool of_column = false, known = isnan(coefficient->value);
    for (int p = 0; p < report->law->parameter_count; p++)
      of_column |= report->law->parameters[p].by && strcmp(report->law->parameters[p].by, report->format_column) == 0 &&
                   strcmp(report->law->parameters[p].name, coefficient->parameter) == 0;
    for (size_t i = 0; i < *count && coefficient->category; i++)
      known |= strcmp((*names)[i], coefficient->category) == 0;
    if (of_column && coefficient->category && !known) (*names)[(*count)++] = coefficient->category;
  }
}

// FORMAT=NUMBER among the items, or NAN.
double predict_setting(const struct option_list *list, const char *format) {
  for (size_t i = 0; i < list->count; i++) {
    const char *equals = strrchr(list->items[i], '=');
    double value;
    if (equals && (size_t)(equals - list->items[i]) == strlen(format) &&
        strncmp(list->items[i], format, strlen(format)) == 0 && number_parse(equals + 1, &value))
      return value;
  }
  return NAN;
}

bool predict_check_settings(const struct option_list *list, const char *option, struct error *error) {
  for (size_t i = 0; i < list->count; i++) {
    const char *equals = strrchr(list->items[i], '=');
    double value;
    if (!equals || equals == list->items[i] || !number_parse(equals + 1, &value) || !(value > 0) || !isfinite(value))
      return error_set(error, EXIT_USAGE_ERROR, "predict: --%s %s is not of the form FORMAT=NUMBER", option,
                       list->items[i]);
  }
  return true;
}

// Bits that a weight takes: as given, of a format that trains here, or of the common names of full precision.
bool predict_format_bits(const struct predict_arguments *arguments, const char *name, double *bits,
                         struct error *error) {
  static const char *const sixteen[] = {"BF16", "bf16", "FP16", "fp16", "bfloat16", "float16", "dense"};
  static const char *const thirty_two[] = {"FP32", "fp32", "float32"};
  *bits = predict_setting(&arguments->bits, name);
  for (size_t i = 0; isnan(*bits) && i < sizeof sixteen / sizeof *sixteen; i++)
    if (strcmp(sixteen[i], name) == 0) *bits = 16;
  for (size_t i = 0; isnan(*bits) && i < sizeof thirty_two / sizeof *thirty_two; i++)
    if (strcmp(thirty_two[i], name) == 0) *bits = 32;
  if (!isnan(*bits)) return true;
  struct arena arena = {0};
  struct error unknown = {0};
  const struct format *format = format_read(name, &arena, &unknown);
  if (format) *bits = representation_bits(&format->operands[OPERAND_WEIGHTS]);
  arena_free(&arena);
  if (format || isnan(arguments->memory)) return true;
  return error_set(
      error, EXIT_USAGE_ERROR,
      "predict: '%s' is no format that isoloss knows, so its memory is not known: --bits %s=4.25 gives its "
      "bits per weight",
      name, name);
}

// The inputs with the format put in (and its errors, where the law wants those).
bool predict_format_inputs(struct predict_report *report, const struct law_input *base, size_t base_count,
                           const char *name, struct law_input **inputs, size_t *count, struct error *error) {
  struct table table;
  table_init(&table, "formats", 1);
  for (size_t i = 0; i < base_count; i++) {
    if (follows_from_format(report, base[i].name)) continue;
    if (base[i].value.kind == VALUE_TEXT) {
      table_set_category(&table, table_add_category(&table, base[i].name, ROLE_SETTING), 0, base[i].value.text);
    } else {
      size_t column = table_add_number(&table, base[i].name, ROLE_SETTING);
      table.columns[column].numbers[0] = base[i].value.number;
    }
  }
  table_set_category(&table, table_add_category(&table, report->format_column, ROLE_SETTING), 0, name);
  bool fine = predict_inputs(report, &table, 0, inputs, count, error);
  table_free(&table);
  return fine;
}

// One format at a budget: the best N and D, N at most what the memory holds.
static void at_budget(struct predict_report *report, const struct predict_contest *contest,
                      const struct law_input *inputs, size_t count, struct predict_format *format,
                      struct alternative *alternative) {
  struct allocation allocation;
  struct error error = {0};
  double largest = isnan(contest->memory) ? INFINITY : contest->memory * 8 / format->bits;
  if (!fitted_law_allocate(&report->arena, &report->fitted, inputs, count, contest->flops * format->speed, largest,
                           &allocation, &error)) {
    format->missing = arena_string(&report->arena, error.text);
    return;
  }
  format->parameters = allocation.parameters;
  format->tokens = allocation.tokens;
  format->loss = allocation.loss;
  format->outside_most = predict_outside(report, inputs, count, format->parameters.value, format->tokens.value,
                                         &format->outside, &format->outside_count);
  format->at_limit = allocation.at_limit;
  if (allocation.unbounded > 0.5) format->missing = "its loss has no minimum within the budget";
  *alternative = (struct alternative){.loss = allocation.loss.value, .losses = allocation.losses};
}

// One format at a duration: N is what the memory holds, or as given.
static void at_point(struct predict_report *report, const struct predict_contest *contest, struct law_input *inputs,
                     size_t count, struct predict_format *format, struct alternative *alternative) {
  double n = NAN, d = NAN, ratio = NAN;
  if (!isnan(contest->memory)) {
    n = contest->memory * 8 / format->bits;
    inputs[count++] = (struct law_input){"parameters", {.kind = VALUE_NUMBER, .number = n}};
    format->at_limit = true;
  }
  input_given(inputs, count, "parameters", &n);
  if (!input_given(inputs, count, "tokens", &d) && input_given(inputs, count, "tokens_per_parameter", &ratio))
    d = ratio * n;
  format->parameters = (struct estimate){.value = n, .low = NAN, .high = NAN};
  format->tokens = (struct estimate){.value = d, .low = NAN, .high = NAN};
  struct prediction prediction;
  fitted_law_predict(&report->arena, &report->fitted, inputs, count, &prediction);
  format->loss = prediction.law;
  format->missing = prediction.missing;
  format->outside = prediction.outside;
  format->outside_count = prediction.outside_count;
  format->outside_most = prediction.outside_most;
  // the replicates one by one: a law of one replicate each
  size_t rows = fitted_law_rows(&report->fitted);
  double *losses = arena_array(&report->arena, rows + 1, sizeof *losses);
  struct coefficient *coefficients =
      arena_array(&report->arena, report->fitted.coefficient_count + 1, sizeof *coefficients);
  struct fitted_law one = report->fitted;
  memcpy(coefficients, one.coefficients, one.coefficient_count * sizeof *coefficients);
  one.coefficients = coefficients;
  one.replicate_count = one.jackknife_count = one.open_count = one.scatter_count = 0;
  one.ranges = (struct fit_ranges){0};
  for (size_t b = 0; b < rows && !prediction.missing; b++) {
    for (size_t c = 0; c < one.coefficient_count; c++)
      coefficients[c].value = report->fitted.replicates[b * one.coefficient_count + c];
    fitted_law_predict(&report->arena, &one, inputs, count, &prediction);
    losses[b] = prediction.law.value;
    prediction.missing = NULL;
  }
  *alternative = (struct alternative){.loss = format->missing ? NAN : format->loss.value, .losses = losses};
}

// Nothing wins where a format of the contest lies far outside its rows, or a difference hangs on what the rows do not
// determine; the worst of them says why. What is far outside has no interval.
static void judge_contest(struct predict_report *report, struct predict_contest *contest) {
  const struct predict_format *worst = NULL;
  const struct alternative *open = NULL;
  contest->outside_most = 1;
  for (size_t i = 0; i < contest->count && contest->best >= 0; i++) {
    struct predict_format *format = &contest->formats[i];
    struct alternative *one = &contest->alternatives[i];
    if (format->missing) continue;
    contest->outside_most = fmax(contest->outside_most, format->outside_most);
    if ((int)i != contest->best && one->behind.status == COEFFICIENT_UNIDENTIFIED && !open) open = one;
    if (!outside_hides(format->outside, format->outside_count)) continue;
    predict_withhold(&format->loss);
    if (!worst || format->outside_most > worst->outside_most) worst = format;
  }
  if (!worst && !open) return;
  const char *why = cannot_tell_sentence(&report->arena, open ? &open->behind : NULL, worst ? worst->outside : NULL,
                                         worst ? worst->outside_count : 0, report->result);
  contest->cannot_tell = worst ? arena_format(&report->arena, "%s (%s)", why, worst->name) : why;
  contest->decided = false;
  for (size_t i = 0; i < contest->count; i++) {
    predict_withhold(&contest->alternatives[i].behind);
    contest->alternatives[i].share_best = NAN;
  }
}

static bool hold(struct predict_report *report, const struct predict_arguments *arguments, const char **names,
                 size_t count, struct predict_contest *contest, struct error *error) {
  contest->formats = arena_array(&report->arena, count + 1, sizeof *contest->formats);
  contest->alternatives = arena_array(&report->arena, count + 1, sizeof *contest->alternatives);
  contest->count = count;
  for (size_t i = 0; i < count; i++) {
    struct predict_format *format = &contest->formats[i];
    struct law_input *inputs;
    size_t input_count;
    double speed = predict_setting(&arguments->speeds, names[i]);
    *format = (struct predict_format){.name = names[i],
                                      .speed = isnan(speed) ? 1 : speed,
                                      .outside_most = 1,
                                      .parameters = {.value = NAN, .low = NAN, .high = NAN},
                                      .tokens = {.value = NAN, .low = NAN, .high = NAN},
                                      .loss = {.value = NAN, .low = NAN, .high = NAN}};
    contest->alternatives[i].loss = NAN;
    size_t rows = fitted_law_rows(&report->fitted);
    double *none = arena_array(&report->arena, rows + 1, sizeof *none);
    for (size_t b = 0; b < rows; b++) none[b] = NAN;
    contest->alternatives[i].losses = none;
    if (!predict_format_bits(arguments, names[i], &format->bits, error) ||
        !predict_format_inputs(report, contest->inputs, contest->input_count, names[i], &inputs, &input_count, error))
      return false;
    if (isnan(contest->flops))
      at_point(report, contest, inputs, input_count, format, &contest->alternatives[i]);
    else
      at_budget(report, contest, inputs, input_count, format, &contest->alternatives[i]);
    if (!format->missing) continue;
    if (arguments->formats)  // it was asked for by name
      return error_set(error, EXIT_USAGE_ERROR, "predict: %s: %s", names[i], format->missing);
    contest->alternatives[i] = (struct alternative){.loss = NAN, .losses = none};
  }
  contest->best = alternatives_judge(contest->alternatives, count, &report->fitted, &contest->decided);
  judge_contest(report, contest);
  return true;
}

static const char *describe(struct predict_report *report, const struct predict_contest *contest) {
  struct text text = {0};
  char number[32];
  if (!isnan(contest->flops)) text_format(&text, "%s FLOPs", number_human(contest->flops, number));
  if (!isnan(contest->memory))
    text_format(&text, "%sweights within %s", text.length ? ", " : "", bytes_human(contest->memory, number));
  for (size_t i = 0; i < contest->input_count; i++) {
    const struct value *value = &contest->inputs[i].value;
    if (value->kind == VALUE_NUMBER) number_human(value->number, number);
    if (follows_from_format(report, contest->inputs[i].name)) continue;
    text_format(&text, "%s%s = %s", text.length ? ", " : "", contest->inputs[i].name,
                value->kind == VALUE_TEXT ? value->text : number);
  }
  const char *made = arena_string(&report->arena, text_string(&text));
  text_free(&text);
  return made;
}

bool predict_formats(struct predict_report *report, const struct predict_arguments *arguments,
                     const struct table *budgets, const struct table *points, struct error *error) {
  const char *list = arguments->formats, **names;
  size_t count;
  if (!predict_check_settings(&arguments->bits, "bits", error) ||
      !predict_check_settings(&arguments->speeds, "speed", error) || !predict_format_column(report, &list, error))
    return false;
  if (list && !list_split(&report->arena, list, &names, &count, error))
    return error_context(error, "predict: --formats");
  if (!list) predict_all_formats(report, &names, &count);
  if (count < 2) return error_set(error, EXIT_USAGE_ERROR, "predict: name at least two formats: --formats none,w4a4");
  size_t budget_count = budgets->row_count ? budgets->row_count : 1;
  size_t point_count = points->row_count ? points->row_count : 1;
  int flops = table_find(budgets, "flops");
  report->contests = arena_array(&report->arena, budget_count * point_count + 1, sizeof *report->contests);
  for (size_t b = 0; b < budget_count; b++)
    for (size_t p = 0; p < point_count; p++) {
      struct predict_contest *contest = &report->contests[report->contest_count++];
      struct law_input *inputs;
      *contest = (struct predict_contest){.flops = budgets->row_count ? budgets->columns[flops].numbers[b] : NAN,
                                          .memory = arguments->memory};
      if (!predict_inputs(report, points->row_count ? points : NULL, p, &inputs, &contest->input_count, error))
        return false;
      contest->inputs = inputs;
      bool n = input_given(inputs, contest->input_count, "parameters", NULL);
      bool d = input_given(inputs, contest->input_count, "tokens", NULL) ||
               input_given(inputs, contest->input_count, "tokens_per_parameter", NULL);
      bool sound = isnan(contest->flops) ? (isnan(contest->memory) ? n && d : !n && d) : !n && !d;
      if (!sound)
        return error_set(error, EXIT_USAGE_ERROR,
                         "predict: formats are compared at a budget (--budget 1e21, with --memory or without), at a "
                         "memory and a duration (--memory 2e9 --at D=1e11), or at a point (--at N=1e9,D=2e10)");
      contest->what = describe(report, contest);
      if (!hold(report, arguments, names, count, contest, error)) return false;
    }
  report->default_count = 0;  // each contest tells its own
  return true;
}
