// The JSON Schema of specs: its top level, sweeps, report and trainer. See schema.h.
#include "runner/spec/schema.h"

#include <string.h>

#include "kernels/formats/parse.h"
#include "plots/plots.h"
#include "runner/spec/keys.h"
#include "runner/spec/schema_write.h"

static const struct schema_property expression = {
    "expression", "string|number|boolean", .limits = {{"minLength", 1}},
    .description = "an expression over fields and quantities: train.lr * (parameters / 1e5) ^ -0.5"};

static const struct schema_property number_text = {
    "number_text", "string", .pattern = "^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?$",
    .description = "a number that a reader of YAML 1.1 takes for text: 1e6"};

// A format as a mapping (trainer/format_mapping.c reads it).
static void put_formats(struct json_writer *json) {
  static const struct schema_property operand[] = {{"recipe", .choices = recipe_words, .choice_count = RECIPES},
                                                   {"sparsity", "string|null"},
                                                   {"grid", "string|null"},
                                                   {"scale", "string"},
                                                   {"per", "string"},
                                                   {"scale_type", "string"},
                                                   {"rounding", "string"},
                                                   {"hadamard", "string|number|boolean|null"},
                                                   {"estimator", "string"}};
  static const struct schema_property mapping[] = {
      {"weights", "string|null", .or_reference = "format_operand"},
      {"activations", "string|null", .or_reference = "format_operand"},
      {"gradients", "string|null", .or_reference = "format_operand"},
      {"backward", .choices = backward_words, .choice_count = 3},
      {"token_hadamard", "boolean"},
      {"layers", "string", .repeated = true},
      {"after", "number", .limits = {{"minimum", 0}, {"maximum", 1}},
       .description = "share of the steps in full precision, before the format `then`"},
      {"then", "string|null", .or_reference = "format"}};
  schema_object(json, &(struct schema_object){"format_operand", NULL, "what one operand becomes", operand, 9});
  schema_object(
      json, &(struct schema_object){"format", NULL,
                                    "a format, operand by operand, or one that begins later: {after: 0.9, then: w4a4}",
                                    mapping, 8});
}

static void put_report(struct json_writer *json) {
  struct arena arena = {0};
  size_t count = 0;
  while (plot_kinds[count].name) count++;
  const char **plots = arena_array(&arena, count, sizeof *plots);
  for (size_t i = 0; i < count; i++) plots[i] = plot_kinds[i].name;
  struct schema_property *report = arena_array(&arena, spec_report_keys.count, sizeof *report);
  for (size_t i = 0; i < spec_report_keys.count; i++) {
    report[i] = spec_report_keys.properties[i];
    if (strcmp(report[i].key, "plots") != 0) continue;
    report[i].choices = plots;
    report[i].choice_count = count;
  }
  schema_object(json, &(struct schema_object){"report", .properties = report, .count = spec_report_keys.count});
  arena_free(&arena);
}

static void put_definitions(struct json_writer *json, const char *const *laws, size_t law_count) {
  const struct schema_object ranges = {"range", .description = "values by rule; round makes multiples of a number",
                                       .properties = spec_range_keys.properties, .count = spec_range_keys.count};
  const struct schema_object sweeps = {"sweep", .properties = spec_sweep_keys.properties,
                                       .count = spec_sweep_keys.count};
  const struct schema_object custom = {"trainer", "command", "a custom trainer; the built-in one when not given",
                                       spec_trainer_keys.properties, spec_trainer_keys.count};
  const struct schema_object limits = {"run",
                                       .description = "limits on each run, halving, Slurm; no part of its identity",
                                       .properties = spec_run_keys.properties, .count = spec_run_keys.count};
  const struct schema_object halving = {"halving", "over|at",
                                        "the worst of runs that differ in these axes alone are stopped on the way",
                                        spec_halving_keys.properties, spec_halving_keys.count};
  const struct schema_object slurm = {"slurm", .description = "how isoloss run --executor slurm submits",
                                      .properties = spec_slurm_keys.properties, .count = spec_slurm_keys.count};
  const struct schema_property share = {
      "share", "number|string",
      .pattern = "^([0-9]*[.]?[0-9]+ */ *[0-9]*[.]?[0-9]+|0?[.][0-9]+([eE]-?[0-9]+)?|[0-9]+[eE]-[0-9]+)$",
      .limits = {{"exclusiveMinimum", 0}, {"exclusiveMaximum", 1}}};
  const struct schema_object comparison = {"comparison", "a|b", "two selections of the experiment's runs",
                                           spec_comparison_keys.properties, spec_comparison_keys.count};
  const struct schema_property claim = {"claim", "string|number|boolean", .or_reference = "matched_claim"};
  const struct schema_object matched = {"matched_claim", "claim|match_on",
                                        "two groups of runs compared at equal loss or compute",
                                        spec_claim_keys.properties, spec_claim_keys.count};
  const struct schema_object own_field = {"own_field", .properties = spec_own_field_keys.properties,
                                          .count = spec_own_field_keys.count};
  const struct schema_object own_fields = {"fields", .others = "^[A-Za-z]", .other_reference = "own_field"};
  const struct schema_object preset = {"preset", .description = "what it changes, laid over the spec by path",
                                       .properties = spec_preset_keys.properties, .count = spec_preset_keys.count};
  const struct schema_object presets = {"presets", .others = "^[A-Za-z0-9]", .other_reference = "preset"};
  const struct schema_property own = {"own", .description = "a field that the spec declares under fields"};
  json_key(json, "$defs");
  json_object_begin(json);
  schema_object(json, &own_field);
  schema_object(json, &own_fields);
  schema_object(json, &preset);
  schema_object(json, &presets);
  schema_property(json, &own);
  schema_field_definitions(json);
  schema_object(json, &ranges);
  schema_property(json, &expression);
  schema_property(json, &number_text);
  put_formats(json);
  schema_fields(json, "axes", "axis", "fields and the values each takes");
  schema_fields(json, "derivations", "derived", "fields and the expressions they follow from, in order");
  schema_object(json, &sweeps);
  schema_stages(json);
  schema_entry_definitions(json, laws, law_count);
  schema_object(json, &comparison);
  schema_property(json, &claim);
  schema_object(json, &matched);
  put_report(json);
  schema_object(json, &custom);
  schema_object(json, &limits);
  schema_object(json, &halving);
  schema_object(json, &slurm);
  schema_property(json, &share);
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
  for (size_t i = 0; i < spec_top_keys.count; i++) schema_property(json, &spec_top_keys.properties[i]);
  json_object_end(json);
  put_definitions(json, laws, law_count);
  json_object_end(json);
}
