// `sweep`: grids, zips, filters and derived fields.
#include <stdio.h>
#include <string.h>

#include "runner/spec/internal.h"
#include "runner/spec/keys.h"
#include "trainer/stages/stage.h"

// What is read of one entry, growing in the arena.
struct sweep_reader {
  struct spec_sweep *sweep;
  const struct stage *stage;  // whose fields the axes are; NULL: the training's
  size_t group_capacity, axis_capacity, set_capacity;
  struct spec_axis_group *zip;  // the group that takes axes; NULL: each axis is a group
};

static const struct spec_axis *find_axis(const struct spec_sweep *sweep, const struct run_field *field) {
  for (size_t g = 0; g < sweep->group_count; g++)
    for (size_t a = 0; a < sweep->groups[g].axis_count; a++)
      if (sweep->groups[g].axes[a].field == field) return &sweep->groups[g].axes[a];
  return NULL;
}

// An error when the command line gives the field that the spec sweeps or derives.
static void check_override(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                           const char *what) {
  size_t index = spec_field_index(field);
  if (!reader->spec->overridden[index]) return;
  char file[200];
  snprintf(file, sizeof file, "--set %s", field->path);
  diagnostics_add(reader->diagnostics, false, file, 0, 0, NULL, "%s is %s at %s:%d:%d: change it there", field->path,
                  what, key->file, key->line, key->column);
}

static struct spec_axis_group *group_new(struct spec_reader *reader, struct sweep_reader *into) {
  struct spec_sweep *sweep = into->sweep;
  if (sweep->group_count == into->group_capacity) {
    size_t capacity = into->group_capacity ? into->group_capacity * 2 : 4;
    sweep->groups =
        arena_grow(&reader->spec->arena, sweep->groups, sweep->group_count, capacity, sizeof *sweep->groups);
    into->group_capacity = capacity;
  }
  struct spec_axis_group *group = &sweep->groups[sweep->group_count++];
  *group = (struct spec_axis_group){0};
  return group;
}

static void take_axis(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                      const struct node *value, void *context) {
  struct sweep_reader *into = context;
  const struct spec_axis *first = find_axis(into->sweep, field);
  if (!into->stage && spec_refuse_stage_field(reader, field, key)) return;
  if (field->groups & GROUP_FOUND) {
    node_error(key, reader->diagnostics, "leave the line out", "%s is found, not given", field->path);
    return;
  }
  if (first) {
    char hint[80];
    snprintf(hint, sizeof hint, "it stands first on line %d", first->key->line);
    node_error(key, reader->diagnostics, hint, "%s is an axis twice", field->path);
    return;
  }
  check_override(reader, field, key, "swept");
  struct spec_axis axis;
  if (!spec_read_axis(reader, field, key, value, &axis)) return;
  if (field->effect == EFFECT_NONE && axis.count > 1)
    node_warning(key, reader->diagnostics, NULL, "%s cannot change a result: its values are all the same run",
                 field->path);
  struct spec_axis_group *group = into->zip ? into->zip : group_new(reader, into);
  if (!into->zip) into->axis_capacity = 0;
  if (group->axis_count == into->axis_capacity) {
    size_t capacity = into->axis_capacity ? into->axis_capacity * 2 : 1;
    group->axes = arena_grow(&reader->spec->arena, group->axes, group->axis_count, capacity, sizeof *group->axes);
    into->axis_capacity = capacity;
  }
  group->axes[group->axis_count++] = axis;
  group->count = axis.count;
}

bool spec_refuse_stage_field(struct spec_reader *reader, const struct run_field *field, const struct node *key) {
  if (!field->stage) return false;
  node_error(key, reader->diagnostics,
             arena_format(&reader->spec->arena, "stages: {%s: {%s: ...}}", stage_key(stage_find(field->stage)),
                          field->path + strlen(field->stage) + 1),
             "%s belongs under stages: no training has it", field->path);
  return true;
}

