// Reading formats, part by part: what the short form is made of, and a mapping above this folder (trainer/formats.h).
// Printing shares the words.
#pragma once
#include "kernels/formats/format.h"
#include "kernels/formats/piece.h"

// ---- words ----

// In the order of their enums.
extern const char *const recipe_words[RECIPES];     // "quest", "lsq", ...
extern const char *const scale_rule_words[4];       // "rms", "absmax", ...
extern const char *const scale_type_words[5];       // "float", "power-floor", ...
extern const char *const rounding_words[2];         // "nearest", "stochastic"
extern const char *const estimator_words[4];        // "ste", "clip", "trust", "lsq"
extern const char *const sparsity_scope_words[3];   // "tensor", "row", "global"
extern const char *const sparse_backward_words[6];  // "forward", "rms", ...
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
// Checks combinations and fills what follows from them, but for the scale; `operand` for the message.
bool representation_finish(struct representation *representation, enum operand operand, struct error *error);
// Fills in the scale's factor that makes the least error on Gaussian data, where none is given: it takes a search.
void representation_scale(struct representation *representation);

// Sets scale, transform and estimator by the recipe and the grid; group and type of a block format stay.
void recipe_apply(struct representation *representation, enum recipe recipe);
// A term of a representation; *known tells whether it is about sparsity, or a grid, at all (false: nothing was read).
bool sparsity_parse(struct piece term, struct sparsity *sparsity, bool *known, struct error *error);
bool grid_parse(struct piece term, const struct representation_reader *reader, bool *known, struct error *error);

// ---- whole formats ----

extern const struct format format_nothing;  // changes nothing; without a name
// What speaks against operands that are finished one by one, or NULL.
const char *format_objection(const struct format *format);
// The scales of finished operands, and the name.
void format_complete(struct format *format, struct arena *arena);
// Parse text without the search for scales and, of a format, without giving the result a name (which needs parsing
// again what the name could be).
bool representation_parse_into(const char *text, struct representation *representation, struct arena *arena,
                               struct error *error);
bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error);
