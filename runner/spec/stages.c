// `stages`: what follows training, in order. Each value is a mapping of the stage's settings, a list of them, or none;
// inside a mapping each list is an axis, and all axes multiply.
//   stages: {compress: [none, {method: rtn, format: [int8-g32, int4-g32], where: model.width > 64}]}
#include <string.h>

#include "runner/spec/internal.h"

static const char *list_stages(struct arena *arena) {
  struct text list = {0};
  for (size_t i = 0; i < stage_count; i++)
    if (!stages[i].root) text_format(&list, "%s%s", list.length ? ", " : "", stage_key(&stages[i]));
  const char *names = arena_string(arena, text_string(&list));
  text_free(&list);
  return names;
}

static bool is_none(const struct node *node) {
  return node->kind == NODE_SCALAR && !node_is_null(node) && strcmp(node->text, "none") == 0;
}

// Reads the condition of a value; the mapping without it.
static const struct node *take_where(struct spec_reader *reader, struct spec_stage_value *value,
                                     const struct node *node) {
  struct arena *arena = &reader->spec->arena;
  if (!node_find(node, "where")) return node;
  struct node *settings = arena_alloc(arena, sizeof *settings);
  *settings = *node;
  settings->count = 0;
  settings->keys = arena_array(arena, node->count, sizeof *settings->keys);
  settings->items = arena_array(arena, node->count, sizeof *settings->items);
  for (size_t i = 0; i < node->count; i++) {
    if (strcmp(node->keys[i]->text, "where") == 0) {
      value->where_node = node->items[i];
      value->where = spec_read_expression(reader, node->items[i], NAMES_OF_RUN, "where");
      continue;
    }
    settings->keys[settings->count] = node->keys[i];
    settings->items[settings->count++] = node->items[i];
  }
  return settings;
}

static const struct spec_axis *axis_of(const struct spec_stage_value *value, const char *path) {
  for (size_t g = 0; g < value->settings.group_count; g++)
    if (strcmp(value->settings.groups[g].axes[0].field->path, path) == 0) return &value->settings.groups[g].axes[0];
  return NULL;
}

// A mapping without any of the settings that its stage needs would do nothing, unseen.
static void check_needs(struct spec_reader *reader, const struct stage *stage, const struct spec_stage_value *value) {
  struct text list = {0};
  bool given = !stage->needs;
  for (size_t i = 0; stage->needs && stage->needs[i]; i++) {
    given |= axis_of(value, stage->needs[i]) != NULL;
    text_format(&list, "%s%s", i ? " or " : "", stage->needs[i] + strlen(stage->name) + 1);
  }
  if (!given) node_error(value->node, reader->diagnostics, NULL, "%s needs %s", stage_key(stage), text_string(&list));
  text_free(&list);
}

static void read_value(struct spec_reader *reader, struct spec_stage *stage, const struct node *node) {
  struct spec_stage_value *value = &stage->values[stage->count];
  *value = (struct spec_stage_value){.node = node, .first = stage->choices, .settings = {.node = node}};
  if (is_none(node)) {
    value->none = true;
  } else if (node->kind == NODE_MAPPING) {
    size_t before = reader->diagnostics->errors;
    spec_read_stage_axes(reader, take_where(reader, value, node), stage->stage, &value->settings);
    if (reader->diagnostics->errors == before) check_needs(reader, stage->stage, value);
  } else {
    const char *key = stage_key(stage->stage);
    node_error(node, reader->diagnostics, arena_format(&reader->spec->arena, "%s: [none, {...}]", key),
               "%s takes a mapping of its settings, a list of them, or none, not %s", key, node_kind_name(node));
    return;
  }
  double choices = 1;
  for (size_t g = 0; g < value->settings.group_count; g++) choices *= (double)value->settings.groups[g].count;
  if (choices + (double)stage->choices > MOST_STAGE_CHOICES) {
    node_error(node, reader->diagnostics, NULL, "more than %d values of %s", MOST_STAGE_CHOICES,
               stage_key(stage->stage));
    return;
  }
  stage->choices += (size_t)choices;
  stage->count++;
}

static const struct stage *find_by_key(const char *key) {
  for (size_t i = 0; i < stage_count; i++)
    if (strcmp(stage_key(&stages[i]), key) == 0) return &stages[i];
  return NULL;
}

