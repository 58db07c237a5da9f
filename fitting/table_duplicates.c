// Rows that say what another row has said: of a file put together twice, of two exports of the same runs.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/table_internal.h"

// Two runs that differ, but end at the same loss to that many digits, are one; to fewer, that happens.
enum { TELLING_DIGITS = 6 };

static int significant_digits(double value) {
  char number[32];
  number_shortest(value, number);
  int digits = 0;
  for (const char *at = number; *at && *at != 'e'; at++)
    digits += isdigit((unsigned char)*at) && (digits || *at != '0');
  return digits;
}

// Columns that name a row say nothing of what was measured.
static bool names_row(const struct table_column *column) {
  static const char *const names[] = {"run_id", "id",   "run",        "name",      "run_name", "pool",
                                      "index",  "path", "created_at", "timestamp", "file",     "source"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(column->name, names[i]) == 0) return true;
  return false;
}

static bool others_agree(const struct table *table, size_t a, size_t b) {
  for (size_t c = 0; c < table->column_count; c++) {
    if (names_row(&table->columns[c])) continue;
    struct value x = table_value(table, c, a), y = table_value(table, c, b);
    if (x.kind == VALUE_MISSING || y.kind == VALUE_MISSING) continue;
    if (x.kind == VALUE_TEXT ? strcmp(x.text, y.text) != 0 : x.number != y.number) return false;
  }
  return true;
}

// Marks in keep[row] the rows that repeat none; returns how many do.
static size_t find_duplicates(const struct table *table, const char *target, const char *const *keys, size_t key_count,
                              bool *keep) {
  struct arena arena = {0};
  size_t rows = table->row_count, dropped = 0;
  int *columns = arena_array(&arena, key_count + 1, sizeof *columns), count = 0;
  int outcome = table_find(table, target);
  bool *whole = arena_array(&arena, rows + 1, sizeof *whole);
  for (size_t row = 0; row < rows; row++) keep[row] = true;
  for (size_t k = 0; k < key_count; k++)
    if (table_find(table, keys[k]) >= 0) columns[count++] = table_find(table, keys[k]);
  if (outcome < 0 || table->columns[outcome].kind != COLUMN_NUMBER) return arena_free(&arena), 0;
  columns[count++] = outcome;
  for (size_t row = 0; row < rows; row++) {
    whole[row] = true;  // rows with a missing cell are left out of fits anyway, with their reason
    for (int c = 0; c < count; c++) whole[row] &= table_value(table, (size_t)columns[c], row).kind != VALUE_MISSING;
  }
  int *group = arena_array(&arena, rows + 1, sizeof *group);
  int groups = table_partition(table, columns, count, whole, group);
  size_t *last = arena_array(&arena, (size_t)groups + 1, sizeof *last),  // row + 1, kept last of its group
      *before = arena_array(&arena, rows + 1, sizeof *before);
  for (size_t row = 0; row < rows; row++) {
    if (group[row] < 0) continue;
    bool telling = significant_digits(table->columns[outcome].numbers[row]) >= TELLING_DIGITS;
    for (size_t other = last[group[row]]; other && keep[row]; other = before[other - 1])
      keep[row] = !telling && !others_agree(table, other - 1, row);
    dropped += !keep[row];
    if (!keep[row]) continue;
    before[row] = last[group[row]];
    last[group[row]] = row + 1;
  }
  arena_free(&arena);
  return dropped;
}

size_t table_count_duplicates(const struct table *table, const char *target, const char *const *keys,
                              size_t key_count) {
  bool *keep = memory_get((table->row_count + 1) * sizeof *keep);
  size_t found = find_duplicates(table, target, keys, key_count, keep);
  free(keep);
  return found;
}

size_t table_drop_duplicates(struct table *table, const char *target, const char *const *keys, size_t key_count) {
  bool *keep = memory_get((table->row_count + 1) * sizeof *keep);
  size_t dropped = find_duplicates(table, target, keys, key_count, keep);
  if (dropped) table_keep_rows(table, keep);
  free(keep);
  return dropped;
}
