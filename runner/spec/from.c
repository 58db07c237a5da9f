// `from`: folders whose models are the roots of the spec's chains, in place of trainings. A path, or a list of paths:
// an axis of every sweep.
//   from: models/llama-160m
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"

// Fields that a chain which begins with a folder has of its own: the rest comes from the folder.
static bool stays(const struct run_field *field) {
  static const char *const paths[] = {"model.dtype", "model.device", "model.context", "train.final_eval_tokens",
                                      "train.threads"};
  if (field->own || field->stage) return true;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
    if (strcmp(field->path, paths[i]) == 0) return true;
  return !starts_with(field->path, "model.") && !starts_with(field->path, "train.") &&
         strcmp(field->path, "format") != 0;
}

static void refuse(struct spec_reader *reader, const struct run_field *field, const struct node *node) {
  node_error(node, reader->diagnostics, "leave it out, or from",
             starts_with(field->path, "train.") ? "%s has no effect: with from nothing is trained"
                                                : "%s has no effect: with from it is the folder's",
             field->path);
}

static void check_fields(struct spec_reader *reader) {
  struct spec *spec = reader->spec;
  for (size_t i = 0; i < spec_field_count(spec); i++) {
    const struct run_field *field = spec_field_at(spec, i);
    if (stays(field)) continue;
    if (spec->base_nodes[i]) refuse(reader, field, spec->base_nodes[i]);
    if (spec->overridden[i]) {
      char file[200];
      snprintf(file, sizeof file, "--set %s", field->path);
      diagnostics_add(reader->diagnostics, false, file, 0, 0, NULL, "%s has no effect: the spec begins with a folder",
                      field->path);
    }
  }
  for (size_t s = 0; s < spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &spec->sweeps[s];
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
        if (!stays(sweep->groups[g].axes[a].field))
          refuse(reader, sweep->groups[g].axes[a].field, sweep->groups[g].axes[a].key);
    for (size_t i = 0; i < sweep->set_count; i++)
      if (!stays(sweep->set[i].field)) refuse(reader, sweep->set[i].field, sweep->set[i].key);
  }
}

static bool read_path(struct spec_reader *reader, const struct node *node, struct spec_value *value) {
  if (node->kind != NODE_SCALAR || node_is_null(node) || !*node->text) {
    node_error(node, reader->diagnostics, "from: models/llama", "from takes the path of a folder, not %s",
               node->kind == NODE_SCALAR ? "nothing" : node_kind_name(node));
    return false;
  }
  const char *path = spec_file_path(reader, node->text);
  *value = (struct spec_value){.node = node, .value = {.kind = VALUE_TEXT, .text = path}};
  return true;
}

// The axis comes first in every sweep: a folder's runs stand together.
static void add_axis(struct spec *spec, const struct spec_axis *axis) {
  for (size_t s = 0; s < spec->sweep_count; s++) {
    struct spec_sweep *sweep = &spec->sweeps[s];
    struct spec_axis_group *groups = arena_array(&spec->arena, sweep->group_count + 1, sizeof *groups);
    groups[0] = (struct spec_axis_group){.axes = arena_alloc(&spec->arena, sizeof *axis), .axis_count = 1};
    groups[0].axes[0] = *axis;
    groups[0].count = axis->count;
    if (sweep->group_count) memcpy(groups + 1, sweep->groups, sweep->group_count * sizeof *groups);
    sweep->groups = groups;
    sweep->group_count++;
  }
}

void spec_read_from(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  spec->from = node;
  if (spec->trainer.node) {
    node_error(node, reader->diagnostics, NULL, "from takes models of isoloss-train's kind: no custom trainer");
    return;
  }
  bool list = node->kind == NODE_SEQUENCE;
  size_t count = list ? node->count : 1;
  struct spec_axis axis = {.field = field_find("from.path", NULL), .key = node, .count = count};
  axis.values = arena_array(&spec->arena, count + 1, sizeof *axis.values);
  if (!count) node_error(node, reader->diagnostics, "from: models/llama", "from names no folder");
  bool fine = count > 0;
  for (size_t i = 0; i < count; i++) fine &= read_path(reader, list ? node->items[i] : node, &axis.values[i]);
  check_fields(reader);
  if (!fine) spec->base_fine = false;
  size_t context = spec_field_index(field_find("model.context", NULL));
  if (!spec->base_nodes[context] && !spec->overridden[context]) spec->base.model.context = AUTO_INTEGER;
  if (fine) add_axis(spec, &axis);
}
