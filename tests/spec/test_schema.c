// The JSON Schema accepts the specs that ship and refuses what the spec reader refuses; the reference page in docs/ is
// what the program prints. The validator knows just the keywords that the schema uses, and fails on any other.
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>

#include "runner/spec/entries.h"
#include "runner/spec/schema.h"
#include "runner/spec/spec.h"
#include "tests/check.h"

static json_t *schema;
static const char *source_folder;
static char problem[400];  // the first one found

static bool validate(const json_t *rule, const struct node *node);

static bool refuse(const struct node *node, const char *why) {
  if (!*problem) snprintf(problem, sizeof problem, "%d:%d %s", node->line, node->column, why);
  return false;
}

static bool has_type(const char *type, const struct node *node) {
  double number;
  bool boolean;
  if (strcmp(type, "object") == 0) return node->kind == NODE_MAPPING;
  if (strcmp(type, "array") == 0) return node->kind == NODE_SEQUENCE;
  if (strcmp(type, "number") == 0) return node_number(node, &number);
  if (strcmp(type, "integer") == 0) return node_number(node, &number) && number == floor(number);
  if (strcmp(type, "null") == 0) return node_is_null(node);
  if (strcmp(type, "boolean") == 0) return node_boolean(node, &boolean);
  if (strcmp(type, "string") == 0)
    return node->kind == NODE_SCALAR && !node_is_null(node) && !node_number(node, &number) &&
           !node_boolean(node, &boolean);
  return CHECK(strcmp(type, "a type that this validator knows") == 0);
}

static bool check_type(const json_t *type, const struct node *node) {
  if (json_is_string(type)) return has_type(json_string_value(type), node);
  for (size_t i = 0; i < json_array_size(type); i++)
    if (has_type(json_string_value(json_array_get(type, i)), node)) return true;
  return false;
}

static bool equals(const json_t *value, const struct node *node) {
  return json_is_string(value) && node->kind == NODE_SCALAR && strcmp(json_string_value(value), node->text) == 0;
}

static bool matches(const char *pattern, const char *text) {
  regex_t regex;
  if (!CHECK(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) == 0)) return false;
  bool fine = regexec(&regex, text, 0, NULL, 0) == 0;
  regfree(&regex);
  return fine;
}

static bool check_members(const json_t *rule, const struct node *node) {
  if (node->kind != NODE_MAPPING) return true;
  json_t *properties = json_object_get(rule, "properties"), *patterns = json_object_get(rule, "patternProperties");
  bool closed = json_is_false(json_object_get(rule, "additionalProperties"));
  for (size_t i = 0; i < node->count; i++) {
    const char *key = node->keys[i]->text, *pattern;
    json_t *member = json_object_get(properties, key), *other;
    bool known = member != NULL;
    json_object_foreach(patterns, pattern, other) known |= matches(pattern, key);
    if (!known && closed) return refuse(node->keys[i], "a key that the schema does not know");
    if (member && !validate(member, node->items[i])) return false;
  }
  json_t *required = json_object_get(rule, "required");
  for (size_t i = 0; i < json_array_size(required); i++)
    if (!node_find(node, json_string_value(json_array_get(required, i))))
      return refuse(node, "a required key is missing");
  return true;
}

static bool check_items(const json_t *rule, const struct node *node) {
  if (node->kind != NODE_SEQUENCE) return true;
  json_t *items = json_object_get(rule, "items"), *least = json_object_get(rule, "minItems"),
         *most = json_object_get(rule, "maxItems");
  if (least && node->count < (size_t)json_integer_value(least)) return refuse(node, "too few items");
  if (most && node->count > (size_t)json_integer_value(most)) return refuse(node, "too many items");
  for (size_t i = 0; items && i < node->count; i++)
    if (!validate(items, node->items[i])) return false;
  return true;
}

