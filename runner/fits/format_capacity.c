// See format_capacity.h.
#include "runner/fits/format_capacity.h"

#include <math.h>
#include <string.h>

#include "trainer/formats.h"

const char **common_formats(struct arena *arena, size_t *count) {
  size_t room = 0;
  while (format_examples[room].name) room++;
  const char **names = arena_array(arena, room, sizeof *names);
  *count = 0;
  for (size_t i = 0; i < room; i++)
    if (format_examples[i].listed) names[(*count)++] = format_examples[i].name;
  return names;
}

bool format_capacity(const struct format *format, const char *asked, const struct capacity_options *options,
                     struct format_capacity *result, struct error *error) {
  *result = (struct format_capacity){.format = format, .asked = asked};
  result->bits = representation_bits(&format->operands[OPERAND_WEIGHTS]);
  struct text texts[OPERANDS] = {{0}};
  bool fine = true;
  for (int i = 0; i < OPERANDS && fine; i++) {
    const struct representation *operand = &format->operands[i];
    representation_text(operand, &texts[i]);
    if (representation_is_none(operand)) continue;
    result->operands++;
    result->only = (enum operand)i;
    result->represented[i] = true;
    int same = 0;
    while (same < i && strcmp(text_string(&texts[same]), text_string(&texts[i])) != 0) same++;
    if (same < i)
      result->capacities[i] = result->capacities[same];
    else
      fine = capacity_measure(operand, options, &result->capacities[i], error);
  }
  for (int i = 0; i < OPERANDS; i++) text_free(&texts[i]);
  return fine ? true : error_context(error, "%s", format->name);
}

bool formats_measure(const char *const *names, size_t count, const struct capacity_options *options,
                     struct format_capacity *results, struct arena *arena, struct error *error) {
  for (size_t i = 0; i < count; i++) {
    results[i].format = format_read(names[i], arena, error);
    if (!results[i].format) return false;
  }
  for (size_t i = 0; i < count; i++)
    if (!format_capacity(results[i].format, names[i], options, &results[i], error)) return false;
  return true;
}

static void capacity_keys(const struct capacity *capacity, const char *suffix, struct json_writer *writer) {
  char key[64];
  const struct {
    const char *name;
    double value;
  } values[] = {{"gmse", capacity->gmse},
                {"standard_error", capacity->standard_error},
                {"effective_bits", capacity->effective_bits},
                {"misalignment", capacity->misalignment},
                {"octave_low", capacity->octave ? capacity->octave_low : NAN},
                {"octave_high", capacity->octave ? capacity->octave_high : NAN},
                {"gmse_at_unit_deviation", capacity->octave ? capacity->at_unit_deviation : NAN}};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    snprintf(key, sizeof key, "%s%s", values[i].name, suffix);
    json_key_number(writer, key, values[i].value);
  }
  snprintf(key, sizeof key, "closed_form%s", suffix);
  json_key_boolean(writer, key, capacity->closed_form);
  snprintf(key, sizeof key, "samples%s", suffix);
  json_key_integer(writer, key, capacity->samples);
}

void format_capacity_json(const struct format_capacity *capacity, struct json_writer *writer) {
  json_key_string(writer, "format", capacity->asked);
  json_key_string(writer, "canonical", capacity->format->name);
  if (capacity->operands == 1) {
    capacity_keys(&capacity->capacities[capacity->only], "", writer);
  } else {
    // `none` is exact; of several operands each has its own error, and no single one is right.
    bool none = capacity->operands == 0;
    json_key_number(writer, "gmse", none ? 0 : NAN);
    json_key_number(writer, "standard_error", none ? 0 : NAN);
    json_key_number(writer, "effective_bits", NAN);
    for (int i = 0; i < OPERANDS; i++) {
      char suffix[32];
      snprintf(suffix, sizeof suffix, "_%s", operand_name((enum operand)i));
      if (capacity->represented[i]) capacity_keys(&capacity->capacities[i], suffix, writer);
    }
  }
  json_key_number(writer, "bits_per_weight", capacity->bits);
}
