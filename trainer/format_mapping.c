// Formats as a spec's mapping gives them, key by key into the struct. See formats.h.
#include <stdio.h>
#include <string.h>

#include "kernels/formats/parse.h"
#include "trainer/formats.h"

// ---- an operand ----

// In the order in which they are read: options change what the recipe and the grid have set.
static const char *const operand_keys[] = {"recipe",     "sparsity", "grid",     "scale",    "per",
                                           "scale_type", "rounding", "hadamard", "estimator"};
enum { OPERAND_KEYS = sizeof operand_keys / sizeof operand_keys[0], FIRST_OPTION = 3 };

static bool read_recipe(const struct node *node, struct representation_reader *reader, struct error *error) {
  struct piece word = piece_of(node->text);
  int recipe = piece_word(word, WORDS(recipe_words));
  reader->recipe_given = recipe >= 0;
  if (recipe < 0) {
    error_set(error, EXIT_USAGE_ERROR, "'%s' is no recipe", node->text);
    return error_hint(error, nearest_name(node->text, recipe_words, RECIPES),
                      ": there are quest, lsq, ste, clip, absmax and seq");
  }
  reader->recipe = (enum recipe)recipe;
  return true;
}

// The option that a word, a number or true and false under `hadamard` stand for.
static const char *hadamard_option(const struct node *node, struct arena *arena) {
  bool wanted = false;
  double block;
  if (node_is_null(node) || strcmp(node->text, "none") == 0) return "no-hadamard";
  if (node_boolean(node, &wanted)) return wanted ? "hadamard" : "no-hadamard";
  if (strcmp(node->text, "fixed") == 0) return "hadamard";
  if (strcmp(node->text, "random") == 0) return "random-hadamard";
  return node_number(node, &block) ? arena_format(arena, "hadamard(%s)", node->text) : node->text;
}

static bool read_key(const struct node *node, int key, struct representation_reader *reader, struct error *error) {
  const char *word = node->text;
  if (key == 0) return read_recipe(node, reader, error);
  if (key < FIRST_OPTION) return node_is_null(node) || representation_read(reader, piece_of(word), NULL, error);
  if (representation_is_none(reader->into))
    return error_set(error, EXIT_USAGE_ERROR, "%s goes with a grid or with sparsity", operand_keys[key]);
  if (strcmp(operand_keys[key], "hadamard") == 0) word = hadamard_option(node, reader->arena);
  return format_options_parse(piece_of(word), &reader->into, 1, NULL, error);
}

// Reads the first `count` of the keys; *wrong is the value that is refused.
static bool read_keys(const struct node *node, int count, struct representation *into, const struct node **wrong,
                      struct arena *arena, struct error *error) {
  struct representation_reader reader = representation_begin(into, arena);
  for (int key = 0; key < count; key++) {
    *wrong = node_find(node, operand_keys[key]);
    if (*wrong && !read_key(*wrong, key, &reader, error)) return false;
  }
  *wrong = NULL;
  return true;
}

// The key that brings in what does not go together: the first one with which those so far break the same rule.
static const struct node *guilty_node(const struct node *node, enum operand operand, const char *clash,
                                      struct arena *arena) {
  for (int count = 1; count <= OPERAND_KEYS; count++) {
    const struct node *last = node_find(node, operand_keys[count - 1]), *wrong;
    struct representation trial;
    struct error error = {0};
    if (last && read_keys(node, count, &trial, &wrong, arena, &error) && representation_clash(&trial, operand) == clash)
      return last;
  }
  return node;
}

static bool operand_fine(const struct node *node, struct diagnostics *diagnostics) {
  size_t before = diagnostics->errors;
  node_check_keys(node, operand_keys, OPERAND_KEYS, "a format's operand", diagnostics);
  for (int key = 0; key < OPERAND_KEYS; key++) {
    const struct node *value = node_find(node, operand_keys[key]);
    if (value && value->kind != NODE_SCALAR)
      node_error(value, diagnostics, NULL, "%s must be one word, not %s", operand_keys[key], node_kind_name(value));
  }
  if (diagnostics->errors == before && !node_find(node, "sparsity") && !node_find(node, "grid"))
    node_error(node, diagnostics, NULL, "names no grid and no sparsity");
  return diagnostics->errors == before;
}

static void read_operand(const struct node *node, enum operand operand, struct representation *into,
                         struct arena *arena, struct diagnostics *diagnostics) {
  struct error error = {0};
  const struct node *wrong = node;
  bool fine = true;
  if (node->kind == NODE_SEQUENCE) {
    node_error(node, diagnostics, NULL, "an operand is a representation such as int4, or a mapping, not %s",
               node_kind_name(node));
  } else if (node->kind == NODE_SCALAR) {
    struct representation_reader reader = representation_begin(into, arena);
    fine = node_is_null(node) || (representation_read(&reader, piece_of(node->text), NULL, &error) &&
                                  representation_finish(into, operand, &error));
  } else if (operand_fine(node, diagnostics)) {
    fine = read_keys(node, OPERAND_KEYS, into, &wrong, arena, &error);
    const char *clash = fine ? representation_clash(into, operand) : NULL;
    if (clash) wrong = guilty_node(node, operand, clash, arena);
    fine = fine && representation_finish(into, operand, &error);
  }
  if (!fine) node_fail(wrong, diagnostics, &error);
}

// ---- the whole ----

static void read_backward(const struct node *node, enum backward_operand *backward, struct diagnostics *diagnostics) {
  int found = node->kind == NODE_SCALAR ? piece_word(piece_of(node->text), WORDS(backward_words)) : -1;
  if (found < 0)
    node_error(node, diagnostics, NULL, "backward is forward, requantize, tokens or original");
  else
    *backward = (enum backward_operand)found;
}

