// Shared by the files that read and write formats as text.
#pragma once
#include "kernels/formats/format.h"

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
