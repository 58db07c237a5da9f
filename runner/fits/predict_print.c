// Predictions for people and as one JSON document.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

// ---- for people ----

// Digits enough to tell losses apart; sizes in four.
static const char *number(double value, int digits, char out[40]) {
  if (isnan(value))
    snprintf(out, 40, "-");
  else
    snprintf(out, 40, "%.*g", digits, value);
  return out;
}

static const char *interval(double low, double high, int digits, char out[90]) {
  char a[40], b[40];
  if (isnan(low))
    out[0] = '\0';
  else
    snprintf(out, 90, "%s .. %s", number(low, digits, a), number(high, digits, b));
  return out;
}

static void print_input(const struct law_input *input, FILE *out) {
  char text[40];
  fprintf(out, "%s = %s", input->name,
          input->value.kind == VALUE_TEXT ? input->value.text : number(input->value.number, 6, text));
}

static void print_outside(const struct outside *outside, size_t count, const char *indent, FILE *out) {
  char value[40], low[40], high[40], factor[40];
  for (size_t i = 0; i < count; i++) {
    const struct outside *o = &outside[i];
    fprintf(out, "%sextrapolated: %s = %s lies ", indent, o->column, number(o->value, 4, value));
    if (!isnan(o->factor))
      fprintf(out, "%s times %s the fitted range (%s .. %s)\n", number(o->factor, 3, factor),
              o->value > o->high ? "above" : "below", number(o->low, 3, low), number(o->high, 3, high));
    else
      fprintf(out, "outside the fitted range (%s .. %s)\n", number(o->low, 3, low), number(o->high, 3, high));
  }
}

static void print_head(const struct predict_report *report, FILE *out) {
  fprintf(out, "%s: %s = %s\n", report->law->name, report->law->target, report->law->formula_text);
  if (report->result) {
    fprintf(out, "  fitted to %zu rows of %s", report->result->rows, report->source);
    if (report->fitted.replicate_count)
      fprintf(out, "; %g %% intervals%s from %zu resamples", 100 * report->fitted.confidence,
              report->fitted.interval == INTERVAL_BCA ? " (BCa)"
              : report->fitted.interval == INTERVAL_T ? " (Student's t)"
                                                      : "",
              report->fitted.replicate_count);
    fprintf(out, "\n");
  } else {
    fprintf(out, "  with coefficients as given; without resamples there are no intervals\n");
  }
  for (size_t i = 0; i < report->default_count; i++)
    fprintf(out, "%s%s = %s%s", i ? ", " : "  taken where nothing is said: ", report->defaults[i].column,
            report->defaults[i].value, i + 1 < report->default_count ? "" : "\n");
}

static void print_points(const struct predict_report *report, FILE *out) {
  char a[40], b[90], c[90];
  fprintf(out, "\n  %-12s %-24s %-24s at\n", report->law->target, report->fitted.replicate_count ? "of the law" : "",
          report->fitted.scatter_count ? "of a run" : "");
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    const struct prediction *p = &point->prediction;
    fprintf(out, "  %-12s %-24s %-24s ", number(p->law.value, 6, a), interval(p->law.low, p->law.high, 5, b),
            interval(p->run_low, p->run_high, 5, c));
    if (point->name) fprintf(out, "%s: ", point->name);
    size_t shown = 0;
    for (size_t k = 0; k < point->input_count; k++) {
      fprintf(out, "%s", shown++ ? ", " : "");
      print_input(&point->inputs[k], out);
    }
    fprintf(out, "\n");
    if (p->missing) fprintf(out, "      no prediction: %s\n", p->missing);
    print_outside(p->outside, p->outside_count, "      ", out);
    if (!point->has_cost) continue;
    const struct overtraining *o = &point->cost;
    fprintf(out, "      costs %s FLOPs, %s times (%s) the compute-optimal run of this loss;\n", number(o->flops, 4, a),
            number(o->cost_ratio.value, 4, c), interval(o->cost_ratio.low, o->cost_ratio.high, 4, b));
    fprintf(out, "      the best loss at its cost is %s\n", number(o->optimal_loss.value, 6, a));
  }
}

static void print_cost(const struct predict_report *report, FILE *out) {
  if (report->fitted.cost.count)
    fprintf(out, "  FLOPs per token as the fitted runs counted them, interpolated over N\n");
  else
    fprintf(out, "  C = 6 N D\n");
}

static void print_estimate(const char *name, struct estimate estimate, int digits, FILE *out) {
  char a[40], b[90];
  fprintf(out, "    %-24s %-12s %s\n", name, number(estimate.value, digits, a),
          interval(estimate.low, estimate.high, digits > 4 ? 5 : 4, b));
}

