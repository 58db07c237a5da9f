// A table printed as text: columns as wide as their widest cell, numbers to the right.
//
//   struct text_table table = {.gap = 2};
//   text_table_column(&table, (struct text_column){"id"});
//   text_table_column(&table, (struct text_column){"tokens", .right = true});
//   text_table_cell(&table, "%.8s", id);                    cells of a row from left to right, row after row
//   text_table_cell(&table, "%s", number_human(tokens, buffer));
//   text_table_print(&table, stdout);
//   text_table_free(&table);
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/base.h"

struct text_column {
  const char *head;    // or ""
  bool right;          // to the right; else to the left
  size_t least, most;  // widths in characters: never narrower; not widened beyond for longer cells (0: no such limit)
};

struct text_note;

// All zeroes and a gap: an empty table.
struct text_table {
  size_t gap, indent;  // spaces between columns, and before each line
  struct text_column *columns;
  const char **cells;
  struct text_note *notes;
  size_t column_count, cell_count, note_count;
  struct arena arena;
};

// A list of names and what is said of them: two columns without heads, the names in at least so many characters.
struct text_table text_list(size_t indent, size_t least);
void text_table_column(struct text_table *table, struct text_column column);
// Several at once, until one without a head.
void text_table_columns(struct text_table *table, const struct text_column *columns);
void text_table_cell(struct text_table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Lines, each ending with a newline, that stay as they are under the row whose cells are all there.
void text_table_note(struct text_table *table, const char *lines);
// A line of heads, unless all are "", then the rows. No line ends in blanks.
void text_table_print(const struct text_table *table, FILE *out);
void text_table_free(struct text_table *table);
