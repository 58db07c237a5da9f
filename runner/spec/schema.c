// See schema.h. Three shapes of the same fields stand in the schema: plain values (base, corpus), axes (grid, zip) and
// derivations (set), each nested and dotted.
#include "runner/spec/schema.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "plots/plots.h"
#include "runner/spec/names.h"
#include "trainer/config.h"

// ---- small pieces ----

static void put_type(struct json_writer *json, const char *type) { json_key_string(json, "type", type); }

static void put_texts(struct json_writer *json, const char *key, const char *const *texts, size_t count) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < count; i++) json_put_string(json, texts[i]);
  json_array_end(json);
}

static void put_reference(struct json_writer *json, const char *format, const char *name) {
  char reference[200];
  snprintf(reference, sizeof reference, format, name);
  json_object_begin(json);
  json_key_string(json, "$ref", reference);
  json_object_end(json);
}

// "key": {"type": ..., "description": ...}
static void put_property(struct json_writer *json, const char *key, const char *type, const char *description) {
  json_key(json, key);
  json_object_begin(json);
  put_type(json, type);
  if (description) json_key_string(json, "description", description);
  json_object_end(json);
}

// anyOf [one, array of one]: what may be given once or as a list.
static void put_one_or_list(struct json_writer *json, const char *key, const char *reference, const char *description) {
  json_key(json, key);
  json_object_begin(json);
  if (description) json_key_string(json, "description", description);
  json_key(json, "anyOf");
  json_array_begin(json);
  put_reference(json, "%s", reference);
  json_object_begin(json);
  put_type(json, "array");
  json_key(json, "items");
  put_reference(json, "%s", reference);
  json_key_integer(json, "minItems", 1);
  json_object_end(json);
  json_array_end(json);
  json_object_end(json);
}

static void begin_object(struct json_writer *json) {
  json_object_begin(json);
  put_type(json, "object");
  json_key_boolean(json, "additionalProperties", false);
}

// ---- fields ----

static bool has_range(const struct run_field *field) { return field->low != 0 || field->high != 0; }

static void put_field_value(struct json_writer *json, const struct run_field *field) {
  double number;
  switch (field->type) {
    case FIELD_INTEGER:
    case FIELD_NUMBER:
      put_type(json, field->type == FIELD_INTEGER ? "integer" : "number");
      if (!has_range(field)) break;
      if (field->low > -1e300) json_key_number(json, "minimum", field->low);
      if (field->high < 1e300) json_key_number(json, "maximum", field->high);
      break;
    case FIELD_BOOLEAN:
      put_type(json, "boolean");
      break;
    case FIELD_CHOICE: {
      json_key(json, "enum");
      json_array_begin(json);
      for (const char *from = field->choices; *from;) {
        char word[64];
        size_t size = strcspn(from, "|");
        snprintf(word, sizeof word, "%.*s", (int)size, from);
        json_put_string(json, word);
        from += size + (from[size] == '|');
      }
      json_array_end(json);
      break;
    }
    case FIELD_TEXT:
      put_type(json, "string");
      json_key_integer(json, "minLength", 1);
      break;
    case FIELD_LIST:
      json_key(json, "anyOf");
      json_array_begin(json);
      json_put_raw(json, "{\"type\":\"string\"}");
      json_put_raw(json, "{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"minItems\":1}");
      json_array_end(json);
      break;
  }
  if (strcmp(field->fallback, "auto") == 0 || !*field->fallback) return;
  json_key(json, "default");
  if (field->type <= FIELD_NUMBER && number_parse(field->fallback, &number))
    json_put_number(json, number);
  else if (field->type == FIELD_BOOLEAN)
    json_put_boolean(json, field->fallback[0] == 't');
  else
    json_put_string(json, field->fallback);
}

static void describe(struct json_writer *json, const struct run_field *field) {
  struct text text = {0};
  text_add(&text, field->help);
  if (*field->unit) text_format(&text, " [%s]", field->unit);
  json_key_string(json, "description", text_string(&text));
  text_free(&text);
}

// "value:PATH": one value of the field.
static void put_value_definition(struct json_writer *json, const struct run_field *field) {
  char name[128];
  snprintf(name, sizeof name, "value:%s", field->path);
  json_key(json, name);
  json_object_begin(json);
  describe(json, field);
  if (field->auto_allowed) {
    json_key(json, "anyOf");
    json_array_begin(json);
    json_object_begin(json);
    put_field_value(json, field);
    json_object_end(json);
    json_put_raw(json, "{\"const\":\"auto\"}");
    json_array_end(json);
    json_key_string(json, "default", "auto");
  } else {
    put_field_value(json, field);
  }
  json_object_end(json);
}