static void print_allocations(const struct predict_report *report, FILE *out) {
  char text[40];
  fprintf(out, "\n  the least %s for a budget\n", report->law->target);
  print_cost(report, out);
  for (size_t i = 0; i < report->allocation_count; i++) {
    const struct predict_allocation *made = &report->allocations[i];
    const struct allocation *a = &made->allocation;
    fprintf(out, "\n  C = %s FLOPs", number(a->flops, 6, text));
    for (size_t k = 0; k < made->input_count; k++) {
      fprintf(out, ", ");
      print_input(&made->inputs[k], out);
    }
    fprintf(out, "\n");
    print_estimate("parameters (N)", a->parameters, 4, out);
    print_estimate("tokens (D)", a->tokens, 4, out);
    print_estimate("tokens per parameter", a->tokens_per_parameter, 4, out);
    print_estimate(report->law->target, a->loss, 6, out);
    print_outside(made->outside, made->outside_count, "    ", out);
    if (a->unbounded >= 1)
      fprintf(out, "    the law has no best size here: its loss falls to the end of the range\n");
    else if (a->unbounded > 0)
      fprintf(out, "    in %.1f %% of the resamples the law has no best size\n", 100 * a->unbounded);
  }
}

static void print_contest(const struct predict_report *report, const struct predict_contest *contest, FILE *out) {
  char a[40], b[90], c[40], d[40], e[40], f[90];
  fprintf(out, "\n  %s\n", contest->what);
  fprintf(out, "    %-22s %8s %10s %10s %10s  %-22s %-24s %s\n", report->format_column, "bits", "N", "D",
          report->law->target, "", "behind the best", "best in");
  for (size_t i = 0; i < contest->count; i++) {
    const struct predict_format *format = &contest->formats[i];
    const struct alternative *one = &contest->alternatives[i];
    if (format->missing) {
      fprintf(out, "    %-22s %s\n", format->name, format->missing);
      continue;
    }
    fprintf(out, "    %-22s %8s %10s %10s %10s  %-22s ", format->name, number(format->bits, 4, a),
            number(format->parameters.value, 4, c), number(format->tokens.value, 4, d),
            number(format->loss.value, 5, e), interval(format->loss.low, format->loss.high, 5, b));
    if ((int)i == contest->best)
      fprintf(out, "%-24s ", "best");
    else if (!isnan(one->behind.low))
      fprintf(out, "%-24s ", interval(one->behind.low, one->behind.high, 3, f));
    else
      fprintf(out, "%-24s ", number(one->behind.value, 3, a));
    if (!isnan(one->share_best)) fprintf(out, "%.1f %%", 100 * one->share_best);
    fprintf(out, "%s\n",
            format->at_limit && !isnan(contest->memory) && !isnan(contest->flops) ? "  (memory is full)" : "");
  }
  if (contest->best < 0)
    fprintf(out, "    no format has a %s here\n", report->law->target);
  else if (contest->decided)
    fprintf(out, "    %s wins: it is better than every other one at %g %% confidence\n",
            contest->formats[contest->best].name, 100 * report->fitted.confidence);
  else
    fprintf(out, "    undecided: %s has the lowest %s%s\n", contest->formats[contest->best].name, report->law->target,
            report->fitted.replicate_count ? ", but the resamples do not agree on it"
                                           : ", and without resamples there is no telling how surely");
}

void predict_print(const struct predict_report *report, FILE *out) {
  print_head(report, out);
  if (report->point_count) print_points(report, out);
  if (report->allocation_count) print_allocations(report, out);
  bool cost = false;
  for (size_t i = 0; i < report->contest_count; i++) cost |= !isnan(report->contests[i].flops);
  if (report->contest_count) {
    fprintf(out,
            "\n  formats against each other; bits are those of a weight, memory that of the counted weights alone\n");
    if (cost) print_cost(report, out);
  }
  for (size_t i = 0; i < report->contest_count; i++) print_contest(report, &report->contests[i], out);
  for (size_t i = 0; report->result && i < report->result->warning_count; i++)
    fprintf(out, "%s  warning: %s\n", i ? "" : "\n", report->result->warnings[i]);
}

// ---- JSON ----

static void put_estimate(struct json_writer *writer, const char *key, struct estimate estimate) {
  json_key(writer, key);
  json_object_begin(writer);
  json_key_number(writer, "value", estimate.value);
  json_key_number(writer, "low", estimate.low);
  json_key_number(writer, "high", estimate.high);
  json_object_end(writer);
}

static void put_inputs(struct json_writer *writer, const struct law_input *inputs, size_t count) {
  json_key(writer, "at");
  json_object_begin(writer);
  for (size_t i = 0; i < count; i++) {
    if (inputs[i].value.kind == VALUE_TEXT)
      json_key_string(writer, inputs[i].name, inputs[i].value.text);
    else
      json_key_number(writer, inputs[i].name, inputs[i].value.number);
  }
  json_object_end(writer);
}

static void put_outside(struct json_writer *writer, const struct outside *outside, size_t count) {
  json_key(writer, "extrapolation");
  json_object_begin(writer);
  for (size_t i = 0; i < count; i++) {
    json_key(writer, outside[i].column);
    json_object_begin(writer);
    json_key_number(writer, "value", outside[i].value);
    json_key_number(writer, "low", outside[i].low);
    json_key_number(writer, "high", outside[i].high);
    json_key_string(writer, "side", outside[i].value > outside[i].high ? "above" : "below");
    json_key_number(writer, "factor", outside[i].factor);
    json_object_end(writer);
  }
  json_object_end(writer);
}

