// isoloss predict: what a fit says of runs that were not made.
#include "runner/fits/predict.h"

#include <math.h>
#include <string.h>

#include "runner/commands.h"

static bool check(const struct predict_arguments *a, struct error *error) {
  bool along = a->schedules.count || a->best_schedule;
  if (a->csv && (!along || a->json))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --csv is for --schedule and --best-schedule, without --json");
  if (along && (a->budgets.count || a->formats || !isnan(a->memory) || !isnan(a->inference_tokens)))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --schedule goes without --budget, --formats, --memory and --inference-tokens");
  if (!along && !a->at.count && !a->budgets.count && !a->table && isnan(a->memory) && isnan(a->inference_tokens))
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: say what to predict: --at N=1e9,D=2e10, --table POINTS.csv, --budget 1e21 or --memory "
                     "2e9 --at D=1e11");
  if (a->cost && strcmp(a->cost, "6nd") != 0 && strcmp(a->cost, "counted") != 0)
    return error_set(error, EXIT_USAGE_ERROR, "predict: --cost is 6nd or counted, not '%s'", a->cost);
  if (!isnan(a->memory) && !(a->memory > 0))
    return error_set(error, EXIT_USAGE_ERROR, "predict: --memory takes a number of bytes: 2e9");
  return predict_serving_check(a, error);
}

// One fit's answers, printed or written.
static bool answer_one(const struct predict_arguments *arguments, const char *source, const struct fit_options *options,
                       struct json_writer *writer, struct error *error) {
  struct predict_report report;
  bool fine = predict(&report, source, arguments, options, error);
  if (fine && writer)
    predict_json(&report, writer);
  else if (fine && arguments->csv)
    predict_csv(&report, stdout);
  else if (fine)
    predict_print(&report, stdout);
  predict_free(&report);
  return fine;
}

// Of a law that is fitted by a column, each value that is asked of answers by itself: an array of documents.
static void answer(struct predict_arguments *arguments, const char *source, struct command_line *line) {
  struct fit_options options;
  const char **parts;
  size_t count;
  if (!check(arguments, &line->error) ||
      !fit_arguments_read("predict", &arguments->fit, &line->arena, &options, &line->error) ||
      !predict_parts(source, arguments, &options, &line->arena, &parts, &count, &line->error))
    return;
  struct text text = {0};
  struct json_writer writer = json_writer(&text, false), *json = arguments->json ? &writer : NULL;
  bool fine = true;
  if (count) json_array_begin(&writer);
  if (!count) fine = answer_one(arguments, source, &options, json, &line->error);
  for (size_t i = 0; i < count && fine; i++) {
    arguments->part = parts[i];
    if (i && !json) printf("\n");
    fine = answer_one(arguments, source, &options, json, &line->error);
  }
  if (count) json_array_end(&writer);
  if (fine && json) printf("%s\n", text_string(&text));
  text_free(&text);
}