// "axis:PATH": one value, a list, or a range.
static void put_axis_definition(struct json_writer *json, const struct run_field *field) {
  char name[128];
  snprintf(name, sizeof name, "axis:%s", field->path);
  json_key(json, name);
  json_object_begin(json);
  describe(json, field);
  json_key(json, "anyOf");
  json_array_begin(json);
  put_reference(json, "#/$defs/value:%s", field->path);
  json_object_begin(json);
  put_type(json, "array");
  json_key(json, "items");
  put_reference(json, "#/$defs/value:%s", field->path);
  json_key_integer(json, "minItems", 1);
  json_object_end(json);
  if (field->type <= FIELD_NUMBER) put_reference(json, "#/$defs/%s", "range");
  json_array_end(json);
  json_object_end(json);
}

static bool in_section(const char *path, const char *section) {
  size_t length = strlen(section);
  return strncmp(path, section, length) == 0 && path[length] == '.';
}

// The properties of a mapping of fields: sections nested, and every dotted path; `kind` is value, axis or derived.
static void put_fields(struct json_writer *json, const char *kind, bool nested) {
  char reference[160];
  json_key(json, "properties");
  json_object_begin(json);
  for (size_t i = 0; i < run_field_count; i++) {
    const char *path = run_fields[i].path, *dot = strchr(path, '.');
    if (dot && nested) {
      char section[32];
      snprintf(section, sizeof section, "%.*s", (int)(dot - path), path);
      bool first = true;
      for (size_t j = 0; j < i && first; j++) first = !in_section(run_fields[j].path, section);
      if (first) {
        snprintf(reference, sizeof reference, "#/$defs/%s:%s", kind, section);
        json_key(json, section);
        put_reference(json, "%s", reference);
      }
    }
    json_key(json, path);
    if (strcmp(kind, "derived") == 0) {
      put_reference(json, "#/$defs/%s", "expression");
    } else {
      snprintf(reference, sizeof reference, "#/$defs/%s:%s", kind, path);
      put_reference(json, "%s", reference);
    }
  }
  json_object_end(json);
}

// "KIND:SECTION": the fields of a section by their last names.
static void put_sections(struct json_writer *json, const char *kind) {
  static const char *const sections[] = {"model", "corpus", "train"};
  for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
    char name[160];
    snprintf(name, sizeof name, "%s:%s", kind, sections[s]);
    json_key(json, name);
    begin_object(json);
    json_key(json, "properties");
    json_object_begin(json);
    for (size_t i = 0; i < run_field_count; i++) {
      if (!in_section(run_fields[i].path, sections[s])) continue;
      json_key(json, strchr(run_fields[i].path, '.') + 1);
      if (strcmp(kind, "derived") == 0) {
        put_reference(json, "#/$defs/%s", "expression");
      } else {
        snprintf(name, sizeof name, "#/$defs/%s:%s", kind, run_fields[i].path);
        put_reference(json, "%s", name);
      }
    }
    json_object_end(json);
    json_object_end(json);
  }
}

static void put_fields_definition(struct json_writer *json, const char *name, const char *kind,
                                  const char *description) {
  json_key(json, name);
  begin_object(json);
  json_key_string(json, "description", description);
  put_fields(json, kind, true);
  json_object_end(json);
}

// ---- the rest of a spec ----

static void put_range(struct json_writer *json) {
  static const char three[] =
      "{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"minItems\":3,\"maxItems\":3,\"description\":\"[first, "
      "last, count]\"}";
  json_key(json, "range");
  begin_object(json);
  json_key_string(json, "description", "values by rule; round makes multiples of a number");
  json_key(json, "properties");
  json_object_begin(json);
  json_key(json, "log");
  json_put_raw(json, three);
  json_key(json, "linear");
  json_put_raw(json, three);
  json_key(json, "range");
  json_put_raw(json,
               "{\"type\":\"array\",\"items\":{\"type\":\"number\"},\"minItems\":2,\"maxItems\":3,\"description\":"
               "\"[first, last] or [first, last, step]\"}");
  json_key(json, "seeds");
  json_put_raw(json, "{\"type\":\"integer\",\"minimum\":1,\"description\":\"0, 1, ... up to this many\"}");
  json_key(json, "round");
  json_put_raw(json, "{\"type\":\"number\",\"exclusiveMinimum\":0}");
  json_object_end(json);
  json_object_end(json);
}

