// YAML to trees with places, over libyaml's event parser. The tree is built without recursion; nesting, number of
// values and merged pairs are bounded, so that hostile files end in a message, not in a crash or an hour's wait.
#include "base/document.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/document_words.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"

enum {
  DEEPEST = 64,
  LARGEST_FILE = 64 << 20,
  MOST_NODES = 4 << 20,
  MOST_MERGED = 1 << 20,
  SMALL_MAPPING = 16,  // keys compared pairwise up to here, hashed beyond
};

// ---- a set of names with a number each (open addressing) ----

struct names {
  const char **keys;
  size_t *values;
  size_t count, capacity;
};

static size_t names_slot(const struct names *names, const char *key) {
  size_t slot = hash64(key, strlen(key), 0) & (names->capacity - 1);
  while (names->keys[slot] && strcmp(names->keys[slot], key) != 0) slot = (slot + 1) & (names->capacity - 1);
  return slot;
}

static bool names_find(const struct names *names, const char *key, size_t *value) {
  if (!names->count) return false;
  size_t slot = names_slot(names, key);
  if (!names->keys[slot]) return false;
  *value = names->values[slot];
  return true;
}

static void names_put(struct names *names, const char *key, size_t value) {
  if (names->count * 2 >= names->capacity) {
    struct names grown = {.capacity = names->capacity ? names->capacity * 2 : 64};
    grown.keys = memory_get(grown.capacity * sizeof *grown.keys);
    grown.values = memory_get(grown.capacity * sizeof *grown.values);
    for (size_t i = 0; i < names->capacity; i++) {
      if (!names->keys[i]) continue;
      size_t slot = names_slot(&grown, names->keys[i]);
      grown.keys[slot] = names->keys[i];
      grown.values[slot] = names->values[i];
    }
    grown.count = names->count;
    free(names->keys);
    free(names->values);
    *names = grown;
  }
  size_t slot = names_slot(names, key);
  if (!names->keys[slot]) names->count++;
  names->keys[slot] = key;
  names->values[slot] = value;
}

static void names_free(struct names *names) {
  free(names->keys);
  free(names->values);
  *names = (struct names){0};
}

// ---- building ----

struct anchor {
  struct node *node;
  bool open;  // its collection has not ended: an alias here would be a loop
};

// An open collection.
struct frame {
  struct node *node;
  struct node **keys, **items;  // buffers, used again by later collections at this depth
  size_t count, capacity;
  struct node *key;  // mapping: key that waits for its value
  size_t anchor;     // 1 + index of its anchor, or 0
};

struct builder {
  struct arena *arena;
  const char *file;
  struct diagnostics *diagnostics;
  struct frame frames[DEEPEST];
  int depth;
  struct anchor *anchors;
  size_t anchor_count, anchor_capacity;
  struct names anchor_names;
  size_t nodes, merged;
  struct node *root;
  int last_line, last_column;
  bool stop;      // a mistake after which going on makes no sense
  bool poisoned;  // values are missing: the tree would only lead to further, wrong complaints
};

// The last line of the input and the column behind its last character, as libyaml counts lines (\n, \r, \r\n, and
// Unicode's three).
static void find_end(struct builder *b, const char *bytes, size_t length) {
  b->last_line = b->last_column = 1;
  for (size_t i = 0; i < length; i++) {
    const unsigned char c = (unsigned char)bytes[i];
    const char *rest = bytes + i;
    size_t left = length - i;
    bool wide = (left > 1 && memcmp(rest, "\xC2\x85", 2) == 0) ||
                (left > 2 && (memcmp(rest, "\xE2\x80\xA8", 3) == 0 || memcmp(rest, "\xE2\x80\xA9", 3) == 0));
    if (c == '\n' || wide || (c == '\r' && (left < 2 || rest[1] != '\n'))) {
      b->last_line++;
      b->last_column = 1;
      if (wide) i += c == 0xC2 ? 1 : 2;
    } else if ((c & 0xC0) != 0x80) {
      b->last_column++;
    }
  }
}

// libyaml puts the end of a file without a final line break on a line of its own.
static int line_of(const struct builder *b, yaml_mark_t mark) {
  return (int)mark.line + 1 > b->last_line ? b->last_line : (int)mark.line + 1;
}

static int column_of(const struct builder *b, yaml_mark_t mark) {
  return (int)mark.line + 1 > b->last_line ? b->last_column : (int)mark.column + 1;
}

static void complain(struct builder *b, yaml_mark_t mark, const char *hint, const char *message) {
  diagnostics_add(b->diagnostics, false, b->file, line_of(b, mark), column_of(b, mark), hint, "%s", message);
}

