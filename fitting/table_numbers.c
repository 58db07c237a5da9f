// Numbers as people write them: thousands (1,234,567  1 234 567  1_000), decimal commas, 30M and 1.4B.
#include <ctype.h>
#include <math.h>
#include <string.h>

#include "fitting/table_csv_internal.h"

enum { NUMBER_LENGTH = 63 };

bool cell_missing(const struct cell *cell, bool quantity) {
  static const char *const words[] = {"",  "NA",   "N/A",  "NaN",  "nan", "NAN",  "null", "NULL",
                                      "-", "#N/A", "<NA>", "None", "n/a", "none", "."};
  size_t count = sizeof words / sizeof *words - (quantity ? 0 : 4);  // elsewhere None may be a category
  for (size_t i = 0; i < count; i++)
    if ((size_t)cell->length == strlen(words[i]) && memcmp(cell->text, words[i], (size_t)cell->length) == 0)
      return true;
  return false;
}

// The copy of the file ends in NUL, and no number continues over a separator, a quote or the end of a line. strtod
// takes hexadecimal and "nan(...)", too, which are no numbers here, as in specs (number_parse).
static bool plain_number(const struct cell *cell, double *number) {
  char *end;
  for (int i = 0; i < cell->length; i++)
    if (strchr("xX(", cell->text[i])) return false;
  *number = strtod(cell->text, &end);
  return cell->length > 0 && end == cell->text + cell->length;
}

// A number taken apart. Spaces of every kind are ' ', a minus sign of typographers '-'.
struct parts {
  char body[NUMBER_LENGTH + 1];  // digits and separators
  char exponent[16];
  bool negative;
  char suffix;  // K M B G T, lower case where it was, or 0
};

static size_t wide_space(const char *text, size_t left) {
  static const char *const spaces[] = {"\xc2\xa0", "\xe2\x80\xaf", "\xe2\x80\x89"};
  for (size_t i = 0; i < 3; i++)
    if (left >= strlen(spaces[i]) && memcmp(text, spaces[i], strlen(spaces[i])) == 0) return strlen(spaces[i]);
  return 0;
}

static bool take_apart(const struct cell *cell, struct parts *parts) {
  const char *at = cell->text, *end = at + cell->length;
  size_t length = 0, digits = 0;
  *parts = (struct parts){.negative = at < end && *at == '-'};
  if (end - at >= 3 && memcmp(at, "\xe2\x88\x92", 3) == 0) {
    parts->negative = true;
    at += 3;
  } else {
    at += at < end && (*at == '-' || *at == '+');
  }
  while (at < end && length < NUMBER_LENGTH) {
    size_t space = wide_space(at, (size_t)(end - at));
    if (!space && !isdigit((unsigned char)*at) && !memchr(".,_' ", *at, 5)) break;
    digits += isdigit((unsigned char)*at) != 0;
    parts->body[length++] = space ? ' ' : *at;
    at += space ? space : 1;
  }
  while (length && parts->body[length - 1] == ' ') length--;  // before a suffix
  parts->body[length] = 0;
  if (at < end && (*at == 'e' || *at == 'E') && end - at < 8) {
    memcpy(parts->exponent, at, (size_t)(end - at));
    char *last;
    strtol(parts->exponent + 1, &last, 10);
    return digits && !*last && last > parts->exponent + 1 && isdigit((unsigned char)last[-1]);
  }
  if (end - at == 1 && memchr("kKmMbBgGtT", *at, 10)) parts->suffix = *at++;
  return digits && at == end;
}

// How a body's separators can be read.
enum reading { NO_NUMBER, WHOLE, POINT, COMMA, EITHER, POINT_OR_THOUSANDS };

// Groups of three digits after one to three, from `at` to `end`.
static bool grouped(const char *at, const char *end, char separator) {
  size_t head = 0;
  while (at + head < end && isdigit((unsigned char)at[head])) head++;
  if (head < 1 || head > 3) return false;
  for (at += head; at < end; at += 4) {
    if (*at != separator || end - at < 4) return false;
    for (int i = 1; i < 4; i++)
      if (!isdigit((unsigned char)at[i])) return false;
  }
  return true;
}

static bool all_digits(const char *at, const char *end) {
  while (at < end && isdigit((unsigned char)*at)) at++;
  return at == end;
}

// A body with one kind of decimal sign and another separator, or none, in groups.
static bool whole_part(const char *at, const char *end, const char *separators) {
  if (all_digits(at, end)) return true;
  for (; *separators; separators++)
    if (grouped(at, end, *separators)) return true;
  return false;
}

static enum reading read_body(const struct parts *parts) {
  const char *body = parts->body, *end = body + strlen(body), *comma = strrchr(body, ','), *point = strrchr(body, '.');
  if (!comma && !point) return whole_part(body, end, "_' ") ? WHOLE : NO_NUMBER;
  bool commas = comma && strchr(body, ',') != comma, points = point && strchr(body, '.') != point;
  if (comma && point) {
    const char *sign = comma > point ? comma : point;
    if ((sign == comma ? commas : points) || !all_digits(sign + 1, end)) return NO_NUMBER;
    return !whole_part(body, sign, sign == comma ? "." : ",") ? NO_NUMBER : sign == comma ? COMMA : POINT;
  }
  if (commas) return grouped(body, end, ',') ? POINT : NO_NUMBER;
  if (points) return grouped(body, end, '.') ? COMMA : NO_NUMBER;
  const char *sign = comma ? comma : point;
  if (!all_digits(sign + 1, end) || !whole_part(body, sign, "_' ")) return NO_NUMBER;
  bool three = *body != '0' && !*parts->exponent && grouped(body, end, *sign);
  if (comma) return three ? EITHER : COMMA;
  return three ? POINT_OR_THOUSANDS : POINT;
}