static void put_points(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "points");
  json_array_begin(writer);
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    json_object_begin(writer);
    if (point->name) json_key_string(writer, "row", point->name);
    put_inputs(writer, point->inputs, point->input_count);
    put_estimate(writer, report->law->target, point->prediction.law);
    json_key(writer, "run");
    json_object_begin(writer);
    json_key_number(writer, "low", point->prediction.run_low);
    json_key_number(writer, "high", point->prediction.run_high);
    json_object_end(writer);
    put_outside(writer, point->prediction.outside, point->prediction.outside_count);
    if (point->prediction.missing) json_key_string(writer, "missing", point->prediction.missing);
    if (point->has_cost) {
      json_key(writer, "overtraining");
      json_object_begin(writer);
      json_key_number(writer, "flops", point->cost.flops);
      put_estimate(writer, "optimal_loss", point->cost.optimal_loss);
      put_estimate(writer, "optimal_flops", point->cost.optimal_flops);
      put_estimate(writer, "cost_ratio", point->cost.cost_ratio);
      json_object_end(writer);
    }
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_allocations(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "allocations");
  json_array_begin(writer);
  for (size_t i = 0; i < report->allocation_count; i++) {
    const struct predict_allocation *made = &report->allocations[i];
    json_object_begin(writer);
    json_key_number(writer, "flops", made->allocation.flops);
    put_inputs(writer, made->inputs, made->input_count);
    put_estimate(writer, "parameters", made->allocation.parameters);
    put_estimate(writer, "tokens", made->allocation.tokens);
    put_estimate(writer, "tokens_per_parameter", made->allocation.tokens_per_parameter);
    put_estimate(writer, report->law->target, made->allocation.loss);
    json_key_number(writer, "without_minimum", made->allocation.unbounded);
    put_outside(writer, made->outside, made->outside_count);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_contests(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "formats");
  json_array_begin(writer);
  for (size_t i = 0; i < report->contest_count; i++) {
    const struct predict_contest *contest = &report->contests[i];
    json_object_begin(writer);
    json_key_number(writer, "flops", contest->flops);
    json_key_number(writer, "memory", contest->memory);
    put_inputs(writer, contest->inputs, contest->input_count);
    json_key_string(writer, "best", contest->best < 0 ? NULL : contest->formats[contest->best].name);
    json_key_boolean(writer, "decided", contest->decided);
    json_key(writer, "candidates");
    json_array_begin(writer);
    for (size_t k = 0; k < contest->count; k++) {
      const struct predict_format *format = &contest->formats[k];
      json_object_begin(writer);
      json_key_string(writer, "format", format->name);
      json_key_number(writer, "bits_per_weight", format->bits);
      put_estimate(writer, "parameters", format->parameters);
      put_estimate(writer, "tokens", format->tokens);
      put_estimate(writer, report->law->target, format->loss);
      put_estimate(writer, "behind", contest->alternatives[k].behind);
      json_key_number(writer, "share_best", contest->alternatives[k].share_best);
      if (format->missing) json_key_string(writer, "missing", format->missing);
      json_object_end(writer);
    }
    json_array_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
}

void predict_json(const struct predict_report *report, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "law", report->law->name);
  json_key_string(writer, "formula", report->law->formula_text);
  json_key_string(writer, "predicts", report->law->target);
  json_key_string(writer, "source", report->source);
  json_key_integer(writer, "rows", report->result ? (int64_t)report->result->rows : 0);
  json_key_integer(writer, "bootstrap", (int64_t)report->fitted.replicate_count);
  json_key_number(writer, "confidence", report->fitted.confidence);
  if (report->fitted.replicate_count) json_key_string(writer, "interval", interval_kind_name(report->fitted.interval));
  json_key_string(writer, "cost", report->fitted.cost.count ? "counted" : "6nd");
  json_key(writer, "parameters");
  json_object_begin(writer);
  for (size_t i = 0; i < report->fitted.coefficient_count; i++)
    json_key_number(writer, report->fitted.coefficients[i].name, report->fitted.coefficients[i].value);
  json_object_end(writer);
  json_key(writer, "fitted_range");
  json_object_begin(writer);
  for (size_t i = 0; i < report->fitted.range_count; i++) {
    json_key(writer, report->fitted.ranges[i].name);
    json_array_begin(writer);
    json_put_number(writer, report->fitted.ranges[i].low);
    json_put_number(writer, report->fitted.ranges[i].high);
    json_array_end(writer);
  }
  json_object_end(writer);
  put_points(report, writer);
  put_allocations(report, writer);
  put_contests(report, writer);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; report->result && i < report->result->warning_count; i++)
    json_put_string(writer, report->result->warnings[i]);
  json_array_end(writer);
  json_object_end(writer);
}