static struct node *node_new(struct builder *b, enum node_kind kind, yaml_mark_t mark) {
  if (++b->nodes > MOST_NODES && !b->stop) {
    complain(b, mark, NULL, "more than 4194304 values in one file");
    b->stop = true;
  }
  struct node *node = arena_alloc(b->arena, sizeof *node);
  node->kind = kind;
  node->file = b->file;
  node->line = line_of(b, mark);
  node->column = column_of(b, mark);
  node->text = "";
  return node;
}

static size_t anchor_add(struct builder *b, const yaml_char_t *name, struct node *node, bool open) {
  if (!name) return 0;
  if (b->anchor_count == b->anchor_capacity) {
    b->anchor_capacity = b->anchor_capacity ? b->anchor_capacity * 2 : 16;
    b->anchors = memory_grow(b->anchors, b->anchor_capacity * sizeof *b->anchors);
  }
  b->anchors[b->anchor_count] = (struct anchor){node, open};
  names_put(&b->anchor_names, arena_string(b->arena, (const char *)name), b->anchor_count);
  return ++b->anchor_count;
}

// Puts a finished or just opened node where it belongs.
static void place(struct builder *b, struct node *node, yaml_mark_t mark) {
  if (!b->depth) {
    b->root = node;
    return;
  }
  struct frame *frame = &b->frames[b->depth - 1];
  if (frame->node->kind == NODE_MAPPING && !frame->key) {
    if (node->kind != NODE_SCALAR) {
      complain(b, mark, "put text that starts with { or [ in quotes",
               "a key must be plain text, not a list or mapping");
      b->stop = true;
    }
    frame->key = node;
    return;
  }
  if (frame->count == frame->capacity) {
    frame->capacity = frame->capacity ? frame->capacity * 2 : 16;
    frame->keys = memory_grow(frame->keys, frame->capacity * sizeof *frame->keys);
    frame->items = memory_grow(frame->items, frame->capacity * sizeof *frame->items);
  }
  frame->keys[frame->count] = frame->key;
  frame->items[frame->count++] = node;
  frame->key = NULL;
}

static void open_collection(struct builder *b, enum node_kind kind, const yaml_char_t *anchor, yaml_mark_t mark) {
  if (b->depth == DEEPEST) {
    complain(b, mark, NULL, "nested deeper than 64 levels");
    b->stop = true;
    return;
  }
  struct node *node = node_new(b, kind, mark);
  place(b, node, mark);
  if (b->stop) return;
  struct frame *frame = &b->frames[b->depth++];
  frame->node = node;
  frame->count = 0;
  frame->key = NULL;
  frame->anchor = anchor_add(b, anchor, node, true);
}

static bool is_merge(const struct node *key) { return !key->quoted && strcmp(key->text, "<<") == 0; }

// Finds `key` among the first `count` keys; `names` holds them when there are many.
static bool seen(const struct frame *frame, size_t count, const struct names *names, const char *key, size_t *where) {
  if (names->count) return names_find(names, key, where);
  for (size_t i = 0; i < count; i++) {
    if (strcmp(frame->keys[i]->text, key) != 0) continue;
    *where = i;
    return true;
  }
  return false;
}

static void remember(const struct frame *frame, size_t count, struct names *names) {
  if (count <= SMALL_MAPPING) return;
  for (size_t i = names->count ? count - 1 : 0; i < count; i++) names_put(names, frame->keys[i]->text, i);
}

static void merge_one(struct builder *b, struct frame *frame, struct names *names, const struct node *from) {
  for (size_t i = 0; i < from->count && !b->stop; i++) {
    size_t where;
    if (++b->merged > MOST_MERGED) {
      node_error(from, b->diagnostics, NULL, "merge keys (<<) expand to more than 1048576 entries");
      b->stop = true;
      return;
    }
    if (seen(frame, frame->count, names, from->keys[i]->text, &where)) continue;
    if (frame->count == frame->capacity) {
      frame->capacity = frame->capacity ? frame->capacity * 2 : 16;
      frame->keys = memory_grow(frame->keys, frame->capacity * sizeof *frame->keys);
      frame->items = memory_grow(frame->items, frame->capacity * sizeof *frame->items);
    }
    frame->keys[frame->count] = from->keys[i];
    frame->items[frame->count++] = from->items[i];
    remember(frame, frame->count, names);
  }
}

static void merge(struct builder *b, struct frame *frame, struct names *names, const struct node *value) {
  static const char hint[] = "<<: *anchor, or <<: [*one, *other]";
  if (value->kind == NODE_MAPPING) {
    merge_one(b, frame, names, value);
  } else if (value->kind == NODE_SEQUENCE) {
    for (size_t i = 0; i < value->count && !b->stop; i++) {
      if (value->items[i]->kind == NODE_MAPPING)
        merge_one(b, frame, names, value->items[i]);
      else
        node_error(value->items[i], b->diagnostics, hint, "only mappings can be merged with <<");
    }
  } else {
    node_error(value, b->diagnostics, hint, "only mappings can be merged with <<");
  }
}

