// Reading CSV files: the names of the columns, then columns of numbers or categories.
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"
#include "fitting/table_csv_internal.h"

// A file on its way to a table.
struct reading {
  struct scanner *scanner;
  struct arena arena;
  const struct column_map *maps;
  size_t map_count;
  size_t columns, rows;
  const char **names, **originals;
  bool *left_out;  // an index of the rows, an empty column without a name
  bool *measured;  // --map computes with it
  int *lines;
};

// ---- names ----

static const struct cell *cell_at(const struct reading *reading, size_t row, size_t column) {
  return &reading->scanner->cells[(row + 1) * reading->columns + column];
}

// pandas calls a column that had no name "Unnamed: 0" when it reads it back.
static bool unnamed(const struct cell *cell) {
  return !cell->length || (cell->length > 9 && memcmp(cell->text, "Unnamed: ", 9) == 0);
}

// Whether the column holds whole numbers, each once or in several runs of a count (tables put one below the other).
static bool counts_rows(const struct reading *reading, size_t column) {
  for (size_t row = 0; row < reading->rows; row++) {
    const struct cell *cell = cell_at(reading, row, column);
    if (!cell->length) return false;
    for (int i = 0; i < cell->length; i++)
      if (!isdigit((unsigned char)cell->text[i])) return false;
  }
  return true;
}

static bool empty_column(const struct reading *reading, size_t column) {
  for (size_t row = 0; row < reading->rows; row++)
    if (cell_at(reading, row, column)->length) return false;
  return true;
}

// Names as in the header. A first column without a name is an index, or else named so.
static bool read_header(struct reading *reading) {
  const struct scanner *scanner = reading->scanner;
  struct name_map seen = {0};
  bool first = true;  // only indices so far
  for (size_t c = 0; c < reading->columns; c++) {
    const struct cell *cell = &scanner->cells[c];
    reading->names[c] = arena_copy(&reading->arena, cell->text, (size_t)cell->length);
    if (unnamed(cell)) reading->left_out[c] = empty_column(reading, c) || (first && counts_rows(reading, c));
    if (first && !cell->length && !reading->left_out[c]) reading->names[c] = "index";
    first &= reading->left_out[c];
    reading->originals[c] = reading->names[c];
    if (reading->left_out[c]) continue;
    if (!*reading->names[c])
      return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:1: column %zu of the header has no name", scanner->name,
                       c + 1);
    if (!name_map_put(&reading->arena, &seen, reading->names[c], (int)c))
      return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:1: two columns are named '%s'", scanner->name,
                       reading->names[c]);
  }
  return true;
}

static size_t find_name(const struct reading *reading, const char *const *names, const char *name) {
  for (size_t c = 0; c < reading->columns; c++)
    if (!reading->left_out[c] && strcmp(names[c], name) == 0) return c;
  return reading->columns;
}

static bool no_original(const struct reading *reading, const struct column_map *map) {
  error_set(reading->scanner->error, EXIT_USAGE_ERROR, "%s: %s=%s: there is no column '%s'", reading->scanner->name,
            map->name, map->original, map->original);
  return error_hint(reading->scanner->error, nearest_name(map->original, reading->originals, reading->columns), NULL);
}

// A mapped column takes its name from one that had it.
static void take_name(struct reading *reading, const char *name, size_t but) {
  for (size_t c = 0; c < reading->columns; c++)
    if (c != but && !reading->left_out[c] &&
        (strcmp(reading->names[c], name) == 0 || strcmp(column_canonical(reading->names[c]), name) == 0))
      reading->names[c] = arena_format(&reading->arena, "%s (original)", reading->names[c]);
}

