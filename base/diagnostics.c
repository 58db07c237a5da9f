// See diagnostics.h.
#include "base/diagnostics.h"

#include <stdlib.h>
#include <string.h>

#include "base/failure.h"
#include "base/json.h"
#include "base/terminal.h"

enum { DIAGNOSTICS_KEPT = 100 };

void diagnostics_add(struct diagnostics *list, bool warning, const char *file, int line, int column, const char *hint,
                     const char *format, ...) {
  if (!warning) list->errors++;
  if (list->count >= DIAGNOSTICS_KEPT) return;
  if (list->count == list->capacity) {
    size_t capacity = list->capacity ? list->capacity * 2 : 8;
    list->items = arena_grow(&list->arena, list->items, list->count, capacity, sizeof *list->items);
    list->capacity = capacity;
  }
  va_list arguments;
  va_start(arguments, format);
  const char *message = arena_vformat(&list->arena, format, arguments);
  va_end(arguments);
  list->items[list->count++] = (struct diagnostic){
      .file = arena_string(&list->arena, file),
      .line = line,
      .column = column,
      .message = message,
      .hint = hint ? arena_string(&list->arena, hint) : NULL,
      .warning = warning,
  };
}

void diagnostics_add_error(struct diagnostics *list, const char *file, int line, int column,
                           const struct error *error) {
  diagnostics_add(list, false, file, line, column, error->hint[0] ? error->hint : NULL, "%.*s", error_length(error),
                  error->text);
}

static int by_place(const void *a, const void *b) {
  const struct diagnostic *x = a, *y = b;
  int order = strcmp(x->file, y->file);
  if (order) return order;
  if (x->line != y->line) return x->line < y->line ? -1 : 1;
  if (x->column != y->column) return x->column < y->column ? -1 : 1;
  return strcmp(x->message, y->message);
}

void diagnostics_print(struct diagnostics *list, FILE *out, bool colour) {
  if (list->count) qsort(list->items, list->count, sizeof *list->items, by_place);
  for (size_t i = 0; i < list->count; i++) {
    const struct diagnostic *d = &list->items[i];
    const char *start = colour ? d->warning ? "\033[33m" : "\033[31m" : "", *end = colour ? "\033[0m" : "";
    if (d->line > 0)
      fprintf(out, "%s:%d:%d: ", visible(&list->arena, d->file), d->line, d->column);
    else if (d->column > 0)
      fprintf(out, "%s: column %d: ", visible(&list->arena, d->file), d->column);
    else
      fprintf(out, "%s: ", visible(&list->arena, d->file));
    fprintf(out, "%s%s:%s %s\n", start, d->warning ? "warning" : "error", end, visible(&list->arena, d->message));
    if (d->hint) fprintf(out, "    hint: %s\n", visible(&list->arena, d->hint));
  }
  size_t shown = 0;
  for (size_t i = 0; i < list->count; i++) shown += !list->items[i].warning;
  if (list->errors > shown) fprintf(out, "... and %zu more errors\n", list->errors - shown);
}

void diagnostics_tell(struct diagnostics *list, const struct error *error) {
  diagnostics_print(list, stderr, colour_wanted(stderr));
  for (size_t i = 0; error->told && i < list->count; i++) {
    const struct diagnostic *d = &list->items[i];
    diagnostics_add(error->told, d->warning, d->file, d->line, d->column, d->hint, "%s", d->message);
  }
}

void diagnostics_json(const struct diagnostics *list, struct json_writer *json) {
  json_array_begin(json);
  for (size_t i = 0; i < list->count; i++) {
    const struct diagnostic *d = &list->items[i];
    json_object_begin(json);
    json_key_string(json, "file", d->file);
    json_key_integer(json, "line", d->line);
    json_key_integer(json, "column", d->column);
    json_key_string(json, "severity", d->warning ? "warning" : "error");
    json_key_string(json, "message", d->message);
    json_key_string(json, "hint", d->hint);
    json_object_end(json);
  }
  json_array_end(json);
}

void failure_json(const struct error *error, struct json_writer *json) {
  static const struct diagnostics none = {0};
  json_key_boolean(json, "ok", false);
  json_key_integer(json, "exit_code", error->code);
  json_key_string(json, "error", error->text);
  json_key_string(json, "hint", error->hint[0] ? error->hint : NULL);
  json_key(json, "diagnostics");
  diagnostics_json(error->told ? error->told : &none, json);
}

bool diagnostics_check(const struct diagnostics *list, const char *file, struct error *error) {
  if (!list->errors) return true;
  return error_set(error, EXIT_USAGE_ERROR, "%zu error%s in %s", list->errors, list->errors == 1 ? "" : "s", file);
}

void diagnostics_free(struct diagnostics *list) {
  arena_free(&list->arena);
  *list = (struct diagnostics){0};
}
