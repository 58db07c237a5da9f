// --map: columns under the names that laws use, as they are in the file or computed from others.
#include <math.h>
#include <string.h>

#include "fitting/table_csv_internal.h"

// The end of one item of the list: a comma outside quotes and brackets.
static size_t item_length(const char *at) {
  char quote = 0;
  int depth = 0;
  size_t length = 0;
  for (; at[length]; length++) {
    char c = at[length];
    if (quote)
      quote = c == quote ? 0 : quote;
    else if (c == '"' || c == '\'')
      quote = c;
    else if (c == '(' || c == '[')
      depth++;
    else if ((c == ')' || c == ']') && depth)
      depth--;
    else if (c == ',' && !depth)
      break;
  }
  return at[length] || (!quote && !depth) ? length : strcspn(at, ",");  // an apostrophe or bracket in a name
}

bool column_maps_parse(struct arena *arena, const char *text, struct column_map **maps, size_t *count,
                       struct error *error) {
  *maps = NULL;
  *count = 0;
  size_t capacity = 1;
  for (const char *c = text; *c; c++) capacity += *c == ',';
  *maps = arena_array(arena, capacity, sizeof **maps);
  for (const char *at = text; *at;) {
    size_t length = item_length(at);
    const char *equals = memchr(at, '=', length);
    if (!equals || equals == at || equals == at + length - 1)
      return error_set(error, EXIT_USAGE_ERROR, "'%.*s' in '%s' is not of the form name=column", (int)length, at, text);
    char *name = arena_copy(arena, at, (size_t)(equals - at));
    struct column_map *map = &(*maps)[(*count)++];
    *map = (struct column_map){.name = column_canonical(name)};
    map->original = arena_copy(arena, equals + 1, (size_t)(at + length - equals - 1));
    struct error trouble = {0};
    map->expression = expression_parse(arena, map->original, &trouble);
    if (!map->expression) map->trouble = arena_string(arena, trouble.text);
    at += length + (at[length] == ',');
  }
  return true;
}

// The column that a name of the expression means: by its name in the file as it is written there, else by the short
// names' meaning (the expression has N as parameters).
static int column_meant(const struct table *table, size_t columns, const struct expression *expression,
                        const struct expression_name *name) {
  const char *written = expression->source + name->offset;
  int meant = -1;
  for (size_t c = 0; c < columns; c++) {
    const char *original = table->columns[c].original;
    if (strcmp(column_canonical(original), name->name) != 0) continue;
    if (meant < 0 || strncmp(original, written, strlen(original)) == 0) meant = (int)c;
  }
  return meant;
}

static bool compute(struct table *table, const struct column_map *map, size_t columns, struct arena *arena,
                    struct error *error) {
  const struct expression *expression = map->expression;
  int *from = arena_array(arena, (size_t)expression->name_count + 1, sizeof *from);
  struct value *slots = arena_array(arena, (size_t)expression->name_count + 1, sizeof *slots), value;
  for (int i = 0; i < expression->name_count; i++) {
    const char *name = expression->names[i].name;
    from[i] = expression->names[i].index ? -1 : column_meant(table, columns, expression, &expression->names[i]);
    if (from[i] >= 0) continue;
    const char **names = arena_array(arena, columns + 1, sizeof *names);
    for (size_t c = 0; c < columns; c++) names[c] = table->columns[c].original;
    error_set(error, EXIT_USAGE_ERROR, "%s: %s=%s: there is no column '%s'", table->source, map->name, map->original,
              name);
    return error_hint(error, nearest_name(name, names, columns), NULL);
  }
  int made = -1;
  for (size_t row = 0; row < table->row_count; row++) {
    table_slots(table, expression, from, row, slots);
    if (!expression_evaluate(expression, slots, &value, error))
      return error_context(error, "%s: %s=%s: %s", table->source, map->name, map->original, table->row_names[row]);
    bool text = value.kind == VALUE_TEXT;
    if (made < 0)
      made = (int)(text ? table_add_category(table, map->name, ROLE_UNKNOWN)
                        : table_add_number(table, map->name, ROLE_UNKNOWN));
    if (text != (table->columns[made].kind == COLUMN_CATEGORY))
      return error_set(error, EXIT_USAGE_ERROR, "%s: %s=%s gives numbers and texts", table->source, map->name,
                       map->original);
    if (text)
      table_set_category(table, (size_t)made, row, value.text);
    else
      table->columns[made].numbers[row] = value.kind == VALUE_MISSING ? NAN : value.number;
  }
  table->columns[made].original = arena_string(&table->arena, map->original);
  return true;
}

bool table_add_mapped(struct table *table, const struct column_map *maps, size_t map_count, struct error *error) {
  struct arena arena = {0};
  size_t columns = table->column_count;
  bool fine = true;
  for (size_t m = 0; m < map_count && fine; m++) {
    bool is_column = false;
    for (size_t c = 0; c < columns; c++) is_column |= strcmp(table->columns[c].original, maps[m].original) == 0;
    if (!is_column && maps[m].expression) fine = compute(table, &maps[m], columns, &arena, error);
  }
  arena_free(&arena);
  return fine;
}
