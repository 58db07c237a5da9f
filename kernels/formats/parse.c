// Formats from text: the short forms, put together of grids, sparsity and options. See format.h and docs/formats.md.
#include "kernels/formats/parse.h"

#include <stdio.h>
#include <string.h>

#include "kernels/formats/grid.h"

// ---- representations ----

struct representation_reader representation_begin(struct representation *into, struct arena *arena) {
  *into = format_nothing.operands[0];
  return (struct representation_reader){.into = into, .recipe = RECIPE_QUEST, .arena = arena};
}

static bool take_recipe(struct piece *piece, enum recipe *recipe) {
  for (int i = 0; i < RECIPES; i++) {
    struct piece rest = *piece;
    if (!piece_take(&rest, recipe_words[i]) || !piece_take(&rest, "-")) continue;
    *piece = rest;
    *recipe = (enum recipe)i;
    return true;
  }
  return false;
}

// Cuts "[...]" off the end of a text. `options` has no start where there is none; false when a bracket is missing.
static bool take_options(struct piece *text, struct piece *options) {
  size_t bracket = piece_find(*text, '[');
  *options = (struct piece){NULL, 0};
  if (bracket == text->length) return true;
  if (text->start[text->length - 1] != ']') return false;
  *options = (struct piece){text->start + bracket + 1, text->length - bracket - 2};
  text->length = bracket;
  *text = piece_trim(*text);
  return true;
}

// A name of a whole format may be refused here too: where options follow it, or in an operand's place.
static bool unknown_term(struct piece term, struct error *error) {
  char name[64];
  struct piece meant = term;
  for (const struct format_alias *alias = format_aliases; alias->name; alias++)
    if (piece_is(term, alias->name)) meant = piece_of(alias->preset);
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (piece_is(meant, preset->name))
      return error_set(error, EXIT_USAGE_ERROR,
                       "'%s' is a whole format, which takes no options and is no operand's: write out what it stands "
                       "for, and change that: %s",
                       preset->name, preset->text);
  snprintf(name, sizeof name, "%.*s", (int)term.length, term.start);
  size_t count = 0;
  const char *candidates[128];
  for (const struct format_example *example = format_examples; example->name; example++)
    candidates[count++] = example->name;
  for (const struct format_preset *preset = format_presets; preset->name; preset++) candidates[count++] = preset->name;
  error_set(error, EXIT_USAGE_ERROR, "'%s' is no format", name);
  error_hint(error, nearest_name(name, candidates, count), NULL);
  return error_add(error, " (isoloss formats lists them)");
}

// One of the terms that '+' joins; `text` is all of them, for the message.
static bool read_term(const struct representation_reader *reader, struct piece text, struct piece term,
                      struct error *error) {
  struct representation *into = reader->into;
  struct sparsity sparsity;
  bool known = false;
  if (!sparsity_parse(term, &sparsity, &known, error)) return false;
  if (known) {
    if (into->sparsity.kind != SPARSITY_NONE) return piece_error(error, text, "has two kinds of sparsity");
    if (into->grid.kind != GRID_NONE) return piece_error(error, text, "sparsity comes before the grid, as 2:4+int4");
    into->sparsity = sparsity;
    return true;
  }
  if (into->grid.kind != GRID_NONE) return piece_error(error, text, "has two grids");
  if (!grid_parse(term, reader, &known, error)) return false;
  return known || unknown_term(term, error);
}

bool representation_read(struct representation_reader *reader, struct piece text, struct format *format,
                         struct error *error) {
  if (!reader->recipe_given) reader->recipe_given = take_recipe(&text, &reader->recipe);
  struct piece terms = text, options, term;
  if (!take_options(&terms, &options)) return piece_error(error, text, "a bracket is missing");
  if (!terms.length) return piece_error(error, text, "names no grid and no sparsity");
  if (piece_is(terms, "none")) return options.start ? piece_error(error, text, "none has no options") : true;
  while (piece_next(&terms, '+', &term))
    if (!read_term(reader, text, term, error)) return false;
  sparsity_untransformed(reader->into);
  return format_options_parse(options, &reader->into, 1, format, error);
}

static bool parse_representation(struct piece text, struct representation *representation, struct format *format,
                                 struct arena *arena, struct error *error) {
  struct representation_reader reader = representation_begin(representation, arena);
  return representation_read(&reader, text, format, error);
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

const struct format format_nothing = {
    .operands = {{.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}},
                 {.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}},
                 {.grid = {.dimension = 1}, .hadamard = {HADAMARD_NONE, HADAMARD_LIMIT, false}}},
    .layers = LAYERS_DEFAULT,
};

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

// Plain integer operands of that many bits.
static bool set_bits(struct piece text, const int bits[OPERANDS], enum recipe recipe, struct format *format,
                     struct error *error) {
  for (int i = 0; i < OPERANDS; i++) {
    if (bits[i] == 16) continue;
    if (bits[i] < 1 || bits[i] > 8)
      return piece_error(error, text,
                         bits[i] == 0 ? "0 bits hold nothing: 1 to 8 bits, or 16 for full precision"
                                      : "1 to 8 bits, or 16 for full precision");
    format->operands[i].grid = grid_mid_rise(bits[i]);
    recipe_apply(&format->operands[i], recipe);
  }
  return true;
}

