// The JSON Schema of specs: its top level, sweeps, report and trainer. See schema.h.
#include "runner/spec/schema.h"

#include "plots/plots.h"
#include "runner/spec/schema_write.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct schema_property range[] = {
    {"log", "array", "number", .limits = {{"minItems", 3}, {"maxItems", 3}}, .description = "[first, last, count]"},
    {"linear", "array", "number", .limits = {{"minItems", 3}, {"maxItems", 3}}, .description = "[first, last, count]"},
    {"range", "array", "number", .limits = {{"minItems", 2}, {"maxItems", 3}},
     .description = "[first, last] or [first, last, step]"},
    {"seeds", "integer", .limits = {{"minimum", 1}}, .description = "0, 1, ... up to this many"},
    {"round", "number", .limits = {{"exclusiveMinimum", 0}}},
};

static const struct schema_property expression = {
    "expression", "string|number|boolean",
    .description = "an expression over fields and quantities: train.lr * (parameters / 1e5) ^ -0.5"};

static const struct schema_property sweep[] = {
    {"grid", .reference = "axes"},
    {"zip", .reference = "axes"},
    {"where", .reference = "expression"},
    {"set", .reference = "derivations"},
};

static const struct schema_property trainer[] = {
    {"command", "array", "string|number|boolean", .limits = {{"minItems", 1}},
     .description = "program and arguments; {config}, {folder}, {id} and {FIELD} are filled in"},
    {"version", "string|number", .description = "part of the runs' identity"},
};

static const struct schema_property top[] = {
    {"experiment", "string|number", .pattern = "^[A-Za-z0-9][A-Za-z0-9._-]*$", .limits = {{"maxLength", 100}},
     .description = "the experiment's name"},
    {"about", "string", .description = "what is asked, for the report"},
    {"corpus", .reference = "value:corpus"},
    {"sweep", .reference = "sweep", .repeated = true, .limits = {{"minItems", 1}},
     .description = "grids of runs, united; without it the spec is one run"},
    {"fit", .reference = "fit", .repeated = true, .limits = {{"minItems", 1}},
     .description = "laws to fit to the runs"},
    {"claims", "string", .repeated = true, .description = "expressions over runs and fits that should hold"},
    {"report", .reference = "report"},
    {"trainer", .reference = "trainer"},
};

static void put_report(struct json_writer *json) {
  struct arena arena = {0};
  size_t count = 0;
  while (plot_kinds[count].name) count++;
  const char **plots = arena_array(&arena, count, sizeof *plots);
  for (size_t i = 0; i < count; i++) plots[i] = plot_kinds[i].name;
  const struct schema_property report[] = {
      {"title", "string", .description = "the experiment's name when not given"},
      {"plots", "array", .choices = plots, .choice_count = count},
  };
  schema_object(json, &(struct schema_object){"report", .properties = report, .count = COUNT(report)});
  arena_free(&arena);
}

static void put_definitions(struct json_writer *json, const char *const *laws, size_t law_count) {
  const struct schema_object ranges = {"range", .description = "values by rule; round makes multiples of a number",
                                       .properties = range, .count = COUNT(range)};
  const struct schema_object sweeps = {"sweep", .properties = sweep, .count = COUNT(sweep)};
  const struct schema_object custom = {"trainer", "command", "a trainer of your own; the built-in one when not given",
                                       trainer, COUNT(trainer)};
  json_key(json, "$defs");
  json_object_begin(json);
  schema_field_definitions(json);
  schema_object(json, &ranges);
  schema_property(json, &expression);
  schema_fields(json, "axes", "axis", "fields and the values each takes");
  schema_fields(json, "derivations", "derived", "fields and the expressions they follow from, in order");
  schema_object(json, &sweeps);
  schema_entry_definitions(json, laws, law_count);
  put_report(json);
  schema_object(json, &custom);
  json_object_end(json);
}

void schema_json(struct text *out, const char *const *laws, size_t law_count) {
  struct json_writer writer = json_writer(out, true), *json = &writer;
  json_object_begin(json);
  json_key_string(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
  json_key_string(json, "title", "isoloss experiment spec");
  json_key_string(json, "type", "object");
  json_key_boolean(json, "additionalProperties", false);
  json_key(json, "patternProperties");
  json_object_begin(json);
  schema_property(json, &(struct schema_property){"^x-", .description = "room for anchors"});
  json_object_end(json);
  json_key(json, "properties");
  json_object_begin(json);
  for (size_t i = 0; i < COUNT(top); i++) schema_property(json, &top[i]);
  schema_fields(json, "base", "value", "fields of every run, where the sweep does not give them");
  json_object_end(json);
  put_definitions(json, laws, law_count);
  json_object_end(json);
}
