// Presets: `presets: {small: {...}}`, changes of the document under a name. What a preset says is laid over the
// document by path before anything is read, so that nothing else knows of presets. docs/spec.md has the rules.
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

// {log: [...]}, {seeds: 3}: the values of one axis, no place for paths.
static bool is_range(const struct node *node) {
  if (node->kind != NODE_MAPPING || !node->count) return false;
  for (size_t i = 0; i < node->count; i++)
    if (!spec_key_known(&spec_range_keys, node->keys[i]->text)) return false;
  return true;
}

enum { MOST_LAID = 1 << 20 };  // aliases share nodes: without a bound a small file could go on for hours

struct laying {
  struct arena *arena;
  size_t pairs;  // laid so far
};

static struct node *laid_over(struct laying *laying, const struct node *under, const struct node *over);

// A copy that `add` may add to: its arrays have room for the power of two at or above their count. Children are shared.
static struct node *copy_of(struct arena *arena, const struct node *mapping) {
  struct node *copy = arena_array(arena, 1, sizeof *copy);
  size_t room = 1;
  while (room < mapping->count) room *= 2;
  *copy = *mapping;
  copy->keys = arena_array(arena, room, sizeof *copy->keys);
  copy->items = arena_array(arena, room, sizeof *copy->items);
  for (size_t i = 0; i < mapping->count; i++) {
    copy->keys[i] = mapping->keys[i];
    copy->items[i] = mapping->items[i];
  }
  return copy;
}

static void add(struct arena *arena, struct node *into, struct node *key, struct node *value) {
  size_t count = into->count;
  if (count && !(count & (count - 1))) {
    into->keys = arena_grow(arena, into->keys, count, count * 2, sizeof *into->keys);
    into->items = arena_grow(arena, into->items, count, count * 2, sizeof *into->items);
  }
  into->keys[count] = key;
  into->items[into->count++] = value;
}

// {KEY: value}, at the place of `like`.
static struct node *pair(struct arena *arena, const struct node *like, const char *key, struct node *value) {
  struct node empty = *like, *name = arena_array(arena, 1, sizeof *name);
  empty.kind = NODE_MAPPING;
  empty.count = 0;
  *name = *like;
  name->kind = NODE_SCALAR;
  name->text = key;
  struct node *one = copy_of(arena, &empty);
  add(arena, one, name, value);
  return one;
}

// Puts one pair into a mapping that copy_of has made: by its key, else under a key that begins its dotted path
// (model.width into model: {...}), else its parts under the dotted paths that are there (model: {width: 64} onto
// model.width). What is nowhere yet is added.
static void put(struct laying *laying, struct node *into, struct node *key, struct node *value) {
  struct arena *arena = laying->arena;
  size_t length = strlen(key->text);
  if (++laying->pairs > MOST_LAID) return;
  for (size_t i = 0; i < into->count; i++) {
    if (strcmp(into->keys[i]->text, key->text) != 0) continue;
    into->keys[i] = key;
    into->items[i] = laid_over(laying, into->items[i], value);
    return;
  }
  for (size_t i = 0; i < into->count; i++) {
    size_t own = strlen(into->keys[i]->text);
    bool begins = own < length && key->text[own] == '.' && memcmp(key->text, into->keys[i]->text, own) == 0;
    if (!begins || into->items[i]->kind != NODE_MAPPING) continue;
    into->items[i] = laid_over(laying, into->items[i], pair(arena, key, key->text + own + 1, value));
    return;
  }
  bool dotted = false;
  for (size_t i = 0; i < into->count && value->kind == NODE_MAPPING && !is_range(value); i++)
    dotted |= strncmp(into->keys[i]->text, key->text, length) == 0 && into->keys[i]->text[length] == '.';
  if (dotted) {
    for (size_t i = 0; i < value->count; i++) {
      struct node *path = arena_array(arena, 1, sizeof *path);
      *path = *value->keys[i];
      path->text = arena_format(arena, "%s.%s", key->text, value->keys[i]->text);
      put(laying, into, path, value->items[i]);
    }
    return;
  }
  add(arena, into, key, value);
}

static struct node *laid_over(struct laying *laying, const struct node *under, const struct node *over) {
  bool both = under->kind == NODE_MAPPING && over->kind == NODE_MAPPING && !is_range(under) && !is_range(over);
  if (!both) return (struct node *)over;
  struct node *made = copy_of(laying->arena, under);
  for (size_t i = 0; i < over->count; i++) put(laying, made, over->keys[i], over->items[i]);
  return made;
}

// ---- which one ----