static bool check_scalar(const json_t *rule, const struct node *node) {
  double number;
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)rule, key, value) {
    if (strcmp(key, "minimum") == 0 && node_number(node, &number) && number < json_number_value(value))
      return refuse(node, "below the minimum");
    if (strcmp(key, "maximum") == 0 && node_number(node, &number) && number > json_number_value(value))
      return refuse(node, "above the maximum");
    if (strcmp(key, "exclusiveMinimum") == 0 && node_number(node, &number) && number <= json_number_value(value))
      return refuse(node, "not above the minimum");
    if (strcmp(key, "exclusiveMaximum") == 0 && node_number(node, &number) && number >= json_number_value(value))
      return refuse(node, "not below the maximum");
    if (strcmp(key, "pattern") == 0 && has_type("string", node) && !matches(json_string_value(value), node->text))
      return refuse(node, "does not match the pattern");
    if (strcmp(key, "minLength") == 0 && has_type("string", node) &&
        strlen(node->text) < (size_t)json_integer_value(value))
      return refuse(node, "too short");
    if (strcmp(key, "maxLength") == 0 && has_type("string", node) &&
        strlen(node->text) > (size_t)json_integer_value(value))
      return refuse(node, "too long");
  }
  return true;
}

static void check_keywords(const json_t *rule) {
  static const char *const known[] = {"$schema",
                                      "$defs",
                                      "title",
                                      "description",
                                      "default",
                                      "type",
                                      "properties",
                                      "required",
                                      "items",
                                      "minItems",
                                      "maxItems",
                                      "minimum",
                                      "maximum",
                                      "pattern",
                                      "enum",
                                      "const",
                                      "anyOf",
                                      "$ref",
                                      "minLength",
                                      "maxLength",
                                      "additionalProperties",
                                      "patternProperties",
                                      "exclusiveMinimum",
                                      "exclusiveMaximum"};
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)(uintptr_t)rule, key, value) {
    bool found = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) found |= strcmp(known[i], key) == 0;
    if (!CHECK(found)) printf("# keyword %s\n", key);
  }
}

static bool validate(const json_t *rule, const struct node *node) {
  check_keywords(rule);
  const char *reference = json_string_value(json_object_get(rule, "$ref"));
  if (reference) {
    const json_t *definition = json_object_get(json_object_get(schema, "$defs"), reference + strlen("#/$defs/"));
    if (!CHECK(definition)) {
      printf("# no definition %s\n", reference);
      return false;
    }
    if (!validate(definition, node)) return false;
  }
  json_t *type = json_object_get(rule, "type"), *choices = json_object_get(rule, "enum"),
         *constant = json_object_get(rule, "const"), *any = json_object_get(rule, "anyOf");
  if (type && !check_type(type, node)) return refuse(node, "of the wrong type");
  if (constant && !equals(constant, node)) return refuse(node, "not the constant");
  bool one = !choices;
  for (size_t i = 0; i < json_array_size(choices); i++) one |= equals(json_array_get(choices, i), node);
  if (!one) return refuse(node, "none of the choices");
  bool fits = !any;
  for (size_t i = 0; i < json_array_size(any) && !fits; i++) {
    char before[sizeof problem];
    memcpy(before, problem, sizeof problem);
    fits = validate(json_array_get(any, i), node);
    if (fits) memcpy(problem, before, sizeof problem);
  }
  return fits && check_scalar(rule, node) && check_members(rule, node) && check_items(rule, node);
}

static bool accepts(const char *text) {
  struct arena arena = {0};
  struct diagnostics diagnostics = {0};
  struct node *root = document_parse(&arena, "t.yaml", text, strlen(text), &diagnostics);
  problem[0] = '\0';
  bool fine = CHECK(root) && validate(schema, root);
  arena_free(&arena);
  diagnostics_free(&diagnostics);
  return fine;
}

// Every reference leads somewhere, used or not.
static void check_references(const json_t *value) {
  const char *key;
  json_t *member;
  size_t i;
  json_object_foreach((json_t *)(uintptr_t)value, key, member) {
    if (strcmp(key, "$ref") == 0 && json_is_string(member)) {
      const json_t *found =
          json_object_get(json_object_get(schema, "$defs"), json_string_value(member) + strlen("#/$defs/"));
      if (!CHECK(found)) printf("# %s\n", json_string_value(member));
    }
    check_references(member);
  }
  if (json_is_array(value)) json_array_foreach((json_t *)(uintptr_t)value, i, member) check_references(member);
}

