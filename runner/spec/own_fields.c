// `fields`: what runs have besides the table of run fields, for a custom trainer.
//   fields: {dropout: {type: number, default: 0, range: [0, 1], help: share of activations that are dropped}}
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

size_t spec_field_count(const struct spec *spec) { return run_field_count + (spec ? spec->own_count : 0); }

const struct run_field *spec_field_at(const struct spec *spec, size_t index) {
  return index < run_field_count ? &run_fields[index] : &spec->own[index - run_field_count];
}

size_t spec_field_index(const struct run_field *field) {
  return field->own ? run_field_count + field->own - 1 : (size_t)(field - run_fields);
}

const struct run_field *spec_field_find(const struct spec *spec, const char *path) {
  for (size_t i = 0; spec && i < spec->own_count; i++)
    if (strcmp(spec->own[i].path, path) == 0) return &spec->own[i];
  return field_find(path, NULL);
}

// Whether a name can be a field's: a word that nothing else has.
static bool name_fine(struct spec_reader *reader, const struct node *key) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
  const char *name = key->text, *taken = NULL;
  size_t length = strlen(name);
  if (!length || length > 60 || strspn(name, letters) != length || !isalpha((unsigned char)*name)) {
    node_error(key, reader->diagnostics, "dropout, experts_per_token",
               "'%.80s' cannot be the name of a field: a word of letters, digits and _", name);
    return false;
  }
  if (field_find(name, NULL))
    taken = "a field that every run has";
  else if (run_column_find(column_canonical(name)))
    taken = "a quantity or result of every run";
  else if (field_section(name))
    taken = "a group of fields that every run has";
  else if (strcmp(name, "config") == 0 || strcmp(name, "folder") == 0 || strcmp(name, "id") == 0)
    taken = "what a command template calls something else";
  if (taken) node_error(key, reader->diagnostics, NULL, "'%s' is the name of %s", name, taken);
  return !taken;
}

static bool read_range(struct spec_reader *reader, const struct node *node, struct run_field *field) {
  double low, high;
  if (node->kind != NODE_SEQUENCE || node->count != 2 || !node_number(node->items[0], &low) ||
      !node_number(node->items[1], &high) || !(low < high)) {
    node_error(node, reader->diagnostics, "range: [0, 1]", "range needs the least and the greatest value");
    return false;
  }
  field->low = low;
  field->high = high;
  return true;
}

static bool read_choices(struct spec_reader *reader, const struct node *node, struct run_field *field) {
  struct text joined = {0};
  bool fine = node->kind == NODE_SEQUENCE && node->count > 0;
  for (size_t i = 0; i < node->count && fine; i++) {
    const char *choice = spec_read_text(reader, node->items[i], "a choice");
    fine = choice && *choice && !strchr(choice, '|');
    if (fine) text_format(&joined, "%s%s", i ? "|" : "", choice);
  }
  if (fine)
    field->choices = arena_string(&reader->spec->arena, text_string(&joined));
  else
    node_error(node, reader->diagnostics, "choices: [relu, gelu]", "choices are a list of words without |");
  text_free(&joined);
  return fine;
}

static bool read_default(struct spec_reader *reader, const struct node *node, struct run_field *field) {
  static const char *const nothing[] = {"0", "0", "false", "", "", ""};
  struct spec_value value;
  struct run_config *scratch = &reader->scratch;
  field->fallback = nothing[field->type];
  if (!node) {
    field->fallback =
        field->type == FIELD_CHOICE ? arena_copy(&reader->spec->arena, field->choices, strcspn(field->choices, "|"))
        : field->low > 0 || field->high < 0 ? field_text(field, (struct value){VALUE_NUMBER, .number = field->low},
                                                         arena_alloc(&reader->spec->arena, 32))
                                            : field->fallback;
    return true;
  }
  size_t place = field->own;
  field->own = 1;  // tried in the first place of the scratch
  bool fine = spec_read_value(reader, field, node, &value);
  field->own = place;
  char *number = arena_alloc(&reader->spec->arena, 32);
  if (fine) field->fallback = field_text(field, value.value, number);
  scratch->own.values[0] = (struct value){.kind = VALUE_MISSING};
  return fine;
}

