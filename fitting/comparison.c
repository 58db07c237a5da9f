// A comparison of laws as a JSON document, written and read; its end.
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "fitting/fit_document_internal.h"

// The numbers of a law, in the order of the document.
static const struct {
  const char *key;
  size_t offset;  // in struct law_standing
} numbers[] = {{"objective", offsetof(struct law_standing, objective)},
               {"residual_rms", offsetof(struct law_standing, residual_rms)},
               {"log_likelihood", offsetof(struct law_standing, log_likelihood)},
               {"scale", offsetof(struct law_standing, scale)},
               {"aic", offsetof(struct law_standing, aic)},
               {"aicc", offsetof(struct law_standing, aicc)},
               {"bic", offsetof(struct law_standing, bic)},
               {"aicc_behind", offsetof(struct law_standing, aicc_behind)},
               {"bic_behind", offsetof(struct law_standing, bic_behind)},
               {"holdout_error", offsetof(struct law_standing, held_out_error)},
               {"holdout_rms", offsetof(struct law_standing, held_out_rms)},
               {"holdout_loss", offsetof(struct law_standing, held_out_loss)},
               {"holdout_behind", offsetof(struct law_standing, held_out_behind)},
               {"holdout_behind_se", offsetof(struct law_standing, held_out_behind_se)}};
enum { number_count = sizeof numbers / sizeof *numbers };

void comparison_json(const struct comparison *comparison, struct json_writer *writer) {
  char objective[OBJECTIVE_TEXT];
  objective_text(comparison->objective, objective);
  json_object_begin(writer);
  json_key_string(writer, "source", comparison->source);
  json_key_string(writer, "predicts", comparison->target);
  json_key_integer(writer, "rows", (int64_t)comparison->rows);
  json_key_integer(writer, "duplicates", (int64_t)comparison->duplicates);
  json_key_integer(writer, "groups", (int64_t)comparison->groups);
  json_key_string(writer, "objective_kind", objective);
  json_key_string(writer, "residual_kind", comparison->residual == RESIDUAL_LOG ? "log" : "plain");
  json_key_string(writer, "held_out_by", comparison->holdout ? "holdout" : comparison->folds ? "folds" : NULL);
  json_key_integer(writer, "folds", comparison->folds);
  json_key_string(writer, "errors", comparison->errors_absolute ? "absolute" : "relative");
  json_key_integer(writer, "held_out", (int64_t)comparison->held_out);
  json_key_string(writer, "best", comparison->laws[0].law);
  json_key(writer, "laws");
  json_array_begin(writer);
  for (size_t l = 0; l < comparison->count; l++) {
    const struct law_standing *s = &comparison->laws[l];
    json_object_begin(writer);
    json_key_string(writer, "law", s->law);
    json_key_integer(writer, "parameters", (int64_t)s->parameters);
    for (size_t i = 0; i < number_count; i++)
      json_key_number(writer, numbers[i].key, *(const double *)((const char *)s + numbers[i].offset));
    json_key(writer, "coefficients");
    json_object_begin(writer);
    for (size_t i = 0; i < s->coefficient_count; i++)
      json_key_number(writer, s->coefficients[i].name, s->coefficients[i].value);
    json_object_end(writer);
    json_key(writer, "status");
    json_object_begin(writer);
    for (size_t i = 0; i < s->coefficient_count; i++)
      if (s->coefficients[i].status != COEFFICIENT_FITTED)
        json_key_string(writer, s->coefficients[i].name, coefficient_status_name(s->coefficients[i].status));
    json_object_end(writer);
    json_key_boolean(writer, "told_apart", s->told_apart);
    json_key_boolean(writer, "predicts_better", s->predicts_better);
    json_key(writer, "warnings");
    json_array_begin(writer);
    for (size_t i = 0; i < s->warning_count; i++) json_put_string(writer, s->warnings[i]);
    json_array_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_key(writer, "warnings");
  json_array_begin(writer);
  for (size_t i = 0; i < comparison->warning_count; i++) json_put_string(writer, comparison->warnings[i]);
  json_array_end(writer);
  json_object_end(writer);
}

static void read_law(struct law_standing *law, const struct reading *reading, const json_t *entry) {
  *law = (struct law_standing){.law = member_text(reading, entry, "law", ""),
                               .parameters = (size_t)member_count(reading, entry, "parameters"),
                               .told_apart = member_boolean(reading, entry, "told_apart"),
                               .predicts_better = member_boolean(reading, entry, "predicts_better")};
  for (size_t i = 0; i < number_count; i++)
    *(double *)((char *)law + numbers[i].offset) = member_number(reading, entry, numbers[i].key);
  json_t *coefficients = member_object(reading, entry, "coefficients"), *value;
  const char *name;
  law->coefficients = arena_array(reading->arena, json_object_size(coefficients) + 1, sizeof *law->coefficients);
  const json_t *status = member_object(reading, entry, "status");  // older documents have none
  json_object_foreach(coefficients, name, value) law->coefficients[law->coefficient_count++] =
      (struct law_estimate){arena_string(reading->arena, name), member_number(reading, coefficients, name),
                            fit_read_status_named(reading, status, name)};
  law->warnings = member_texts(reading, entry, "warnings", &law->warning_count);
}

static void read_kinds(struct comparison *comparison, const struct reading *reading, const json_t *root) {
  const char *objective = member_text(reading, root, "objective_kind", ""),
             *residual = member_text(reading, root, "residual_kind", ""),
             *held_out_by = member_text(reading, root, "held_out_by", "");
  struct error unknown = {0};
  if (!objective_parse(objective, &comparison->objective, &unknown))
    reading_damaged(reading, "objective_kind", "objective");
  if (!residual_parse(residual, &comparison->residual, &unknown)) reading_damaged(reading, "residual_kind", "residual");
  comparison->holdout = strcmp(held_out_by, "holdout") == 0;
  comparison->errors_absolute = strcmp(member_text(reading, root, "errors", "relative"), "absolute") == 0;
}

bool comparison_read(struct comparison *comparison, const json_t *root, struct error *error) {
  *comparison = (struct comparison){0};
  const struct reading reading = {&comparison->arena, error};
  comparison->source = member_text(&reading, root, "source", "");
  comparison->target = member_text(&reading, root, "predicts", "loss");
  comparison->rows = (size_t)member_count(&reading, root, "rows");
  comparison->duplicates = (size_t)member_count(&reading, root, "duplicates");
  comparison->groups = (size_t)member_count(&reading, root, "groups");
  comparison->held_out = (size_t)member_count(&reading, root, "held_out");
  comparison->folds = member_whole(&reading, root, "folds");
  read_kinds(comparison, &reading, root);
  const json_t *laws = member_objects(&reading, root, "laws", &comparison->count);
  if (!comparison->count) reading_damaged(&reading, "laws", "list of laws");
  comparison->laws = arena_array(&comparison->arena, comparison->count + 1, sizeof *comparison->laws);
  for (size_t l = 0; l < comparison->count; l++) read_law(&comparison->laws[l], &reading, json_array_get(laws, l));
  comparison->warnings = member_texts(&reading, root, "warnings", &comparison->warning_count);
  return !error->code;
}

void comparison_free(struct comparison *comparison) {
  arena_free(&comparison->arena);
  *comparison = (struct comparison){0};
}
