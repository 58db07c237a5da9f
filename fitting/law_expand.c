// Definitions and tied parameters put in the place of their names.
#include <string.h>

#include "fitting/law_internal.h"

enum {
  NODE_LIMIT = 20000,  // nodes of an expanded formula
  LEVEL_LIMIT = 2500,  // and its height
};

struct expansion {
  struct arena *arena;
  const struct law *law;
  struct error *error;
  int nodes, depth, level;
  // arguments of the definition being expanded
  const struct law_definition *inside;
  struct expression_node **arguments;
};

static struct expression_node *expand(struct expansion *expansion, const struct expression_node *node);
static struct expression_node *expand_node(struct expansion *expansion, const struct expression_node *node);

static struct expression_node *expand_body(struct expansion *expansion, const struct expression_node *body,
                                           const struct law_definition *inside, struct expression_node **arguments) {
  struct expansion inner = *expansion;
  inner.inside = inside;
  inner.arguments = arguments;
  inner.depth++;
  struct expression_node *made = expand(&inner, body);
  expansion->nodes = inner.nodes;
  return made;
}

static bool builtin(const char *name) {
  for (int i = 0; expression_functions[i]; i++)
    if (strcmp(expression_functions[i], name) == 0) return true;
  return false;
}

static struct expression_node *expand_call(struct expansion *expansion, const struct expression_node *node,
                                           struct expression_node *made) {
  int d = law_find_definition(expansion->law, node->text);
  if (d < 0 && builtin(node->text)) return made;
  if (d < 0) {
    size_t count = 0;
    while (expression_functions[count]) count++;
    error_set(expansion->error, EXIT_USAGE_ERROR, "unknown function '%s'", node->text);
    error_hint(expansion->error, nearest_name(node->text, expression_functions, count), NULL);
    return NULL;
  }
  const struct law_definition *definition = &expansion->law->definitions[d];
  if (definition->argument_count != node->count) {
    error_set(expansion->error, EXIT_USAGE_ERROR, "%s takes %d argument%s, not %d", node->text,
              definition->argument_count, definition->argument_count == 1 ? "" : "s", node->count);
    return NULL;
  }
  return expand_body(expansion, definition->expression->root, definition, made->arguments);
}

static struct expression_node *too_large(struct expansion *expansion) {
  error_set(expansion->error, EXIT_USAGE_ERROR, "the formula with its definitions is too large");
  return NULL;
}

// Counts the nodes of an argument that is put in (again), and looks at its height.
static bool count_argument(struct expansion *expansion, const struct expression_node *node, int level) {
  if (++expansion->nodes > NODE_LIMIT || level > LEVEL_LIMIT) return false;
  for (int i = 0; i < node->count; i++)
    if (!count_argument(expansion, node->arguments[i], level + 1)) return false;
  return true;
}

static struct expression_node *expand(struct expansion *expansion, const struct expression_node *node) {
  if (++expansion->nodes > NODE_LIMIT || expansion->depth > 64 || ++expansion->level > LEVEL_LIMIT)
    return too_large(expansion);
  struct expression_node *made = expand_node(expansion, node);
  expansion->level--;
  return made;
}

static struct expression_node *expand_node(struct expansion *expansion, const struct expression_node *node) {
  if (node->kind == EXPRESSION_NAME) {
    for (int a = 0; expansion->inside && a < expansion->inside->argument_count; a++)
      if (strcmp(expansion->inside->arguments[a], node->text) == 0)
        return count_argument(expansion, expansion->arguments[a], expansion->level) ? expansion->arguments[a]
                                                                                    : too_large(expansion);
    int d = law_find_definition(expansion->law, node->text), p = law_find_parameter(expansion->law, node->text);
    if (d >= 0 && expansion->law->definitions[d].argument_count == 0)
      return expand_body(expansion, expansion->law->definitions[d].expression->root, NULL, NULL);
    if (p >= 0 && expansion->law->parameters[p].tied)
      return expand_body(expansion, expansion->law->parameters[p].tied->root, NULL, NULL);
  }
  struct expression_node *made = arena_alloc(expansion->arena, sizeof *made);
  *made = *node;
  made->arguments = arena_array(expansion->arena, (size_t)node->count + 1, sizeof *made->arguments);
  for (int i = 0; i < node->count; i++) {
    made->arguments[i] = expand(expansion, node->arguments[i]);
    if (!made->arguments[i]) return NULL;
  }
  return node->kind == EXPRESSION_CALL ? expand_call(expansion, node, made) : made;
}