static void check_keys(struct spec_reader *reader, const struct node *presets) {
  for (size_t i = 0; i < presets->count; i++) {
    if (!spec_name_fine(presets->keys[i]->text))
      node_error(
          presets->keys[i], reader->diagnostics, NULL,
          "a preset's name is made of letters, digits, '-', '_' and '.', begins with a letter or a digit, and has "
          "at most 100 of them");
    if (presets->items[i]->kind == NODE_MAPPING)
      spec_check_keys(&spec_preset_keys, presets->items[i], reader->diagnostics);
    else
      node_error(presets->items[i], reader->diagnostics, "small: {base: {train.tokens: 1e5}}",
                 "a preset must be a mapping of what it changes, not %s", node_kind_name(presets->items[i]));
    spec_check_name(reader, node_find(presets->items[i], "experiment"));
  }
}

// The name of the experiment that a preset makes, NULL where its own is none.
static const char *experiment_of(struct spec_reader *reader, const struct node *presets, size_t i) {
  const struct node *name = node_find(presets->items[i], "experiment");
  if (name) return name->kind == NODE_SCALAR ? name->text : NULL;
  return arena_format(&reader->spec->arena, "%s-%s", reader->spec->name, presets->keys[i]->text);
}

// Two presets, or one and the spec itself, would be one experiment of the store, and their runs in one fit.
static void check_experiments(struct spec_reader *reader, const struct node *presets) {
  for (size_t i = 0; i < presets->count; i++) {
    const char *name = experiment_of(reader, presets, i);
    bool taken = name && strcmp(name, reader->spec->name) == 0;
    for (size_t k = 0; k < i && name && !taken; k++) {
      const char *other = experiment_of(reader, presets, k);
      taken = other && strcmp(name, other) == 0;
    }
    if (taken)
      node_error(presets->keys[i], reader->diagnostics, "leave out its experiment: the preset's name is then added",
                 "the preset '%s' would be the experiment '%s', which is there already", presets->keys[i]->text, name);
  }
}

static void unknown(struct spec_reader *reader, const struct node *presets, const char *name) {
  struct text hint = {0};
  char file[200], guess[160];
  size_t count = presets ? presets->count : 0;
  const char **names = arena_array(&reader->spec->arena, count + 1, sizeof *names);
  for (size_t i = 0; i < count; i++) names[i] = presets->keys[i]->text;
  const char *near = strlen(name) <= 100 ? nearest_name(name, names, count) : NULL;
  if (near) text_add(&hint, did_you_mean(near, guess));
  for (size_t i = 0; i < count && !near; i++) text_format(&hint, "%s%s", i ? ", " : "its presets are ", names[i]);
  snprintf(file, sizeof file, "--preset %.150s", name);
  diagnostics_add(reader->diagnostics, false, file, 0, 0, hint.length ? text_string(&hint) : NULL,
                  count ? "%s has no such preset" : "%s has no presets", reader->spec->path);
  text_free(&hint);
}

const struct node *spec_preset_choose(struct spec_reader *reader, const struct node *root) {
  struct spec *spec = reader->spec;
  const struct node *presets = node_find(root, "presets");
  const char *asked = reader->options->preset, *stored = reader->options->experiment;
  if (presets && presets->kind != NODE_MAPPING) {
    node_error(presets, reader->diagnostics, "presets: {small: {base: {train.tokens: 1e5}}}",
               "presets must be a mapping of names and what they change, not %s", node_kind_name(presets));
    return root;
  }
  if (presets) {
    check_keys(reader, presets);
    check_experiments(reader, presets);
  }
  size_t chosen = 0, count = presets ? presets->count : 0;
  for (; chosen < count; chosen++) {
    const char *name = presets->keys[chosen]->text, *experiment = experiment_of(reader, presets, chosen);
    if (asked ? strcmp(name, asked) == 0 : stored && experiment && strcmp(experiment, stored) == 0) break;
  }
  if (asked && chosen == count) unknown(reader, presets, asked);
  if (chosen == count || presets->items[chosen]->kind != NODE_MAPPING) return root;
  const char *experiment = experiment_of(reader, presets, chosen);
  spec->preset = presets->keys[chosen]->text;
  if (experiment) spec->name = experiment;
  spec->title = spec->name;
  struct laying laying = {&spec->arena, 0};
  const struct node *laid = laid_over(&laying, root, presets->items[chosen]);
  if (laying.pairs > MOST_LAID)
    node_error(presets->items[chosen], reader->diagnostics, NULL, "a preset of more than 1048576 entries");
  return laid;
}