static void references(void) { check_references(schema); }

static void shipped_specs(void) {
  struct arena arena = {0};
  struct error error = {0};
  int count = 0;
  char *folder = path_join(&arena, source_folder, "experiments");
  DIR *open = opendir(folder);
  if (!CHECK(open)) return;
  for (struct dirent *entry; (entry = readdir(open));) {
    if (!ends_with(entry->d_name, ".yaml")) continue;
    char *text = file_read(&arena, path_join(&arena, folder, entry->d_name), NULL, &error);
    if (!CHECK(text && accepts(text))) printf("# %s:%s\n", entry->d_name, problem);
    count++;
  }
  closedir(open);
  CHECK(count >= 3);
  arena_free(&arena);
}

static void accepted(void) {
  static const char *const specs[] = {
      "experiment: a",
      "base: {model: {width: 64, heads: auto}, model.layers: 2, seed: 3, format: none, train: {tokens: 1e6}}",
      "corpus: {files: [a, b], tokenizer: bytes}",
      "base: {format: {after: 0.9, then: w4a4}}",
      "sweep: {grid: {format: [none, {after: 0.5, then: {weights: int4}}]}}",
      "base: {format: {weights: int4, activations: {grid: int4, scale: absmax, hadamard: 32}, layers: [mlp]}}",
      "sweep: {grid: {format: [none, w4a4, {weights: {sparsity: '2:4'}, backward: requantize}]}}",
      "base: {train: {tokens: '1e6', lr: '.5e-3'}}\nsweep: {grid: {train.lr: {log: ['1e-3', 1e-1, 3]}}}",
      "sweep: {grid: {model.width: [32, 64], train: {lr: {log: [1e-3, 1e-1, 3]}}, seed: {seeds: 3}}}",
      "sweep: [{zip: {seed: [1, 2], train.lr: 3e-3}, where: epochs <= 1, set: {train.lr: 3e-3, train: {beta1: a}}}]",
      "fit: chinchilla",
      "fields: {dropout: {default: 0}}\nfit: {law: chinchilla, best_over: [dropout]}",
      "fit: [{law: laws/mine.yaml, best_over: train.lr, average_over: [seed], objective: 'huber:1e-3'}]",
      "fit: [{law: power-sum, interval: bca, profile: all, leave_out: [parameters, format]}]",
      "report: {plots: [loss-curves], title: A study}\nclaims: N > 3",
      "claims: [{claim: 'loss[w4] < loss[none]', match_on: tokens, match_along: ladders, ignore: [train.lr]}, N > 3]",
      "trainer: {command: [python3, train.py, '{config}', 5], version: 3}",
      "x-shared: {anything: [1]}",
      "run: {time_limit: 6 h, halving: {over: train.lr, at: [0.25, 1/2]}}",
      "run: {halving: {over: [train.lr, train.beta2], keep: 1/3, at: 0.5}}",
      "base: {train: {tokens: '25.5E+5', adam_eps: '1e-8', lr: '0.05e1', evals: '1e1', clip_norm: '1e9'}}",
  };
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
    if (!CHECK(accepts(specs[i]))) printf("# %s: %s\n", specs[i], problem);
}

// An entry with the example of every key.
static void examples(void) {
  const struct entry_kind *const kinds[] = {&fit_entry, &isoflop_entry};
  for (size_t i = 0; i < 2; i++) {
    struct text spec = {0};
    text_add(&spec, "fit:\n");
    for (size_t k = 0; k < kinds[i]->count; k++)
      text_format(&spec, "  %s %s: %s\n", k ? " " : "-", kinds[i]->keys[k].name, kinds[i]->keys[k].example);
    if (!CHECK(accepts(text_string(&spec)))) printf("# %s: %s\n", kinds[i]->name, problem);
    text_free(&spec);
  }
}

