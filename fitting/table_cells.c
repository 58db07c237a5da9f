// Cells of a CSV file: a scanner that knows where it is, by the separator that the header line has.
#include <stdio.h>
#include <string.h>

#include "fitting/table_csv_internal.h"

enum { COLUMN_LIMIT = 10000 };

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

static const char *separator_name(char separator) {
  return separator == ';' ? "semicolon" : separator == '\t' ? "tab" : "comma";
}

// A quoted cell; "" within stands for one quote (taken together in place). Leaves the scanner behind it.
static bool quoted_cell(struct scanner *scanner) {
  int line = scanner->line, column = column_at(scanner, scanner->at);
  char *from = scanner->at + 1, *to = from, *text = from;
  for (; from < scanner->end; from++) {
    if (*from == '"' && !(from + 1 < scanner->end && from[1] == '"')) break;
    if (*from == '"') from++;
    if (*from == '\n') scanner->line++;  // the row continues in the next line
    *to++ = *from;
  }
  if (from >= scanner->end)
    return error_set(scanner->error, EXIT_USAGE_ERROR, "%s:%d:%d: this quote is never closed", scanner->name, line,
                     column);
  add_cell(scanner, text, to);
  scanner->at = from + 1;
  while (scanner->at < scanner->end && *scanner->at == ' ') scanner->at++;
  if (scanner->at < scanner->end && *scanner->at != scanner->separator && *scanner->at != '\n' && *scanner->at != '\r')
    return error_set(scanner->error, EXIT_USAGE_ERROR,
                     "%s:%d:%d: after the quoted cell that begins here there is neither a %s nor the end of the line",
                     scanner->name, line, column, separator_name(scanner->separator));
  return true;
}

static void plain_cell(struct scanner *scanner) {
  const char *first = scanner->at;
  while (scanner->at < scanner->end && *scanner->at != scanner->separator && *scanner->at != '\n' &&
         *scanner->at != '\r')
    scanner->at++;
  const char *last = scanner->at;
  while (first < last && (*first == ' ' || *first == '\t')) first++;
  while (last > first && (last[-1] == ' ' || last[-1] == '\t')) last--;
  add_cell(scanner, first, last);
}

static const char separators[] = "\t;,";

// Counts the separators of a line outside quotes; the start of the next line.
static const char *count_separators(const char *at, const char *end, size_t counts[3]) {
  bool quoted = false;
  for (; at < end && (quoted || (*at != '\n' && *at != '\r')); at++) {
    if (*at == '"') quoted = !quoted;
    const char *found = quoted || !*at ? NULL : strchr(separators, *at);
    if (found) counts[found - separators]++;
  }
  while (at < end && (*at == '\n' || *at == '\r')) at++;
  return at;
}

// What the header has most of, among the separators of which the next line has as many; a comma where there is none.
static char find_separator(const struct scanner *scanner) {
  size_t header[3] = {0}, row[3] = {0};
  const char *next = count_separators(scanner->at, scanner->end, header);
  count_separators(next, scanner->end, row);
  int best = 2;
  for (int i = 2; i >= 0; i--) {
    bool agrees = header[i] && header[i] == row[i], best_agrees = header[best] && header[best] == row[best];
    if (agrees != best_agrees ? agrees : header[i] && header[i] >= header[best]) best = i;
  }
  return separators[best];
}

void scanner_begin(struct scanner *scanner) {
  while (scanner->at < scanner->end && (*scanner->at == '\n' || *scanner->at == '\r'))
    if (*scanner->at++ == '\n') scanner->line++;
  size_t left = (size_t)(scanner->end - scanner->at);
  if (left > 5 && memcmp(scanner->at, "sep=", 4) == 0 && (scanner->at[5] == '\n' || scanner->at[5] == '\r')) {
    scanner->separator = scanner->at[4];  // Excel's own line
    scanner->at += 5;
  } else {
    scanner->separator = find_separator(scanner);
  }
}

bool scanner_row(struct scanner *scanner, size_t wanted, size_t *cells, int *line) {
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
    bool more = scanner->at < scanner->end && *scanner->at == scanner->separator;
    if (!more) break;
    scanner->at++;
  }
  if (wanted && *cells < wanted)
    return error_set(scanner->error, EXIT_USAGE_ERROR,
                     "%s:%d:%d: the header names %zu columns, but this row ends after %zu", scanner->name, *line,
                     column_at(scanner, scanner->at), wanted, *cells);
  return true;
}
