// What makes a law's parts a law: every name is a parameter, a definition or a column; indices, functions, bounds and
// starts are sound.
#include <math.h>
#include <string.h>

#include "fitting/law_internal.h"

const char *law_size_column(const struct law *law) {
  const char *size = "parameters";
  int found = 0;
  for (int i = 0; i < law->column_count; i++) {
    if (strcmp(law->columns[i], "parameters") == 0) return law->columns[i];
    if (starts_with(law->columns[i], "parameters") && !found++) size = law->columns[i];
  }
  return found == 1 ? size : "parameters";
}

static bool compares_text(const struct expression_node *node, const char *column) {
  bool compares = node->kind == EXPRESSION_EQUAL || node->kind == EXPRESSION_UNEQUAL || node->kind == EXPRESSION_IN;
  bool named = false, text = false;
  for (int i = 0; i < node->count; i++) {
    const struct expression_node *one = node->arguments[i];
    if (compares_text(one, column)) return true;
    named |= compares && one->kind == EXPRESSION_NAME && strcmp(one->text, column) == 0;
    text |= one->kind == EXPRESSION_TEXT;
  }
  return named && text;
}

bool law_compares_text(const struct law *law, const char *column) { return compares_text(law->formula->root, column); }

int law_find_parameter(const struct law *law, const char *name) {
  for (int p = 0; p < law->parameter_count; p++)
    if (strcmp(law->parameters[p].name, name) == 0) return p;
  return -1;
}

int law_find_definition(const struct law *law, const char *name) {
  for (int d = 0; d < law->definition_count; d++)
    if (strcmp(law->definitions[d].name, name) == 0) return d;
  return -1;
}

static void add_column(struct law *law, const char *name) {
  for (int i = 0; i < law->column_count; i++)
    if (strcmp(law->columns[i], name) == 0) return;
  law->columns = arena_grow(&law->arena, law->columns, (size_t)law->column_count, (size_t)law->column_count + 1,
                            sizeof *law->columns);
  law->columns[law->column_count++] = name;
}

// Walks an expanded formula: marks the parameters it uses and collects the columns. False with a message in `error`.
static bool walk(struct law *law, const struct expression_node *node, bool *used, struct error *error) {
  if (node->kind == EXPRESSION_NAME) {
    int p = law_find_parameter(law, node->text);
    if (p < 0) {
      add_column(law, node->text);
      return true;
    }
    used[p] = true;
    if (law->parameters[p].by)
      return error_set(error, EXIT_USAGE_ERROR, "parameter %s has a value for every %s: write %s[%s]", node->text,
                       law->parameters[p].by, node->text, law->parameters[p].by);
  }
  if (node->kind == EXPRESSION_INDEXED) {
    int p = law_find_parameter(law, node->text);
    if (p < 0)
      return error_set(error, EXIT_USAGE_ERROR, "'%s[%s]': %s is no parameter", node->text, node->index, node->text);
    used[p] = true;
    if (!law->parameters[p].by)
      return error_set(error, EXIT_USAGE_ERROR,
                       "'%s[%s]': parameter %s has one value; give it 'by: %s' for one a category", node->text,
                       node->index, node->text, node->index);
    if (!node->index_quoted) add_column(law, node->index);
  }
  for (int i = 0; i < node->count; i++)
    if (!walk(law, node->arguments[i], used, error)) return false;
  return true;
}

