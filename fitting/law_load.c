// Laws from YAML files: reading the parts; law_check.c looks at how they fit together.
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/law_internal.h"

enum { START_LIMIT = 10000 };

struct loader {
  struct law *law;
  struct arena *arena;
  struct diagnostics *diagnostics;
};

static const char *scalar_text(struct loader *loader, const struct node *node, const char *what) {
  if (!node) return NULL;
  if (node->kind == NODE_SCALAR && !node_is_null(node)) return arena_string(loader->arena, node->text);
  node_error(node, loader->diagnostics, NULL, "%s must be a text, not %s", what, node_kind_name(node));
  return NULL;
}

// Parses an expression; its mistakes get the place in the file where the scalar is on one line.
static const struct expression *formula(struct loader *loader, const struct node *node, const char *what) {
  if (!node) return NULL;
  if (node->kind != NODE_SCALAR || node_is_null(node)) {
    node_error(node, loader->diagnostics, NULL, "%s must be an expression, not %s", what, node_kind_name(node));
    return NULL;
  }
  struct error error = {0};
  const struct expression *expression = expression_parse(loader->arena, node->text, &error);
  if (expression) return expression;
  if (strchr(node->text, '\n')) {
    node_error(node, loader->diagnostics, NULL, "in %s: %s", what, error.text);
    return NULL;
  }
  int column = node->column + node->quoted + text_characters(node->text, (size_t)error.offset);
  diagnostics_add(loader->diagnostics, false, node->file, node->line, column, NULL, "in %s: %s", what,
                  error.text + error.place);
  return NULL;
}

static const char **text_list(struct loader *loader, const struct node *node, const char *what, int *count) {
  *count = 0;
  if (!node) return NULL;
  size_t n = node->kind == NODE_SEQUENCE ? node->count : 1;
  const char **list = arena_array(loader->arena, n + 1, sizeof *list);
  for (size_t i = 0; i < n; i++) {
    const char *text = scalar_text(loader, node->kind == NODE_SEQUENCE ? node->items[i] : node, what);
    if (text) list[(*count)++] = text;
  }
  return list;
}

// {log: [1, 1e6, 7]} or {linear: [0, 2, 5]}
static const double *range(struct loader *loader, const struct node *node, const char *what, int *count) {
  const struct node *list = NULL;
  bool log_scale = node->count == 1 && strcmp(node->keys[0]->text, "log") == 0;
  if (log_scale || (node->count == 1 && strcmp(node->keys[0]->text, "linear") == 0)) list = node->items[0];
  double low, high;
  int64_t n;
  if (!list || list->kind != NODE_SEQUENCE || list->count != 3 || !node_number(list->items[0], &low) ||
      !node_number(list->items[1], &high) || !node_integer(list->items[2], &n) || n < 1 || n > START_LIMIT ||
      !(low <= high) || (log_scale && low <= 0)) {
    node_error(node, loader->diagnostics, "write [1, 2, 5], {linear: [0, 2, 5]} or {log: [1, 1e6, 7]}",
               "%s is neither a number, a list of numbers nor a range", what);
    return NULL;
  }
  double *values = arena_array(loader->arena, (size_t)n, sizeof *values);
  for (int64_t i = 0; i < n; i++) {
    double share = n > 1 ? (double)i / (double)(n - 1) : 0;
    values[i] = log_scale ? low * pow(high / low, share) : low + (high - low) * share;
    if (isfinite(values[i])) continue;
    node_error(node, loader->diagnostics, NULL, "%s: a range that goes beyond the largest number there is", what);
    return NULL;
  }
  *count = (int)n;
  return values;
}

static const double *numbers(struct loader *loader, const struct node *node, const char *what, int *count) {
  *count = 0;
  if (!node) return NULL;
  if (node->kind == NODE_MAPPING) return range(loader, node, what, count);
  size_t n = node->kind == NODE_SEQUENCE ? node->count : 1;
  if (n > START_LIMIT) {
    node_error(node, loader->diagnostics, NULL, "%s has more than %d values", what, START_LIMIT);
    return NULL;
  }
  double *values = arena_array(loader->arena, n + 1, sizeof *values);
  for (size_t i = 0; i < n; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    if (!node_number(item, &values[*count]) || !isfinite(values[*count]))
      node_error(item, loader->diagnostics, NULL, "%s must be numbers, not %s", what, node_kind_name(item));
    else
      (*count)++;
  }
  return values;
}

