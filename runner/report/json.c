// The report's content as one JSON document, under the names of the store.
#include <math.h>
#include <string.h>

#include "base/version.h"
#include "runner/report/write.h"

static void put_value(struct json_writer *json, struct value value) {
  switch (value.kind) {
    case VALUE_NUMBER:
      json_put_number(json, value.number);
      break;
    case VALUE_BOOLEAN:
      json_put_boolean(json, value.number != 0);
      break;
    case VALUE_TEXT:
      json_put_string(json, value.text);
      break;
    case VALUE_MISSING:
      json_put_null(json);
  }
}

static void put_runs(const struct report *report, const char *key, const struct report_run *runs, size_t count,
                     struct json_writer *json) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < count; i++) {
    json_object_begin(json);
    for (int c = 0; c < report->column_count; c++) {
      json_key(json, report->columns[c]);
      put_value(json, runs[i].values[c]);
    }
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_fit(const struct report *report, const struct report_fit *fit, struct json_writer *json) {
  json_object_begin(json);
  json_key_string(json, "name", fit->name);
  json_key_string(json, "law", fit->law_name);
  json_key_string(json, "parameter_count", fit->parameter_count);
  json_key(json, "document");
  if (fit->made)
    fit_result_json(&fit->result, json);
  else
    json_put_null(json);
  json_key_number(json, "largest_error", fit->largest_error);
  json_key_number(json, "mean_error", fit->mean_error);
  json_key(json, "predicted");
  json_object_begin(json);
  for (size_t i = 0; i < report->count; i++)
    if (isfinite(fit->predicted[i]) && (fit->fitted[i] || fit->held[i]))
      json_key_number(json, report->runs[i].id, fit->predicted[i]);
  json_object_end(json);
  json_key(json, "known");
  json_array_begin(json);
  for (size_t i = 0; i < fit->known_count; i++) {
    const struct report_known *k = &fit->known[i];
    json_object_begin(json);
    json_key_string(json, "name", k->name);
    json_key_number(json, "fitted", k->fitted);
    json_key_number(json, "low", k->low);
    json_key_number(json, "high", k->high);
    json_key_number(json, "known", k->known);
    json_key_number(json, "with_known_e", k->with_known_e);
    json_key_string(json, "meaning", k->meaning);
    json_object_end(json);
  }
  json_array_end(json);
  json_object_end(json);
}

static void put_figures(const struct report *report, struct json_writer *json) {
  json_key(json, "figures");
  json_array_begin(json);
  for (size_t i = 0; i < report->figure_count; i++) {
    const struct report_figure *figure = &report->figures[i];
    json_object_begin(json);
    json_key_string(json, "name", figure->name);
    json_key_string(json, "fit", figure->fit);
    json_key_boolean(json, "drawn", figure->drawn && !figure->fault);
    json_key_string(json, "title", figure->drawn ? figure->figure.title : NULL);
    json_key_string(json, "caption", figure->drawn ? figure->figure.caption : NULL);
    json_key_string(json, "reason", figure->drawn ? figure->fault : figure->nothing);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_failures(const struct report *report, struct json_writer *json) {
  json_key(json, "failures");
  json_array_begin(json);
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (!run_state_ended_without_loss(run->state)) continue;
    json_object_begin(json);
    json_key_string(json, "id", run->id);
    json_key_string(json, "state", run_state_name(run->state));
    json_key_string(json, "message", run->message);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_states(const struct report *report, struct json_writer *json) {
  json_key(json, "states");
  json_object_begin(json);
  for (int place = 0; place < RUN_STATES; place++)
    json_key_integer(json, run_state_name(report_state(place)), (int64_t)report->states[report_state(place)]);
  json_object_end(json);
}

static void put_findings(const struct report *report, struct json_writer *json) {
  json_key(json, "findings");
  json_array_begin(json);
  for (size_t i = 0; i < report->finding_count; i++) {
    json_object_begin(json);
    json_key_boolean(json, "warning", report->findings[i].warning);
    json_key_string(json, "text", report->findings[i].text);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_isoflops(const struct report *report, struct json_writer *json) {
  json_key(json, "isoflops");
  json_array_begin(json);
  for (size_t i = 0; i < report->isoflop_count; i++) {
    const struct report_isoflop *one = &report->isoflops[i];
    json_object_begin(json);
    json_key_string(json, "name", one->name);
    if (one->trouble) json_key_string(json, "trouble", one->trouble);
    json_key(json, "isoflop");
    if (one->trouble)
      json_put_null(json);
    else
      isoflop_json(&one->result, json);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_rates(const struct report *report, struct json_writer *json) {
  json_key(json, "rates");
  json_array_begin(json);
  for (size_t i = 0; i < report->rate_count; i++) {
    const struct report_rate *rate = &report->rates[i];
    json_object_begin(json);
    json_key_string(json, "format", rate->format);
    json_key_number(json, "parameters", rate->parameters);
    json_key_number(json, "tokens", rate->tokens);
    json_key_number(json, "rate", rate->rate);
    json_key_number(json, "loss", rate->loss);
    json_key_integer(json, "tried", (int64_t)rate->tried);
    json_key_boolean(json, "edge", rate->edge);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_claims(const struct report *report, struct json_writer *json) {
  json_key(json, "claims");
  json_array_begin(json);
  for (size_t i = 0; i < report->claim_count; i++) {
    json_object_begin(json);
    json_key_string(json, "claim", report->claims[i].claim);
    json_key_string(json, "outcome", report->claims[i].outcome);
    json_key_string(json, "detail", report->claims[i].detail);
    json_object_end(json);
  }
  json_array_end(json);
}

static void put_environment(const struct report *report, struct json_writer *json) {
  json_key(json, "environment");
  json_object_begin(json);
  for (size_t i = 0; i < report->fact_count; i++) json_key_string(json, report->facts[i].name, report->facts[i].text);
  json_object_end(json);
}

void report_json(const struct report *report, const char *path, struct text *out) {
  struct json_writer json = json_writer(out, true);
  json_object_begin(&json);
  json_key_string(&json, "isoloss", ISOLOSS_VERSION);
  json_key_string(&json, "experiment", report->name);
  json_key_string(&json, "title", report->title);
  json_key_string(&json, "about", report->about);
  json_key_string(&json, "path", path);
  json_key_string(&json, "spec_path", report->spec_path);
  json_key_string(&json, "preset", report->preset);
  json_key_string(&json, "spec_text", report->spec_text);
  json_key_string(&json, "home", report->home);
  if (report->command) json_key_string(&json, "command", report->command);
  put_states(report, &json);
  json_key_string(&json, "best", report->best ? report->best->id : NULL);
  put_findings(report, &json);
  json_key(&json, "fits");
  json_array_begin(&json);
  for (size_t i = 0; i < report->fit_count; i++) put_fit(report, &report->fits[i], &json);
  json_array_end(&json);
  put_isoflops(report, &json);
  put_rates(report, &json);
  put_claims(report, &json);
  report_json_comparisons(report, &json);
  put_figures(report, &json);
  put_failures(report, &json);
  put_environment(report, &json);
  put_runs(report, "runs", report->runs, report->count, &json);
  put_runs(report, "stages", report->stages.runs, report->stages.count, &json);
  json_object_end(&json);
  text_char(out, '\n');
}
