// Groups of rows: those that are equal in named columns.
#include <string.h>

#include "fitting/table_internal.h"

bool table_columns_listed(const struct table *table, const char *list, struct arena *arena, int **columns, int *count,
                          struct error *error) {
  char *rest = arena_string(arena, list), *name;
  *columns = arena_array(arena, strlen(list) / 2 + 2, sizeof **columns);
  *count = 0;
  int whole = table_find(table, list);
  if (whole >= 0) {
    (*columns)[(*count)++] = whole;
    return true;
  }
  while ((name = strsep(&rest, ","))) {
    while (*name == ' ') name++;
    size_t length = strlen(name);
    while (length && name[length - 1] == ' ') name[--length] = 0;
    int column = table_find(table, name);
    if (column < 0) return unknown_column(table, name, "there is", error);
    (*columns)[(*count)++] = column;
  }
  return true;
}

int table_partition(const struct table *table, const int *columns, int count, const bool *rows, int *group) {
  struct table groups;  // a category column gives every distinct text a number
  table_init(&groups, "groups", table->row_count);
  size_t made = table_add_category(&groups, "group", ROLE_UNKNOWN);
  for (size_t row = 0; row < table->row_count; row++) {
    group[row] = -1;
    if (rows && !rows[row]) continue;
    struct text key = {0};
    for (int c = 0; c < count; c++) {
      struct value value = table_value(table, (size_t)columns[c], row);
      char number[32] = "";
      if (value.kind == VALUE_NUMBER) number_shortest(value.number, number);
      text_add(&key, value.kind == VALUE_TEXT ? value.text : number);
      if (c + 1 < count) text_char(&key, '\x1f');
    }
    table_set_category(&groups, made, row, text_string(&key));
    group[row] = groups.columns[made].codes[row];
    text_free(&key);
  }
  int found = groups.columns[made].category_count;
  table_free(&groups);
  return found;
}