static double number_or(struct loader *loader, const struct node *node, const char *what, double fallback) {
  double value = fallback;
  if (node && !node_number(node, &value))
    node_error(node, loader->diagnostics, NULL, "%s must be a number, not %s", what, node_kind_name(node));
  return value;
}

static void load_parameter(struct loader *loader, const struct node *key, const struct node *node) {
  static const char *const keys[] = {"about",    "positive",       "low",   "high", "starts", "by",
                                     "baseline", "baseline_value", "fixed", "tied"};
  struct law_parameter *parameter = &loader->law->parameters[loader->law->parameter_count++];
  *parameter = (struct law_parameter){.name = arena_string(loader->arena, key->text), .node = key};
  char *what = arena_format(loader->arena, "parameter %s", parameter->name);
  if (node->kind != NODE_MAPPING) {
    node_error(node, loader->diagnostics, "for example A: {positive: true, starts: {log: [1, 1e6, 7]}}",
               "%s must be a mapping, not %s", what, node_kind_name(node));
    return;
  }
  node_check_keys(node, keys, sizeof keys / sizeof *keys, what, loader->diagnostics);
  parameter->about = scalar_text(loader, node_find(node, "about"), "about");
  const struct node *positive = node_find(node, "positive");
  if (positive && !node_boolean(positive, &parameter->positive))
    node_error(positive, loader->diagnostics, NULL, "positive must be true or false");
  parameter->low = number_or(loader, node_find(node, "low"), "low", parameter->positive ? 0 : -INFINITY);
  parameter->high = number_or(loader, node_find(node, "high"), "high", INFINITY);
  parameter->starts = numbers(loader, node_find(node, "starts"), "starts", &parameter->start_count);
  parameter->by = scalar_text(loader, node_find(node, "by"), "by");
  parameter->baselines = text_list(loader, node_find(node, "baseline"), "baseline", &parameter->baseline_count);
  parameter->baseline_value = number_or(loader, node_find(node, "baseline_value"), "baseline_value", 1);
  const struct node *fixed = node_find(node, "fixed");
  parameter->fixed = fixed != NULL;
  parameter->fixed_value = number_or(loader, fixed, "fixed", NAN);
  parameter->tied = formula(loader, node_find(node, "tied"), what);
}

static void load_parameters(struct loader *loader, const struct node *root) {
  const struct node *node = node_find(root, "parameters");
  if (!node) {
    node_error(root, loader->diagnostics, NULL, "a law has parameters");
    return;
  }
  if (node->kind != NODE_MAPPING) {
    node_error(node, loader->diagnostics, NULL, "parameters must be a mapping of names, not %s", node_kind_name(node));
    return;
  }
  loader->law->parameters = arena_array(loader->arena, node->count + 1, sizeof *loader->law->parameters);
  for (size_t i = 0; i < node->count; i++) load_parameter(loader, node->keys[i], node->items[i]);
}

// define: {"rho(x)": "tanh(x)", k: "a / b"}
static void load_definitions(struct loader *loader, const struct node *node) {
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, loader->diagnostics, NULL, "define must be a mapping, not %s", node_kind_name(node));
    return;
  }
  loader->law->definitions = arena_array(loader->arena, node->count + 1, sizeof *loader->law->definitions);
  for (size_t i = 0; i < node->count; i++) {
    struct law_definition definition = {0};
    struct error error = {0};
    const struct expression *head = expression_parse(loader->arena, node->keys[i]->text, &error);
    bool call = head && head->root->kind == EXPRESSION_CALL, name = head && head->root->kind == EXPRESSION_NAME;
    for (int a = 0; call && a < head->root->count; a++) call = head->root->arguments[a]->kind == EXPRESSION_NAME;
    if (!call && !name) {
      node_error(node->keys[i], loader->diagnostics, "write k: ... or rho(x): ...", "'%s' is no name to define",
                 node->keys[i]->text);
      continue;
    }
    definition.name = head->root->text;
    definition.argument_count = head->root->count;
    definition.arguments = arena_array(loader->arena, (size_t)head->root->count + 1, sizeof *definition.arguments);
    for (int a = 0; a < head->root->count; a++) definition.arguments[a] = head->root->arguments[a]->text;
    definition.expression = formula(loader, node->items[i], definition.name);
    if (definition.expression) loader->law->definitions[loader->law->definition_count++] = definition;
  }
}

