// Tables of observations: columns, cells, conditions on rows.
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "fitting/table_internal.h"

// Room for the table's rows; those from `before` on are missing.
static void column_resize(struct table *table, struct table_column *column, size_t before) {
  if (column->kind == COLUMN_NUMBER)
    column->numbers = arena_grow(&table->arena, column->numbers, before, table->row_count, sizeof *column->numbers);
  else
    column->codes = arena_grow(&table->arena, column->codes, before, table->row_count, sizeof *column->codes);
  for (size_t row = before; row < table->row_count; row++)
    if (column->kind == COLUMN_NUMBER)
      column->numbers[row] = NAN;
    else
      column->codes[row] = -1;
}

void table_init(struct table *table, const char *source, size_t row_count) {
  *table = (struct table){0};
  table->source = arena_string(&table->arena, source);
  table_resize(table, row_count);
}

void table_resize(struct table *table, size_t row_count) {
  struct arena *arena = &table->arena;
  size_t before = table->row_count;
  table->row_count = row_count;
  if (row_count <= before) return;
  table->row_names = arena_grow(arena, table->row_names, before, row_count, sizeof *table->row_names);
  table->row_members = arena_grow(arena, table->row_members, before, row_count, sizeof *table->row_members);
  table->row_squares = arena_grow(arena, table->row_squares, before, row_count, sizeof *table->row_squares);
  if (table->row_lines)
    table->row_lines = arena_grow(arena, table->row_lines, before, row_count, sizeof *table->row_lines);
  for (size_t row = before; row < row_count; row++) {
    table->row_names[row] = "";
    table->row_members[row] = 1;
    table->row_squares[row] = 0;
  }
  for (size_t c = 0; c < table->column_count; c++) column_resize(table, &table->columns[c], before);
}

void table_free(struct table *table) {
  arena_free(&table->arena);
  *table = (struct table){0};
}

static void add_column(struct table *table, const char *name, enum column_kind kind, enum column_role role) {
  size_t count = table->column_count;
  if ((count & (count + 1)) == 0)
    table->columns = arena_grow(&table->arena, table->columns, count, 2 * count + 1, sizeof *table->columns);
  if (!table->names) table->names = arena_alloc(&table->arena, sizeof *table->names);
  struct table_column *column = &table->columns[table->column_count++];
  *column = (struct table_column){.kind = kind, .role = role};
  column->name = column->original = arena_string(&table->arena, name);
  name_map_put(&table->arena, table->names, column->name, (int)count);
  column_resize(table, column, 0);
}

size_t table_add_number(struct table *table, const char *name, enum column_role role) {
  add_column(table, name, COLUMN_NUMBER, role);
  return table->column_count - 1;
}

size_t table_add_category(struct table *table, const char *name, enum column_role role) {
  add_column(table, name, COLUMN_CATEGORY, role);
  return table->column_count - 1;
}

static int category_code(struct table *table, struct table_column *column, const char *category) {
  if (!column->index) column->index = arena_alloc(&table->arena, sizeof *column->index);
  int code = name_map_get(column->index, category);
  if (code >= 0) return code;
  size_t count = (size_t)column->category_count;
  if ((count & (count + 1)) == 0)  // at 2^k - 1: room for twice as many
    column->categories =
        arena_grow(&table->arena, column->categories, count, 2 * count + 1, sizeof *column->categories);
  column->categories[count] = arena_string(&table->arena, category);
  name_map_put(&table->arena, column->index, column->categories[count], (int)count);
  return column->category_count++;
}

void table_set_category(struct table *table, size_t column, size_t row, const char *category) {
  struct table_column *target = &table->columns[column];
  target->codes[row] = category ? category_code(table, target, category) : -1;
}

void table_note(struct table *table, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  char *note = arena_vformat(&table->arena, format, arguments);
  va_end(arguments);
  table->notes =
      arena_grow(&table->arena, table->notes, table->note_count, table->note_count + 1, sizeof *table->notes);
  table->notes[table->note_count++] = note;
}

void table_name_row(struct table *table, size_t row, const char *name) {
  table->row_names[row] = arena_string(&table->arena, name);
}

// A setting by the last part of its name, lr for train.lr, where that is one column's.
static int find_setting(const struct table *table, const char *name) {
  int found = -1;
  for (size_t c = 0; c < table->column_count; c++) {
    const char *dot = strrchr(table->columns[c].name, '.');
    if (table->columns[c].role != ROLE_SETTING || !dot || strcmp(dot + 1, name) != 0) continue;
    if (found >= 0) return -1;
    found = (int)c;
  }
  return found;
}

int table_find(const struct table *table, const char *name) {
  int found = table->names ? name_map_get(table->names, name) : -1;
  if (found >= 0) return found;
  // A copy of a table may have been given columns that the map does not know.
  for (size_t i = table->names ? table->names->count : 0; i < table->column_count; i++)
    if (strcmp(table->columns[i].name, name) == 0) return (int)i;
  const char *canonical = column_canonical(name);
  return strcmp(canonical, name) == 0 ? find_setting(table, name) : table_find(table, canonical);
}