static void put_sweep(struct json_writer *json) {
  put_fields_definition(json, "axes", "axis", "fields and the values each takes");
  put_fields_definition(json, "derivations", "derived", "fields and the expressions they follow from, in order");
  json_key(json, "sweep");
  begin_object(json);
  json_key(json, "properties");
  json_object_begin(json);
  json_key(json, "grid");
  put_reference(json, "#/$defs/%s", "axes");
  json_key(json, "zip");
  put_reference(json, "#/$defs/%s", "axes");
  json_key(json, "where");
  put_reference(json, "#/$defs/%s", "expression");
  json_key(json, "set");
  put_reference(json, "#/$defs/%s", "derivations");
  json_object_end(json);
  json_object_end(json);
}

static void put_law(struct json_writer *json, const char *const *laws, size_t count) {
  json_key(json, "law");
  json_object_begin(json);
  json_key_string(json, "description", "a law that ships, or the path of a law's .yaml file");
  json_key(json, "anyOf");
  json_array_begin(json);
  json_object_begin(json);
  if (count)
    put_texts(json, "enum", laws, count);
  else
    put_type(json, "string");
  json_object_end(json);
  json_put_raw(json, "{\"type\":\"string\",\"pattern\":\"(/|[.]ya?ml$)\"}");
  json_array_end(json);
  json_object_end(json);
}

static const char parameter_counts[] =
    "{\"enum\":[\"non-embedding\",\"total\",\"prunable\",\"active\",\"average-active\"],\"default\":"
    "\"non-embedding\",\"description\":\"what N counts\"}";

static void put_isoflop(struct json_writer *json) {
  begin_object(json);
  json_key_string(json, "description", "compute-optimal sizes, without a law");
  json_key(json, "required");
  json_put_raw(json, "[\"method\"]");
  json_key(json, "properties");
  json_object_begin(json);
  put_property(json, "name", "string", "isoflop when not given");
  json_key(json, "method");
  json_put_raw(json, "{\"const\":\"isoflop\"}");
  json_key(json, "minimum");
  json_put_raw(json,
               "{\"enum\":[\"akima\",\"parabola\",\"envelope\"],\"default\":\"akima\",\"description\":\"how the "
               "minimum of a budget is found\"}");
  put_property(json, "budget", "string", "the column of a run's budget in FLOPs: flops_6nd; flops when not given");
  put_property(json, "where", "string", "an expression over the runs' columns: which runs take part");
  json_key(json, "noise");
  json_put_raw(
      json, "{\"type\":[\"number\",\"string\"],\"description\":\"seed noise of the loss: 0.002, or 0.002@3,0.05@7\"}");
  json_key(json, "window");
  json_put_raw(
      json,
      "{\"type\":\"number\",\"exclusiveMinimum\":1,\"description\":\"parabola: only sizes within this factor of "
      "the best\"}");
  put_property(json, "average", "boolean", "several runs of one size: their mean, not the lowest");
  json_key(json, "copies");
  json_put_raw(json,
               "{\"type\":\"integer\",\"minimum\":0,\"maximum\":100000,\"default\":1000,\"description\":\"copies with "
               "noise, for intervals\"}");
  json_key(json, "parameter_count");
  json_put_raw(json, parameter_counts);
  json_object_end(json);
  json_object_end(json);
}

