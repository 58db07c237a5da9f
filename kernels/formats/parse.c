// Formats from text: the short forms, put together of grids, sparsity and options. See format.h and docs/formats.md.
#include "kernels/formats/parse.h"

#include <stdio.h>
#include <string.h>

#include "kernels/formats/grid.h"

const char *const recipe_names[RECIPES] = {"quest", "lsq", "ste", "clip", "absmax"};

// ---- representations ----

static bool take_recipe(struct piece *piece, enum recipe *recipe) {
  for (int i = 0; i < RECIPES; i++) {
    struct piece rest = *piece;
    if (!piece_take(&rest, recipe_names[i]) || !piece_take(&rest, "-")) continue;
    *piece = rest;
    *recipe = (enum recipe)i;
    return true;
  }
  return false;
}

static bool parse_representation(struct piece text, struct representation *representation, struct format *format,
                                 struct arena *arena, struct error *error) {
  *representation =
      (struct representation){.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}};
  enum recipe recipe = RECIPE_QUEST;
  bool recipe_given = take_recipe(&text, &recipe);
  struct piece terms = text, options = {NULL, 0}, term;
  size_t bracket = piece_find(text, '[');
  if (bracket < text.length) {
    if (text.start[text.length - 1] != ']') return piece_error(error, text, "a bracket is missing");
    terms.length = bracket;
    options = (struct piece){text.start + bracket + 1, text.length - bracket - 2};
  }
  terms = piece_trim(terms);
  if (!terms.length) return piece_error(error, text, "names no grid and no sparsity");
  if (piece_is(terms, "none")) return options.start ? piece_error(error, text, "none has no options") : true;
  while (piece_next(&terms, '+', &term)) {
    bool known = false;
    struct sparsity sparsity;
    if (!sparsity_parse(term, &sparsity, &known, error)) return false;
    if (known) {
      if (representation->sparsity.kind != SPARSITY_NONE) return piece_error(error, text, "has two kinds of sparsity");
      if (representation->grid.kind != GRID_NONE)
        return piece_error(error, text, "sparsity stands before the grid, as 2:4+int4");
      representation->sparsity = sparsity;
      continue;
    }
    if (representation->grid.kind != GRID_NONE) return piece_error(error, text, "has two grids");
    if (!grid_parse(term, recipe, recipe_given, representation, &known, arena, error)) return false;
    if (known) continue;
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)term.length, term.start);
    size_t count = 0;
    const char *candidates[128];
    while (grid_names[count]) candidates[count] = grid_names[count], count++;
    for (const struct format_preset *preset = format_presets; preset->name; preset++)
      candidates[count++] = preset->name;
    const char *near = nearest_name(name, candidates, count);
    return error_set(error, EXIT_USAGE_ERROR, "'%s' is no format%s%s%s (isoloss formats lists them)", name,
                     near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
  }
  // Masks that stay, and a threshold for all layers, are taken where the weights are.
  const struct sparsity *pattern = &representation->sparsity;
  if (pattern->kind == SPARSITY_TOP && (pattern->monotone || pattern->scope == SCOPE_GLOBAL))
    representation->hadamard.kind = HADAMARD_NONE;
  return format_options_parse(options, &representation, 1, format, error);
}

bool representation_parse_into(const char *text, struct representation *representation, struct arena *arena,
                               struct error *error) {
  return parse_representation(piece_of(text), representation, NULL, arena, error) &&
         representation_finish(representation, OPERAND_WEIGHTS, error);
}

bool representation_parse(const char *text, struct representation *representation, struct arena *arena,
                          struct error *error) {
  if (!representation_parse_into(text, representation, arena, error)) return false;
  representation_scale(representation);
  return true;
}

// ---- whole formats ----

// w4a4, w4, a8, w2a16g8: true when the text has that shape; bits of 16 stand for none.
static bool split_bits(struct piece piece, int bits[OPERANDS]) {
  const char *const letters = "wag";
  bool any = false;
  for (int i = 0; i < OPERANDS; i++) {
    bits[i] = 16;
    char letter[2] = {letters[i], 0};
    struct piece rest = piece;
    if (!piece_take(&rest, letter)) continue;
    if (!piece_take_number(&rest, &bits[i])) return false;
    piece = rest;
    any = true;
  }
  return any && piece.length == 0;
}

