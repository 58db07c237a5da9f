// Reading CSV files: cells, numbers as people write them, columns by other names.
#pragma once
#include "fitting/table_internal.h"

struct cell {  // points into the scanner's copy of the file; not terminated
  const char *text;
  int length;
};

struct scanner {
  const char *name;
  char *at, *end;
  const char *line_start;
  int line;
  char separator;
  struct cell *cells;  // all rows' cells, one row after the other
  size_t count, capacity;
  struct error *error;
};

// Finds the separator of the first line: a comma, a semicolon or a tab, or what a line "sep=;" before it says.
void scanner_begin(struct scanner *scanner);
// Adds one row's cells; *cells says how many (0: the end of the file). Blank lines are passed over. With more cells
// than `wanted` (0: any number) the place of the first one too many is an error.
bool scanner_row(struct scanner *scanner, size_t wanted, size_t *cells, int *line);

// A column of cells, by rows.
struct cells {
  const struct cell *first;
  size_t stride, count;
  const int *lines;    // of the file
  const char *name;    // in the file
  bool quantity;       // numbers belong here: suffixes (30M) and None are read
  const char *source;  // of the table
};
// How the numbers of a file, or of a column, are written.
struct number_marks {
  const struct cell *point, *comma;  // a cell with a decimal point and one with a decimal comma, for certain, or NULL
  const struct cell *either;         // "1,234": thousands or decimals
  const struct cell *thousands;      // a group of three after a point: "1.234"
  const struct cell *lower;          // "30m"
  bool text;                         // a cell that is no number
  bool written;                      // not every cell is as a program writes numbers
  bool any, suffixes;
};
void number_marks_find(const struct cells *cells, struct number_marks *marks);
// Adds what a column of numbers says of the whole file.
void number_marks_add(struct number_marks *file, const struct number_marks *column);
// How a column is read; *numeric: whether its cells are numbers. False with an error where it can be read two ways.
// Choices made are reported in the table's notes.
struct number_form {
  bool comma, plain;  // a decimal comma; as a program writes numbers
};
bool number_form_choose(struct table *table, const struct cells *cells, const struct number_marks *column,
                        const struct number_marks *file, char separator, struct number_form *form, bool *numeric,
                        struct error *error);
// The cell's number; false where it is none, or missing.
bool cell_number(const struct cell *cell, const struct number_form *form, bool quantity, double *number);
bool cell_missing(const struct cell *cell, bool quantity);

// Adds the columns that are expressions over others, read from their names in the file.
bool table_add_mapped(struct table *table, const struct column_map *maps, size_t map_count, struct error *error);