void command_predict(struct command_line *line) {
  struct predict_arguments a = {.memory = NAN,
                                .inference_tokens = NAN,
                                .loss = NAN,
                                .money = NAN,
                                .flops_per_second = NAN,
                                .price_per_hour = NAN};
  struct option options[FIT_ARGUMENT_OPTIONS + 28] = {
      {"at", 'a', OPTION_LIST, &a.at, "POINTS", "N=1e9,D=2e10,format=w4a4; ranges N=1e8..1e10:5log, lists D=1e9|1e10"},
      {"table", 't', OPTION_TEXT, &a.table, "FILE",
       "points from a CSV file, a row each; where it has the outcome, errors too"},
      {"table-where", 0, OPTION_TEXT, &a.table_where, "EXPR", "of --table, these rows: \"N > 1e9\""},
      {"budget", 'c', OPTION_LIST, &a.budgets, "FLOPS", "the best N and D for this compute: 1e21, C=1e20..1e22:3log"},
      {"schedule", 0, OPTION_LIST, &a.schedules, "KNOTS",
       "with a law of loss curves: the curve of a schedule, 0:0,100:3e-4,10000:3e-5 (may be given several times)"},
      {"best-schedule", 0, OPTION_TEXT, &a.best_schedule, "STEPS:PEAK[:WARMUP]",
       "the decay of least final loss among those that fall from PEAK over STEPS"},
      {"csv", 0, OPTION_FLAG, &a.csv, NULL, "the curves as CSV on standard output"},
      {"overtraining", 0, OPTION_FLAG, &a.overtraining, NULL,
       "for points: their cost next to the compute-optimal run's"},
      {"formats", 'f', OPTION_TEXT, &a.formats, "LIST",
       "which format is best, at --budget, --memory or --at: w4a4,w3a3"},
      {"memory", 0, OPTION_NUMBER, &a.memory, "BYTES", "of the counted weights, by each format's bits per weight"},
      {"bits", 0, OPTION_LIST, &a.bits, "FORMAT=BITS", "bits per weight of a format that isoloss does not know"},
      {"speed", 0, OPTION_LIST, &a.speeds, "FORMAT=X", "a format's training makes X times the FLOPs for the same cost"},
      {"inference-tokens", 0, OPTION_NUMBER, &a.inference_tokens, "T",
       "tokens to be served: the best N, D and format for --budget (both in it), --money or --loss"},
      {"loss", 0, OPTION_NUMBER, &a.loss, "L", "with --inference-tokens: the least cost at which this loss is reached"},
      {"money", 0, OPTION_NUMBER, &a.money, "M", "with --inference-tokens: the budget as money, by --price-per-hour"},
      {"serving-speed", 0, OPTION_LIST, &a.serving_speeds, "FORMAT=X",
       "serving: X times the FLOPs for the same cost, XFLOP/s, or Xtokens/s@N as measured"},
      {"flops-per-second", 0, OPTION_NUMBER, &a.flops_per_second, "F", "of training at speed 1, for seconds and money"},
      {"price-per-hour", 0, OPTION_NUMBER, &a.price_per_hour, "P", "of an hour of that machine"},
      {"cost", 0, OPTION_TEXT, &a.cost, "KIND",
       "6nd, or counted: per token as the fitted runs counted (default if known)",
       (const char *const[]){"6nd", "counted", NULL}},
      {"law", 'l', OPTION_TEXT, &a.fit.entry.law, "NAME",
       "the law to fit (default: the entry's; chinchilla on a table)"}};
  size_t count = 20;
  count += fit_arguments_options(&a.fit, OF_PREDICT, options + count);
  const struct option own[] = {{"json", 0, OPTION_FLAG, &a.json, NULL, "one JSON document on standard output"}, {0}};
  memcpy(options + count, own, sizeof own);
  const struct command_usage usage = {
      "isoloss predict SPEC.yaml[:ENTRY]|TABLE.csv|IMPORT [--at POINTS] [--budget FLOPS] [--schedule KNOTS] [options]\n"
      "       isoloss predict --law NAME --fix A=406.4 --fix ... [--at POINTS] [--budget FLOPS]",
      "The law is fitted as isoloss fit does it; the intervals come from its resamples. Two are given: the law's own (how well\n"
      "it is known) and that of a new run, which scatters about the law as the fitted rows do. What lies outside the fitted\n"
      "range is marked; beyond ten times, or where it hangs on a coefficient that the rows do not determine, these runs cannot\n"
      "tell. With --formats (or --memory alone: all formats of the fit) formats are held against each other, resample by\n"
      "resample; where the intervals of their difference hold zero, the choice is undecided.\n"
      "With --inference-tokens a model pays for its training and for the tokens that it serves, 2 N FLOPs each.",
      0, 1, "one spec, table or imported table"};
  if (command_begin(line, &usage, options)) answer(&a, line->count ? line->arguments[0] : NULL, line);
}