static bool map_names(struct reading *reading) {
  for (size_t m = 0; m < reading->map_count; m++) {
    const struct column_map *map = &reading->maps[m];
    size_t found = find_name(reading, reading->originals, map->original);
    if (found < reading->columns) {
      take_name(reading, map->name, found);
      reading->names[found] = map->name;
      reading->measured[found] = true;
      continue;
    }
    if (map->trouble)
      return error_set(reading->scanner->error, EXIT_USAGE_ERROR,
                       "%s: %s=%s: this is neither a column nor an expression over columns: %s", reading->scanner->name,
                       map->name, map->original, map->trouble);
    if (!map->expression || map->expression->root->kind == EXPRESSION_NAME) return no_original(reading, map);
    take_name(reading, map->name, reading->columns);
    for (int i = 0; i < map->expression->name_count; i++)
      for (size_t c = 0; c < reading->columns; c++)
        reading->measured[c] |= strcmp(column_canonical(reading->originals[c]), map->expression->names[i].name) == 0;
  }
  return true;
}

// N, D and C become the store's names where these are free.
static void canonical_names(struct reading *reading) {
  for (size_t c = 0; c < reading->columns; c++) {
    const char *canonical = column_canonical(reading->names[c]);
    if (canonical == reading->names[c] || reading->left_out[c]) continue;
    if (find_name(reading, reading->names, canonical) == reading->columns) reading->names[c] = canonical;
  }
}

// ---- cells ----

// Columns that hold numbers whatever their cells look like.
static bool quantity(const struct reading *reading, size_t column) {
  static const char *const kinds[] = {"parameters", "tokens", "flops", "loss"};
  if (reading->measured[column]) return true;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t length = strlen(kinds[i]);
    const char *name = reading->names[column];
    if (strncmp(name, kinds[i], length) == 0 && (!name[length] || name[length] == '_')) return true;
  }
  return false;
}

static struct cells column_cells(const struct reading *reading, size_t column) {
  return (struct cells){.first = cell_at(reading, 0, column),
                        .stride = reading->columns,
                        .count = reading->rows,
                        .lines = reading->lines,
                        .name = reading->originals[column],
                        .quantity = quantity(reading, column),
                        .source = reading->scanner->name};
}

static bool fill_column(struct table *table, const struct reading *reading, size_t from,
                        const struct number_marks *marks, const struct number_marks *file) {
  struct cells cells = column_cells(reading, from);
  struct number_form form;
  bool numeric, names_rows = strcmp(cells.name, "run_id") == 0 || strcmp(cells.name, "id") == 0;
  if (!number_form_choose(table, &cells, marks, file, reading->scanner->separator, &form, &numeric,
                          reading->scanner->error))
    return false;
  const char *name = reading->names[from];
  size_t column = numeric ? table_add_number(table, name, ROLE_UNKNOWN) : table_add_category(table, name, ROLE_UNKNOWN);
  table->columns[column].original = arena_string(&table->arena, cells.name);
  struct text text = {0};
  for (size_t row = 0; row < table->row_count; row++) {
    const struct cell *cell = cell_at(reading, row, from);
    double number;
    if (names_rows && cell->length) table->row_names[row] = arena_copy(&table->arena, cell->text, (size_t)cell->length);
    if (numeric) {
      if (cell_number(cell, &form, cells.quantity, &number)) table->columns[column].numbers[row] = number;
      continue;
    }
    if (cell_missing(cell, false)) continue;
    text_clear(&text);
    text_append(&text, cell->text, (size_t)cell->length);
    table_set_category(table, column, row, text_string(&text));
  }
  text_free(&text);
  return true;
}

static bool fill_table(struct table *table, struct reading *reading) {
  table_init(table, reading->scanner->name, reading->rows);
  table->row_lines = arena_array(&table->arena, reading->rows, sizeof *table->row_lines);
  memcpy(table->row_lines, reading->lines, reading->rows * sizeof *reading->lines);
  for (size_t row = 0; row < reading->rows; row++)
    table->row_names[row] = arena_format(&table->arena, "line %d", reading->lines[row]);
  struct number_marks *marks = arena_array(&reading->arena, reading->columns, sizeof *marks), file = {0};
  for (size_t c = 0; c < reading->columns; c++) {
    if (reading->left_out[c]) continue;
    struct cells cells = column_cells(reading, c);
    number_marks_find(&cells, &marks[c]);
    number_marks_add(&file, &marks[c]);
  }
  for (size_t c = 0; c < reading->columns; c++)
    if (!reading->left_out[c] && !fill_column(table, reading, c, &marks[c], &file)) return false;
  return table_add_mapped(table, reading->maps, reading->map_count, reading->scanner->error);
}