static void refused(void) {
  static const char *const specs[] = {
      "[a]",
      "experimnt: a",
      "experiment: two words",
      "base: {model: {widht: 64}}",
      "base: {model.width: wide}",
      "base: {model: {width: 8}}",
      "base: {train: {lr: [1e-3]}}",
      "base: {train: {optimizer: adam}}",
      "base: {model: {tied_head: yes}}",
      "base: {train: {lr: auto}}",
      "corpus: kjv",
      "base: {train: {tokens: '1e6x'}}",
      "base: {train: {adam_eps: 0}}",
      "base: {train: {adam_eps: '1e-40'}}",
      "base: {train: {lr: '1e9'}}",
      "base: {train: {lr: '-1e-3'}}",
      "base: {train: {lr: '12345e-1'}}",
      "base: {train: {clip_norm: '1.1e9'}}",
      "base: {train: {evals: '1e-1'}}",
      "sweep: {grid: {train.lr: ['1e-3', '1e9']}}",
      "run: {halving: {over: train.lr}}",
      "run: {halving: {at: 0.5}}",
      "run: {halving: {over: train.lr, at: 1.5}}",
      "run: {halving: {over: train.lr, at: []}}",
      "run: {halving: {over: train.rl, at: 0.5}}",
      "run: {halving: {over: train.lr, at: 0.5, keep: 2}}",
      "sweep: {grid: {train.lr: {log: [a, 1e-1, 3]}}}",
      "base: {format: {weight: int4}}",
      "base: {format: {weights: {grid: int4, hadamrd: none}}}",
      "base: {format: {weights: int4, backward: sideways}}",
      "base: {format: [w4]}",
      "base: {format: {after: 1.5, then: w4}}",
      "fit: [{law: power-sum, interval: normal}]",
      "fit: [{law: power-sum, leave_out: {column: N}}]",
      "sweep: []",
      "sweep: {grid: {model.width: []}}",
      "sweep: {grid: {train.lr: {log: [1, 2]}}}",
      "sweep: {grid: {train.schedule: {seeds: 3}}}",
      "sweep: {grid: {train.lr: {logs: [1, 2, 3]}}}",
      "sweep: {gird: {}}",
      "sweep: {set: {train.lr: [1]}}",
      "fit: chinchila",
      "fit: {name: a}",
      "fit: {law: chinchilla, objective: hubber}",
      "fit: {law: chinchilla, best_over: train.rl}",
      "report: {plots: [loss-curve]}",
      "trainer: {version: 1}",
      "trainer: {command: python}",
  };
  for (size_t i = 0; i < sizeof specs / sizeof *specs; i++)
    if (!CHECK(!accepts(specs[i]))) printf("# %s\n", specs[i]);
}

static void reference_page(const char *name, const char *option, void (*write)(struct text *out)) {
  struct arena arena = {0};
  struct error error = {0};
  struct text page = {0};
  write(&page);
  char *written = file_read(&arena, path_join(&arena, source_folder, name), NULL, &error);
  if (!CHECK(written && strcmp(written, text_string(&page)) == 0))
    printf("# %s is old: isoloss schema --%s > %s\n", name, option, name);
  text_free(&page);
  arena_free(&arena);
}

static void reference_pages(void) {
  reference_page("docs/fields.md", "markdown", schema_markdown);
  reference_page("docs/quantities.md", "quantities", schema_quantities_markdown);
}

int main(int argc, char **argv) {
  static const char *const laws[] = {
      "chinchilla",        "power-sum",        "effective-parameters",  "capacity",
      "sparse-chinchilla", "compression-loss", "effective-compression", "tuned-parameters",
      "linearity",         "power-law",        "optimizer-rescaled",    "selected-fraction",
      "loss-rank",         "qat-delta"};
  struct text text = {0};
  if (argc < 2) return 1;
  source_folder = argv[1];
  schema_json(&text, laws, sizeof laws / sizeof *laws);
  schema = json_loads(text_string(&text), JSON_REJECT_DUPLICATES, NULL);
  if (!schema) {
    printf("Bail out! the schema is not JSON\n");
    return 1;
  }
  RUN(references);
  RUN(shipped_specs);
  RUN(accepted);
  RUN(examples);
  RUN(refused);
  RUN(reference_pages);
  json_decref(schema);
  text_free(&text);
  return check_end();
}