static void read_layers(const struct node *node, unsigned *layers, struct diagnostics *diagnostics) {
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  unsigned all = 0;
  for (size_t i = 0; i < count && node->kind != NODE_MAPPING; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    struct piece list = item->kind == NODE_SCALAR ? piece_of(item->text) : (struct piece){NULL, 0}, name;
    unsigned found = list.start && list.length ? ~0U : 0;
    while (found && piece_next(&list, ',', &name)) {
      found = layers_find(name);
      all |= found;
    }
    if (!found) {
      node_error(item, diagnostics, NULL, "layers are qkv, output, gate_up, down, attention and mlp");
      return;
    }
  }
  if (!all) node_error(node, diagnostics, NULL, "layers is a list of qkv, output, gate_up, down, attention, mlp");
  *layers = all;
}

static void read_mapping(const struct node *node, struct format *format, struct arena *arena,
                         struct diagnostics *diagnostics) {
  static const char *const keys[] = {"weights",        "activations", "gradients",     "backward",
                                     "token_hadamard", "layers",      "high_precision"};
  const struct node *backward = node_find(node, "backward"), *token = node_find(node, "token_hadamard"),
                    *layers = node_find(node, "layers"), *high = node_find(node, "high_precision");
  size_t before = diagnostics->errors;
  *format = format_nothing;
  node_check_keys(node, keys, sizeof keys / sizeof keys[0], "a format", diagnostics);
  for (int i = 0; i < OPERANDS; i++) {
    const struct node *operand = node_find(node, keys[i]);
    if (operand) read_operand(operand, (enum operand)i, &format->operands[i], arena, diagnostics);
  }
  if (backward) read_backward(backward, &format->backward, diagnostics);
  if (token && !node_boolean(token, &format->gradient_token_hadamard))
    node_error(token, diagnostics, NULL, "token_hadamard is true or false");
  if (layers) read_layers(layers, &format->layers, diagnostics);
  if (high &&
      !(node_number(high, &format->high_precision) && format->high_precision >= 0 && format->high_precision < 1))
    node_error(
        high, diagnostics, NULL,
        "high_precision is the share of the blocks that stay in full precision: at least 0 and below 1, as 0.16");
  if (diagnostics->errors > before) return;
  if (format_is_none(format)) *format = format_nothing;
  const char *objection = format_objection(format);
  if (objection) node_error(node, diagnostics, NULL, "%s", objection);
}

// {after: SHARE, then: FORMAT}
static const struct format *read_phases(const struct node *node, struct arena *arena, struct diagnostics *diagnostics) {
  static const char *const keys[] = {"after", "then"};
  const struct node *after = node_find(node, "after"), *then = node_find(node, "then");
  size_t before = diagnostics->errors;
  struct error error = {0};
  double share;
  node_check_keys(node, keys, sizeof keys / sizeof keys[0], "a format that begins later", diagnostics);
  if (!after || !then)
    node_error(node, diagnostics, NULL, "a format that begins later is {after: SHARE, then: FORMAT}: %s is missing",
               after ? "then" : "after");
  if (diagnostics->errors > before) return NULL;
  const struct format *format = format_read_node(then, arena, diagnostics);
  if (!format) return NULL;
  struct format *phased = arena_alloc(arena, sizeof *phased);
  *phased = *format;
  if (format->after > 0) {
    node_error(then, diagnostics, NULL, "what comes then begins at once: it has an after of its own");
    return NULL;
  }
  if (!node_number(after, &share)) {
    node_error(after, diagnostics, NULL, "after is the share of the steps that pass in full precision, as 0.9");
    return NULL;
  }
  if (!format_phase_set(phased, share, &error)) {
    node_fail(after, diagnostics, &error);
    return NULL;
  }
  phased->name = format_short_name(phased, arena);
  return phased;
}

const struct format *format_read_node(const struct node *node, struct arena *arena, struct diagnostics *diagnostics) {
  if (node->kind == NODE_SCALAR) {
    struct error error = {0};
    const struct format *named = format_parse(node_is_null(node) ? "none" : node->text, arena, &error);
    if (named) return named;
    error_context(&error, "format");
    node_fail(node, diagnostics, &error);
    return NULL;
  }
  if (node->kind != NODE_MAPPING) {
    node_error(node, diagnostics, NULL, "a format is a name such as w4a4, or a mapping, not %s", node_kind_name(node));
    return NULL;
  }
  if (node_find(node, "after") || node_find(node, "then")) return read_phases(node, arena, diagnostics);
  size_t before = diagnostics->errors;
  struct format *format = arena_alloc(arena, sizeof *format);
  read_mapping(node, format, arena, diagnostics);
  if (diagnostics->errors > before) return NULL;
  format_complete(format, arena);
  return format;
}

const struct format *format_read(const char *text, struct arena *arena, struct error *error) {
  const struct format *format = NULL;
  if (*piece_of(text).start == '{') {
    struct diagnostics diagnostics = {0};
    struct node *node = document_parse(arena, "format", text, strlen(text), &diagnostics);
    if (node) format = format_read_node(node, arena, &diagnostics);
    if (!format)
      error_set(error, EXIT_USAGE_ERROR, "%s", diagnostics.count ? diagnostics.items[0].message : "not a mapping");
    diagnostics_free(&diagnostics);
  } else {
    format = format_parse(text, arena, error);
  }
  if (!format) {
    error_context(error, "format");
    error_about(error, "format", NULL);
  }
  return format;
}