static void put_fit(struct json_writer *json, const char *const *laws, size_t count) {
  put_law(json, laws, count);
  json_key(json, "path");
  json_object_begin(json);
  json_key(json, "enum");
  json_array_begin(json);
  for (size_t i = 0; i < run_field_count; i++) json_put_string(json, run_fields[i].path);
  json_array_end(json);
  json_object_end(json);
  json_key(json, "name");
  json_put_raw(json, "{\"type\":\"string\"}");
  json_key(json, "fit");
  json_object_begin(json);
  json_key(json, "anyOf");
  json_array_begin(json);
  put_reference(json, "#/$defs/%s", "law");
  begin_object(json);
  json_key(json, "required");
  json_put_raw(json, "[\"law\"]");
  json_key(json, "properties");
  json_object_begin(json);
  put_property(json, "name", "string", "the law's name when not given");
  json_key(json, "law");
  put_reference(json, "#/$defs/%s", "law");
  put_property(json, "where", "string", "an expression over the runs' columns: which runs are fitted");
  put_property(json, "holdout", "string", "an expression: runs that are predicted, not fitted");
  json_key(json, "objective");
  json_put_raw(json,
               "{\"type\":\"string\",\"pattern\":\"^(huber:[0-9.eE+-]+|least-squares|lad)$\",\"description\":"
               "\"huber:DELTA, least-squares or lad\"}");
  json_key(json, "residual");
  json_put_raw(json, "{\"enum\":[\"log\",\"plain\"]}");
  json_key(json, "bootstrap");
  json_put_raw(json, "{\"type\":\"integer\",\"minimum\":0,\"maximum\":10000000,\"description\":\"resamples\"}");
  json_key(json, "interval");
  json_put_raw(json, "{\"enum\":[\"percentile\",\"bca\"],\"default\":\"bca\"}");
  put_one_or_list(json, "profile", "#/$defs/name", "parameters whose profile likelihood is wanted, or all");
  put_one_or_list(json, "leave_out", "#/$defs/name",
                  "columns: the fit is made anew without each of their values, and predicts it");
  put_one_or_list(json, "best_over", "#/$defs/path", "keep the best run of these axes");
  put_one_or_list(json, "average_over", "#/$defs/path", "average the runs of these axes: seeds");
  put_one_or_list(json, "compare", "#/$defs/law", "laws to hold against this one on the same runs");
  json_key(json, "parameter_count");
  json_put_raw(json, parameter_counts);
  json_object_end(json);
  json_object_end(json);
  put_isoflop(json);
  json_array_end(json);
  json_object_end(json);
}

static void put_report(struct json_writer *json) {
  json_key(json, "report");
  begin_object(json);
  json_key(json, "properties");
  json_object_begin(json);
  put_property(json, "title", "string", "the experiment's name when not given");
  json_key(json, "plots");
  json_object_begin(json);
  put_type(json, "array");
  json_key(json, "items");
  json_object_begin(json);
  json_key(json, "enum");
  json_array_begin(json);
  for (const struct plot_kind *kind = plot_kinds; kind->name; kind++) json_put_string(json, kind->name);
  json_array_end(json);
  json_object_end(json);
  json_object_end(json);
  json_object_end(json);
  json_object_end(json);
}

static void put_trainer(struct json_writer *json) {
  json_key(json, "trainer");
  begin_object(json);
  json_key_string(json, "description", "a trainer of your own; the built-in one when not given");
  json_key(json, "required");
  json_put_raw(json, "[\"command\"]");
  json_key(json, "properties");
  json_object_begin(json);
  json_key(json, "command");
  json_put_raw(json,
               "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"number\",\"boolean\"]},\"minItems\":1,"
               "\"description\":\"program and arguments; {config}, {folder}, {id} and {FIELD} are filled in\"}");
  json_key(json, "version");
  json_put_raw(json, "{\"type\":[\"string\",\"number\"],\"description\":\"part of the runs' identity\"}");
  json_object_end(json);
  json_object_end(json);
}

static void put_definitions(struct json_writer *json, const char *const *laws, size_t law_count) {
  json_key(json, "$defs");
  json_object_begin(json);
  for (size_t i = 0; i < run_field_count; i++) put_value_definition(json, &run_fields[i]);
  for (size_t i = 0; i < run_field_count; i++) put_axis_definition(json, &run_fields[i]);
  put_sections(json, "value");
  put_sections(json, "axis");
  put_sections(json, "derived");
  put_range(json);
  json_key(json, "expression");
  json_put_raw(json,
               "{\"type\":[\"string\",\"number\",\"boolean\"],\"description\":\"an expression over fields and "
               "quantities: train.lr * (parameters / 1e5) ^ -0.5\"}");
  put_sweep(json);
  put_fit(json, laws, law_count);
  put_report(json);
  put_trainer(json);
  json_object_end(json);
}

