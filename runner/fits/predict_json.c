// Predictions as one JSON document.
#include <math.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

void predict_put_estimate(struct json_writer *writer, const char *key, struct estimate estimate) {
  json_key(writer, key);
  json_object_begin(writer);
  json_key_number(writer, "value", estimate.value);
  json_key_number(writer, "low", estimate.low);
  json_key_number(writer, "high", estimate.high);
  json_key_string(writer, "status", coefficient_status_name(estimate.status));
  if (estimate.hangs_on) json_key_string(writer, "hangs_on", estimate.hangs_on->name);
  json_object_end(writer);
}

void predict_put_inputs(struct json_writer *writer, const struct law_input *inputs, size_t count) {
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

static const struct outside *find_outside(const struct outside *outside, size_t count, const char *column) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(outside[i].column, column) == 0) return &outside[i];
  return NULL;
}

// How many times outside its category's own rows a point lies; NULL: within, or they are not what is left farthest.
static const struct outside *find_category(const struct outside *outside, size_t count, const char *column) {
  const struct outside *found = NULL;
  for (size_t i = 0; i < count; i++)
    if (outside[i].of && strcmp(outside[i].of, column) == 0 && (!found || outside[i].factor > found->factor))
      found = &outside[i];
  return found;
}

// For each column of the law how many times outside the fitted range, or null; for one of categories by the category's
// own range, "not seen" where no fitted row has it.
static void put_times(const struct predict_report *report, struct json_writer *writer, const struct outside *outside,
                      size_t count) {
  const struct fit_ranges *ranges = &report->fitted.ranges;
  json_key(writer, "outside");
  json_object_begin(writer);
  for (size_t i = 0; i < ranges->column_count; i++) {
    const struct outside *found = find_outside(outside, count, ranges->columns[i].column);
    json_key_number(writer, ranges->columns[i].column, found ? found->factor : NAN);
  }
  for (size_t i = 0; i < ranges->category_count; i++) {
    const char *column = ranges->categories[i].column;
    if (i && strcmp(ranges->categories[i - 1].column, column) == 0) continue;
    const struct outside *unseen = find_outside(outside, count, column), *own = find_category(outside, count, column);
    if (unseen)
      json_key_string(writer, column, "not seen");
    else
      json_key_number(writer, column, own ? own->factor : NAN);
  }
  json_object_end(writer);
}

static void put_details(struct json_writer *writer, const struct outside *outside, size_t count) {
  json_key(writer, "extrapolation");
  json_object_begin(writer);
  for (size_t i = 0; i < count; i++) {
    json_key(writer, outside[i].column);
    json_object_begin(writer);
    if (outside[i].unseen) {
      json_key_string(writer, "unseen", outside[i].unseen);
    } else {
      json_key_number(writer, "value", outside[i].value);
      json_key_number(writer, "low", outside[i].low);
      json_key_number(writer, "high", outside[i].high);
      json_key_string(writer, "side", outside[i].value > outside[i].high ? "above" : "below");
      json_key_number(writer, "factor", outside[i].factor);
      if (outside[i].category) json_key_string(writer, "of", outside[i].category);
    }
    json_object_end(writer);
  }
  json_object_end(writer);
}

// What lies outside, by column the error there of rows held back, and why these runs cannot tell, or null.
void predict_put_outside(const struct predict_report *report, struct json_writer *writer,
                         const struct estimate *estimate, const struct outside *outside, size_t count) {
  struct arena arena = {0};
  put_times(report, writer, outside, count);
  put_details(writer, outside, count);
  json_key(writer, "held_back");
  json_object_begin(writer);
  for (size_t i = 0; report->result && i < count; i++) {
    bool there;
    const struct rollout_errors *errors =
        rollout_errors_at(&report->result->rollouts, outside[i].column, outside[i].factor, &there);
    json_key(writer, outside[i].column);
    if (there)
      rollout_errors_json(errors, writer);
    else
      json_put_null(writer);
  }
  json_object_end(writer);
  json_key_string(writer, "cannot_tell", cannot_tell_sentence(&arena, estimate, outside, count, report->result));
  arena_free(&arena);
}

