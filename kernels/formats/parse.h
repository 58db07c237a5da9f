// Reading formats, part by part: what the short form is made of, and a mapping above this folder (trainer/formats.h).
// Printing shares the words.
#pragma once
#include "kernels/formats/format.h"
#include "kernels/formats/piece.h"

// ---- words ----

// In the order of their enums.
extern const char *const recipe_words[RECIPES];  // "quest", "lsq", ...
extern const char *const scale_rule_words[4];    // "rms", "absmax", ...
#define SCALE_TYPES 8
extern const char *const scale_type_words[SCALE_TYPES];  // "float", "power-floor", ...
extern const char *const rounding_words[3];              // "nearest", "stochastic"
extern const char *const estimator_words[5];             // "ste", "clip", "trust", "lsq"
extern const char *const backward_words[4];              // "forward", ...: enum backward_operand
extern const char *const sparsity_scope_words[3];        // "tensor", "row", "global"
extern const char *const sparse_backward_words[6];       // "forward", "rms", ...
#define WORDS(list) list, (int)(sizeof(list) / sizeof(list)[0])
// Layers by the names that `layers` takes; ends with a NULL name.
extern const struct layer_name {
  const char *name;
  unsigned layers;  // enum layer_kind
} layer_names[];
unsigned layers_find(struct piece name);  // 0: there are none of that name

// ---- representations ----

// A representation while it is read. Its recipe is what grids are given that follow.
struct representation_reader {
  struct representation *into;
  enum recipe recipe;
  bool recipe_given;
  struct arena *arena;
};
struct representation_reader representation_begin(struct representation *into, struct arena *arena);
// "RECIPE-2:4+int4[OPTION,...]": any of it, into what is there already; the recipe is taken only where none was given.
// Options of a format go to `format` (NULL: none allowed).
bool representation_read(struct representation_reader *reader, struct piece text, struct format *format,
                         struct error *error);
// Options in brackets: those of a representation go to each of the `count` operands, the others to the format (NULL:
// none allowed).
bool format_options_parse(struct piece options, struct representation **operands, int count, struct format *format,
                          struct error *error);
// What in it does not go together, or NULL; each text is a constant that stands for one rule. Sets the scope of
// sparsity that an operand has no choice of.
const char *representation_clash(struct representation *representation, enum operand operand);
// Refuses such a clash and fills what follows from them, but for the scale; `operand` for the message.
bool representation_finish(struct representation *representation, enum operand operand, struct error *error);
// Fills in the scale's factor that makes the least error on Gaussian data, where none is given: it takes a search.
void representation_scale(struct representation *representation);

// Sets scale, transform and estimator by the recipe and the grid; group and type of a block format stay.
void recipe_apply(struct representation *representation, enum recipe recipe);
// A term of a representation; *known says whether it is about sparsity, or a grid, at all (false: nothing was read).
bool sparsity_parse(struct piece term, struct sparsity *sparsity, bool *known, struct error *error);
bool grid_parse(struct piece term, const struct representation_reader *reader, bool *known, struct error *error);

// The sparsity of a term without options: `amount` of (random-)sparse, n and m of patterns.
struct sparsity sparsity_plain(enum sparsity_kind kind, double amount, int n, int m);
// What a grid's term means to a recipe: the grid, and the recipe's scale, transform and estimator. Noise has one
// recipe.
void recipe_of_grid(struct representation *representation, struct grid grid, enum recipe recipe);
// The same of blocks with a scale each: as their standard has them, or by the recipe (NULL: none was given).
void recipe_of_blocks(struct representation *representation, struct grid grid, int group, enum scale_type type,
                      const enum recipe *recipe);
// int4-zero-g32: two's complement in groups, whose largest magnitude is 2^(bits - 1) - 1/2 steps, so that all codes are
// used (compressed-tensors' symmetric groups, without a given recipe).
void recipe_of_zero_groups(struct representation *representation, int bits, int group, const enum recipe *recipe);
// Block formats with a name; ends with a NULL name. Of several names of one, the first is the usual.
extern const struct block_format {
  const char *name;
  int exponent_bits, mantissa_bits;  // of the float; both 0: 8-bit integers
  int group;
  enum scale_type type;
} block_formats[];
struct grid block_grid(const struct block_format *block);
// Masks that stay, and a threshold for all layers, are taken where the weights are: without a transform, if its option
// does not ask for one.
void sparsity_untransformed(struct representation *representation);

// ---- terms written ----

// "sparse(0.5)", "2:4"; `full`: with every option.
void sparsity_term(const struct sparsity *sparsity, bool full, struct text *out);
// "int4", "levels(-1 0 1)".
void grid_term(const struct representation *representation, struct text *out);
// Options of the format in brackets; nothing when all are as usual.
void format_options_text(const struct format *format, struct text *out);

// ---- whole formats ----

// Between a format and the share of the training that passes before it: "w4a4 after 0.9".
#define FORMAT_AFTER " after "
// Takes such an ending off a text; *share is 0 where there is none.
bool format_phase_take(struct piece *text, double *share, struct error *error);
void format_phase_text(const struct format *format, struct text *out);  // such an ending, where there is one
// Puts it on a format: what changes nothing, or comes after nothing, is the format itself. False: the share is none.
bool format_phase_set(struct format *format, double share, struct error *error);

// Other names of recipes, which are read and not written; ends with a NULL name.
extern const struct format_alias { const char *name, *preset; } format_aliases[];
enum { FORMAT_LONGEST = 8000 };  // characters that are read

extern const struct format format_nothing;  // changes nothing; without a name
// What speaks against operands that are finished one by one, or NULL.
const char *format_objection(const struct format *format);
// The scales of finished operands, and the name.
void format_complete(struct format *format, struct arena *arena);
// Parse text without the search for scales and, of a format, without giving the result a name.
bool representation_parse_into(const char *text, struct representation *representation, struct arena *arena,
                               struct error *error);
bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error);