static bool parse_operands(struct piece piece, struct format *format, struct arena *arena, struct error *error) {
  const char *const openings[OPERANDS] = {"w(", "a(", "g("};
  struct piece text = piece;
  for (int i = 0; i < OPERANDS; i++) {
    struct piece rest = piece;
    if (!piece_take(&rest, openings[i])) continue;
    size_t end = piece_find(rest, ')');  // depth 0 is inside this bracket
    if (end == rest.length) return piece_error(error, text, "a bracket is missing");
    if (!parse_representation(piece_trim((struct piece){rest.start, end}), &format->operands[i], NULL, arena, error))
      return false;
    piece = (struct piece){rest.start + end + 1, rest.length - end - 1};
  }
  if (piece.length)
    return piece_error(error, piece, "is not expected here: operands are w(...), a(...), g(...), in this order");
  return true;
}

bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error) {
  struct piece piece = piece_of(text);
  *format = (struct format){.layers = LAYERS_DEFAULT};
  for (int i = 0; i < OPERANDS; i++)
    format->operands[i] =
        (struct representation){.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}};
  if (!piece.length) return error_set(error, EXIT_USAGE_ERROR, "an empty text is no format (none changes nothing)");
  if (piece.length > 8000) return error_set(error, EXIT_USAGE_ERROR, "a format has at most 8000 characters");
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (piece_is(piece, preset->name)) return format_parse_into(preset->text, format, arena, error);

  struct piece body = piece, options = {NULL, 0};
  size_t bracket = piece_find(piece, '[');
  if (bracket < piece.length) {
    if (piece.start[piece.length - 1] != ']') return piece_error(error, piece, "a bracket is missing");
    body.length = bracket;
    options = (struct piece){piece.start + bracket + 1, piece.length - bracket - 2};
    body = piece_trim(body);
  }
  struct piece unprefixed = body;
  enum recipe recipe = RECIPE_QUEST;
  take_recipe(&unprefixed, &recipe);
  int bits[OPERANDS];
  if (split_bits(unprefixed, bits)) {
    for (int i = 0; i < OPERANDS; i++) {
      if (bits[i] == 16) continue;
      if (bits[i] < 1 || bits[i] > 8)
        return piece_error(error, piece,
                           bits[i] == 0 ? "0 bits hold nothing: 1 to 8 bits, or 16 for full precision"
                                        : "1 to 8 bits, or 16 for full precision");
      struct representation *operand = &format->operands[i];
      operand->grid = grid_mid_rise(bits[i]);
      recipe_apply(operand, recipe);
    }
  } else if (body.length > 1 && strchr("wag", body.start[0]) && body.start[1] == '(') {
    if (!parse_operands(body, format, arena, error)) return false;
  } else {
    if (!parse_representation(piece, &format->operands[OPERAND_WEIGHTS], format, arena, error)) return false;
    options.start = NULL;  // done there
  }
  if (options.start) {
    struct representation *present[OPERANDS];
    int count = 0;
    for (int i = 0; i < OPERANDS; i++)
      if (!representation_is_none(&format->operands[i])) present[count++] = &format->operands[i];
    if (!format_options_parse(options, present, count, format, error)) return false;
  }
  for (int i = 0; i < OPERANDS; i++)
    if (!representation_finish(&format->operands[i], (enum operand)i, error)) return false;
  for (int i = 0; i < OPERAND_GRADIENTS && format->backward == BACKWARD_ORIGINAL; i++)
    if (format->operands[i].grid.kind != GRID_NONE && format->operands[i].estimator != ESTIMATOR_STE)
      return piece_error(error, piece, "original operands in the backward pass go with the estimator ste");
  if (format->gradient_token_hadamard && format->operands[OPERAND_GRADIENTS].grid.kind == GRID_NONE)
    return piece_error(error, piece, "token-hadamard needs gradients with a grid");
  return true;
}

const struct format *format_parse(const char *text, struct arena *arena, struct error *error) {
  struct piece piece = piece_of(text);
  if (piece.length && piece.start[0] == '{') {
    struct diagnostics diagnostics = {0};
    struct node *node = document_parse(arena, "format", text, strlen(text), &diagnostics);
    const struct format *format = node ? format_parse_node(node, arena, &diagnostics) : NULL;
    if (!format)
      error_set(error, EXIT_USAGE_ERROR, "format: %s",
                diagnostics.count ? diagnostics.items[0].message : "not a mapping");
    diagnostics_free(&diagnostics);
    return format;
  }
  struct format *format = arena_alloc(arena, sizeof *format);
  if (!format_parse_into(text, format, arena, error)) {
    error_context(error, "format");
    return NULL;
  }
  for (int i = 0; i < OPERANDS; i++) representation_scale(&format->operands[i]);
  format->name = format_short_name(format, arena);
  return format;
}
