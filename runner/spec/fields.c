// Mappings of run fields in a spec: nested or dotted, with "did you mean" for what no field is called.
#include <string.h>

#include "runner/spec/internal.h"
#include "trainer/tasks/task.h"

bool field_section(const char *name) {
  size_t length = strlen(name);
  for (size_t i = 0; i < run_field_count; i++)
    if (strncmp(run_fields[i].path, name, length) == 0 && run_fields[i].path[length] == '.') return true;
  return false;
}

// Names are long only in hostile files.
enum { LONGEST_PATH = 120 };

// What other programs call some fields.
static const struct {
  const char *word, *path;
} elsewhere[] = {
    {"learning_rate", "train.lr"},
    {"max_lr", "train.lr"},
    {"min_lr", "train.final_lr_ratio"},
    {"d_model", "model.width"},
    {"hidden_size", "model.width"},
    {"n_embd", "model.width"},
    {"dim", "model.width"},
    {"n_layer", "model.layers"},
    {"n_layers", "model.layers"},
    {"depth", "model.layers"},
    {"num_layers", "model.layers"},
    {"n_head", "model.heads"},
    {"num_heads", "model.heads"},
    {"n_heads", "model.heads"},
    {"ffn_width", "model.mlp_width"},
    {"intermediate_size", "model.mlp_width"},
    {"vocab_size", "model.vocabulary"},
    {"seq_len", "model.context"},
    {"sequence_length", "model.context"},
    {"context_length", "model.context"},
    {"block_size", "model.context"},
    {"batch_size", "train.batch_tokens"},
    {"max_steps", "train.steps"},
    {"iterations", "train.steps"},
    {"epochs", "train.tokens"},
    {"warmup", "train.warmup_steps"},
    {"wd", "train.weight_decay"},
    {"grad_clip", "train.clip_norm"},
    {"precision", "model.dtype"},
    {"dataset", "corpus.source"},
    {"data", "corpus.source"},
    {"bits", "format"},
    {"quantization", "format"},
};

// The path that was probably meant: a field or group of that name elsewhere, what other programs call so, a field of
// the same group that is spelt like it, any field spelt like it.
static const char *nearest_path(const char *path) {
  const char *names[256], *fields[256], *key = strrchr(path, '.');
  size_t count = 0, group = key ? (size_t)(key - path) + 1 : 0;
  key = key ? key + 1 : path;
  if (strlen(path) > LONGEST_PATH) return NULL;
  for (size_t i = 0; i < run_field_count; i++) {
    const char *last = strrchr(run_fields[i].path, '.');
    if (strcmp(last ? last + 1 : run_fields[i].path, key) == 0) return run_fields[i].path;
  }
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
    if (strcmp(elsewhere[i].word, key) == 0) return elsewhere[i].path;
  for (size_t i = 0; i < run_field_count && count < 250; i++) {
    if (strncmp(run_fields[i].path, path, group) != 0 || (group && run_fields[i].path[group - 1] != '.')) continue;
    fields[count] = run_fields[i].path;
    names[count++] = run_fields[i].path + group;
  }
  if (!group) {
    static const char *const groups[] = {"model", "corpus", "train"};
    for (size_t i = 0; i < 3; i++) fields[count] = groups[i], names[count++] = groups[i];
  }
  const char *near = nearest_name(key, names, count);
  for (size_t i = 0; near && i < count; i++)
    if (names[i] == near) return fields[i];
  field_find(key, &near);
  return near;
}

// The field of the spec's task that was probably meant; NULL: none, or it has no task.
static const char *nearest_of_task(const struct spec *spec, const char *path) {
  const char *names[OWN_FIELD_LIMIT];
  for (size_t i = 0; spec->task && i < spec->own_count; i++) names[i] = spec->own[i].path;
  return spec->task && strlen(path) <= LONGEST_PATH ? nearest_name(path, names, spec->own_count) : NULL;
}

const char *spec_field_hint(struct spec_reader *reader, const char *path) {
  const char *near = reader->spec->task ? nearest_of_task(reader->spec, path) : nearest_path(path);
  double number;
  if (number_parse(path, &number)) return "several values are a list in brackets, [32, 48]";  // `width: 32, 48` in { }
  if (!near) return "isoloss schema --markdown lists all fields";
  return did_you_mean(near, arena_alloc(&reader->spec->arena, 160));
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
    const struct run_field *field = spec_field_find(reader->spec, path);
    if (spec_refuse_other_task(reader, path, key)) continue;
    if (field) {
      take(reader, field, key, value, context);
    } else if (*key->text && (field_section(path) || spec_task_section(path))) {
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
