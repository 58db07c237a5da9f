// Models to train and serve: for people, and as JSON.
#include <math.h>
#include <string.h>

#include "runner/fits/predict_internal.h"
#include "runner/terminal/table.h"

static const char *short_number(struct arena *arena, double value, int digits) {
  return isnan(value) ? "-" : arena_format(arena, "%.*g", digits, value);
}

static const char *with_interval(struct arena *arena, struct estimate e, int digits) {
  const char *value = short_number(arena, e.value, digits);
  if (e.status == COEFFICIENT_UNIDENTIFIED) return arena_format(arena, "(%s)", value);
  if (isnan(e.low) && isnan(e.high)) return value;
  return arena_format(arena, "%s (%s .. %s)", value, short_number(arena, e.low, digits),
                      short_number(arena, e.high, digits));
}

// How far behind the best: a difference of losses, or a ratio of costs.
static const char *behind_text(const struct predict_serve *serve, size_t i, struct arena *arena) {
  const struct estimate *behind = &serve->alternatives[i].behind;
  bool cost = isnan(serve->budget);
  double low = cost ? exp(behind->low) : behind->low, high = cost ? exp(behind->high) : behind->high;
  if (serve->cannot_tell) return "";
  if ((int)i == serve->best) return "best";
  if (isnan(low) || isnan(high))
    return arena_format(arena, "%s%.4g", cost ? "x " : "", cost ? exp(behind->value) : behind->value);
  return arena_format(arena, "%s%.4g .. %.4g", cost ? "x " : "", low, high);
}

static void add_candidate(const struct predict_report *report, const struct predict_serve *serve, size_t i,
                          struct arena *arena, struct text_table *table, struct text *lines) {
  const struct predict_served *one = &serve->candidates[i];
  const struct served *served = &one->served;
  char memory[32], time[32];
  if (one->name) text_table_cell(table, "%s", one->name);
  text_table_cell(table, "%s", short_number(arena, one->bits, 4));
  if (one->missing) {
    predict_add_line(lines, 4, arena_format(arena, "%s: %s", one->name, one->missing));
    for (int empty = 0; empty < 5 + !isnan(one->seconds); empty++) text_table_cell(table, "%s", "");
    return;
  }
  text_table_cell(table, "%s", with_interval(arena, served->parameters, 4));
  text_table_cell(table, "%s", with_interval(arena, served->tokens, 4));
  text_table_cell(table, "%s", with_interval(arena, served->loss, 5));
  text_table_cell(table, "%s", with_interval(arena, served->cost, 4));
  text_table_cell(table, "%.0f %%", 100 * served->serving_flops / one->serving_speed / one->cost);
  text_table_cell(table, "%s%s", isnan(one->memory) ? "-" : bytes_human(one->memory, memory),
                  served->at_limit ? ", full" : "");
  if (!isnan(report->arguments->flops_per_second)) text_table_cell(table, "%s", seconds_human(one->seconds, time));
  if (!isnan(one->money)) text_table_cell(table, "%.4g", one->money);
  if (serve->count > 1) text_table_cell(table, "%s", behind_text(serve, i, arena));
  struct text own = {0};
  predict_add_standing(report, arena, &served->parameters, one->outside, one->outside_count, 4, &own);
  if (own.length && one->name) predict_add_line(lines, 4, arena_format(arena, "%s:", one->name));
  text_format(lines, "%s", text_string(&own));
  text_free(&own);
  if (served->unbounded > 0)
    predict_add_line(lines, 4,
                     arena_format(arena, "in %.1f %% of the resamples there is no best size", 100 * served->unbounded));
  if (!isnan(served->plain_cost) && !one->far)
    predict_add_line(
        lines, 4,
        arena_format(arena,
                     "%s%sthe size that training alone would choose for this loss is %.4g; trained and served it "
                     "costs %.4g times as much",
                     one->name ? one->name : "", one->name ? ": " : "", served->plain_parameters,
                     served->plain_cost / served->cost.value));
}

static void print_verdict(const struct predict_report *report, const struct predict_serve *serve, struct text *lines,
                          struct arena *arena) {
  const char *what = isnan(serve->budget) ? "least cost" : arena_format(arena, "least %s", report->law->target);
  if (serve->count > 1 && serve->cannot_tell)
    predict_add_line(lines, 4, serve->cannot_tell);
  else if (serve->count > 1 && serve->best >= 0 && serve->decided)
    predict_add_line(lines, 4,
                     arena_format(arena, "%s wins: it has the %s at %g %% confidence",
                                  serve->candidates[serve->best].name, what, 100 * report->fitted.confidence));
  else if (serve->count > 1 && serve->best >= 0)
    predict_add_line(
        lines, 4,
        arena_format(arena, "undecided: %s has the %s, %s", serve->candidates[serve->best].name, what,
                     report->fitted.replicate_count ? "but the resamples do not agree on it"
                                                    : "and without resamples there is no saying how surely"));
}