void schema_json(struct text *out, const char *const *laws, size_t law_count) {
  struct json_writer writer = json_writer(out, true), *json = &writer;
  json_object_begin(json);
  json_key_string(json, "$schema", "https://json-schema.org/draft/2020-12/schema");
  json_key_string(json, "title", "isoloss experiment spec");
  put_type(json, "object");
  json_key_boolean(json, "additionalProperties", false);
  json_key(json, "patternProperties");
  json_put_raw(json, "{\"^x-\":{\"description\":\"room for anchors\"}}");
  json_key(json, "properties");
  json_object_begin(json);
  json_key(json, "experiment");
  json_put_raw(json,
               "{\"type\":[\"string\",\"number\"],\"pattern\":\"^[A-Za-z0-9][A-Za-z0-9._-]*$\",\"maxLength\":100,"
               "\"description\":\"the experiment's name\"}");
  put_property(json, "about", "string", "what is asked, for the report");
  json_key(json, "corpus");
  put_reference(json, "#/$defs/%s", "value:corpus");
  json_key(json, "base");
  begin_object(json);
  json_key_string(json, "description", "fields of every run, where the sweep does not give them");
  put_fields(json, "value", true);
  json_object_end(json);
  put_one_or_list(json, "sweep", "#/$defs/sweep", "grids of runs, united; without it the spec is one run");
  put_one_or_list(json, "fit", "#/$defs/fit", "laws to fit to the runs");
  json_key(json, "claims");
  json_put_raw(json,
               "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":{\"type\":\"string\"}}],"
               "\"description\":\"expressions over runs and fits that should hold\"}");
  json_key(json, "report");
  put_reference(json, "#/$defs/%s", "report");
  json_key(json, "trainer");
  put_reference(json, "#/$defs/%s", "trainer");
  json_object_end(json);
  put_definitions(json, laws, law_count);
  json_object_end(json);
}

// ---- the reference page ----

static const char *type_of(const struct run_field *field) {
  static const char *const names[] = {"whole number", "number", "true or false", "choice", "text", "list of texts"};
  return names[field->type];
}

static void markdown_range(struct text *out, const struct run_field *field) {
  char low[32], high[32];
  if (field->type == FIELD_CHOICE) {
    for (const char *c = field->choices; *c; c++) text_add(out, *c == '|' ? ", " : (char[]){*c, '\0'});
  } else if (field->type <= FIELD_NUMBER && has_range(field)) {
    number_shortest(field->low, low);
    number_shortest(field->high, high);
    text_format(out, "%s to %s", low, high);
  }
}

void schema_markdown(struct text *out) {
  text_add(out,
           "# Fields of a run\n\n"
           "Every knob of a run, as a spec writes it: under `base`, as an axis under `sweep`, or with `--set` on the\n"
           "command line. `isoloss schema --markdown` prints this page; do not edit it by hand.\n\n"
           "\"Counts\" says whether the field is part of a run's identity: two runs that differ only in fields that\n"
           "cannot change the result are one run. Of a corpus the digest counts, whatever its fields are called.\n");
  char section[32] = "";
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    const char *dot = strchr(field->path, '.');
    char here[32];
    snprintf(here, sizeof here, "%.*s", dot ? (int)(dot - field->path) : 5, dot ? field->path : "other");
    if (strcmp(here, section) != 0) {
      text_format(out, "\n## %s\n\n| field | type | default | allowed | unit | counts | meaning |\n", here);
      text_add(out, "|---|---|---|---|---|---|---|\n");
      snprintf(section, sizeof section, "%s", here);
    }
    text_format(out, "| `%s` | %s%s | %s%s%s | ", field->path, type_of(field), field->auto_allowed ? " or auto" : "",
                *field->fallback ? "`" : "", field->fallback, *field->fallback ? "`" : "");
    markdown_range(out, field);
    text_format(out, " | %s | %s | %s |\n", field->unit,
                field->affects_result         ? "yes"
                : strcmp(here, "corpus") == 0 ? "digest"
                                              : "no",
                field->help);
  }
  text_add(
      out,
      "\n## Quantities\n\n"
      "What follows from a run's fields, by the names that expressions (`where`, `set`, `holdout`, `--where`), the\n"
      "store and `--json` use. `N`, `D` and `C` are short for `parameters`, `tokens` and `flops`.\n\n"
      "| name | unit | meaning |\n|---|---|---|\n");
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].planned)
      text_format(out, "| `%s` | %s | %s |\n", run_columns[i].name, run_columns[i].unit, run_columns[i].help);
}
