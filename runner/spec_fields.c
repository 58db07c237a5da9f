// Mappings of run fields in a spec: nested or dotted, with "did you mean" for what no field is called.
#include <math.h>
#include <string.h>

#include "runner/spec_internal.h"

bool field_section(const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < run_field_count; i++)
    if (strncmp(run_fields[i].path, name, length) == 0 && run_fields[i].path[length] == '.') return true;
  return false;
}

bool field_is_budget(const struct run_field *field) {
  return field->offset == offsetof(struct run_config, train.tokens) ||
         field->offset == offsetof(struct run_config, train.steps) ||
         field->offset == offsetof(struct run_config, train.tokens_per_parameter);
}

bool field_of_corpus(const struct run_field *field) {
  return field->offset >= offsetof(struct run_config, corpus) && field->offset < offsetof(struct run_config, train);
}

void config_clear_budget(struct run_config *config) {
  config->train.tokens = AUTO_INTEGER;
  config->train.steps = AUTO_INTEGER;
  config->train.tokens_per_parameter = NAN;
}

// Names are long only in hostile files.
enum { LONGEST_PATH = 120 };

const char *spec_field_hint(struct spec_reader *reader, const char *path) {
  const char *nearest = NULL;
  if (strlen(path) <= LONGEST_PATH) field_find(path, &nearest);
  if (!nearest) return "isoloss schema --markdown lists all fields";
  return arena_format(&reader->spec->arena, "did you mean '%s'?", nearest);
}

void spec_walk_fields(struct spec_reader *reader, const struct node *mapping, const char *prefix, const char *where,
                      spec_take_field *take, void *context) {
  for (size_t i = 0; i < mapping->count; i++) {
    const struct node *key = mapping->keys[i], *value = mapping->items[i];
    if (strlen(key->text) > LONGEST_PATH) {
      node_error(key, reader->diagnostics, NULL, "no field has a name as long as this");
      continue;
    }
    const char *path = prefix ? arena_format(&reader->spec->arena, "%s.%s", prefix, key->text) : key->text;
    const struct run_field *field = field_find(path, NULL);
    if (field) {
      take(reader, field, key, value, context);
    } else if (*key->text && field_section(path)) {
      if (value->kind == NODE_MAPPING)
        spec_walk_fields(reader, value, path, where, take, context);
      else
        node_error(value, reader->diagnostics, NULL, "'%s' is a group of fields: a mapping is needed here, not %s",
                   path, node_kind_name(value));
    } else if (prefix) {
      node_error(key, reader->diagnostics, spec_field_hint(reader, path), "unknown field '%s' of '%s' in %s", key->text,
                 prefix, where);
    } else {
      node_error(key, reader->diagnostics, spec_field_hint(reader, path), "unknown field '%s' in %s", key->text, where);
    }
  }
}