static void print_serve(const struct predict_report *report, const struct predict_serve *serve, struct arena *arena,
                        FILE *out) {
  const struct predict_arguments *a = report->arguments;
  struct text_table table = {.gap = 2, .indent = 4};
  struct text lines = {0};
  const struct text_column columns[] = {{"bits", .right = true},    {"N"},    {"D"},
                                        {report->law->target},      {"cost"}, {"of it serving", .right = true},
                                        {"weights", .right = true}, {0}};
  if (isnan(serve->budget))
    fprintf(out, "\n  the least cost for %s = %.6g and %.4g tokens served\n", report->law->target, serve->loss,
            a->inference_tokens);
  else
    fprintf(out, "\n  the least %s for %.6g FLOPs of training and serving and %.4g tokens served\n",
            report->law->target, serve->budget, a->inference_tokens);
  if (serve->candidates[0].name) text_table_column(&table, (struct text_column){report->format_column});
  text_table_columns(&table, columns);
  if (!isnan(a->flops_per_second)) text_table_column(&table, (struct text_column){"time", .right = true});
  if (!isnan(a->price_per_hour)) text_table_column(&table, (struct text_column){"money", .right = true});
  if (serve->count > 1) text_table_column(&table, (struct text_column){"behind the best"});
  for (size_t i = 0; i < serve->count; i++) add_candidate(report, serve, i, arena, &table, &lines);
  print_verdict(report, serve, &lines, arena);
  text_table_print(&table, out);
  fputs(text_string(&lines), out);
  text_table_free(&table);
  text_free(&lines);
}

void predict_serving_print(const struct predict_report *report, FILE *out) {
  struct arena arena = {0};
  if (!report->serve_count) return;
  fprintf(out,
          "\n  training costs %s FLOPs, serving 2 N for each token; the cost is in FLOPs of training at speed 1%s\n",
          report->fitted.cost.count ? "counted" : "6 N D",
          report->arguments->serving_speeds.count || report->arguments->speeds.count ? ""
                                                                                     : "; all at speed 1, as no other "
                                                                                       "is given");
  if (!report->serves[0].candidates[0].name) fprintf(out, "  16 bits a weight, as no format is named\n");
  const size_t used = report->serves[0].candidates[0].served.fitted.replicate_count;
  if (used && used < report->fitted.replicate_count) fprintf(out, "  intervals are quantiles of %zu resamples\n", used);
  for (size_t i = 0; i < report->serve_count; i++) print_serve(report, &report->serves[i], &arena, out);
  arena_free(&arena);
}

static void put_candidate(const struct predict_report *report, const struct predict_serve *serve, size_t i,
                          struct json_writer *writer) {
  const struct predict_served *one = &serve->candidates[i];
  const struct served *served = &one->served;
  json_object_begin(writer);
  json_key_string(writer, "format", one->name);
  json_key_string(writer, "missing", one->missing);
  json_key_number(writer, "bits_per_weight", one->bits);
  json_key_number(writer, "training_speed", one->training_speed);
  json_key_number(writer, "serving_speed", one->serving_speed);
  if (!one->missing) {
    predict_put_estimate(writer, "parameters", served->parameters);
    predict_put_estimate(writer, "tokens", served->tokens);
    predict_put_estimate(writer, report->law->target, served->loss);
    predict_put_estimate(writer, "cost", served->cost);
    json_key_number(writer, "training_flops", served->training_flops);
    json_key_number(writer, "serving_flops", served->serving_flops);
    json_key_number(writer, "weight_bytes", one->memory);
    json_key_number(writer, "seconds", one->seconds);
    json_key_number(writer, "money", one->money);
    json_key_number(writer, "without_minimum", served->unbounded);
    json_key_boolean(writer, "memory_is_full", served->at_limit);
    json_key_number(writer, "parameters_of_training_alone", served->plain_parameters);
    json_key_number(writer, "cost_of_training_alone", served->plain_cost);
    predict_put_estimate(writer, isnan(serve->budget) ? "log_cost_behind" : "behind", serve->alternatives[i].behind);
    json_key_number(writer, "share_best", serve->alternatives[i].share_best);
    predict_put_outside(report, writer, &served->parameters, one->outside, one->outside_count);
  }
  json_object_end(writer);
}

void predict_serving_json(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "serving");
  json_array_begin(writer);
  for (size_t s = 0; s < report->serve_count; s++) {
    const struct predict_serve *serve = &report->serves[s];
    json_object_begin(writer);
    json_key_number(writer, "budget", serve->budget);
    json_key_number(writer, "loss_wanted", serve->loss);
    json_key_number(writer, "inference_tokens", report->arguments->inference_tokens);
    predict_put_inputs(writer, serve->inputs, serve->input_count);
    bool told = serve->best >= 0 && !serve->cannot_tell;
    json_key_string(writer, "best", told ? serve->candidates[serve->best].name : NULL);
    json_key_boolean(writer, "decided", serve->decided);
    json_key_string(writer, "cannot_tell", serve->cannot_tell);
    json_key(writer, "candidates");
    json_array_begin(writer);
    for (size_t i = 0; i < serve->count; i++) put_candidate(report, serve, i, writer);
    json_array_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
}