static bool read_cells(struct reading *reading) {
  struct scanner *scanner = reading->scanner;
  size_t cells, capacity = 0;
  int line;
  scanner_begin(scanner);
  if (!scanner_row(scanner, 0, &reading->columns, &line)) return false;
  if (!reading->columns) return error_set(scanner->error, EXIT_USAGE_ERROR, "%s: the table is empty", scanner->name);
  for (;;) {
    if (!scanner_row(scanner, reading->columns, &cells, &line)) return false;
    if (!cells) break;
    if (reading->rows == capacity) {
      capacity = capacity ? 2 * capacity : 64;
      reading->lines = memory_grow(reading->lines, capacity * sizeof *reading->lines);
    }
    reading->lines[reading->rows++] = line;
  }
  if (!reading->rows)
    return error_set(scanner->error, EXIT_USAGE_ERROR, "%s: there is a header, but no row", scanner->name);
  struct arena *arena = &reading->arena;
  reading->names = arena_array(arena, reading->columns + 1, sizeof *reading->names);
  reading->originals = arena_array(arena, reading->columns + 1, sizeof *reading->originals);
  reading->left_out = arena_array(arena, reading->columns + 1, sizeof *reading->left_out);
  reading->measured = arena_array(arena, reading->columns + 1, sizeof *reading->measured);
  return true;
}

bool table_parse_csv(struct table *table, const char *name, const char *bytes, size_t length,
                     const struct column_map *maps, size_t map_count, struct error *error) {
  *table = (struct table){0};
  size_t valid = utf8_valid_prefix(bytes, length);
  if (valid < length || memchr(bytes, '\0', length)) {
    const char *nul = memchr(bytes, '\0', valid);
    if (nul) valid = (size_t)(nul - bytes);
    int line = 1;
    for (size_t i = 0; i < valid; i++) line += bytes[i] == '\n';
    return error_set(error, EXIT_USAGE_ERROR, "%s:%d: the file is not UTF-8 text", name, line);
  }
  if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
    bytes += 3;
    length -= 3;
  }
  struct text copy = {0};  // control characters, which no name or category has, stand in it as they may be printed
  for (size_t done = 0; done < length;) {
    const char *line_end = memchr(bytes + done, '\r', length - done);
    size_t part = line_end ? (size_t)(line_end - bytes) - done : length - done;
    visible_add(&copy, bytes + done, part);
    if (line_end) text_char(&copy, '\r');
    done += part + (line_end != NULL);
  }
  bool changed = copy.length != length;
  text_char(&copy, '\0');
  struct scanner scanner = {.name = name,
                            .at = copy.bytes,
                            .end = copy.bytes + copy.length - 1,
                            .line_start = copy.bytes,
                            .line = 1,
                            .error = error};
  struct reading reading = {.scanner = &scanner, .maps = maps, .map_count = map_count};
  bool fine = read_cells(&reading) && read_header(&reading) && map_names(&reading);
  if (fine) {
    canonical_names(&reading);
    fine = fill_table(table, &reading);
  }
  if (fine && changed) table_note(table, "control characters in it are read as they are printed: \\x1b");
  arena_free(&reading.arena);
  free(reading.lines);
  free(scanner.cells);
  text_free(&copy);
  return fine;
}

bool table_read_csv(struct table *table, const char *path, const struct column_map *maps, size_t map_count,
                    struct error *error) {
  *table = (struct table){0};
  struct arena arena = {0};
  size_t length;
  const char *bytes = file_read(&arena, path, &length, error);
  bool fine = bytes && table_parse_csv(table, path, bytes, length, maps, map_count, error);
  arena_free(&arena);
  return fine;
}
