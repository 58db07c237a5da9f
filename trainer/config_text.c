// Configurations as text: canonical form, identity, a run's config.json. See config.h.
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/config.h"

// Some knobs mean nothing under others: they must not split identities.
bool config_counts(const struct run_config *config, const struct run_field *field) {
  if (!field->affects_result) return false;
  const char *schedule = config->train.schedule;
  if (field->offset == offsetof(struct run_config, train.cooldown_fraction)) return strcmp(schedule, "wsd") == 0;
  if (field->offset == offsetof(struct run_config, train.final_lr_ratio))
    return strcmp(schedule, "wsd") != 0 && strcmp(schedule, "constant") != 0;
  // Left out where they are float32, as before there was a choice: such runs keep their ids.
  bool narrow_state = strcmp(config->train.optimizer_state, "float32") != 0;
  bool narrow_master = strcmp(config->train.master_weights, "float32") != 0;
  if (field->offset == offsetof(struct run_config, train.optimizer_state)) return narrow_state;
  if (field->offset == offsetof(struct run_config, train.master_weights)) return narrow_master;
  if (field->offset == offsetof(struct run_config, train.optimizer_rounding)) return narrow_state || narrow_master;
  return true;
}

static void put_value(struct json_writer *json, const struct run_config *config, const struct run_field *field) {
  const void *from = (const char *)config + field->offset;
  switch (field->type) {
    case FIELD_INTEGER:
      if (*(const int64_t *)from == AUTO_INTEGER)
        json_put_string(json, "auto");
      else
        json_put_integer(json, *(const int64_t *)from);
      break;
    case FIELD_NUMBER:
      if (isnan(*(const double *)from))
        json_put_string(json, "auto");
      else
        json_put_number(json, *(const double *)from);
      break;
    case FIELD_BOOLEAN:
      json_put_boolean(json, *(const bool *)from);
      break;
    default:
      json_put_string(json, *(const char *const *)from);
  }
}

// A format's canonical name, where the built-in trainer knows it: w4a16 and w4 are one run.
static const char *canonical_format(const struct run_config *config, struct arena *arena) {
  struct error error = {0};
  const struct format *format = config->parsed_format;
  if (!format) format = format_parse(config->format, arena, &error);
  return format ? format->name : config->format;
}

void config_canonical(const struct run_config *resolved, struct text *out) {
  struct json_writer json = json_writer(out, false);
  struct arena arena = {0};
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    if (!config_counts(resolved, &run_fields[i])) continue;
    json_key(&json, run_fields[i].path);
    if (run_fields[i].offset == offsetof(struct run_config, format))
      json_put_string(&json, canonical_format(resolved, &arena));
    else
      put_value(&json, resolved, &run_fields[i]);
  }
  json_object_end(&json);
  arena_free(&arena);
}

static int version_of(const char *dtype) {
  return dtype && strcmp(dtype, "bfloat16") == 0 ? TRAINER_BFLOAT16_VERSION : TRAINER_SEMANTIC_VERSION;
}

int config_version(const struct run_config *resolved) { return version_of(resolved->model.dtype); }

struct digest config_identity(const struct run_config *resolved, const char *corpus_digest, const char *stage,
                              const char *parent_id) {
  struct text text = {0};
  text_format(&text, "isoloss-run %d\n%s\n%s\n%s\n", config_version(resolved), stage, parent_id, corpus_digest);
  config_canonical(resolved, &text);
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return digest;
}

// ---- a run's config.json ----

void run_file_write(const struct run_file *file, struct text *out) {
  struct json_writer json = json_writer(out, true);
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_trainer", config_version(&file->config));
  json_key_string(&json, "id", file->id);
  json_key(&json, "corpus");
  json_object_begin(&json);
  json_key_string(&json, "path", file->corpus_path);
  json_key_string(&json, "digest", file->corpus_digest);
  json_object_end(&json);
  json_key(&json, "config");
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    json_key(&json, run_fields[i].path);
    put_value(&json, &file->config, &run_fields[i]);
  }
  json_object_end(&json);
  json_object_end(&json);
}

static bool read_field(struct arena *arena, const char *path, struct run_config *config, const char *key, json_t *value,
                       struct error *error) {
  const char *nearest;
  const struct run_field *field = field_find(key, &nearest);
  if (!field)
    return error_set(error, EXIT_USAGE_ERROR, "%s: unknown field '%s'%s%s%s", path, key,
                     nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
  char number[32];
  const char *text = NULL;
  if (json_is_string(value)) {
    text = json_string_value(value);
  } else if (json_is_boolean(value)) {
    text = json_boolean_value(value) ? "true" : "false";
  } else if (json_is_integer(value)) {
    snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    text = number;
  } else if (json_is_real(value)) {
    number_shortest(json_real_value(value), number);
    text = number;
  }
  struct error inner = {0};
  if (!text) return error_set(error, EXIT_USAGE_ERROR, "%s: field '%s' is not a plain value", path, key);
  if (config_set(config, field, text, arena, &inner)) return true;
  return error_set(error, EXIT_USAGE_ERROR, "%s: %s %s", path, key, inner.text);
}

bool run_file_read(struct arena *arena, const char *path, struct run_file *file, struct error *error) {
  json_error_t problem;
  memset(file, 0, sizeof *file);
  config_default(&file->config);
  json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);
  if (!root) {
    if (problem.line < 0) return error_set(error, EXIT_USAGE_ERROR, "%s: %s", path, problem.text);
    return error_set(error, EXIT_USAGE_ERROR, "%s:%d:%d: %s", path, problem.line, problem.column, problem.text);
  }
  bool fine = false;
  json_t *version = json_object_get(root, "isoloss_trainer"), *corpus = json_object_get(root, "corpus"),
         *config = json_object_get(root, "config");
  const char *id = json_string_value(json_object_get(root, "id"));
  const char *digest = json_string_value(json_object_get(corpus, "digest"));
  const char *corpus_path = json_string_value(json_object_get(corpus, "path"));
  int expected = version_of(json_string_value(json_object_get(config, "model.dtype")));
  if (!json_is_integer(version) || !json_is_object(corpus) || !json_is_object(config) || !id || !digest ||
      !corpus_path) {
    error_set(error, EXIT_USAGE_ERROR,
              "%s: not a run's config.json (isoloss_trainer, id, corpus and config are needed)", path);
  } else if (json_integer_value(version) != expected) {
    error_set(error, EXIT_USAGE_ERROR, "%s: made for trainer version %" JSON_INTEGER_FORMAT ", this is version %d",
              path, json_integer_value(version), expected);
  } else if (strlen(id) >= sizeof file->id || strlen(digest) >= sizeof file->corpus_digest) {
    error_set(error, EXIT_USAGE_ERROR, "%s: id or corpus digest too long", path);
  } else {
    snprintf(file->id, sizeof file->id, "%s", id);
    snprintf(file->corpus_digest, sizeof file->corpus_digest, "%s", digest);
    file->corpus_path = arena_string(arena, corpus_path);
    fine = true;
    const char *key;
    json_t *value;
    json_object_foreach(config, key, value) {
      if (!read_field(arena, path, &file->config, key, value, error)) {
        fine = false;
        break;
      }
    }
  }
  json_decref(root);
  return fine;
}
