// See trunk.h.
#include "trainer/trunk.h"

#include <inttypes.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/average.h"
#include "trainer/schedule.h"

// Whether some density of the format follows a schedule over the length of the training.
static bool has_schedule(const struct format *format) {
  bool found = false;
  for (int i = 0; format && i < OPERANDS; i++) found |= format->operands[i].sparsity.schedule != SCHEDULE_CONSTANT;
  return found;
}

// The steps before what the run does at its end alone: *why there are none, or NULL.
static int64_t steps_before_end(const struct run_config *resolved, enum trunk_kind kind, const char **why) {
  struct arena arena = {0};
  const struct format *format = strcmp(resolved->format, "none") ? config_format(resolved, &arena) : NULL;
  int64_t begins = config_format_begins(resolved), first = average_first(resolved), steps = resolved->train.steps - 1;
  bool any_length = kind != TRUNK_SAME_LENGTH;
  *why = NULL;
  if (resolved->stage)
    *why = "it is a later stage";
  else if (any_length && (steps = schedule_steady_steps(resolved, resolved->train.steps)) < 1)
    *why = "its learning rate depends on its length from the start on";
  else if (any_length && !begins && has_schedule(format))
    *why = "its format's density follows a schedule over its length";
  if (begins && begins < steps) steps = begins;
  if (first && first - 1 < steps) steps = first - 1;
  if (!*why && steps < 1) *why = "it has no step before what comes at its end";
  arena_free(&arena);
  return *why ? 0 : steps;
}

const char *trunk_hindrance(const struct run_config *resolved, enum trunk_kind kind) {
  const char *why;
  steps_before_end(resolved, kind, &why);
  return why;
}

int64_t trunk_steps(const struct run_config *resolved, enum trunk_kind kind) {
  const char *why;
  return steps_before_end(resolved, kind, &why);
}

// What differs between the runs of one trunk, or is in another field's place.
static bool is_left_out(const struct run_config *resolved, const struct run_field *field, enum trunk_kind kind) {
  const void *member = (const char *)resolved + field->offset;
  if (field->stage || member == &resolved->train.average_checkpoints || member == &resolved->train.average_every)
    return true;
  if (member == &resolved->train.warmup_fraction) return kind != TRUNK_BY_SHARE;
  if (field->effect == EFFECT_RESOLVED) return true;
  if (kind == TRUNK_SAME_LENGTH) return false;
  return (field->groups & GROUP_BUDGET) || member == &resolved->train.schedule ||
         member == &resolved->train.cooldown_fraction || member == &resolved->train.final_lr_ratio ||
         (kind == TRUNK_BY_SHARE && member == &resolved->train.warmup_steps);
}

// A field of another schedule changes nothing.
static bool says_nothing(const struct run_config *resolved, const struct run_field *field) {
  return field->counts_when && !field->counts_when(resolved);
}

struct digest trunk_key(const struct run_config *resolved, const char *corpus_digest, enum trunk_kind kind) {
  struct arena arena = {0};
  struct text text = {0};
  char number[32];
  text_format(&text, "trunk %d\n%s\n", (int)kind, corpus_digest);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (is_left_out(resolved, field, kind) || says_nothing(resolved, field)) continue;
    struct value value = field_get(resolved, field);
    // One that begins later has not begun.
    const char *said = !field_trains(field)             ? field_text(field, value, number)
                       : config_format_begins(resolved) ? "none"
                                                        : config_format_name(resolved, &arena);
    text_format(&text, "%s=%s\n", field->path, said);
  }
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  arena_free(&arena);
  return digest;
}