void number_marks_find(const struct cells *cells, struct number_marks *marks) {
  *marks = (struct number_marks){0};
  for (size_t row = 0; row < cells->count && !marks->text; row++) {
    const struct cell *cell = cells->first + row * cells->stride;
    struct parts parts;
    double number;
    if (cell_missing(cell, cells->quantity)) continue;
    marks->any = true;
    bool plain = plain_number(cell, &number), apart = take_apart(cell, &parts);
    enum reading reading = apart ? read_body(&parts) : NO_NUMBER;
    if (parts.suffix && !cells->quantity) reading = NO_NUMBER;
    marks->written |= !plain;
    marks->suffixes |= parts.suffix != 0;
    if (parts.suffix == 'm') marks->lower = cell;
    if (reading == POINT) marks->point = cell;
    if (reading == COMMA) marks->comma = cell;
    if (reading == EITHER) marks->either = cell;
    if (reading == POINT_OR_THOUSANDS) marks->thousands = cell;
    marks->text = reading == NO_NUMBER && !plain;
  }
}

void number_marks_add(struct number_marks *file, const struct number_marks *column) {
  if (column->text) return;
  if (column->point) file->point = column->point;
  if (column->comma) file->comma = column->comma;
}

static double suffix_factor(char suffix) {
  switch (toupper((unsigned char)suffix)) {
    case 'K':
      return 1e3;
    case 'M':
      return 1e6;
    case 'B':
    case 'G':
      return 1e9;
    case 'T':
      return 1e12;
    default:
      return 1;
  }
}

bool cell_number(const struct cell *cell, const struct number_form *form, bool quantity, double *number) {
  if (cell_missing(cell, quantity)) return false;
  if (form->plain || (plain_number(cell, number) && !form->comma)) return plain_number(cell, number);
  struct parts parts;
  if (!take_apart(cell, &parts)) return plain_number(cell, number);
  char text[NUMBER_LENGTH + 40];
  size_t length = 0;
  char sign = form->comma ? ',' : '.';
  for (const char *at = parts.body; *at; at++) {
    if (*at == sign) text[length++] = '.';
    if (isdigit((unsigned char)*at)) text[length++] = *at;
  }
  strcpy(text + length, parts.exponent);
  // An exponent of its own instead of a product, so that 1.4B is the number that 1.4e9 is.
  if (parts.suffix) snprintf(text + length, 16, "e%.0f", log10(suffix_factor(parts.suffix)));
  if (!number_parse(text, number)) return false;
  if (parts.negative) *number = -*number;
  return true;
}

static bool two_ways(const struct cells *cells, const struct cell *a, const char *what, const struct cell *b,
                     const char *other, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR, "%s: column '%s': '%.*s' %s, '%.*s' %s; write the column in one way",
                   cells->source, cells->name, a->length, a->text, what, b->length, b->text, other);
}

// Among numbers with a suffix a small one without may have lost its own.
static bool check_suffixes(const struct cells *cells, const struct number_form *form, struct error *error) {
  const struct cell *suffixed = cells->first;
  struct parts parts;
  for (size_t row = 0; row < cells->count; row++) {
    suffixed = cells->first + row * cells->stride;
    if (take_apart(suffixed, &parts) && parts.suffix) break;
  }
  for (size_t row = 0; row < cells->count; row++) {
    const struct cell *cell = cells->first + row * cells->stride;
    double number;
    if (!take_apart(cell, &parts) || parts.suffix || !cell_number(cell, form, true, &number)) continue;
    if (number > 0 && number < 1000)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s:%d: column '%s': is '%.*s' among numbers such as '%.*s' %g, or has it lost its unit? write "
                       "it with one, or as a plain number",
                       cells->source, cells->lines[row], cells->name, cell->length, cell->text, suffixed->length,
                       suffixed->text, number);
  }
  return true;
}

bool number_form_choose(struct table *table, const struct cells *cells, const struct number_marks *column,
                        const struct number_marks *file, char separator, struct number_form *form, bool *numeric,
                        struct error *error) {
  bool commas = file->comma && !file->point;  // the file's way, where a column does not tell
  // Lists ("1,2") are quoted where commas part the cells.
  bool lists = column->comma && !column->point && separator == ',' && file->point && !cells->quantity;
  *numeric = !column->text && !lists;
  *form = (struct number_form){.plain = !column->written && !(commas && column->thousands)};
  if (!*numeric || form->plain) return true;
  if (column->comma && column->point)
    return two_ways(cells, column->comma, "has a decimal comma", column->point, "a decimal point", error);
  form->comma = column->comma || (commas && !column->point);
  double number;
  if (column->either && !form->comma && !column->point && (file->comma || !file->point)) {
    if (separator != ',' || file->comma)
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s: column '%s': is '%.*s' a number of thousands or one with a decimal comma? nothing else in "
                       "the file says; write it without the comma, or with a point",
                       cells->source, cells->name, column->either->length, column->either->text);
    cell_number(column->either, form, cells->quantity, &number);
    table_note(table, "column '%s': '%.*s' is read as %g", cells->name, column->either->length, column->either->text,
               number);
  }
  if (column->thousands && form->comma) {
    cell_number(column->thousands, form, cells->quantity, &number);
    table_note(table, "column '%s': '%.*s' is read as %g, because the file has decimal commas ('%.*s')", cells->name,
               column->thousands->length, column->thousands->text, number, file->comma->length, file->comma->text);
  }
  if (column->lower) {
    cell_number(column->lower, form, cells->quantity, &number);
    table_note(table, "column '%s': '%.*s' is read as %g", cells->name, column->lower->length, column->lower->text,
               number);
  }
  return !column->suffixes || check_suffixes(cells, form, error);
}