static bool read_own(struct spec_reader *reader, const struct node *key, const struct node *node,
                     struct run_field *field) {
  static const char *const types[] = {"integer", "number", "boolean", "choice", "text"};
  static const enum field_type kinds[] = {FIELD_INTEGER, FIELD_NUMBER, FIELD_BOOLEAN, FIELD_CHOICE, FIELD_TEXT};
  *field = (struct run_field){.path = key->text, .own = 1, .effect = EFFECT_COUNTS, .unit = "", .help = "of this spec"};
  if (!name_fine(reader, key)) return false;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "dropout: {type: number, default: 0}",
               "a field is declared by a mapping, not %s", node_kind_name(node));
    return false;
  }
  size_t before = reader->diagnostics->errors;
  spec_check_keys(&spec_own_field_keys, node, reader->diagnostics);
  const struct node *type = node_find(node, "type"), *range = node_find(node, "range"),
                    *choices = node_find(node, "choices"), *counts = node_find(node, "counts"), *text;
  const char *name = type ? spec_read_choice(reader, type, types, 5, "type") : choices ? "choice" : "number";
  for (int i = 0; name && i < 5; i++)
    if (strcmp(types[i], name) == 0) field->type = kinds[i];
  if ((field->type == FIELD_CHOICE) != (choices != NULL))
    node_error(node, reader->diagnostics, NULL, "choices go with type: choice, and it needs them");
  if (range && field->type > FIELD_NUMBER) node_error(range, reader->diagnostics, NULL, "only numbers have a range");
  if (reader->diagnostics->errors > before || !name) return false;
  if (range && !read_range(reader, range, field)) return false;
  if (choices && !read_choices(reader, choices, field)) return false;
  if (counts && strcmp(counts->text, "false") == 0) field->effect = EFFECT_NONE;
  if ((text = node_find(node, "unit"))) field->unit = spec_read_text(reader, text, "unit");
  if ((text = node_find(node, "help"))) field->help = spec_read_text(reader, text, "help");
  return read_default(reader, node_find(node, "default"), field) && field->unit && field->help;
}

static int by_path(const void *a, const void *b) {
  return strcmp(((const struct run_field *)a)->path, ((const struct run_field *)b)->path);
}

void spec_read_own_fields(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "fields: {dropout: {type: number, default: 0}}",
               "fields must be a mapping, not %s", node_kind_name(node));
    return;
  }
  if (!spec->trainer.node) {
    node_error(node, reader->diagnostics, "trainer: {command: [...]}",
               "fields of a spec's own are for a trainer of its own: isoloss-train does not know them");
    return;
  }
  if (node->count > OWN_FIELD_LIMIT) {
    node_error(node, reader->diagnostics, NULL, "more than %d fields", OWN_FIELD_LIMIT);
    return;
  }
  spec->own = arena_array(&spec->arena, node->count + 1, sizeof *spec->own);
  for (size_t i = 0; i < node->count; i++)
    if (read_own(reader, node->keys[i], node->items[i], &spec->own[spec->own_count])) spec->own_count++;
  qsort(spec->own, spec->own_count, sizeof *spec->own, by_path);
  struct run_config *configs[] = {&spec->base, &reader->scratch};
  for (size_t i = 0; i < spec->own_count; i++) spec->own[i].own = i + 1;
  for (int c = 0; c < 2; c++) {
    configs[c]->own.fields = spec->own;
    configs[c]->own.count = spec->own_count;
    for (size_t i = 0; i < spec->own_count; i++) {
      struct error ignored = {0};
      config_set(configs[c], &spec->own[i], spec->own[i].fallback, &spec->arena, &ignored);
    }
  }
}