static void load_stages(struct loader *loader, const struct node *node) {
  static const char *const keys[] = {"name", "where", "free"};
  struct law *law = loader->law;
  size_t count = node && node->kind == NODE_SEQUENCE ? node->count : 0;
  law->stages = arena_array(loader->arena, count + 1, sizeof *law->stages);
  if (node && node->kind != NODE_SEQUENCE)
    node_error(node, loader->diagnostics, NULL, "stages must be a list, not %s", node_kind_name(node));
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->items[i];
    struct law_stage *stage = &law->stages[law->stage_count++];
    node_check_keys(item, keys, sizeof keys / sizeof *keys, "a stage", loader->diagnostics);
    stage->name = scalar_text(loader, node_find(item, "name"), "name");
    if (!stage->name) stage->name = arena_format(loader->arena, "stage %zu", i + 1);
    const struct expression *where = formula(loader, node_find(item, "where"), "where");
    if (where) stage->where = where->source;
    stage->free = text_list(loader, node_find(item, "free"), "free", &stage->free_count);
    if (!stage->free_count)
      node_error(item, loader->diagnostics, NULL, "a stage names the parameters it frees (free:)");
    for (int f = 0; f < stage->free_count; f++) {
      int p = law_find_parameter(law, stage->free[f]);
      if (p < 0)
        node_error(item, loader->diagnostics, NULL, "stage %s frees '%s', which is no parameter", stage->name,
                   stage->free[f]);
      else if (law->parameters[p].tied)
        node_error(item, loader->diagnostics, NULL, "stage %s frees '%s', which is tied", stage->name, stage->free[f]);
    }
  }
  if (law->stage_count) return;
  struct law_stage *only = &law->stages[law->stage_count++];
  only->name = "all";
  only->free = arena_array(loader->arena, (size_t)law->parameter_count + 1, sizeof *only->free);
  for (int p = 0; p < law->parameter_count; p++)
    if (!law->parameters[p].fixed && !law->parameters[p].tied) only->free[only->free_count++] = law->parameters[p].name;
}

static void load_derived(struct loader *loader, const struct node *node) {
  static const char *const keys[] = {"formula", "about", "at", "column"};
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, loader->diagnostics, NULL, "derived must be a mapping, not %s", node_kind_name(node));
    return;
  }
  loader->law->derived = arena_array(loader->arena, node->count + 1, sizeof *loader->law->derived);
  for (size_t i = 0; i < node->count; i++) {
    const struct node *item = node->items[i];
    struct law_derived derived = {.name = arena_string(loader->arena, node->keys[i]->text)};
    if (item->kind == NODE_MAPPING) {
      node_check_keys(item, keys, sizeof keys / sizeof *keys, derived.name, loader->diagnostics);
      derived.about = scalar_text(loader, node_find(item, "about"), "about");
      derived.column = scalar_text(loader, node_find(item, "column"), "column");
      if (derived.column) derived.column = arena_string(loader->arena, column_canonical(derived.column));
      derived.expression = formula(loader, node_find(item, "formula"), derived.name);
      const struct node *at = node_find(item, "at");
      if (at && (at->kind != NODE_MAPPING || at->count != 1)) {
        node_error(at, loader->diagnostics, "for example at: {flops: [1e18, 1e21]}",
                   "at names one column and its values");
      } else if (at) {
        derived.at = arena_string(loader->arena, at->keys[0]->text);
        const struct node *multiples = node_find(at->items[0], "data");
        derived.of_data = multiples != NULL;
        derived.values = numbers(loader, multiples ? multiples : at->items[0], "at", &derived.value_count);
      }
      if (!node_find(item, "formula")) node_error(item, loader->diagnostics, NULL, "%s has no formula", derived.name);
    } else {
      derived.expression = formula(loader, item, derived.name);
    }
    if (!derived.expression) continue;
    derived.text = derived.expression->source;
    loader->law->derived[loader->law->derived_count++] = derived;
  }
}

