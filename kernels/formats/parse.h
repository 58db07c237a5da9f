// Shared by the files that read and write formats as text.
#pragma once
#include "kernels/formats/format.h"
#include "kernels/formats/piece.h"

extern const char *const recipe_names[RECIPES];  // "quest", "lsq", ...
// Sets scale, transform and estimator by the recipe and the grid; group and type of a block format stay.
void recipe_apply(struct representation *representation, enum recipe recipe);
// Checks combinations and fills what follows from them, but for the scale; `operand` for the message.
bool representation_finish(struct representation *representation, enum operand operand, struct error *error);
// Fills in the scale's factor that makes the least error on Gaussian data, where none is given: it takes a search.
void representation_scale(struct representation *representation);
// Parse text without that search and, of a format, without giving the result a name (which needs parsing again what the
// name could be).
bool representation_parse_into(const char *text, struct representation *representation, struct arena *arena,
                               struct error *error);
bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error);
// Grids that have names, for lists and "did you mean"; ends with NULL.
extern const char *const grid_names[];

// A term of a representation; *known tells whether it is about sparsity, or a grid, at all (false: nothing was read).
bool sparsity_parse(struct piece term, struct sparsity *sparsity, bool *known, struct error *error);
bool grid_parse(struct piece term, enum recipe recipe, bool recipe_given, struct representation *representation,
                bool *known, struct arena *arena, struct error *error);
// Options in brackets: those of a representation go to each of the `count` operands, the others to the format (NULL:
// none allowed).
bool format_options_parse(struct piece options, struct representation **operands, int count, struct format *format,
                          struct error *error);
