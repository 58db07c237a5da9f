// See trunk.h.
#include "trainer/trunk.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/schedule.h"

// Whether some density of the format follows a schedule over the length of the training.
static bool has_schedule(const struct run_config *resolved) {
  struct arena arena = {0};
  const struct format *format = strcmp(resolved->format, "none") ? config_format(resolved, &arena) : NULL;
  bool found = false;
  for (int i = 0; format && i < OPERANDS; i++) found |= format->operands[i].sparsity.schedule != SCHEDULE_CONSTANT;
  arena_free(&arena);
  return found;
}

const char *trunk_hindrance(const struct run_config *resolved) {
  if (resolved->stage) return "it is a later stage";
  if (schedule_steady_steps(resolved, resolved->train.steps) < 1)
    return "its learning rate depends on its length from the start on";
  if (has_schedule(resolved)) return "its format's density follows a schedule over its length";
  return NULL;
}

int64_t trunk_steps(const struct run_config *resolved) {
  return trunk_hindrance(resolved) ? 0 : schedule_steady_steps(resolved, resolved->train.steps);
}

// What differs between the runs of one trunk, or stands in another field's place.
static bool is_left_out(const struct run_config *resolved, const struct run_field *field, bool warmup) {
  const void *member = (const char *)resolved + field->offset;
  if (member == &resolved->train.warmup_fraction) return warmup;
  return field->stage || (field->groups & GROUP_BUDGET) || field->effect == EFFECT_RESOLVED ||
         member == &resolved->train.schedule || member == &resolved->train.cooldown_fraction ||
         member == &resolved->train.final_lr_ratio || (!warmup && member == &resolved->train.warmup_steps);
}

struct digest trunk_key(const struct run_config *resolved, const char *corpus_digest, bool warmup) {
  struct arena arena = {0};
  struct text text = {0};
  char number[32];
  text_format(&text, "trunk\n%s\n", corpus_digest);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (is_left_out(resolved, field, warmup)) continue;
    struct value value = field_get(resolved, field);
    const char *said = field_trains(field) ? config_format_name(resolved, &arena) : field_text(field, value, number);
    text_format(&text, "%s=%s\n", field->path, said);
  }
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  arena_free(&arena);
  return digest;
}
