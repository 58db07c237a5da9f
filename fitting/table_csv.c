// Reading CSV files: a scanner of cells that knows where it is, then columns of numbers or categories.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fitting/table_internal.h"

enum { COLUMN_LIMIT = 10000 };

struct cell {  // points into the scanner's copy of the file; not terminated
  const char *text;
  int length;
};

struct scanner {
  const char *name;
  char *at, *end;
  const char *line_start;
  int line;
  struct cell *cells;  // all rows' cells, one row after the other
  size_t count, capacity;
  struct error *error;
};

// The column of a place in the present line, in characters from 1.
static int column_at(const struct scanner *scanner, const char *at) {
  int column = 1;
  for (const char *c = scanner->line_start; c < at; c++)
    if (((unsigned char)*c & 0xC0) != 0x80) column++;
  return column;
}

static void add_cell(struct scanner *scanner, const char *text, const char *end) {
  if (scanner->count == scanner->capacity) {
    scanner->capacity = scanner->capacity ? 2 * scanner->capacity : 256;
    scanner->cells = memory_grow(scanner->cells, scanner->capacity * sizeof *scanner->cells);
  }
  scanner->cells[scanner->count++] = (struct cell){text, (int)(end - text)};
}

// A quoted cell; "" within stands for one quote (taken together in place). Leaves the scanner behind it.
static bool quoted_cell(struct scanner *scanner) {
  int line = scanner->line, column = column_at(scanner, scanner->at);
  char *from = scanner->at + 1, *to = from, *text = from;
  for (; from < scanner->end; from++) {
    if (*from == '"' && !(from + 1 < scanner->end && from[1] == '"')) break;
    if (*from == '"') from++;
    if (*from == '\n') scanner->line++;  // the row goes on in the next line
    *to++ = *from;
  }
  if (from >= scanner->end)
    return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:%d:%d: this quote is never closed", scanner->name, line,
                     column);
  add_cell(scanner, text, to);
  scanner->at = from + 1;
  while (scanner->at < scanner->end && *scanner->at == ' ') scanner->at++;
  if (scanner->at < scanner->end && *scanner->at != ',' && *scanner->at != '\n' && *scanner->at != '\r')
    return error_set(
        scanner->error, EXIT_USAGE_ERROR,
        "%s:%d:%d: after the quoted cell that begins here there is neither a comma nor the end of the line",
        scanner->name, line, column);
  return true;
}

static void plain_cell(struct scanner *scanner) {
  const char *first = scanner->at;
  while (scanner->at < scanner->end && *scanner->at != ',' && *scanner->at != '\n' && *scanner->at != '\r')
    scanner->at++;
  const char *last = scanner->at;
  while (first < last && (*first == ' ' || *first == '\t')) first++;
  while (last > first && (last[-1] == ' ' || last[-1] == '\t')) last--;
  add_cell(scanner, first, last);
}

// Adds one row's cells; *cells tells how many (0: the end of the file). Blank lines are passed over. With more cells
// than `wanted` (0: any number) the place of the first one too many is an error.
static bool read_row(struct scanner *scanner, size_t wanted, size_t *cells, int *line) {
  *cells = 0;
  while (scanner->at < scanner->end && (*scanner->at == '\n' || *scanner->at == '\r'))
    if (*scanner->at++ == '\n') scanner->line++;
  *line = scanner->line;
  scanner->line_start = scanner->at;
  if (scanner->at >= scanner->end) return true;
  for (;;) {
    if (*cells == COLUMN_LIMIT)
      return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:%d: more than %d cells in a row", scanner->name, *line,
                       COLUMN_LIMIT);
    if (wanted && *cells == wanted)
      return error_set(scanner->error, EXIT_USAGE_ERROR,
                       "%s:%d:%d: the header names %zu columns, but this row has more cells", scanner->name, *line,
                       column_at(scanner, scanner->at), wanted);
    if (scanner->at < scanner->end && *scanner->at == '"') {
      if (!quoted_cell(scanner)) return false;
    } else {
      plain_cell(scanner);
    }
    (*cells)++;
    bool more = scanner->at < scanner->end && *scanner->at == ',';
    if (!more) break;
    scanner->at++;
  }
  if (wanted && *cells < wanted)
    return error_set(scanner->error, EXIT_USAGE_ERROR,
                     "%s:%d:%d: the header names %zu columns, but this row ends after %zu", scanner->name, *line,
                     column_at(scanner, scanner->at), wanted, *cells);
  return true;
}

