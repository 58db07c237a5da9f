// Formats written as a mapping in a spec: turned into the short form, piece by piece, so that there is one parser.
#include <stdio.h>
#include <string.h>

#include "kernels/formats/parse.h"

// A key's words as options of the short form.
static bool add_option(const struct node *value, const char *key, struct text *options,
                       struct diagnostics *diagnostics) {
  if (value->kind != NODE_SCALAR) {
    node_error(value, diagnostics, NULL, "%s must be one word, not %s", key, node_kind_name(value));
    return false;
  }
  const char *text = value->text;
  double number;
  text_char(options, ',');
  if (strcmp(key, "hadamard") == 0) {
    bool wanted;
    if (node_is_null(value) || strcmp(text, "none") == 0 || (node_boolean(value, &wanted) && !wanted))
      text_add(options, "no-hadamard");
    else if (strcmp(text, "fixed") == 0 || (node_boolean(value, &wanted) && wanted))
      text_add(options, "hadamard");
    else if (strcmp(text, "random") == 0)
      text_add(options, "random-hadamard");
    else if (node_number(value, &number))
      text_format(options, "hadamard(%s)", text);
    else
      text_add(options, text);
  } else {
    text_add(options, text);
  }
  return true;
}

static const char *const representation_keys[] = {"recipe",     "sparsity", "grid",     "scale",    "per",
                                                  "scale_type", "rounding", "hadamard", "estimator"};
enum { REPRESENTATION_KEYS = sizeof representation_keys / sizeof representation_keys[0] };

// Short text of a mapping's first `count` keys, in the order of the list above.
static bool text_of_keys(const struct node *node, int count, struct text *out, struct diagnostics *diagnostics) {
  const struct node *recipe = node_find(node, "recipe"), *sparsity = count > 1 ? node_find(node, "sparsity") : NULL,
                    *grid = count > 2 ? node_find(node, "grid") : NULL;
  struct text options = {0};
  bool fine = true;
  if (recipe) text_format(out, "%s-", recipe->text);
  if (sparsity && !node_is_null(sparsity)) text_add(out, sparsity->text);
  if (sparsity && !node_is_null(sparsity) && grid) text_char(out, '+');
  if (grid) text_add(out, grid->text);
  for (int i = 3; i < count && fine; i++) {
    const struct node *value = node_find(node, representation_keys[i]);
    if (value) fine = add_option(value, representation_keys[i], &options, diagnostics);
  }
  if (options.length) text_format(out, "[%s]", text_string(&options) + 1);
  text_free(&options);
  return fine;
}

// Short text of one operand's node; false after a diagnostic.
static bool representation_of_node(const struct node *node, struct text *out, struct diagnostics *diagnostics) {
  if (node->kind == NODE_SCALAR) {
    text_add(out, node_is_null(node) ? "none" : node->text);
    return true;
  }
  if (node->kind != NODE_MAPPING) {
    node_error(node, diagnostics, NULL, "an operand is a representation such as int4, or a mapping, not %s",
               node_kind_name(node));
    return false;
  }
  size_t before = diagnostics->errors;
  node_check_keys(node, representation_keys, REPRESENTATION_KEYS, "a format's operand", diagnostics);
  const struct node *recipe = node_find(node, "recipe"), *sparsity = node_find(node, "sparsity"),
                    *grid = node_find(node, "grid");
  const struct node *terms[3] = {recipe, sparsity, grid};
  for (int i = 0; i < 3; i++)
    if (terms[i] && terms[i]->kind != NODE_SCALAR)
      node_error(terms[i], diagnostics, NULL, "must be one word, not %s", node_kind_name(terms[i]));
  if (diagnostics->errors == before && recipe) {
    bool known = false;
    for (int i = 0; i < RECIPES; i++) known |= strcmp(recipe->text, recipe_names[i]) == 0;
    const char *near = known ? NULL : nearest_name(recipe->text, recipe_names, RECIPES);
    char hint[64];
    snprintf(hint, sizeof hint, near ? "did you mean '%s'?" : "there are quest, lsq, ste, clip and absmax%s",
             near ? near : "");
    if (!known) node_error(recipe, diagnostics, hint, "'%s' is no recipe", recipe->text);
  }
  return diagnostics->errors == before && text_of_keys(node, REPRESENTATION_KEYS, out, diagnostics);
}