static void read_stage(struct spec_reader *reader, const struct node *key, const struct node *node) {
  struct spec *spec = reader->spec;
  const struct stage *found = find_by_key(key->text),
                     *before = spec->stage_count ? spec->stages[spec->stage_count - 1].stage : NULL;
  if (found && found->root) {
    node_error(key, reader->diagnostics, "from: PATH", "%s is next to stages, not in it: chains begin with it",
               key->text);
    return;
  }
  if (!found) {
    const char *names[16];
    size_t count = 0;
    for (size_t i = 0; i < stage_count && count < 16; i++)
      if (!stages[i].root) names[count++] = stage_key(&stages[i]);
    const char *near = strlen(key->text) < 100 ? nearest_name(key->text, names, count) : NULL;
    node_error(key, reader->diagnostics, near ? did_you_mean(near, arena_alloc(&spec->arena, 160)) : NULL,
               "there is no stage '%.80s': stages are %s", key->text, list_stages(&spec->arena));
    return;
  }
  if (before && found < before && !(found->moves && before == found + 1))
    node_error(key, reader->diagnostics, NULL, "%s comes before %s: stages stand in the order in which they follow",
               key->text, stage_key(before));
  bool list = node->kind == NODE_SEQUENCE;
  if (list && !node->count) {
    node_error(node, reader->diagnostics, "remove the line", "%s has no values", key->text);
    return;
  }
  struct spec_stage *stage = &spec->stages[spec->stage_count++];
  *stage = (struct spec_stage){.stage = found, .key = key};
  stage->values = arena_array(&spec->arena, list ? node->count : 1, sizeof *stage->values);
  size_t errors = reader->diagnostics->errors;
  for (size_t i = 0; i < (list ? node->count : 1); i++) read_value(reader, stage, list ? node->items[i] : node);
  // Which runs are ends of chains then does not hang on conditions.
  bool always = reader->diagnostics->errors > errors;
  for (size_t i = 0; i < stage->count; i++) always |= !stage->values[i].where_node;
  if (!always)
    node_error(stage->values[0].where_node, reader->diagnostics,
               arena_format(&spec->arena, "%s: [none, {...}]", stage_key(stage->stage)),
               "every value of %s has a condition: give one without, for the runs that have none of these",
               stage_key(stage->stage));
}

void spec_read_stages(struct spec_reader *reader, const struct node *node) {
  struct spec *spec = reader->spec;
  if (!node) return;
  if (node->kind != NODE_MAPPING || !node->count) {
    node_error(node, reader->diagnostics, "stages: {compress: {method: rtn, bits: [3, 4]}}",
               "stages must be a mapping of what follows training, not %s",
               node->kind == NODE_MAPPING ? "an empty one" : node_kind_name(node));
    return;
  }
  if (spec->trainer.node) {
    node_error(node, reader->diagnostics, NULL,
               "stages take checkpoints of isoloss-train: the runs of a custom trainer have none of these");
    return;
  }
  spec->stages = arena_array(&spec->arena, node->count, sizeof *spec->stages);
  for (size_t i = 0; i < node->count; i++) read_stage(reader, node->keys[i], node->items[i]);
}

bool spec_stage_choose(const struct spec_stage *stage, size_t choice, struct run_config *config,
                       const struct spec_stage_value **value) {
  size_t i = stage->count - 1;
  while (stage->values[i].first > choice) i--;
  *value = &stage->values[i];
  if ((*value)->none) return false;
  const struct spec_sweep *settings = &(*value)->settings;
  uint64_t combination = choice - (*value)->first;
  for (size_t g = settings->group_count; g-- > 0;) {
    const struct spec_axis_group *group = &settings->groups[g];
    for (size_t a = 0; a < group->axis_count; a++)
      spec_value_put(config, group->axes[a].field, &group->axes[a].values[combination % group->count]);
    combination /= group->count;
  }
  // What the stage says of a corpus replaces what was said of another one.
  bool files = axis_of(*value, "corpus.files"), source = axis_of(*value, "corpus.source");
  bool mixture = axis_of(*value, "corpus.mixture");
  if (mixture && !source) config->corpus.source = "mixture";
  if ((files || source) && !mixture) config->corpus.mixture = "";
  if (files && !source && !mixture) config->corpus.source = "files";
  if (source && !files && !mixture) config->corpus.files = "";
  return !stage->stage->skips(config);
}

// Whether a chain can go through a stage of the spec without a run of it.
static bool can_skip(const struct spec *spec, const struct spec_stage *stage) {
  const struct spec_stage_value *value;
  for (size_t i = 0; i < stage->choices; i++) {
    struct run_config config = spec->base;
    if (!spec_stage_choose(stage, i, &config, &value)) return true;
  }
  return false;
}

bool spec_chain_ends(const struct spec *spec, const char *stage) {
  for (size_t i = spec->stage_count; i-- > 0;) {
    if (stage && strcmp(spec->stages[i].stage->name, stage) == 0) return true;
    if (!can_skip(spec, &spec->stages[i])) return false;
  }
  return true;
}