struct expression_node *law_expand(struct arena *arena, const struct law *law, const struct expression_node *node,
                                   struct error *error) {
  return expand(&(struct expansion){.arena = arena, .law = law, .error = error}, node);
}

static struct expression_node *copy_with_slots(struct arena *arena, struct expression *expression,
                                               const struct expression_node *node) {
  struct expression_node *made = arena_alloc(arena, sizeof *made);
  *made = *node;
  made->arguments = arena_array(arena, (size_t)node->count + 1, sizeof *made->arguments);
  for (int i = 0; i < node->count; i++) made->arguments[i] = copy_with_slots(arena, expression, node->arguments[i]);
  if (node->kind != EXPRESSION_NAME && node->kind != EXPRESSION_INDEXED) return made;
  for (made->slot = 0; made->slot < expression->name_count; made->slot++) {
    const struct expression_name *known = &expression->names[made->slot];
    if (strcmp(known->name, node->text) == 0 && !known->index == !node->index &&
        (!node->index || (strcmp(known->index, node->index) == 0 && known->index_quoted == node->index_quoted)))
      return made;
  }
  expression->names = arena_grow(arena, expression->names, (size_t)expression->name_count,
                                 (size_t)expression->name_count + 1, sizeof *expression->names);
  expression->names[expression->name_count++] = (struct expression_name){
      .name = node->text, .index = node->index, .index_quoted = node->index_quoted, .offset = node->offset};
  return made;
}

// The places of nodes no longer mean anything in one text, so the source of such an expression is empty.
struct expression *expression_from_node(struct arena *arena, const struct expression_node *node) {
  struct expression *expression = arena_alloc(arena, sizeof *expression);
  expression->source = "";
  expression->root = copy_with_slots(arena, expression, node);
  return expression;
}

struct baseline_expansion {
  struct arena *arena;
  const char *(*category_of)(const void *context, const char *column);
  const void *context;
  struct error *error;
};

static struct expression_node *baselines_in(const struct baseline_expansion *expansion,
                                            const struct expression_node *node) {
  struct expression_node *made = arena_alloc(expansion->arena, sizeof *made);
  *made = *node;
  made->arguments = arena_array(expansion->arena, (size_t)node->count + 2, sizeof *made->arguments);
  for (int i = 0; i < node->count; i++) {
    made->arguments[i] = baselines_in(expansion, node->arguments[i]);
    if (!made->arguments[i]) return NULL;
  }
  if (node->kind != EXPRESSION_CALL || strcmp(node->text, "baseline") != 0) return made;
  if (node->count != 1 || node->arguments[0]->kind != EXPRESSION_NAME) {
    error_set(expansion->error, EXIT_USAGE_ERROR, "baseline() takes the name of a column");
    return NULL;
  }
  const char *category = expansion->category_of(expansion->context, node->arguments[0]->text);
  if (!category) {
    error_set(expansion->error, EXIT_USAGE_ERROR, "baseline(%s): no parameter is pinned by that column",
              node->arguments[0]->text);
    return NULL;
  }
  struct expression_node *text = arena_alloc(expansion->arena, sizeof *text);
  *text = (struct expression_node){.kind = EXPRESSION_TEXT, .offset = node->offset, .text = category};
  made->kind = EXPRESSION_EQUAL;
  made->count = 2;
  made->arguments[1] = text;
  return made;
}

struct expression *expand_baselines(struct arena *arena, const struct expression *condition,
                                    const char *(*category_of)(const void *context, const char *column),
                                    const void *context, struct error *error) {
  struct baseline_expansion expansion = {arena, category_of, context, error};
  struct expression_node *root = baselines_in(&expansion, condition->root);
  return root ? expression_from_node(arena, root) : NULL;
}
