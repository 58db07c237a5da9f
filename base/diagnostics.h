// Diagnostics: every mistake of an input file in one pass, each with its place, the reason and a hint.
// Printed as "FILE:LINE:COLUMN: error: MESSAGE" and, when there is one, an indented "hint: ..." line.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"

struct diagnostic {
  const char *file;
  int line, column;  // from 1; 0 when the place is the whole file. Line 0 with a column: in the text of an option
  const char *message;
  const char *hint;  // or NULL
  bool warning;
};

struct diagnostics {
  struct arena arena;  // owns the texts
  struct diagnostic *items;
  size_t count, capacity, errors;
};

// Adds an error (or a warning). The texts are copied. `hint` may be NULL. After 100 errors further ones are only
// counted.
void diagnostics_add(struct diagnostics *list, bool warning, const char *file, int line, int column, const char *hint,
                     const char *format, ...) __attribute__((format(printf, 7, 8)));
// An error at that place: its text up to its hint, and the hint.
void diagnostics_add_error(struct diagnostics *list, const char *file, int line, int column, const struct error *error);
// Prints all in order of file, line and column; colours when `colour`.
void diagnostics_print(struct diagnostics *list, FILE *out, bool colour);
// False and one summary error ("3 errors in FILE") when there are errors.
bool diagnostics_check(const struct diagnostics *list, const char *file, struct error *error);
// What commands do with the mistakes of an input file: prints them on standard error, in colours where those are
// wanted, and hands copies to whom the error tells of (error->told).
void diagnostics_tell(struct diagnostics *list, const struct error *error);
// An array of objects: file, line, column, severity ("error", "warning"), message, hint (or null).
struct json_writer;
void diagnostics_json(const struct diagnostics *list, struct json_writer *json);
void diagnostics_free(struct diagnostics *list);
