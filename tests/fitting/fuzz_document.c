// Fuzz target: any text as the document of a fit. It is refused with a reason, or read into something whole that is
// written, read and written again as the same bytes.
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "tests/fitting/fuzz.h"

static void write(const struct fit_result *result, struct text *text) {
  struct json_writer writer = json_writer(text, false);
  fit_result_json(result, &writer);
}

// What reports say of it.
static void say(const struct fit_result *result) {
  struct arena arena = {0};
  struct fit_remarks remarks[FIT_REMARKS];
  size_t count = fit_remarks(&arena, result, remarks);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < remarks[i].count; k++)
      if (!remarks[i].items[k]) abort();
  for (size_t i = 0; i < result->coefficient_count; i++)
    if (!fit_coefficient_note(&arena, result, NULL, &result->coefficients[i])) abort();
  if (!fit_rows_sentence(&arena, result) || !fit_objective_sentence(&arena, result) ||
      !fit_starts_sentence(&arena, result))
    abort();
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  char *document = malloc(length + 1);
  if (!document) return 0;
  memcpy(document, bytes, length);
  document[length] = '\0';
  struct fit_result first, second;
  struct error error = {0};
  if (fit_result_read(&first, document, &error)) {
    struct text once = {0}, twice = {0};
    write(&first, &once);
    say(&first);
    if (!fit_result_read(&second, text_string(&once), &error)) abort();
    write(&second, &twice);
    if (strcmp(text_string(&once), text_string(&twice)) != 0) abort();
    fit_result_free(&second);
    text_free(&once);
    text_free(&twice);
  } else if (!error.code || !*error.text) {
    abort();
  }
  fit_result_free(&first);
  free(document);
  return 0;
}

const char *const fuzz_seeds[] = {
    "{\"name\":\"main\",\"law\":\"line\",\"formula\":\"a + b * x\",\"source\":\"t\",\"predicts\":\"y\",\"rows\":3,"
    "\"excluded\":1,\"held_out\":1,\"objective\":0.25,\"objective_kind\":\"huber:0.001\",\"residual_kind\":\"log\","
    "\"parameters\":{\"a\":{\"value\":2,\"low\":1.5,\"high\":null,\"se\":0.25,\"interval\":\"bca\","
    "\"percentile\":[1,2],\"bca\":[1.5,null],\"status\":\"fitted\",\"parameter\":\"a\",\"runner_up\":2.5},"
    "\"b[w4]\":{\"value\":-0,\"low\":null,\"high\":null,\"se\":null,\"status\":\"baseline\",\"parameter\":\"b\","
    "\"category\":\"w4\",\"runner_up\":1e300}},\"starts\":7,\"runner_up_objective\":0.5,\"stationary\":true,"
    "\"bootstrap\":10,\"confidence\":0.95,\"interval\":\"percentile\",\"derived\":{\"r\":{\"value\":1,\"low\":0,"
    "\"high\":2,\"se\":1,\"interval\":\"bca\",\"percentile\":[0,2],\"bca\":[0,2]}},\"stages\":[{\"name\":\"all\","
    "\"rows\":3,\"parameters\":2,\"objective\":0.25}],\"exclusions\":[{\"row\":\"d\",\"reason\":\"y is missing\"}],"
    "\"warnings\":[\"so \\u00e4\"],\"residuals\":[]}",
    "{\"parameters\":{\"a\":{\"value\":2},\"b\":{\"value\":3}},\"profiles\":{\"a\":{\"low\":null,\"high\":3,"
    "\"low_open\":true,\"high_open\":false,\"note\":\"not identified\",\"threshold\":0.1,\"points\":[{\"value\":1,"
    "\"objective\":2,\"ratio\":0.5}]}},\"directions\":[{\"parameter\":\"b\",\"low\":0,\"high\":null,\"low_open\":false,"
    "\"high_open\":true,\"eigenvalue\":1e-5,\"text\":\"open\"}],\"leave_out\":[{\"column\":\"x\",\"error\":0.1,"
    "\"bias\":-0.1,\"values\":[{\"value\":\"1\",\"fitted\":2,\"predicted\":1,\"error\":0.1,\"bias\":0.1,"
    "\"largest\":0.2,\"reason\":\"few\"}],\"rollout\":[{\"up_to\":\"1\",\"fitted\":2}]}],\"sensitivity\":["
    "{\"objective_kind\":\"lad\",\"parameters\":{\"a\":1,\"b\":null}}]}",
    "{\"parameters\":{\"a\":{\"value\":2}},\"trends\":[{\"column\":\"x\",\"slope_per_decade\":0.1,"
    "\"rank_correlation\":0.5,\"p\":0.01,\"significant\":true,\"spread_significant\":true}],\"influential\":["
    "{\"row\":\"r\",\"distance\":2,\"parameter\":\"a\",\"moves\":null,\"refitted\":true,\"without\":{\"a\":1}},"
    "{\"row\":\"r\",\"distance\":null,\"parameter\":\"a\",\"moves\":1.5,\"without\":{\"a\":1}}],\"outliers\":["
    "{\"row\":\"r\",\"deviations\":4},{\"row\":\"r\",\"deviations\":5}],\"residuals\":[{\"row\":\"r\",\"use\":"
    "\"fitted\",\"category\":\"w4\",\"observed\":1,\"predicted\":2,\"leverage\":null,\"distance\":1},{\"row\":\"r\","
    "\"use\":\"unused\",\"distance\":2}]}",
    "{\"parameters\":{},\"comparison\":{\"source\":\"t\",\"rows\":3,\"objective_kind\":\"lad\",\"residual_kind\":"
    "\"log\",\"held_out_by\":\"folds\",\"folds\":5,\"laws\":[{\"law\":\"line\",\"parameters\":3,\"aic\":-10.5,"
    "\"told_apart\":true,\"warnings\":[\"w\"]}],\"warnings\":[]}}",
    NULL};