static void check_parameter(const struct law *law, const struct law_parameter *parameter,
                            struct diagnostics *diagnostics) {
  const struct node *node = parameter->node;
  const char *name = parameter->name;
  if (column_canonical(name) != name)
    node_error(node, diagnostics, NULL,
               "N, D and C are short for parameters, tokens and flops; name the parameter "
               "otherwise");
  for (const char *c = name; *c; c++)
    if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_", *c) ||
        (*name >= '0' && *name <= '9')) {
      node_error(node, diagnostics, NULL, "'%s' is no name: letters, digits and _ make one", name);
      break;
    }
  if (parameter->positive && parameter->low < 0)
    node_error(node, diagnostics, NULL, "parameter %s is positive, but its low is negative", name);
  if (!(parameter->low < parameter->high))
    node_error(node, diagnostics, NULL, "parameter %s: low must be below high", name);
  if (parameter->tied && (parameter->fixed || parameter->by))
    node_error(node, diagnostics, NULL, "parameter %s is tied; it cannot be fixed or have categories too", name);
  if (!parameter->by && parameter->baseline_count)
    node_error(node, diagnostics, NULL, "parameter %s has a baseline, but no 'by' column", name);
  if (parameter->fixed && !(parameter->fixed_value >= parameter->low && parameter->fixed_value <= parameter->high))
    node_error(node, diagnostics, NULL, "parameter %s is fixed outside its bounds", name);
  if (!parameter->start_count && !parameter->fixed && !parameter->tied)
    node_error(node, diagnostics, "for example starts: [0.1, 0.5, 1]", "parameter %s has no starts", name);
  for (int i = 0; i < parameter->start_count; i++)
    if (!(parameter->starts[i] >= parameter->low && parameter->starts[i] <= parameter->high) ||
        (parameter->positive && parameter->starts[i] <= 0))
      node_error(node, diagnostics, NULL, "parameter %s: the start %g is outside its bounds", name,
                 parameter->starts[i]);
  if (law_find_definition(law, name) >= 0)
    node_error(node, diagnostics, NULL, "'%s' is both a parameter and a definition", name);
}

static void check_derived(struct law *law, const struct node *root, struct diagnostics *diagnostics) {
  for (int d = 0; d < law->derived_count; d++) {
    struct law_derived *derived = &law->derived[d];
    struct error error = {0};
    const struct expression_node *tree = law_expand(&law->arena, law, derived->expression->root, &error);
    if (!tree) {
      node_error(root, diagnostics, NULL, "derived %s: %s", derived->name, error.text);
      continue;
    }
    derived->expression = expression_from_node(&law->arena, tree);
    for (int i = 0; i < derived->expression->name_count; i++) {
      const struct expression_name *name = &derived->expression->names[i];
      bool known = law_find_parameter(law, name->name) >= 0 || (derived->at && strcmp(derived->at, name->name) == 0);
      for (int e = 0; e < d; e++) known |= strcmp(law->derived[e].name, name->name) == 0;
      if (!known)
        node_error(root, diagnostics, NULL, "derived %s: '%s' is neither a parameter nor a quantity derived before it",
                   derived->name, name->name);
    }
  }
}

// The names of a list are parameters or derived quantities.
static void check_names(const struct law *law, const char *key, const char *const *names, int count,
                        const struct node *root, struct diagnostics *diagnostics) {
  for (int i = 0; i < count; i++) {
    bool known = law_find_parameter(law, names[i]) >= 0;
    for (int d = 0; d < law->derived_count; d++) known |= strcmp(law->derived[d].name, names[i]) == 0;
    if (!known) node_error(root, diagnostics, NULL, "%s: '%s' is neither a parameter nor derived", key, names[i]);
  }
}

void law_check(struct law *law, const struct node *root, struct diagnostics *diagnostics) {
  for (int p = 0; p < law->parameter_count; p++) check_parameter(law, &law->parameters[p], diagnostics);
  if (!law->formula || !law->parameter_count) return;
  struct error error = {0};
  const struct node *place = node_find(root, "formula");
  const struct expression_node *tree = law_expand(&law->arena, law, law->formula->root, &error);
  bool *used = arena_array(&law->arena, (size_t)law->parameter_count + 1, sizeof *used);
  if (tree) {
    for (int p = 0; p < law->parameter_count; p++)
      if (law->parameters[p].by) add_column(law, law->parameters[p].by);
    if (walk(law, tree, used, &error)) law->formula = expression_from_node(&law->arena, tree);
  }
  if (error.code) {
    node_error(place, diagnostics, NULL, "formula: %s", error.text);
    return;
  }
  for (int p = 0; p < law->parameter_count; p++)
    if (!used[p] && !law->parameters[p].tied)
      node_error(law->parameters[p].node, diagnostics, NULL, "parameter %s does not occur in the formula",
                 law->parameters[p].name);
  for (int i = 0; i < law->column_count; i++)
    if (strcmp(law->columns[i], law->target) == 0)
      node_error(place, diagnostics, NULL, "the formula uses %s, the column it is to predict", law->target);
  check_derived(law, root, diagnostics);
  check_names(law, "exponents", law->exponents, law->exponent_count, root, diagnostics);
  check_names(law, "answers", law->answers, law->answer_count, root, diagnostics);
}
