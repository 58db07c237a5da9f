// Settings: set, resolved, spelled; whether matrices and tokens suit them. See compress.h.
#include <math.h>
#include <string.h>

#include "trainer/compress/internal.h"

static void *place(const struct compress_settings *settings, const struct compress_setting *setting) {
  return (char *)(uintptr_t)settings + setting->offset;
}

static void put(struct compress_settings *settings, const struct compress_setting *setting,
                const struct run_field *field, struct value value) {
  void *to = place(settings, setting);
  bool unset = value.kind == VALUE_MISSING;
  if (field->type == FIELD_INTEGER)
    *(int64_t *)to = unset ? AUTO_INTEGER : (int64_t)value.number;
  else if (field->type == FIELD_NUMBER)
    *(double *)to = unset ? NAN : value.number;
  else
    *(const char **)to = value.text;
}

void compress_default(struct compress_settings *settings, const struct compress_method *method) {
  *settings = (struct compress_settings){.method = method};
  for (size_t i = 0; i < compress_setting_count; i++) {
    const struct compress_setting *setting = &compress_settings_table[i];
    const struct run_field *field = compress_setting_field(setting);
    struct value value = {.kind = VALUE_TEXT, .text = field->fallback};
    struct error ignored = {0};
    if (field->type < FIELD_CHOICE) field_read(field, field->fallback, NULL, &value, &ignored);
    put(settings, setting, field, value);
  }
  settings->format = "";  // the field's none: bits may say it
}

bool compress_set(struct compress_settings *settings, const struct compress_setting *setting, const char *text,
                  struct arena *arena, struct error *error) {
  const struct run_field *field = compress_setting_field(setting);
  struct value value;
  if (!field_read(field, text, arena, &value, error)) return false;
  put(settings, setting, field, value);
  settings->parsed_format = NULL;
  return true;
}

const char *compress_canonical(const struct compress_settings *settings, struct arena *arena) {
  struct text text = {0};
  text_add(&text, settings->method->name);
  for (size_t i = 0; i < compress_setting_count; i++) {
    const struct compress_setting *setting = &compress_settings_table[i];
    const struct run_field *field = compress_setting_field(setting);
    const char *name = setting->name;
    if (!compress_method_reads(settings->method, name)) continue;
    char number[32];
    const void *from = place(settings, setting);
    // Bits and group are spelled by the format that they stand for; a pattern is in sparsity's place.
    bool of_format = compress_method_reads(settings->method, "format");
    if (of_format && (strcmp(name, "bits") == 0 || strcmp(name, "group") == 0)) continue;
    if (strcmp(name, "sparsity") == 0 && *settings->pattern) continue;
    if (strcmp(name, "pattern") == 0 && !*settings->pattern) continue;
    text_format(&text, " %s=", name);
    if (strcmp(name, "format") == 0)
      text_add(&text, settings->parsed_format ? settings->parsed_format->name : "none");
    else if (field->type == FIELD_INTEGER)
      text_format(&text, "%lld", (long long)*(const int64_t *)from);
    else if (field->type == FIELD_NUMBER)
      text_add(&text, (number_shortest(*(const double *)from, number), number));
    else
      text_add(&text, *(const char *const *)from);
  }
  const char *copy = arena_string(arena, text_string(&text));
  text_free(&text);
  return copy;
}

const struct format *compress_activations(const struct compress_settings *settings, struct arena *arena) {
  const struct format *format = settings->parsed_format;
  if (!format || representation_is_none(&format->operands[OPERAND_ACTIVATIONS])) return NULL;
  struct format *part = arena_alloc(arena, sizeof *part);
  *part = *format;
  part->operands[OPERAND_WEIGHTS] = part->operands[OPERAND_GRADIENTS] = (struct representation){0};
  part->backward = BACKWARD_FORWARD;
  part->gradient_token_hadamard = false;
  part->name = format_short_name(part, arena);
  return part;
}

bool compress_check_shape(const struct compress_settings *settings, int64_t outputs, int64_t inputs,
                          struct error *error) {
  struct representation representation = resolved_representation(settings, inputs);
  struct format format = {.name = "", .layers = LAYERS_DEFAULT};
  format.operands[OPERAND_WEIGHTS] = representation;
  if (!format_check_shape(&format, outputs, inputs, 0, error)) return false;
  const struct grid *grid = &representation.grid;
  if (grid->kind == GRID_VECTOR && representation.scale.unit == SCALE_PER_GROUP &&
      representation.scale.group % grid->dimension)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%lld inputs have Hadamard blocks of %d, which hold no whole vectors of %d: take a grid of fewer "
                     "dimensions",
                     (long long)inputs, representation.scale.group, grid->dimension);
  return true;
}

bool compress_check_tokens(const struct compress_settings *settings, int64_t inputs, int64_t tokens,
                           struct error *error) {
  if (!settings->method->needs_calibration || tokens >= inputs) return true;
  return error_set(
      error, EXIT_USAGE_ERROR,
      "%lld calibration tokens are too few for a layer of %lld inputs: %s needs at least as many tokens as "
      "inputs, some tens of times as many to do well",
      (long long)tokens, (long long)inputs, settings->method->name);
}

double compress_bits(const struct compress_settings *settings, int64_t inputs) {
  if (strcmp(settings->range, "unbounded") == 0) return NAN;
  struct representation representation = resolved_representation(settings, inputs);
  return representation_bits(&representation);
}