// The key that brings the mistake in: the first one with which the text of the keys so far is refused in these words.
static const struct node *guilty_node(const struct node *operand, const char *words, struct arena *arena,
                                      struct diagnostics *diagnostics) {
  if (operand->kind != NODE_MAPPING) return operand;
  for (int count = 1; count <= REPRESENTATION_KEYS; count++) {
    const struct node *last = node_find(operand, representation_keys[count - 1]);
    struct text text = {0};
    struct representation representation;
    struct error error = {0};
    if (!last) continue;
    text_of_keys(operand, count, &text, diagnostics);
    bool refused = !representation_parse_into(text_string(&text), &representation, arena, &error);
    text_free(&text);
    if (refused && strcmp(error.text, words) == 0) return last;
  }
  return operand;
}

static const char *const format_keys[] = {"weights",  "activations",    "gradients",
                                          "backward", "token_hadamard", "layers"};
enum { FORMAT_KEYS = sizeof format_keys / sizeof format_keys[0] };

static void format_options_of_node(const struct node *node, struct text *options, struct diagnostics *diagnostics) {
  const struct node *backward = node_find(node, "backward"), *token = node_find(node, "token_hadamard"),
                    *layers = node_find(node, "layers");
  if (backward) {
    if (backward->kind == NODE_SCALAR && strcmp(backward->text, "forward") == 0) {
    } else if (backward->kind == NODE_SCALAR &&
               (strcmp(backward->text, "requantize") == 0 || strcmp(backward->text, "original") == 0)) {
      text_format(options, ",%s", backward->text);
    } else {
      node_error(backward, diagnostics, NULL, "backward is forward, requantize or original");
    }
  }
  bool wanted = false;
  if (token && !node_boolean(token, &wanted)) node_error(token, diagnostics, NULL, "token_hadamard is true or false");
  if (wanted) text_add(options, ",token-hadamard");
  if (!layers) return;
  text_add(options, ",layers(");
  if (layers->kind == NODE_SEQUENCE) {
    for (size_t i = 0; i < layers->count; i++)
      text_format(options, "%s%s", i ? "," : "", layers->items[i]->kind == NODE_SCALAR ? layers->items[i]->text : "?");
  } else if (layers->kind == NODE_SCALAR) {
    text_add(options, layers->text);
  } else {
    node_error(layers, diagnostics, NULL, "layers is a list of qkv, output, gate_up, down, attention, mlp");
  }
  text_char(options, ')');
}

const struct format *format_parse_node(const struct node *node, struct arena *arena, struct diagnostics *diagnostics) {
  struct error error = {0};
  const struct format *format = NULL;
  size_t before = diagnostics->errors;
  if (node->kind == NODE_SCALAR) {
    format = format_parse(node_is_null(node) ? "none" : node->text, arena, &error);
    if (!format) node_error(node, diagnostics, NULL, "%s", error.text);
    return format;
  }
  if (node->kind != NODE_MAPPING) {
    node_error(node, diagnostics, NULL, "a format is a name such as w4a4, or a mapping, not %s", node_kind_name(node));
    return NULL;
  }
  node_check_keys(node, format_keys, FORMAT_KEYS, "a format", diagnostics);
  struct text text = {0}, options = {0};
  static const char letters[] = "wag";
  for (int i = 0; i < OPERANDS; i++) {
    const struct node *operand = node_find(node, format_keys[i]);
    if (!operand) continue;
    struct text piece = {0};
    if (representation_of_node(operand, &piece, diagnostics) && strcmp(text_string(&piece), "none") != 0) {
      // A mistake in an operand is reported where it stands.
      struct representation representation;
      struct error wrong = {0};
      if (!representation_parse_into(text_string(&piece), &representation, arena, &wrong))
        node_error(guilty_node(operand, wrong.text, arena, diagnostics), diagnostics, NULL, "%s", wrong.text);
      text_format(&text, "%c(%s)", letters[i], text_string(&piece));
    }
    text_free(&piece);
  }
  format_options_of_node(node, &options, diagnostics);
  if (!text.length)
    text_add(&text, "none");
  else if (options.length)
    text_format(&text, "[%s]", text_string(&options) + 1);
  if (diagnostics->errors == before) {
    format = format_parse(text_string(&text), arena, &error);
    if (!format) node_error(node, diagnostics, NULL, "%s", error.text);
  }
  text_free(&text);
  text_free(&options);
  return format;
}
