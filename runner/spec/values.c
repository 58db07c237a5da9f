// Values of fields as a spec writes them: single ones, lists and ranges.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "runner/spec/internal.h"
#include "runner/spec/keys.h"

enum { MOST_VALUES = 10000000 };

double rounded_decimal(double value, int digits) {
  if (value == 0 || !isfinite(value)) return value;
  int power = digits - 1 - (int)floor(log10(fabs(value)));
  if (power >= 0 && power <= 22 && digits <= 15) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    // An integer below 2^53 over an exact power of ten is the double nearest to that decimal.
    return nearbyint(value * tens[power]) / tens[power];
  }
  char text[64];
  snprintf(text, sizeof text, "%.*e", digits - 1, value);
  return strtod(text, NULL);
}

const char *spec_file_path(const struct spec_reader *reader, const char *name) {
  if (!reader->folder || !*reader->folder || name[0] == '/' || name[0] == '~') return name;
  return path_join(&reader->spec->arena, reader->folder, name);
}

// Formats are the built-in trainer's to know; a custom trainer takes any name.
static bool is_format(const struct spec *spec, const struct run_field *field) {
  return field->groups & GROUP_FORMAT && spec_trains_model(spec);
}

void spec_value_put(struct run_config *config, const struct run_field *field, const struct spec_value *value) {
  field_put(config, field, value->value);
  if (field_trains(field)) config->parsed_format = value->format;
}

bool spec_set_text(const struct spec *spec, struct run_config *config, const struct run_field *field, const char *text,
                   struct arena *arena, struct error *error) {
  size_t most = field->type == FIELD_TEXT || field->type == FIELD_LIST ? 100000 : 100;
  if (strlen(text) > most) return error_set(error, EXIT_USAGE_ERROR, "%s: the text is too long", field->path);
  if (!config_set(config, field, text, arena, error)) return error_subject(error, "%s", field->path);
  if (field->type == FIELD_TEXT && !*text)
    return error_set(error, EXIT_USAGE_ERROR, "%s must not be empty", field->path);
  // "parent", which is no format's name.
  if (!is_format(spec, field) || (field->stage && strcmp(text, field->fallback) == 0)) return true;
  if (!field_trains(field)) {
    const struct format *format = format_read(text, arena, error);
    if (format) field_put(config, field, (struct value){.kind = VALUE_TEXT, .text = format->name});
    return format != NULL;
  }
  if (!config_parse_format(config, arena, error)) return false;
  config->format = config->parsed_format ? config->parsed_format->name : "none";
  return true;
}

// A list of texts, joined by newlines: FIELD_LIST.
static bool read_list(struct spec_reader *reader, const struct run_field *field, const struct node *node,
                      struct spec_value *value) {
  struct text joined = {0};
  bool fine = true;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  if (!count) {
    node_error(node, reader->diagnostics, NULL, "%s is an empty list", field->path);
    fine = false;
  }
  for (size_t i = 0; i < count; i++) {
    const struct node *item = node->kind == NODE_SEQUENCE ? node->items[i] : node;
    if (item->kind != NODE_SCALAR || !*item->text || node_is_null(item) || strchr(item->text, '\n')) {
      node_error(item, reader->diagnostics, NULL, "%s must be a file name or a list of them, not %s", field->path,
                 item->kind == NODE_SCALAR && *item->text ? "text of several lines" : node_kind_name(item));
      fine = false;
      continue;
    }
    text_format(&joined, "%s%s", joined.length ? "\n" : "", spec_file_path(reader, item->text));
  }
  value->value = (struct value){.kind = VALUE_TEXT, .text = arena_string(&reader->spec->arena, text_string(&joined))};
  text_free(&joined);
  return fine;
}

// {higgs: 2} of a field that has the choice higgs2: that, else the same with what was written, which is none.
static const char *word_and_number(const struct run_field *field, const struct node *node, struct arena *arena) {
  if (!(field->groups & GROUP_WORD_NUMBER) || node->kind != NODE_MAPPING) return NULL;
  if (node->count != 1 || node->items[0]->kind != NODE_SCALAR) return NULL;
  return arena_format(arena, "%.40s%.40s", node->keys[0]->text, node->items[0]->text);
}