static void put_observed(struct json_writer *writer, const struct predict_point *point) {
  const struct prediction *p = &point->prediction;
  if (isnan(point->observed)) return;
  json_key_number(writer, "observed", point->observed);
  json_key_number(writer, "error", (p->law.value - point->observed) / fabs(point->observed));
  json_key(writer, "within_run");
  if (isnan(p->run_low) || isnan(p->run_high))
    json_put_null(writer);
  else
    json_put_boolean(writer, p->run_low <= point->observed && point->observed <= p->run_high);
}

static void put_points(const struct predict_report *report, struct json_writer *writer) {
  if (report->best.text) {
    json_key(writer, "best_schedule");
    json_object_begin(writer);
    json_key_string(writer, "schedule", report->best.text);
    json_key_number(writer, "final", report->best.loss);
    json_key_string(writer, "searched", report->best.family);
    json_key(writer, "plain");
    json_object_begin(writer);
    for (int i = 0; i < 4; i++) json_key_number(writer, report->best.plain[i].shape, report->best.plain[i].loss);
    json_object_end(writer);
    json_object_end(writer);
  }
  json_key(writer, "points");
  json_array_begin(writer);
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    json_object_begin(writer);
    if (point->name) json_key_string(writer, "row", point->name);
    predict_put_inputs(writer, point->inputs, point->input_count);
    predict_put_estimate(writer, report->law->target, point->prediction.law);
    json_key(writer, "run");
    json_object_begin(writer);
    json_key_number(writer, "low", point->prediction.run_low);
    json_key_number(writer, "high", point->prediction.run_high);
    json_object_end(writer);
    put_observed(writer, point);
    predict_put_outside(report, writer, &point->prediction.law, point->prediction.outside,
                        point->prediction.outside_count);
    if (point->prediction.missing) json_key_string(writer, "missing", point->prediction.missing);
    if (point->has_cost) {
      json_key(writer, "overtraining");
      json_object_begin(writer);
      json_key_number(writer, "flops", point->cost.flops);
      predict_put_estimate(writer, "optimal_loss", point->cost.optimal_loss);
      predict_put_estimate(writer, "optimal_flops", point->cost.optimal_flops);
      predict_put_estimate(writer, "cost_ratio", point->cost.cost_ratio);
      json_object_end(writer);
    }
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_score(const struct predict_report *report, struct json_writer *writer) {
  const struct prediction_score *score = &report->score;
  if (!score->rows) return;
  json_key(writer, "score");
  json_object_begin(writer);
  json_key_integer(writer, "rows", (int64_t)score->rows);
  json_key_integer(writer, "fitted", (int64_t)score->fitted);
  json_key_number(writer, "mean_error", score->mean_error);
  json_key_number(writer, "mean_absolute_error", score->mean_absolute);
  json_key_number(writer, "rms", score->rms);
  json_key_number(writer, "largest", score->largest);
  json_key_number(writer, "r2", score->r_squared);
  json_key_integer(writer, "judged", (int64_t)score->judged);
  json_key_integer(writer, "held", (int64_t)score->held);
  json_object_end(writer);
}

static void put_allocations(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "allocations");
  json_array_begin(writer);
  for (size_t i = 0; i < report->allocation_count; i++) {
    const struct predict_allocation *made = &report->allocations[i];
    json_object_begin(writer);
    json_key_number(writer, "flops", made->allocation.flops);
    predict_put_inputs(writer, made->inputs, made->input_count);
    predict_put_estimate(writer, "parameters", made->allocation.parameters);
    predict_put_estimate(writer, "tokens", made->allocation.tokens);
    predict_put_estimate(writer, "tokens_per_parameter", made->allocation.tokens_per_parameter);
    predict_put_estimate(writer, report->law->target, made->allocation.loss);
    json_key_number(writer, "without_minimum", made->allocation.unbounded);
    predict_put_outside(report, writer, predict_loosest(&made->allocation), made->outside, made->outside_count);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_candidates(const struct predict_report *report, const struct predict_contest *contest,
                           struct json_writer *writer) {
  json_key(writer, "candidates");
  json_array_begin(writer);
  for (size_t k = 0; k < contest->count; k++) {
    const struct predict_format *format = &contest->formats[k];
    json_object_begin(writer);
    json_key_string(writer, "format", format->name);
    json_key_number(writer, "bits_per_weight", format->bits);
    predict_put_estimate(writer, "parameters", format->parameters);
    predict_put_estimate(writer, "tokens", format->tokens);
    predict_put_estimate(writer, report->law->target, format->loss);
    predict_put_estimate(writer, "behind", contest->alternatives[k].behind);
    json_key_number(writer, "share_best", contest->alternatives[k].share_best);
    predict_put_outside(report, writer, &format->loss, format->outside, format->outside_count);
    if (format->missing) json_key_string(writer, "missing", format->missing);
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
    predict_put_inputs(writer, contest->inputs, contest->input_count);
    json_key_string(writer, "best",
                    contest->best < 0 || contest->cannot_tell ? NULL : contest->formats[contest->best].name);
    json_key_boolean(writer, "decided", contest->decided);
    json_key_string(writer, "cannot_tell", contest->cannot_tell);
    put_candidates(report, contest, writer);
    json_object_end(writer);
  }
  json_array_end(writer);
}

static void put_coefficients(const struct predict_report *report, struct json_writer *writer) {
  json_key(writer, "parameters");
  json_object_begin(writer);
  for (size_t i = 0; i < report->fitted.coefficient_count; i++)
    json_key_number(writer, report->fitted.coefficients[i].name, report->fitted.coefficients[i].value);
  json_object_end(writer);
  json_key(writer, "status");
  json_object_begin(writer);
  for (size_t i = 0; i < report->fitted.coefficient_count; i++)
    json_key_string(writer, report->fitted.coefficients[i].name,
                    coefficient_status_name(report->fitted.coefficients[i].status));
  json_object_end(writer);
  json_key(writer, "fitted_range");
  json_object_begin(writer);
  for (size_t i = 0; i < report->fitted.ranges.column_count; i++) {
    json_key(writer, report->fitted.ranges.columns[i].column);
    json_array_begin(writer);
    json_put_number(writer, report->fitted.ranges.columns[i].low);
    json_put_number(writer, report->fitted.ranges.columns[i].high);
    json_array_end(writer);
  }
  json_object_end(writer);
}

void predict_json(const struct predict_report *report, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "law", report->law->name);
  json_key_string(writer, "formula", report->law->formula_text);
  json_key_string(writer, "predicts", report->law->target);
  json_key_string(writer, "source", report->source);
  if (report->own_result.by) {
    json_key(writer, "by");
    json_object_begin(writer);
    json_key_string(writer, "column", report->own_result.by);
    json_key_string(writer, "value", report->own_result.part);
    json_object_end(writer);
  }
  json_key_integer(writer, "rows", report->result ? (int64_t)report->result->rows : 0);
  json_key_integer(writer, "bootstrap", (int64_t)report->fitted.replicate_count);
  json_key_number(writer, "confidence", report->fitted.confidence);
  if (report->fitted.replicate_count) json_key_string(writer, "interval", interval_kind_name(report->fitted.interval));
  json_key_string(writer, "cost", report->fitted.cost.count ? "counted" : "6nd");
  put_coefficients(report, writer);
  put_points(report, writer);
  put_score(report, writer);
  put_allocations(report, writer);
  put_contests(report, writer);
  predict_serving_json(report, writer);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; report->result && i < report->result->warning_count; i++)
    json_put_string(writer, report->result->warnings[i]);
  json_array_end(writer);
  json_object_end(writer);
}