const char *table_nearest(const struct table *table, const char *name) {
  const char **names = memory_get((table->column_count + 1) * sizeof *names);
  for (size_t i = 0; i < table->column_count; i++) names[i] = table->columns[i].name;
  const char *nearest = nearest_name(name, names, table->column_count);
  free(names);
  return nearest;
}

bool unknown_column(const struct table *table, const char *name, const char *context, struct error *error) {
  struct text list = {0};
  for (size_t i = 0; i < table->column_count && i < 30; i++)
    text_format(&list, "%s%s", i ? ", " : "; there are: ", table->columns[i].name);
  if (table->column_count > 30) text_add(&list, ", ...");
  error_set(error, EXIT_USAGE_ERROR, "%s: %s no column '%s'", table->source, context, name);
  error_hint(error, table_nearest(table, name), text_string(&list));
  text_free(&list);
  return false;
}

struct value table_value(const struct table *table, size_t column, size_t row) {
  const struct table_column *from = &table->columns[column];
  if (from->kind == COLUMN_CATEGORY) {
    if (from->codes[row] < 0) return (struct value){.kind = VALUE_MISSING};
    return (struct value){.kind = VALUE_TEXT, .text = from->categories[from->codes[row]]};
  }
  if (isnan(from->numbers[row])) return (struct value){.kind = VALUE_MISSING};
  return (struct value){.kind = VALUE_NUMBER, .number = from->numbers[row]};
}

bool table_columns_of(const struct table *table, const struct expression *expression, const char *what, int *columns,
                      struct error *error) {
  for (int i = 0; i < expression->name_count; i++) {
    const struct expression_name *name = &expression->names[i];
    if (name->index)
      return error_set(error, EXIT_USAGE_ERROR, "%s: '%s[%s]' is no column", what, name->name, name->index);
    columns[i] = table_find(table, name->name);
    if (columns[i] >= 0) continue;
    // a bare word that is a category somewhere was probably meant as a text
    for (size_t c = 0; c < table->column_count; c++)
      for (int k = 0; k < table->columns[c].category_count; k++)
        if (strcmp(table->columns[c].categories[k], name->name) == 0)
          return error_set(error, EXIT_USAGE_ERROR,
                           "%s: there is no column '%s'; a text is written in quotes: %s == \"%s\"", what, name->name,
                           table->columns[c].name, name->name);
    struct error unknown = {0};
    unknown_column(table, name->name, "there is", &unknown);
    return error_set(error, EXIT_USAGE_ERROR, "%s: %s", what, unknown.text);
  }
  return true;
}

void table_slots(const struct table *table, const struct expression *expression, const int *columns, size_t row,
                 struct value *slots) {
  for (int i = 0; i < expression->name_count; i++) {
    slots[i] = table_value(table, (size_t)columns[i], row);
    if (slots[i].kind != VALUE_MISSING) continue;
    bool text = table->columns[columns[i]].kind == COLUMN_CATEGORY;
    slots[i] = (struct value){.kind = text ? VALUE_TEXT : VALUE_NUMBER, .number = NAN, .text = ""};
  }
}

bool table_where_expression(const struct table *table, const struct expression *condition, const char *what, bool *keep,
                            struct error *error) {
  int *columns = memory_get((size_t)(condition->name_count + 1) * sizeof *columns);
  struct value *slots = memory_get((size_t)(condition->name_count + 1) * sizeof *slots);
  bool fine = table_columns_of(table, condition, what, columns, error);
  for (size_t row = 0; fine && row < table->row_count; row++) {
    table_slots(table, condition, columns, row, slots);
    fine = expression_condition(condition, slots, &keep[row], error);
    if (!fine) error_context(error, "%s", what);
  }
  free(columns);
  free(slots);
  return fine;
}

struct expression *table_expression(const struct table *table, struct arena *arena, const char *text,
                                    struct error *error) {
  struct expression *expression = expression_parse(arena, text, error);
  if (expression && table->spell) expression_spell_texts(expression, arena, table->spell, table->spell_context);
  return expression;
}

bool table_where(const struct table *table, const char *condition, bool *keep, struct error *error) {
  struct arena arena = {0};
  char *what = arena_format(&arena, "condition '%s'", condition);
  struct expression *expression = table_expression(table, &arena, condition, error);
  bool fine =
      expression ? table_where_expression(table, expression, what, keep, error) : error_context(error, "%s", what);
  arena_free(&arena);
  return fine;
}

void table_keep_rows(struct table *table, const bool *keep) {
  size_t kept = 0;
  for (size_t row = 0; row < table->row_count; row++) {
    if (!keep[row]) continue;
    table->row_names[kept] = table->row_names[row];
    table->row_members[kept] = table->row_members[row];
    table->row_squares[kept] = table->row_squares[row];
    if (table->row_lines) table->row_lines[kept] = table->row_lines[row];
    for (size_t i = 0; i < table->choice_count; i++)
      table->choices[i].deviation[kept] = table->choices[i].deviation[row],
      table->choices[i].offset[kept] = table->choices[i].offset[row];
    for (size_t c = 0; c < table->column_count; c++) {
      struct table_column *column = &table->columns[c];
      if (column->kind == COLUMN_NUMBER)
        column->numbers[kept] = column->numbers[row];
      else
        column->codes[kept] = column->codes[row];
    }
    kept++;
  }
  table->row_count = kept;
}
