// The rows of a table by the values of a column: what a fit made by that column takes one after the other.
#pragma once
#include "base/base.h"
#include "fitting/fitting.h"

struct table_parts {
  const char **names;
  size_t count;
};
// The row's cell as the name of its part, in the arena; NULL where it is missing, or there is no such column.
const char *table_part_of(struct arena *arena, const struct table *table, const char *by, size_t row);
// Adds a name that is not there yet; NULL is none.
void table_parts_add(struct arena *arena, struct table_parts *parts, const char *name);
// The values of the column, in the order of the rows. False with an error where there is no such column.
bool table_parts_find(struct arena *arena, const struct table *table, const char *by, struct table_parts *parts,
                      struct error *error);
// Keeps the rows of one value.
void table_keep_part(struct table *table, const char *by, const char *name);
