// Shared by the files that read and write formats as text.
#pragma once
#include "kernels/formats/format.h"

extern const char *const recipe_names[RECIPES];  // "quest", "lsq", ...
// Sets scale, transform and estimator by the recipe and the grid; group and type of a block format stay.
void recipe_apply(struct representation *representation, enum recipe recipe);
// Fills what follows from the grid (a scale's factor) and checks combinations; `operand` for the message.
bool representation_finish(struct representation *representation, enum operand operand, struct error *error);
// Parses text without giving the result a name (which parsing its short name again would need).
bool format_parse_into(const char *text, struct format *format, struct arena *arena, struct error *error);
// Grids that have names, for lists and "did you mean"; ends with NULL.
extern const char *const grid_names[];
