// See table.h.
#include "runner/terminal/table.h"

#include "base/terminal.h"

struct text_note {
  size_t cell;  // before which it is printed
  const char *lines;
};

// Characters of UTF-8.
static size_t width_of(const char *text) {
  size_t width = 0;
  for (; *text; text++) width += ((unsigned char)*text & 0xC0) != 0x80;
  return width;
}

struct text_table text_list(size_t indent, size_t least) {
  struct text_table table = {.gap = 1, .indent = indent};
  text_table_column(&table, (struct text_column){"", .least = least});
  text_table_column(&table, (struct text_column){""});
  return table;
}

void text_table_column(struct text_table *table, struct text_column column) {
  table->columns =
      arena_grow(&table->arena, table->columns, table->column_count, table->column_count + 1, sizeof *table->columns);
  column.head = visible(&table->arena, arena_string(&table->arena, column.head));
  table->columns[table->column_count++] = column;
}

void text_table_columns(struct text_table *table, const struct text_column *columns) {
  for (; columns->head; columns++) text_table_column(table, *columns);
}

void text_table_cell(struct text_table *table, const char *format, ...) {
  size_t count = table->cell_count;
  if ((count & (count - 1)) == 0)  // a power of two: it is full
    table->cells = arena_grow(&table->arena, table->cells, count, count ? 2 * count : 1, sizeof *table->cells);
  va_list arguments;
  va_start(arguments, format);
  table->cells[table->cell_count++] = visible(&table->arena, arena_vformat(&table->arena, format, arguments));
  va_end(arguments);
}

void text_table_note(struct text_table *table, const char *lines) {
  table->notes =
      arena_grow(&table->arena, table->notes, table->note_count, table->note_count + 1, sizeof *table->notes);
  table->notes[table->note_count++] =
      (struct text_note){table->cell_count, visible(&table->arena, arena_string(&table->arena, lines))};
}

static size_t column_width(const struct text_table *table, size_t c) {
  const struct text_column *column = &table->columns[c];
  size_t width = width_of(column->head);
  if (width < column->least) width = column->least;
  for (size_t i = c; i < table->cell_count; i += table->column_count) {
    size_t cell = width_of(table->cells[i]);
    if (column->most && cell > column->most) cell = column->most;
    if (cell > width) width = cell;
  }
  return width;
}

// Blanks are held back until something follows them.
static void print_cell(const struct text_column *column, size_t width, const char *text, size_t *blanks, FILE *out) {
  size_t own = width_of(text), pad = own < width ? width - own : 0;
  if (column->right) *blanks += pad;
  if (*text) {
    fprintf(out, "%*s%s", (int)*blanks, "", text);
    *blanks = 0;
  }
  if (!column->right) *blanks += pad;
}

// A table of lists has no heads, and no line of them.
static bool has_heads(const struct text_table *table) {
  for (size_t c = 0; c < table->column_count; c++)
    if (*table->columns[c].head) return true;
  return false;
}

static void print_line(const struct text_table *table, const size_t *widths, const char *const *cells, size_t count,
                       FILE *out) {
  size_t blanks = table->indent;
  for (size_t c = 0; c < count; c++) {
    print_cell(&table->columns[c], widths[c], cells ? cells[c] : table->columns[c].head, &blanks, out);
    blanks += table->gap;
  }
  fputs("\n", out);
}

void text_table_print(const struct text_table *table, FILE *out) {
  struct arena scratch = {0};
  size_t columns = table->column_count, *widths = arena_array(&scratch, columns, sizeof *widths), note = 0;
  for (size_t c = 0; c < columns; c++) widths[c] = column_width(table, c);
  if (has_heads(table)) print_line(table, widths, NULL, columns, out);
  for (size_t i = 0; i < table->cell_count; i += columns) {
    for (; note < table->note_count && table->notes[note].cell <= i; note++) fputs(table->notes[note].lines, out);
    size_t left = table->cell_count - i;
    print_line(table, widths, table->cells + i, left < columns ? left : columns, out);
  }
  for (; note < table->note_count; note++) fputs(table->notes[note].lines, out);
  arena_free(&scratch);
}

void text_table_free(struct text_table *table) {
  arena_free(&table->arena);
  *table = (struct text_table){.gap = table->gap, .indent = table->indent};
}