static void load_root(struct loader *loader, const struct node *root) {
  static const char *const keys[] = {"law",       "about",      "source", "note",   "predicts", "formula",   "residual",
                                     "objective", "parameters", "define", "stages", "derived",  "exponents", "answers"};
  struct law *law = loader->law;
  struct error error = {0};
  node_check_keys(root, keys, sizeof keys / sizeof *keys, "a law", loader->diagnostics);
  law->name = scalar_text(loader, node_find(root, "law"), "law");
  if (!law->name) node_error(root, loader->diagnostics, NULL, "a law begins with its name (law: NAME)");
  law->about = scalar_text(loader, node_find(root, "about"), "about");
  law->source = scalar_text(loader, node_find(root, "source"), "source");
  law->note = scalar_text(loader, node_find(root, "note"), "note");
  law->target = scalar_text(loader, node_find(root, "predicts"), "predicts");
  if (!law->target) law->target = "loss";
  const struct node *node = node_find(root, "formula");
  law->formula = formula(loader, node, "formula");
  if (law->formula) law->formula_text = law->formula->source;
  if (!node) node_error(root, loader->diagnostics, NULL, "a law has a formula");
  const char *text = scalar_text(loader, node = node_find(root, "residual"), "residual");
  if (text && !residual_parse(text, &law->residual, &error))
    node_error(node, loader->diagnostics, NULL, "%s", error.text);
  law->objective = (struct objective){OBJECTIVE_HUBER, .delta = 1e-3};
  error = (struct error){0};
  text = scalar_text(loader, node = node_find(root, "objective"), "objective");
  if (text && !objective_parse(text, &law->objective, &error))
    node_error(node, loader->diagnostics, NULL, "%s", error.text);
  load_parameters(loader, root);
  load_definitions(loader, node_find(root, "define"));
  load_stages(loader, node_find(root, "stages"));
  load_derived(loader, node_find(root, "derived"));
  law->exponents = text_list(loader, node_find(root, "exponents"), "exponents", &law->exponent_count);
  law->answers = text_list(loader, node_find(root, "answers"), "answers", &law->answer_count);
  law_check(law, root, loader->diagnostics);
}

bool law_parse(struct law *law, const char *file, const char *bytes, size_t length, struct diagnostics *diagnostics,
               struct error *error) {
  *law = (struct law){0};
  struct loader loader = {law, &law->arena, diagnostics};
  law->path = arena_string(&law->arena, file);
  const struct node *root = document_parse(&law->arena, law->path, bytes, length, diagnostics);
  if (root && root->kind == NODE_MAPPING)
    load_root(&loader, root);
  else if (root)
    node_error(root, diagnostics, NULL, "a law is a mapping, not %s", node_kind_name(root));
  return diagnostics_check(diagnostics, law->path, error);
}

static int compare_names(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool law_names(struct arena *arena, const char ***names, size_t *count, struct error *error) {
  const char *folder = isoloss_data(arena, "laws");
  *names = NULL;
  *count = 0;
  DIR *directory = opendir(folder);
  if (!directory) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot read the folder of laws %s", folder);
  for (struct dirent *entry; (entry = readdir(directory));) {
    size_t length = strlen(entry->d_name);
    if (entry->d_name[0] == '.' || !ends_with(entry->d_name, ".yaml")) continue;
    *names = arena_grow(arena, *names, *count, *count + 1, sizeof **names);
    (*names)[(*count)++] = arena_copy(arena, entry->d_name, length - 5);
  }
  closedir(directory);
  if (*count) qsort(*names, *count, sizeof **names, compare_names);
  return true;
}

bool law_load(struct law *law, const char *name_or_path, struct diagnostics *diagnostics, struct error *error) {
  *law = (struct law){0};
  struct arena arena = {0};
  const char *path = name_or_path;
  bool fine = true;
  if (!strchr(path, '/') && !ends_with(path, ".yaml")) {
    path = path_join(&arena, isoloss_data(&arena, "laws"), arena_format(&arena, "%s.yaml", name_or_path));
    if (!file_exists(path)) {
      const char **names;
      size_t count;
      fine = law_names(&arena, &names, &count, error);
      const char *nearest = fine ? nearest_name(name_or_path, names, count) : NULL;
      if (fine) {
        error_set(error, EXIT_USAGE_ERROR, "there is no law '%s'", name_or_path);
        fine = error_hint(error, nearest, " (isoloss laws lists them; your own file ends in .yaml)");
      }
    }
  }
  size_t length = 0;
  const char *bytes = fine ? file_read(&arena, path, &length, error) : NULL;
  fine = bytes && law_parse(law, path, bytes, length, diagnostics, error);
  arena_free(&arena);
  return fine;
}

void law_free(struct law *law) {
  arena_free(&law->arena);
  *law = (struct law){0};
}