// A key of a stage's mapping that names a field of trainings: true after a diagnostic.
static bool refuse_trained_field(struct spec_reader *reader, const struct stage *stage, const struct node *key) {
  const char *dot = strchr(key->text, '.');
  bool model = starts_with(key->text, "model.") || strcmp(key->text, "model") == 0;
  bool train = starts_with(key->text, "train.") || strcmp(key->text, "train") == 0;
  if (!stage->training || stage->trains || (!model && !train)) return false;
  if (model)
    node_error(key, reader->diagnostics, NULL, "%s cannot change: %s continues with the model that is there", key->text,
               stage_key(stage));
  else
    node_error(key, reader->diagnostics,
               arena_format(&reader->spec->arena, "%s: {%s: ...}", stage_key(stage), dot ? dot + 1 : "lr"),
               "what is under %s is its own: leave train out of the key", stage_key(stage));
  return true;
}

static bool names_corpus(const char *key) { return strcmp(key, "corpus") == 0 || starts_with(key, "corpus."); }

void spec_read_stage_axes(struct spec_reader *reader, const struct node *node, const struct stage *stage,
                          struct spec_sweep *settings) {
  struct sweep_reader into = {.sweep = settings, .stage = stage};
  for (size_t i = 0; i < node->count; i++) {
    struct node one = *node;
    one.keys = &node->keys[i];
    one.items = &node->items[i];
    one.count = 1;
    bool corpus = stage->corpus && names_corpus(one.keys[0]->text);
    if (refuse_trained_field(reader, stage, one.keys[0])) continue;
    spec_walk_fields(reader, &one, corpus ? NULL : stage->name, "stages", take_axis, &into);
  }
}

static bool need_mapping(struct spec_reader *reader, const struct node *node, const char *what) {
  if (node->kind == NODE_MAPPING && node->count) return true;
  node_error(node, reader->diagnostics, NULL, "%s must be a mapping of fields, not %s", what,
             node->kind == NODE_MAPPING ? "an empty one" : node_kind_name(node));
  return false;
}

static void read_zip(struct spec_reader *reader, struct sweep_reader *into, const struct node *node) {
  if (!need_mapping(reader, node, "zip")) return;
  size_t index = into->sweep->group_count;
  into->zip = group_new(reader, into);
  into->axis_capacity = 0;
  spec_walk_fields(reader, node, NULL, "zip", take_axis, into);
  struct spec_axis_group *group = &into->sweep->groups[index];
  into->zip = NULL;
  // Plain values go with any length; all lists must be as long as the first.
  const struct spec_axis *first = NULL;
  group->count = 1;
  for (size_t i = 0; i < group->axis_count; i++) {
    const struct spec_axis *axis = &group->axes[i];
    if (axis->constant) continue;
    if (!first) {
      first = axis;
      group->count = axis->count;
    } else if (axis->count != first->count) {
      node_error(axis->key, reader->diagnostics, "zip pairs first with first, second with second, and so on",
                 "%s has %zu values, %s has %zu: zip needs lists of one length", axis->field->path, axis->count,
                 first->field->path, first->count);
    }
  }
}

// Text for a text field may be written as it is: `train.schedule: wsd`. It is an expression when it is one over names
// that a run has.
static bool means_itself(struct spec_reader *reader, const struct run_field *field, const struct node *node) {
  if (field->type < FIELD_CHOICE) return false;
  struct arena arena = {0};
  struct error error = {0};
  struct run_name found;
  struct expression *expression = expression_parse(&arena, node->text, &error);
  bool literal = !expression || (expression->root->kind == EXPRESSION_NAME &&
                                 !run_name_find(reader->spec, expression->root->text, &found));
  arena_free(&arena);
  return literal;
}