static bool cell_missing(const struct cell *cell) {
  static const char *const words[] = {"", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL", "-"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if ((size_t)cell->length == strlen(words[i]) && memcmp(cell->text, words[i], (size_t)cell->length) == 0)
      return true;
  return false;
}

// The copy of the file ends in NUL, and no number goes on over a comma, a quote or the end of a line.
static bool cell_number(const struct cell *cell, double *number) {
  char *end;
  *number = strtod(cell->text, &end);
  return cell->length > 0 && end == cell->text + cell->length;
}

bool column_maps_parse(struct arena *arena, const char *text, struct column_map **maps, size_t *count,
                       struct error *error) {
  *maps = NULL;
  *count = 0;
  size_t capacity = 1;
  for (const char *c = text; *c; c++) capacity += *c == ',';
  *maps = arena_array(arena, capacity, sizeof **maps);
  for (const char *at = text; *at;) {
    size_t length = strcspn(at, ",");
    const char *equals = memchr(at, '=', length);
    if (!equals || equals == at || equals == at + length - 1)
      return error_set(error, EXIT_USAGE_ERROR, "'%.*s' in '%s' is not of the form name=column", (int)length, at, text);
    char *name = arena_copy(arena, at, (size_t)(equals - at));
    char *original = arena_copy(arena, equals + 1, (size_t)(at + length - equals - 1));
    (*maps)[(*count)++] = (struct column_map){column_canonical(name), original};
    at += length + (at[length] == ',');
  }
  return true;
}

// Names of the columns: as in the header, then --map, then N, D and C.
static bool name_columns(struct scanner *scanner, struct arena *arena, const char **names, const char **originals,
                         size_t count, const struct column_map *maps, size_t map_count) {
  for (size_t c = 0; c < count; c++) {
    const struct cell *cell = &scanner->cells[c];
    names[c] = originals[c] = arena_copy(arena, cell->text, (size_t)cell->length);
    if (!cell->length)
      return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:1: column %zu of the header has no name", scanner->name,
                       c + 1);
    for (size_t d = 0; d < c; d++)
      if (strcmp(names[c], names[d]) == 0)
        return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:1: two columns are named '%s'", scanner->name, names[c]);
  }
  for (size_t m = 0; m < map_count; m++) {
    size_t found = count;
    for (size_t c = 0; c < count; c++)
      if (strcmp(originals[c], maps[m].original) == 0) found = c;
    if (found == count) {
      error_set(scanner->error, EXIT_USAGE_ERROR, "%s: %s=%s: there is no column '%s'", scanner->name, maps[m].name,
                maps[m].original, maps[m].original);
      return error_hint(scanner->error, nearest_name(maps[m].original, originals, count), NULL);
    }
    for (size_t c = 0; c < count; c++)  // the mapped column takes the name from one that had it
      if (c != found && strcmp(names[c], maps[m].name) == 0) names[c] = arena_format(arena, "%s (original)", names[c]);
    names[found] = maps[m].name;
  }
  for (size_t c = 0; c < count; c++) {
    const char *canonical = column_canonical(names[c]);
    bool taken = false;
    for (size_t d = 0; d < count; d++) taken |= d != c && strcmp(names[d], canonical) == 0;
    if (!taken) names[c] = canonical;
  }
  return true;
}

static void fill_column(struct table *table, const struct scanner *scanner, size_t from, size_t count, const char *name,
                        const char *original) {
  bool numeric = true;
  double number;
  for (size_t row = 1; row <= table->row_count && numeric; row++) {
    const struct cell *cell = &scanner->cells[row * count + from];
    numeric = cell_missing(cell) || cell_number(cell, &number);
  }
  size_t column = numeric ? table_add_number(table, name, ROLE_UNKNOWN) : table_add_category(table, name, ROLE_UNKNOWN);
  table->columns[column].original = original;
  struct text text = {0};
  bool names_rows = strcmp(original, "run_id") == 0 || strcmp(original, "id") == 0;
  for (size_t row = 0; row < table->row_count; row++) {
    const struct cell *cell = &scanner->cells[(row + 1) * count + from];
    if (names_rows && cell->length) table->row_names[row] = arena_copy(&table->arena, cell->text, (size_t)cell->length);
    if (cell_missing(cell)) continue;
    if (numeric) {
      cell_number(cell, &table->columns[column].numbers[row]);
      continue;
    }
    text_clear(&text);
    text_append(&text, cell->text, (size_t)cell->length);
    table_set_category(table, column, row, text_string(&text));
  }
  text_free(&text);
}

static bool parse_rows(struct table *table, struct scanner *scanner, const struct column_map *maps, size_t map_count) {
  size_t columns, cells, rows = 0, line_capacity = 0;
  int line, *lines = NULL;
  bool fine = read_row(scanner, 0, &columns, &line);
  if (fine && !columns) fine = error_set(scanner->error, EXIT_USAGE_ERROR, "%s: the table is empty", scanner->name);
  struct arena arena = {0};
  const char **names = arena_array(&arena, columns + 1, sizeof *names);
  const char **originals = arena_array(&arena, columns + 1, sizeof *originals);
  fine = fine && name_columns(scanner, &arena, names, originals, columns, maps, map_count);
  while (fine) {
    fine = read_row(scanner, columns, &cells, &line);
    if (!fine || !cells) break;
    if (rows == line_capacity) {
      line_capacity = line_capacity ? 2 * line_capacity : 64;
      lines = memory_grow(lines, line_capacity * sizeof *lines);
    }
    lines[rows++] = line;
  }
  if (fine && !rows)
    fine = error_set(scanner->error, EXIT_USAGE_ERROR, "%s: there is a header, but no row", scanner->name);
  if (fine) {
    table_init(table, scanner->name, rows);
    table->row_lines = arena_array(&table->arena, rows, sizeof *table->row_lines);
    memcpy(table->row_lines, lines, rows * sizeof *lines);
    for (size_t row = 0; row < rows; row++) table->row_names[row] = arena_format(&table->arena, "line %d", lines[row]);
    for (size_t c = 0; c < columns; c++)
      fill_column(table, scanner, c, columns, names[c], arena_string(&table->arena, originals[c]));
  }
  arena_free(&arena);
  free(lines);
  return fine;
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
  char *copy = memory_get(length + 1);
  memcpy(copy, bytes, length);
  struct scanner scanner = {
      .name = name, .at = copy, .end = copy + length, .line_start = copy, .line = 1, .error = error};
  bool fine = parse_rows(table, &scanner, maps, map_count);
  free(scanner.cells);
  free(copy);
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