// Duplicate keys out (the first one counts), merge keys expanded (a mapping's own keys win over merged ones).
static void finish_mapping(struct builder *b, struct frame *frame) {
  struct names names = {0};
  struct node *few[4], **merges = few;
  size_t count = frame->count, kept = 0, merge_count = 0;
  for (size_t i = 0; i < count; i++) {
    struct node *key = frame->keys[i], *value = frame->items[i];
    if (is_merge(key)) {
      if (merge_count < 4)
        merges[merge_count++] = value;
      else
        node_error(key, b->diagnostics, "<<: [*one, *other]", "more than 4 merge keys in one mapping");
      continue;
    }
    size_t first;
    if (seen(frame, kept, &names, key->text, &first)) {
      char shown[72], hint[80];
      snprintf(hint, sizeof hint, "it stands first on line %d", frame->keys[first]->line);
      node_error(key, b->diagnostics, hint, "key '%s' is given twice", text_clipped(key->text, shown));
      continue;
    }
    frame->keys[kept] = key;
    frame->items[kept++] = value;
    remember(frame, kept, &names);
  }
  frame->count = kept;
  for (size_t i = 0; i < merge_count && !b->stop; i++) merge(b, frame, &names, merges[i]);
  names_free(&names);
}

static void close_collection(struct builder *b) {
  struct frame *frame = &b->frames[b->depth - 1];
  struct node *node = frame->node;
  if (node->kind == NODE_MAPPING) finish_mapping(b, frame);
  node->count = frame->count;
  if (node->count) {
    node->items = (struct node **)arena_copy(b->arena, frame->items, node->count * sizeof *node->items);
    if (node->kind == NODE_MAPPING)
      node->keys = (struct node **)arena_copy(b->arena, frame->keys, node->count * sizeof *node->keys);
  }
  if (frame->anchor) b->anchors[frame->anchor - 1].open = false;
  b->depth--;
}

static void scalar(struct builder *b, const yaml_event_t *event) {
  struct node *node = node_new(b, NODE_SCALAR, event->start_mark);
  const char *text = (const char *)event->data.scalar.value, *tag = (const char *)event->data.scalar.tag;
  size_t length = event->data.scalar.length;
  if (memchr(text, '\0', length)) complain(b, event->start_mark, NULL, "a NUL character inside text");
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i], next = i + 1 < length ? (unsigned char)text[i + 1] : 0;
    bool control =
        (c > 0 && c < 0x20 && c != '\n' && c != '\t') || c == 0x7F || (c == 0xC2 && next >= 0x80 && next < 0xA0);
    if (!control) continue;
    complain(b, event->start_mark, "only line ends and tabs are taken", "a control character inside text");
    break;
  }
  node->text = arena_copy(b->arena, text, length);
  node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
  if (tag && strcmp(tag, YAML_STR_TAG) == 0)
    node->quoted = true;
  else if (tag && !starts_with(tag, "tag:yaml.org,2002:") && strcmp(tag, "!") != 0)
    complain(b, event->start_mark, "put text that starts with ! in quotes", "tags (!name) mean nothing here");
  anchor_add(b, event->data.scalar.anchor, node, false);
  place(b, node, event->start_mark);
}

static void alias(struct builder *b, const yaml_event_t *event) {
  const char *name = (const char *)event->data.alias.anchor;
  size_t index;
  char shown[72], message[128];
  if (!names_find(&b->anchor_names, name, &index)) {
    const char **names = memory_get((b->anchor_names.count + 1) * sizeof *names);
    size_t count = 0;
    for (size_t i = 0; i < b->anchor_names.capacity && count < 200; i++)
      if (b->anchor_names.keys[i]) names[count++] = b->anchor_names.keys[i];
    const char *near = nearest_name(name, names, count);
    char hint[160];
    snprintf(hint, sizeof hint, near ? "did you mean *%.100s?" : "an anchor is made with &name before a value%s",
             near ? near : "; put text that starts with * in quotes");
    snprintf(message, sizeof message, "no anchor &%s before this", text_clipped(name, shown));
    complain(b, event->start_mark, hint, message);
    free(names);
    b->poisoned = true;
    place(b, node_new(b, NODE_SCALAR, event->start_mark), event->start_mark);
    return;
  }
  if (b->anchors[index].open) {
    snprintf(message, sizeof message, "alias *%s stands inside its own anchor: it would contain itself",
             text_clipped(name, shown));
    complain(b, event->start_mark, NULL, message);
    b->stop = true;
    return;
  }
  if (b->depth && b->frames[b->depth - 1].node->kind == NODE_MAPPING && !b->frames[b->depth - 1].key) {
    complain(b, event->start_mark, NULL, "an alias cannot be a key");
    b->stop = true;
    return;
  }
  place(b, b->anchors[index].node, event->start_mark);
}