bool spec_read_value(struct spec_reader *reader, const struct run_field *field, const struct node *node,
                     struct spec_value *value) {
  struct diagnostics *diagnostics = reader->diagnostics;
  *value = (struct spec_value){.node = node};
  if (field->type == FIELD_LIST && node->kind != NODE_MAPPING) return read_list(reader, field, node, value);
  static const char *const kinds[] = {"a whole number", "a number", "true or false", NULL, "text", "a list"};
  const char *kind = kinds[field->type];
  if (node->kind == NODE_MAPPING && is_format(reader->spec, field)) {
    const struct format *format = format_read_node(node, &reader->spec->arena, diagnostics);
    if (format) value->value = (struct value){.kind = VALUE_TEXT, .text = format->name};
    value->format = format_is_none(format) ? NULL : format;
    return format != NULL;
  }
  if (!kind) {
    struct text choices = {0};
    text_add(&choices, "one of ");
    for (const char *c = field->choices; *c; c++) text_add(&choices, *c == '|' ? ", " : (char[]){*c, '\0'});
    kind = arena_string(&reader->spec->arena, text_string(&choices));
    text_free(&choices);
  }
  const char *joined = word_and_number(field, node, &reader->spec->arena);
  if (node->kind != NODE_SCALAR && !joined) {
    node_error(node, diagnostics,
               node->kind == NODE_SEQUENCE || node_find(node, "log") || node_find(node, "linear") ||
                       node_find(node, "range") || node_find(node, "seeds")
                   ? "several values belong under sweep: {grid: ...}"
                   : NULL,
               "%s must be %s, not %s", field->path, kind, node_kind_name(node));
    return false;
  }
  if (!joined && node_is_null(node)) {
    node_error(node, diagnostics, field->auto_allowed ? "write auto, or leave the line out" : "leave the line out",
               "%s has no value", field->path);
    return false;
  }
  if (!joined && node->quoted && field->type <= FIELD_BOOLEAN) {
    // One value after all without them, or several.
    bool several = strchr(node->text, ',') && strlen(node->text) <= 100;
    const char *list = arena_format(&reader->spec->arena, "a list has brackets: [%s]", node->text);
    node_error(node, diagnostics, several ? list : "remove the quotes", "%s must be %s, not text in quotes",
               field->path, kind);
    return false;
  }
  struct error error = {0};
  const char *text = joined ? joined : node->text;
  if (field->file_ending && ends_with(text, field->file_ending)) text = spec_file_path(reader, text);
  if (!spec_set_text(reader->spec, &reader->scratch, field, text, &reader->spec->arena, &error)) {
    node_fail(node, diagnostics, &error);
    return false;
  }
  value->value = field_get(&reader->scratch, field);
  if (field_trains(field)) value->format = reader->scratch.parsed_format;
  return true;
}

// ---- ranges ----

// The keys of a range but `round`, which goes with any of them.
static const char *const range_kinds[] = {"log", "linear", "range", "seeds"};
enum { RANGE_KINDS = sizeof range_kinds / sizeof *range_kinds };

static bool read_numbers(struct spec_reader *reader, const struct node *node, const char *kind, const char *shape,
                         size_t least, size_t most, double *numbers) {
  if (node->kind != NODE_SEQUENCE || node->count < least || node->count > most) {
    node_error(node, reader->diagnostics, NULL, "%s needs %s", kind, shape);
    return false;
  }
  for (size_t i = 0; i < node->count; i++) {
    if (!node_number(node->items[i], &numbers[i]) || !isfinite(numbers[i])) {
      node_error(node->items[i], reader->diagnostics, NULL, "%s needs %s: this must be a number, not %s", kind, shape,
                 node_kind_name(node->items[i]));
      return false;
    }
  }
  return true;
}

// How many values the range has, 0 after a diagnostic.
static size_t range_count(struct spec_reader *reader, const char *kind, const struct node *node, double numbers[3]) {
  struct diagnostics *diagnostics = reader->diagnostics;
  double count = 0;
  const struct node *place = node;
  if (strcmp(kind, "seeds") == 0) {
    int64_t seeds;
    if (!node_integer(node, &seeds) || seeds < 1) {
      node_error(node, diagnostics, NULL, "seeds needs a number of seeds, at least 1: {seeds: 3} is 0, 1, 2");
      return 0;
    }
    count = (double)seeds;
  } else if (strcmp(kind, "range") == 0) {
    numbers[2] = 1;
    if (!read_numbers(reader, node, kind, "[first, last] or [first, last, step]", 2, 3, numbers)) return 0;
    if (!(numbers[2] > 0) || numbers[1] < numbers[0]) {
      node_error(node, diagnostics, "both ends belong to it; the step is positive", "this range has no values");
      return 0;
    }
    count = floor((numbers[1] - numbers[0]) / numbers[2] * (1 + 1e-12) + 1e-9) + 1;
  } else {
    if (!read_numbers(reader, node, kind, "[first, last, count]", 3, 3, numbers)) return 0;
    place = node->items[2];
    count = numbers[2];
    if (count != floor(count) || count < 2) {
      node_error(place, diagnostics, "both ends belong to it", "%s needs a count of at least 2, not %s", kind,
                 place->text);
      return 0;
    }
    if (strcmp(kind, "log") == 0 && !(numbers[0] > 0 && numbers[1] > 0)) {
      node_error(node->items[numbers[0] > 0 ? 1 : 0], diagnostics, "linear: [first, last, count] goes through zero",
                 "log needs ends above zero");
      return 0;
    }
  }
  if (count > MOST_VALUES) {
    node_error(place, diagnostics, NULL, "more than 10 million values");
    return 0;
  }
  return (size_t)count;
}

