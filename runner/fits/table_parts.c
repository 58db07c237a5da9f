// See table_parts.h.
#include "runner/fits/table_parts.h"

#include <string.h>

#include "results/columns.h"

const char *table_part_of(struct arena *arena, const struct table *table, const char *by, size_t row) {
  char number[32];
  int column = table_find(table, by);
  if (column < 0) return NULL;
  struct value value = table_value(table, (size_t)column, row);
  if (value.kind == VALUE_MISSING) return NULL;
  if (value.kind == VALUE_TEXT) return arena_string(arena, value.text);
  number_shortest(value.number, number);
  return arena_string(arena, number);
}

void table_parts_add(struct arena *arena, struct table_parts *parts, const char *name) {
  for (size_t i = 0; i < parts->count && name; i++)
    if (strcmp(parts->names[i], name) == 0) return;
  if (!name) return;
  parts->names = arena_grow(arena, parts->names, parts->count, parts->count + 1, sizeof *parts->names);
  parts->names[parts->count++] = name;
}

bool table_parts_find(struct arena *arena, const struct table *table, const char *by, struct table_parts *parts,
                      struct error *error) {
  by = column_canonical(by);
  if (table_find(table, by) < 0)
    return error_set(error, EXIT_USAGE_ERROR, "%s: it is asked for by '%s', and there is no such column", table->source,
                     by);
  for (size_t row = 0; row < table->row_count; row++)
    table_parts_add(arena, parts, table_part_of(arena, table, by, row));
  return true;
}

void table_keep_part(struct table *table, const char *by, const char *name) {
  struct arena arena = {0};
  bool *keep = arena_array(&arena, table->row_count + 1, sizeof *keep);
  for (size_t row = 0; row < table->row_count; row++) {
    const char *part = table_part_of(&arena, table, column_canonical(by), row);
    keep[row] = part && strcmp(part, name) == 0;
  }
  table_keep_rows(table, keep);
  arena_free(&arena);
}