static void take_derivation(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                            const struct node *value, void *context) {
  struct sweep_reader *into = context;
  struct spec_sweep *sweep = into->sweep;
  if (spec_refuse_stage_field(reader, field, key)) return;
  for (size_t i = 0; i < sweep->set_count; i++) {
    if (sweep->set[i].field != field) continue;
    char hint[80];
    snprintf(hint, sizeof hint, "it stands first on line %d", sweep->set[i].key->line);
    node_error(key, reader->diagnostics, hint, "%s is set twice", field->path);
    return;
  }
  check_override(reader, field, key, "derived");
  struct spec_derivation derivation = {.field = field, .key = key, .node = value};
  if (value->kind == NODE_SCALAR && !node_is_null(value) && field->type == FIELD_LIST) {
    node_error(key, reader->diagnostics, "put it under grid or base", "%s cannot be derived", field->path);
    return;
  }
  if (value->kind == NODE_SCALAR && !node_is_null(value) && means_itself(reader, field, value)) {
    struct spec_value checked;
    struct node plain = *value;
    plain.quoted = true;
    if (!spec_read_value(reader, field, &plain, &checked)) return;
    struct expression *constant = arena_alloc(&reader->spec->arena, sizeof *constant);
    constant->source = value->text;
    constant->root = arena_alloc(&reader->spec->arena, sizeof *constant->root);
    constant->root->kind = EXPRESSION_TEXT;
    constant->root->text = checked.value.text;
    derivation.expression = constant;
  } else {
    derivation.expression = spec_read_expression(reader, value, NAMES_OF_RUN, "a derived field");
  }
  if (!derivation.expression) return;
  if (sweep->set_count == into->set_capacity) {
    size_t capacity = into->set_capacity ? into->set_capacity * 2 : 4;
    sweep->set = arena_grow(&reader->spec->arena, sweep->set, sweep->set_count, capacity, sizeof *sweep->set);
    into->set_capacity = capacity;
  }
  sweep->set[sweep->set_count++] = derivation;
}

static void read_entry(struct spec_reader *reader, const struct node *node, struct spec_sweep *sweep) {
  *sweep = (struct spec_sweep){.node = node};
  if (node->kind != NODE_MAPPING) {
    node_error(node, reader->diagnostics, "sweep: {grid: {train.lr: [1e-3, 2e-3]}}",
               "a sweep must be a mapping of grid, zip, where, set, not %s", node_kind_name(node));
    return;
  }
  struct sweep_reader into = {.sweep = sweep};
  for (size_t i = 0; i < node->count; i++) {
    const struct node *key = node->keys[i], *value = node->items[i];
    if (strcmp(key->text, "grid") == 0) {
      if (need_mapping(reader, value, "grid")) spec_walk_fields(reader, value, NULL, "grid", take_axis, &into);
    } else if (strcmp(key->text, "zip") == 0) {
      read_zip(reader, &into, value);
    } else if (strcmp(key->text, "where") == 0) {
      sweep->where_node = value;
      sweep->where = spec_read_expression(reader, value, NAMES_OF_RUN, "where");
    } else if (strcmp(key->text, "set") == 0) {
      if (need_mapping(reader, value, "set")) spec_walk_fields(reader, value, NULL, "set", take_derivation, &into);
    } else if (strlen(key->text) < 100 && (field_find(key->text, NULL) || field_section(key->text))) {
      node_error(key, reader->diagnostics, "sweep: {grid: {PATH: [...]}}", "'%s' belongs under grid", key->text);
    } else {
      struct node one = *node;
      one.keys = &node->keys[i];
      one.items = &node->items[i];
      one.count = 1;
      spec_check_keys(&spec_sweep_keys, &one, reader->diagnostics);
    }
  }
}

void spec_read_sweeps(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  size_t count = !node ? 1 : node->kind == NODE_SEQUENCE ? node->count : 1;
  if (!count) {
    node_error(node, reader->diagnostics, "remove the line for a single run",
               "an empty list of sweeps expands to nothing");
    reader->spec->base_fine = false;
    count = 1;
  }
  spec->sweeps = arena_array(&spec->arena, count, sizeof *spec->sweeps);
  spec->sweep_count = count;
  if (!node || (node->kind == NODE_SEQUENCE && !node->count)) return;
  for (size_t i = 0; i < count; i++) {
    size_t before = reader->diagnostics->errors;
    read_entry(reader, node->kind == NODE_SEQUENCE ? node->items[i] : node, &spec->sweeps[i]);
    spec->sweeps[i].broken = reader->diagnostics->errors > before;
  }
}
