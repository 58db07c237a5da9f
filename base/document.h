// YAML documents as trees that remember where every node stood (libyaml underneath). Anchors and aliases are resolved
// by sharing nodes (an alias inside its own anchor is an error); merge keys (<<) are expanded. Duplicate keys, input
// that is not UTF-8, nesting beyond 64 levels, more than one document, and files over 64 MiB or four million values are
// diagnostics.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diagnostics.h"

enum node_kind { NODE_SCALAR, NODE_SEQUENCE, NODE_MAPPING };

struct node {
  enum node_kind kind;
  int line, column;  // from 1; column counts characters
  const char *file;
  const char *text;     // scalar: its text
  bool quoted;          // scalar: written in quotes (never a number, boolean or null)
  size_t count;         // sequence: items; mapping: pairs
  struct node **keys;   // mapping: scalar key nodes
  struct node **items;  // sequence: items; mapping: values
};

// Parses a file, or text under the name `file`. NULL when there is no usable tree; mistakes are in `diagnostics`.
struct node *document_load(struct arena *arena, const char *path, struct diagnostics *diagnostics, struct error *error);
struct node *document_parse(struct arena *arena, const char *file, const char *bytes, size_t length,
                            struct diagnostics *diagnostics);

struct node *node_find(const struct node *mapping, const char *key);  // value or NULL; fine on any node
bool node_is_null(const struct node *node);                           // plain empty, ~, null
// Typed reads of scalars: true when the node is one of that type (plain text; quoted text is only ever a string).
bool node_number(const struct node *node, double *value);
bool node_integer(const struct node *node, int64_t *value);
bool node_boolean(const struct node *node, bool *value);  // true, false (YAML 1.2)
const char *node_kind_name(const struct node *node);      // "a mapping", "a list", "a number", "a string", ...
// A diagnostic at the node's place.
void node_error(const struct node *node, struct diagnostics *diagnostics, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// An error of a function that knows no places, with its hint.
void node_fail(const struct node *node, struct diagnostics *diagnostics, const struct error *error);
void node_warning(const struct node *node, struct diagnostics *diagnostics, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// For every key that is not in `allowed`: "unknown key 'wdith'" with "did you mean 'width'?" as the hint.
void node_check_keys(const struct node *mapping, const char *const *allowed, size_t count, const char *where,
                     struct diagnostics *diagnostics);
