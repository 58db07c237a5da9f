// `comparisons` of a spec: two selections of its runs each, and how they are matched.
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

const char *const paired_match_names[] = {NULL, "loss", "flops", "tokens", "train_seconds", NULL};
const char *const paired_along_names[] = {"curves", "ladders", NULL};

// A condition over the columns of runs; NULL where it is not given, or after a diagnostic.
static const char *read_condition(struct spec_reader *reader, const struct node *entry, const char *key) {
  const struct node *node = node_find(entry, key);
  if (!node || !spec_read_expression(reader, node, NAMES_OF_STORE, key)) return NULL;
  return node->text;
}

// The place in `names` of what a key says; `fallback` where it is not given, -1 after a diagnostic.
static int read_choice(struct spec_reader *reader, const struct node *entry, const char *key, const char *const *names,
                       int fallback) {
  const struct node *node = node_find(entry, key);
  int count = 0;
  while (names[count]) count++;
  if (!node) return fallback;
  const char *chosen = spec_read_choice(reader, node, names, (size_t)count, key);
  for (int i = 0; chosen && i < count; i++)
    if (strcmp(names[i], chosen) == 0) return i;
  return -1;
}

void spec_read_match(struct spec_reader *reader, const struct node *entry, struct spec_comparison *comparison) {
  const struct node *along = node_find(entry, "match_along"), *measure = node_find(entry, "measure");
  int match = read_choice(reader, entry, "match_on", paired_match_names + 1, -2) + 1;  // -1: none
  int way = read_choice(reader, entry, "match_along", paired_along_names, ALONG_CURVES);
  int what = read_choice(reader, entry, "measure", paired_match_names + 1, MATCH_FLOPS - 1) + 1;
  bool matched = match > 0;
  if (!node_find(entry, "match_on") && (along || measure)) {
    node_error(along ? along : measure, reader->diagnostics, "match_on: loss", "%s says nothing without match_on",
               along ? "match_along" : "measure");
  } else if (measure && matched && what > 0 && (match != MATCH_LOSS || what == MATCH_LOSS)) {
    node_error(measure, reader->diagnostics, "match_on: loss, measure: flops",
               "measure says what is compared at matched loss: flops, tokens or train_seconds");
  }
  comparison->match = matched ? (enum paired_match)match : MATCH_ENDS;
  comparison->along = way > 0 ? (enum paired_along)way : ALONG_CURVES;
  comparison->measure = what > 0 ? (enum paired_match)what : MATCH_FLOPS;
}

void spec_read_ignored(struct spec_reader *reader, const struct node *node, struct spec_comparison *comparison) {
  struct arena *arena = &reader->spec->arena;
  if (!node) return;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  const char **ignored = arena_array(arena, count, sizeof *ignored);
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    const char *path = spec_read_text(reader, item, "a setting");
    const struct run_field *field = path ? spec_field_find(reader->spec, path) : NULL;
    if (field)
      ignored[comparison->ignored_count++] = field->path;
    else if (path)
      node_error(item, reader->diagnostics, spec_field_hint(reader, path), "ignore: no field is called '%s'", path);
  }
  comparison->ignored = ignored;
}

static void read_one(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  struct arena *arena = &spec->arena;
  struct spec_comparison *comparison = &spec->comparisons[spec->comparison_count];
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "{a: \"format == 'none'\", b: \"format == 'w4'\", match_on: loss}",
               "a comparison must be a mapping, not %s", node_kind_name(node));
    return;
  }
  *comparison = (struct spec_comparison){.node = node};
  spec_check_keys(&spec_comparison_keys, node, reader->diagnostics);
  const char *where = read_condition(reader, node, "where");
  static const char *const groups[] = {"a", "b"};
  for (int g = 0; g < 2; g++) {
    const char *condition = read_condition(reader, node, groups[g]);
    if (!node_find(node, groups[g]))
      node_error(node, reader->diagnostics, g ? "b: \"format == 'w4'\"" : "a: \"format == 'none'\"",
                 "a comparison needs %s: the runs it compares", groups[g]);
    comparison->wheres[g] = !condition ? ""
                            : where    ? arena_format(arena, "(%s) and (%s)", condition, where)
                                       : condition;
  }
  const struct node *name = node_find(node, "name");
  if (name) comparison->name = spec_read_text(reader, name, "name");
  if (!comparison->name)
    comparison->name = arena_format(arena, "%s | %s", comparison->wheres[0], comparison->wheres[1]);
  for (size_t i = 0; i < spec->comparison_count; i++)
    if (strcmp(spec->comparisons[i].name, comparison->name) == 0)
      node_error(name ? name : node, reader->diagnostics, "name: at-matched-loss", "two comparisons are called '%s'",
                 comparison->name);
  spec_read_ignored(reader, node_find(node, "ignore"), comparison);
  spec_read_match(reader, node, comparison);
  spec->comparison_count++;
}

void spec_read_comparisons(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  spec->comparisons = arena_array(&spec->arena, count, sizeof *spec->comparisons);
  if (node->kind != NODE_SEQUENCE) {
    read_one(reader, node);
    return;
  }
  for (size_t i = 0; i < count; i++) read_one(reader, node->items[i]);
}