static double range_value(const char *kind, const double numbers[3], size_t i, size_t count) {
  if (strcmp(kind, "seeds") == 0) return (double)i;
  if (strcmp(kind, "range") == 0) return rounded_decimal(numbers[0] + (double)i * numbers[2], 12);
  if (i == 0) return numbers[0];
  if (i == count - 1) return numbers[1];
  double share = (double)i / (double)(count - 1);
  if (strcmp(kind, "linear") == 0) return rounded_decimal(numbers[0] + share * (numbers[1] - numbers[0]), 12);
  // Six digits: readable, and the same on every machine.
  return rounded_decimal(numbers[0] * pow(numbers[1] / numbers[0], share), 6);
}

static bool read_range(struct spec_reader *reader, const struct run_field *field, const struct node *node,
                       struct spec_axis *axis) {
  struct diagnostics *diagnostics = reader->diagnostics;
  const struct node *range = NULL, *multiple_node = node_find(node, "round");
  const char *kind = NULL;
  size_t before = diagnostics->errors;
  spec_check_keys(&spec_range_keys, node, diagnostics);
  if (diagnostics->errors > before) return false;
  for (int i = 0; i < RANGE_KINDS; i++) {
    const struct node *found = node_find(node, range_kinds[i]);
    if (!found) continue;
    if (range) {
      node_error(node, diagnostics, NULL, "a range is one of log, linear, range, seeds, not several");
      return false;
    }
    range = found;
    kind = range_kinds[i];
  }
  if (!range) {
    node_error(node, diagnostics, NULL, "a range of values needs one of log, linear, range, seeds");
    return false;
  }
  if (field->type != FIELD_INTEGER && field->type != FIELD_NUMBER) {
    node_error(node, diagnostics, "[one, other]", "%s takes no numbers: list its values", field->path);
    return false;
  }
  double multiple = field->type == FIELD_INTEGER ? 1 : 0;
  if (multiple_node && (!node_number(multiple_node, &multiple) || !(multiple > 0) || !isfinite(multiple))) {
    node_error(multiple_node, diagnostics, "round: 16 makes multiples of 16", "round needs a number above zero");
    return false;
  }
  double numbers[3] = {0};
  size_t count = range_count(reader, kind, range, numbers);
  if (!count) return false;
  axis->values = arena_array(&reader->spec->arena, count, sizeof *axis->values);
  axis->count = count;
  bool rounding = multiple_node || strcmp(kind, "log") == 0 || strcmp(kind, "linear") == 0;
  for (size_t i = 0; i < count; i++) {
    double value = range_value(kind, numbers, i, count);
    if (multiple > 0 && rounding) value = nearbyint(value / multiple) * multiple;
    struct error error = {0};
    if (!config_set_number(&reader->scratch, field, value, &error)) {
      error_subject(&error, "%s", field->path);
      node_fail(range, diagnostics, &error);
      return false;
    }
    axis->values[i] = (struct spec_value){.value = field_get(&reader->scratch, field), .node = range};
  }
  return true;
}

bool spec_read_axis(struct spec_reader *reader, const struct run_field *field, const struct node *key,
                    const struct node *node, struct spec_axis *axis) {
  *axis = (struct spec_axis){.field = field, .key = key};
  bool format = node->kind == NODE_MAPPING && (is_format(reader->spec, field) || field->groups & GROUP_WORD_NUMBER);
  if (node->kind == NODE_MAPPING && !format) return read_range(reader, field, node, axis);
  if (node->kind == NODE_SCALAR || format) {
    axis->constant = true;
    axis->count = 1;
    axis->values = arena_array(&reader->spec->arena, 1, sizeof *axis->values);
    return spec_read_value(reader, field, node, &axis->values[0]);
  }
  if (!node->count) {
    node_error(node, reader->diagnostics, "give it at least one value, or remove it",
               "%s has no values: the grid expands to nothing", field->path);
    return false;
  }
  axis->count = node->count;
  axis->values = arena_array(&reader->spec->arena, axis->count, sizeof *axis->values);
  bool fine = true;
  for (size_t i = 0; i < axis->count; i++) {
    const struct node *item = node->items[i];
    if (item->kind == NODE_SEQUENCE && field->type != FIELD_LIST) {
      node_error(item, reader->diagnostics, NULL, "a list inside the list of %s", field->path);
      fine = false;
    } else {
      fine = spec_read_value(reader, field, item, &axis->values[i]) && fine;
    }
  }
  return fine;
}