// ---- reading ----

static bool check_encoding(struct builder *b, const char *bytes, size_t length) {
  size_t valid = utf8_valid_prefix(bytes, length);
  if (valid == length) return true;
  int line = 1, column = 1;
  for (size_t i = 0; i < valid; i++) {
    if (bytes[i] == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)bytes[i] & 0xC0) != 0x80) {
      column++;
    }
  }
  bool wide = valid == 0 && length > 1 && ((unsigned char)bytes[0] == 0xFF || (unsigned char)bytes[0] == 0xFE);
  diagnostics_add(b->diagnostics, false, b->file, line, column,
                  wide ? "this looks like UTF-16: save the file as UTF-8" : "save the file as UTF-8",
                  "not UTF-8: byte %zu is 0x%02X", valid, (unsigned char)bytes[valid]);
  return false;
}

static void take(struct builder *b, const yaml_event_t *event, int *documents) {
  switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
      if (++*documents == 2) {
        complain(b, event->start_mark, "one file, one document: remove the '---'", "a second document starts here");
        b->stop = true;
      }
      break;
    case YAML_SCALAR_EVENT:
      scalar(b, event);
      break;
    case YAML_ALIAS_EVENT:
      alias(b, event);
      break;
    case YAML_SEQUENCE_START_EVENT:
      open_collection(b, NODE_SEQUENCE, event->data.sequence_start.anchor, event->start_mark);
      break;
    case YAML_MAPPING_START_EVENT:
      open_collection(b, NODE_MAPPING, event->data.mapping_start.anchor, event->start_mark);
      break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
      close_collection(b);
      break;
    default:
      break;
  }
}

struct node *document_parse(struct arena *arena, const char *file, const char *bytes, size_t length,
                            struct diagnostics *diagnostics) {
  struct builder *b = memory_get(sizeof *b);
  *b = (struct builder){.arena = arena, .file = arena_string(arena, file), .diagnostics = diagnostics};
  struct node *root = NULL;
  if (length >= 3 && memcmp(bytes, "\xEF\xBB\xBF", 3) == 0) {  // a byte order mark, as some editors put it
    bytes += 3;
    length -= 3;
  }
  if (length > LARGEST_FILE) {
    diagnostics_add(diagnostics, false, file, 0, 0, NULL, "larger than 64 MiB");
  } else if (check_encoding(b, bytes, length)) {
    find_end(b, bytes, length);
    yaml_parser_t parser;
    int documents = 0;
    bool done = false;
    if (!yaml_parser_initialize(&parser)) {
      diagnostics_add(diagnostics, false, file, 0, 0, NULL, "no memory to read it");
      done = b->stop = true;
    } else {
      yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
      yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, length);
    }
    while (!done && !b->stop) {
      yaml_event_t event;
      if (!yaml_parser_parse(&parser, &event)) {
        struct document_complaint said;
        document_translate(&parser, bytes, length, &said);
        complain(b, said.mark, said.hint, said.message);
        b->stop = true;
        break;
      }
      done = event.type == YAML_STREAM_END_EVENT;
      take(b, &event, &documents);
      yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (!b->stop && !b->poisoned) {
      root = b->root;
      if (!root || node_is_null(root)) {
        diagnostics_add(diagnostics, false, file, 0, 0, NULL, "there is nothing in it");
        root = NULL;
      }
    }
  }
  for (int i = 0; i < DEEPEST; i++) {
    free(b->frames[i].keys);
    free(b->frames[i].items);
  }
  free(b->anchors);
  names_free(&b->anchor_names);
  free(b);
  return root;
}

struct node *document_load(struct arena *arena, const char *path, struct diagnostics *diagnostics,
                           struct error *error) {
  struct stat status;
  if (stat(path, &status) == 0 && status.st_size > LARGEST_FILE) {
    diagnostics_add(diagnostics, false, path, 0, 0, NULL, "larger than 64 MiB");
    diagnostics_check(diagnostics, path, error);
    return NULL;
  }
  size_t length;
  char *bytes = file_read(arena, path, &length, error);
  if (!bytes) return NULL;
  struct node *root = document_parse(arena, path, bytes, length, diagnostics);
  if (!root) diagnostics_check(diagnostics, path, error);
  return root;
}