// The options of a format's several operands.
static bool shared_options(struct piece options, struct format *format, struct error *error) {
  struct representation *present[OPERANDS];
  int count = 0;
  for (int i = 0; i < OPERANDS; i++)
    if (!representation_is_none(&format->operands[i])) present[count++] = &format->operands[i];
  return format_options_parse(options, present, count, format, error);
}

static bool parse_format(struct piece piece, struct format *format, struct arena *arena, struct error *error) {
  struct piece body = piece, options;
  if (!take_options(&body, &options)) return piece_error(error, piece, "a bracket is missing");
  struct piece unprefixed = body;
  enum recipe recipe = RECIPE_QUEST;
  take_recipe(&unprefixed, &recipe);
  int bits[OPERANDS];
  if (split_bits(unprefixed, bits))
    return set_bits(piece, bits, recipe, format, error) && shared_options(options, format, error);
  if (body.length > 1 && strchr("wag", body.start[0]) && body.start[1] == '(')
    return parse_operands(body, format, arena, error) && shared_options(options, format, error);
  return parse_representation(piece, &format->operands[OPERAND_WEIGHTS], format, arena, error);
}

const char *format_objection(const struct format *format) {
  for (int i = 0; i < OPERAND_GRADIENTS && format->backward == BACKWARD_ORIGINAL; i++)
    if (format->operands[i].grid.kind != GRID_NONE && format->operands[i].estimator != ESTIMATOR_STE)
      return "original operands in the backward pass go with the estimator ste";
  const struct representation *w = &format->operands[OPERAND_WEIGHTS], *a = &format->operands[OPERAND_ACTIVATIONS],
                              *g = &format->operands[OPERAND_GRADIENTS];
  if (format->backward == BACKWARD_TOKENS) {
    if (g->grid.kind == GRID_NONE || a->grid.kind == GRID_NONE)
      return "tokens represents activations and gradients along tokens: it needs both with a grid";
    if (a->sparsity.kind != SPARSITY_NONE || a->rounding == ROUND_EDEN || format->gradient_token_hadamard)
      return "tokens goes without sparse activations, without eden for them, and without token-hadamard";
    if (w->hadamard.kind != HADAMARD_NONE || a->hadamard.kind != HADAMARD_NONE ||
        (w->grid.kind != GRID_NONE && w->estimator != ESTIMATOR_STE) || a->estimator != ESTIMATOR_STE)
      return "tokens goes with untransformed weights and activations and the estimator ste";
  } else if (g->hadamard.kind == HADAMARD_SIGNED && format->backward != BACKWARD_REQUANTIZE) {
    return "signed-hadamard goes with requantize or tokens, where both operands of a product have it";
  }
  if (format->gradient_token_hadamard && format->operands[OPERAND_GRADIENTS].grid.kind == GRID_NONE)
    return "token-hadamard needs gradients with a grid";
  return NULL;
}

bool format_phase_take(struct piece *text, double *share, struct error *error) {
  const size_t length = strlen(FORMAT_AFTER);
  *share = 0;
  for (size_t at = text->length; at-- > length;) {
    if (memcmp(text->start + at - length, FORMAT_AFTER, length) != 0) continue;
    if (!piece_number(piece_trim((struct piece){text->start + at, text->length - at}), share))
      return piece_error(error, *text, "the share of the training comes behind after, as in w4a4 after 0.9");
    *text = piece_trim((struct piece){text->start, at - length});
    return true;
  }
  return true;
}

bool format_phase_set(struct format *format, double share, struct error *error) {
  if (!(share >= 0 && share < 1))
    return error_set(error, EXIT_USAGE_ERROR,
                     "after is the share of the steps that pass in full precision: at least 0 and below 1, not %g",
                     share);
  format->after = format_is_none(format) ? 0 : share;
  return true;
}

static bool parse_into(struct piece piece, struct format *format, struct arena *arena, struct error *error) {
  *format = format_nothing;
  if (!piece.length) return error_set(error, EXIT_USAGE_ERROR, "an empty text is no format (none changes nothing)");
  if (piece.length > FORMAT_LONGEST)
    return error_set(error, EXIT_USAGE_ERROR, "a format has at most %d characters", FORMAT_LONGEST);
  for (const struct format_alias *alias = format_aliases; alias->name; alias++)
    if (piece_is(piece, alias->name)) piece = piece_of(alias->preset);
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    if (piece_is(piece, preset->name)) return parse_into(piece_of(preset->text), format, arena, error);
  if (!parse_format(piece, format, arena, error)) return false;
  for (int i = 0; i < OPERANDS; i++)
    if (!representation_finish(&format->operands[i], (enum operand)i, error)) return false;
  const char *objection = format_objection(format);
  return !objection || piece_error(error, piece, objection);
}

bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error) {
  struct piece piece = piece_of(text);
  double share;
  return format_phase_take(&piece, &share, error) && parse_into(piece, format, arena, error) &&
         format_phase_set(format, share, error);
}

void format_complete(struct format *format, struct arena *arena) {
  for (int i = 0; i < OPERANDS; i++) representation_scale(&format->operands[i]);
  format->name = format_short_name(format, arena);
}

const struct format *format_parse(const char *text, struct arena *arena, struct error *error) {
  struct format *format = arena_alloc(arena, sizeof *format);
  if (!format_parse_into(text, format, arena, error)) return NULL;
  format_complete(format, arena);
  return format;
}
