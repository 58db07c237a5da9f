// Reading the nodes of a document: values, kinds, mistakes at their places. See document.h.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/document.h"
#include "base/text.h"

struct node *node_find(const struct node *mapping, const char *key) {
  if (!mapping || mapping->kind != NODE_MAPPING) return NULL;
  for (size_t i = 0; i < mapping->count; i++)
    if (strcmp(mapping->keys[i]->text, key) == 0) return mapping->items[i];
  return NULL;
}

bool node_is_null(const struct node *node) {
  if (!node || node->kind != NODE_SCALAR || node->quoted) return false;
  const char *t = node->text;
  return !*t || strcmp(t, "~") == 0 || strcmp(t, "null") == 0 || strcmp(t, "Null") == 0 || strcmp(t, "NULL") == 0;
}

static bool plain(const struct node *node) { return node && node->kind == NODE_SCALAR && !node->quoted; }

bool node_number(const struct node *node, double *value) { return plain(node) && number_parse(node->text, value); }

bool node_integer(const struct node *node, int64_t *value) { return plain(node) && integer_parse(node->text, value); }

bool node_boolean(const struct node *node, bool *value) {
  if (!plain(node)) return false;
  if (strcmp(node->text, "true") != 0 && strcmp(node->text, "false") != 0) return false;
  *value = node->text[0] == 't';
  return true;
}

const char *node_kind_name(const struct node *node) {
  double number;
  bool boolean;
  if (!node) return "nothing";
  if (node->kind == NODE_SEQUENCE) return "a list";
  if (node->kind == NODE_MAPPING) return "a mapping";
  if (node_is_null(node)) return "nothing";
  if (node_number(node, &number)) return "a number";
  if (node_boolean(node, &boolean)) return "true or false";
  return "a string";
}

static void report(const struct node *node, struct diagnostics *diagnostics, bool warning, const char *hint,
                   const char *format, va_list arguments) {
  struct text text = {0};
  text_vformat(&text, format, arguments);
  diagnostics_add(diagnostics, warning, node->file, node->line, node->column, hint, "%s", text_string(&text));
  text_free(&text);
}

void node_error(const struct node *node, struct diagnostics *diagnostics, const char *hint, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(node, diagnostics, false, hint, format, arguments);
  va_end(arguments);
}

void node_fail(const struct node *node, struct diagnostics *diagnostics, const struct error *error) {
  diagnostics_add_error(diagnostics, node->file, node->line, node->column, error);
}

void node_warning(const struct node *node, struct diagnostics *diagnostics, const char *hint, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  report(node, diagnostics, true, hint, format, arguments);
  va_end(arguments);
}

void node_check_keys(const struct node *mapping, const char *const *allowed, size_t count, const char *where,
                     struct diagnostics *diagnostics) {
  if (!mapping || mapping->kind != NODE_MAPPING) return;
  for (size_t i = 0; i < mapping->count; i++) {
    const char *key = mapping->keys[i]->text;
    size_t found = 0;
    while (found < count && strcmp(allowed[found], key) != 0) found++;
    if (found < count) continue;
    struct text hint = {0};
    char shown[72], guess[160];
    const char *near = nearest_name(key, allowed, count);
    if (near) {
      text_add(&hint, did_you_mean(near, guess));
    } else {
      text_add(&hint, count == 1 ? "the only key here is " : "the keys here are ");
      for (size_t j = 0; j < count; j++) text_format(&hint, "%s%s", j ? ", " : "", allowed[j]);
    }
    node_error(mapping->keys[i], diagnostics, text_string(&hint), "unknown key '%s' in %s", text_clipped(key, shown),
               where);
    text_free(&hint);
  }
}
