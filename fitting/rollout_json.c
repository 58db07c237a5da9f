// Rollouts in a fit's JSON document: the key rollouts.
#include <math.h>

#include "fitting/fit_document_internal.h"

static void put_cut(const struct rollout *cut, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "column", cut->column);
  json_key_number(writer, "cut", cut->cut);
  json_key_integer(writer, "fitted", (int64_t)cut->fitted_rows);
  json_key_integer(writer, "predicted", (int64_t)cut->predicted);
  json_key_number(writer, "nearest", cut->nearest);
  json_key_number(writer, "farthest", cut->farthest);
  json_key_number(writer, "error", cut->error);
  json_key_number(writer, "bias", cut->bias);
  json_key_number(writer, "largest", cut->largest);
  json_key_integer(writer, "judged", (int64_t)cut->judged);
  json_key_integer(writer, "held", (int64_t)cut->held);
  if (cut->trouble) json_key_string(writer, "trouble", cut->trouble);
  if (cut->no_interval) json_key_string(writer, "no_interval", cut->no_interval);
  json_object_end(writer);
}

void rollout_errors_json(const struct rollout_errors *errors, struct json_writer *writer) {
  json_object_begin(writer);
  json_key_string(writer, "column", errors->column);
  json_key_number(writer, "above", errors->above);
  json_key_number(writer, "to", errors->to);  // null: nowhere
  json_key_integer(writer, "cuts", (int64_t)errors->cuts);
  json_key_integer(writer, "rows", (int64_t)errors->rows);
  json_key_integer(writer, "judged", (int64_t)errors->judged);
  json_key_integer(writer, "held", (int64_t)errors->held);
  json_key_number(writer, "error", errors->error);
  json_key_number(writer, "largest", errors->largest);
  if (errors->no_interval) json_key_string(writer, "no_interval", errors->no_interval);
  json_object_end(writer);
}

void fit_json_rollouts(const struct fit_rollouts *rollouts, struct json_writer *writer) {
  if (!rollouts->cut_count && !rollouts->none) return;
  json_key(writer, "rollouts");
  json_object_begin(writer);
  json_key(writer, "cuts");
  json_array_begin(writer);
  for (size_t i = 0; i < rollouts->cut_count; i++) put_cut(&rollouts->cuts[i], writer);
  json_array_end(writer);
  json_key(writer, "errors");
  json_array_begin(writer);
  for (size_t i = 0; i < rollouts->error_count; i++) rollout_errors_json(&rollouts->errors[i], writer);
  json_array_end(writer);
  if (rollouts->none) json_key_string(writer, "none", rollouts->none);
  json_object_end(writer);
}

static void read_cuts(struct fit_rollouts *rollouts, const struct reading *reading, const json_t *object) {
  size_t count;
  const json_t *all = member_objects(reading, object, "cuts", &count);
  rollouts->cuts = arena_array(reading->arena, count + 1, sizeof *rollouts->cuts);
  for (; rollouts->cut_count < count; rollouts->cut_count++) {
    const json_t *one = json_array_get(all, rollouts->cut_count);
    rollouts->cuts[rollouts->cut_count] =
        (struct rollout){.column = member_text(reading, one, "column", ""),
                         .cut = member_number(reading, one, "cut"),
                         .fitted_rows = (size_t)member_count(reading, one, "fitted"),
                         .predicted = (size_t)member_count(reading, one, "predicted"),
                         .nearest = member_number(reading, one, "nearest"),
                         .farthest = member_number(reading, one, "farthest"),
                         .error = member_number(reading, one, "error"),
                         .bias = member_number(reading, one, "bias"),
                         .largest = member_number(reading, one, "largest"),
                         .judged = (size_t)member_count(reading, one, "judged"),
                         .held = (size_t)member_count(reading, one, "held"),
                         .trouble = member_text(reading, one, "trouble", NULL),
                         .no_interval = member_text(reading, one, "no_interval", NULL)};
  }
}

void fit_read_rollouts(struct fit_rollouts *rollouts, const struct reading *reading, const json_t *root) {
  json_t *object = member_object(reading, root, "rollouts");
  size_t count;
  if (!object) return;  // of a version without, or a fit that made none
  read_cuts(rollouts, reading, object);
  const json_t *all = member_objects(reading, object, "errors", &count);
  rollouts->errors = arena_array(reading->arena, count + 1, sizeof *rollouts->errors);
  for (; rollouts->error_count < count; rollouts->error_count++) {
    const json_t *one = json_array_get(all, rollouts->error_count);
    struct rollout_errors *errors = &rollouts->errors[rollouts->error_count];
    *errors = (struct rollout_errors){.column = member_text(reading, one, "column", ""),
                                      .above = member_number(reading, one, "above"),
                                      .to = member_number(reading, one, "to"),
                                      .cuts = (size_t)member_count(reading, one, "cuts"),
                                      .rows = (size_t)member_count(reading, one, "rows"),
                                      .judged = (size_t)member_count(reading, one, "judged"),
                                      .held = (size_t)member_count(reading, one, "held"),
                                      .error = member_number(reading, one, "error"),
                                      .largest = member_number(reading, one, "largest"),
                                      .no_interval = member_text(reading, one, "no_interval", NULL)};
    if (isnan(errors->to)) errors->to = INFINITY;
  }
  rollouts->none = member_text(reading, object, "none", NULL);
}
