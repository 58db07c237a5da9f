// Tables pooled: the rows of one below those of another, distinguished by a column `pool`.
#include <math.h>
#include <string.h>

#include "fitting/table_internal.h"

void table_pool_begin(struct table *table, const char *label) {
  size_t column = table_add_category(table, "pool", ROLE_SETTING);
  for (size_t row = 0; row < table->row_count; row++) table_set_category(table, column, row, label);
}

// A column of numbers becomes one of texts, because the other table has texts in it.
static void make_texts(struct table *table, int c) {
  struct table_column old = table->columns[c];
  char number[32];
  table->columns[c].kind = COLUMN_CATEGORY;
  table->columns[c].numbers = NULL;
  table->columns[c].codes = arena_array(&table->arena, table->row_count, sizeof(int));
  for (size_t row = 0; row < table->row_count; row++) {
    number_shortest(old.numbers[row], number);
    table_set_category(table, (size_t)c, row, isnan(old.numbers[row]) ? NULL : number);
  }
}

void table_pool(struct table *table, const struct table *other, const char *label) {
  size_t first = table->row_count;
  table->row_lines = NULL;  // of two files
  table_resize(table, first + other->row_count);
  for (size_t c = 0; c < other->column_count; c++) {
    const struct table_column *from = &other->columns[c];
    bool all_missing = true;
    for (size_t row = 0; row < other->row_count && all_missing; row++)
      all_missing = table_value(other, c, row).kind == VALUE_MISSING;
    int to = table_find(table, from->name);
    if (to >= 0 && all_missing) continue;
    if (to < 0)
      to = (int)(from->kind == COLUMN_NUMBER ? table_add_number(table, from->name, from->role)
                                             : table_add_category(table, from->name, from->role));
    if (table->columns[to].kind == COLUMN_NUMBER && from->kind == COLUMN_CATEGORY) make_texts(table, to);
    for (size_t row = 0; row < other->row_count; row++) {
      struct value value = table_value(other, c, row);
      char number[32];
      if (value.kind == VALUE_MISSING) continue;
      if (table->columns[to].kind == COLUMN_NUMBER) {
        table->columns[to].numbers[first + row] = value.number;
        continue;
      }
      if (value.kind == VALUE_NUMBER) number_shortest(value.number, number);
      table_set_category(table, (size_t)to, first + row, value.kind == VALUE_NUMBER ? number : value.text);
    }
  }
  for (size_t i = 0; i < other->note_count; i++) table_note(table, "%s", other->notes[i]);
  int pool = table_find(table, "pool");
  for (size_t row = 0; row < other->row_count; row++) {
    table->row_names[first + row] =
        arena_format(&table->arena, "%s %s", label, other->row_names[row] ? other->row_names[row] : "");
    table->row_members[first + row] = other->row_members[row];
    table->row_squares[first + row] = other->row_squares[row];
    table_set_category(table, (size_t)pool, first + row, label);
  }
}
