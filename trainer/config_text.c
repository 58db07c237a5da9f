// Configurations as text: canonical form, identity, a run's config.json. See config.h.
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "trainer/config.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/tasks/task.h"

bool config_has(const struct run_config *config, const struct run_field *field) {
  return field->own || field->groups & GROUP_ALL_TASKS || !task_of(config);
}

// Some knobs mean nothing under others: they must not split identities.
bool config_counts(const struct run_config *config, const struct run_field *field) {
  // Of another task what is given counts, so that fields may be added to it.
  if (task_of(config))
    return field->effect == EFFECT_COUNTS && config_has(config, field) &&
           (!field->own || !config_is_default(config, field));
  const char *stage = field->stage ? field->stage : "", *own = config->stage ? config->stage : "";
  bool root = strcmp(own, ROOT_STAGE) == 0 && field->groups & GROUP_ROOT;
  return field->effect == EFFECT_COUNTS && (root || strcmp(stage, own) == 0) &&
         (!field->counts_when || field->counts_when(config)) && optimizer_reads(config, field);
}

const char *field_text(const struct run_field *field, struct value value, char number[32]) {
  switch (value.kind) {
    case VALUE_MISSING:
      return "auto";
    case VALUE_TEXT:
      return value.text;
    case VALUE_BOOLEAN:
      return value.number != 0 ? "true" : "false";
    case VALUE_NUMBER:
      break;
  }
  if (field->type == FIELD_INTEGER)
    snprintf(number, 32, "%" PRId64, (int64_t)value.number);
  else
    number_shortest(value.number, number);
  return number;
}

void field_json(struct json_writer *json, const struct run_field *field, struct value value) {
  char number[32];
  if (value.kind == VALUE_BOOLEAN)
    json_put_boolean(json, value.number != 0);
  else if (value.kind == VALUE_NUMBER && field->type == FIELD_INTEGER)
    json_put_integer(json, (int64_t)value.number);
  else if (value.kind == VALUE_NUMBER)
    json_put_number(json, value.number);
  else
    json_put_string(json, field_text(field, value, number));
}

// `identity`: formats by the names that ids count (format_identity).
static void put_canonical(const struct run_config *resolved, bool identity, struct text *out) {
  struct json_writer json = json_writer(out, false);
  struct arena arena = {0};
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!config_counts(resolved, field)) continue;
    json_key(&json, field->path);
    if (field->groups & GROUP_FORMAT) {
      const char *spelling = config_format_spelling(resolved, field, &arena);
      json_put_string(&json, identity ? format_identity(spelling, &arena) : spelling);
    } else {
      field_json(&json, field, field_get(resolved, field));
    }
  }
  for (size_t i = 0; i < resolved->own.count; i++) {
    const struct run_field *field = &resolved->own.fields[i];
    if (!config_counts(resolved, field)) continue;
    json_key(&json, field->path);
    field_json(&json, field, field_get(resolved, field));
  }
  json_object_end(&json);
  arena_free(&arena);
}

void config_canonical(const struct run_config *resolved, struct text *out) { put_canonical(resolved, false, out); }

// Added for runs whose schedule is wsd, raised alone when only their losses change (100: the last update's rate is not
// 0).
enum { TRAINER_WSD_VERSION = 100 };

// Added for runs whose format takes scales of whole operands, or axes of tokens, by sequences (format_by_sequences),
// raised alone when only their losses change (1000: micro-batches are cut by sequences).
enum { TRAINER_SEQUENCES_VERSION = 1000 };

// Added for runs too short for 20 prunings at their schedule's interval (format_shortens_interval), raised alone when
// only their losses change (10000: intervals shrink with the run).
enum { TRAINER_PRUNING_VERSION = 10000 };

// Added for runs by trion, raised alone when only their losses change (100000: it orthogonalizes in the directions that
// it keeps, not at the matrix's size).
enum { TRAINER_TRION_VERSION = 100000 };

static int version_of(const char *dtype, const char *schedule, const char *optimizer, const struct format *format,
                      int64_t context, int64_t steps) {
  return (dtype && strcmp(dtype, "bfloat16") == 0 ? TRAINER_BFLOAT16_VERSION : TRAINER_SEMANTIC_VERSION) +
         (schedule && strcmp(schedule, "wsd") == 0 ? TRAINER_WSD_VERSION : 0) +
         (optimizer && strcmp(optimizer, "trion") == 0 ? TRAINER_TRION_VERSION : 0) +
         (format_by_sequences(format, context) ? TRAINER_SEQUENCES_VERSION : 0) +
         (format_shortens_interval(format, steps - format_begins(format, steps)) ? TRAINER_PRUNING_VERSION : 0);
}

// Added to what a run's file says, not to what ids count, where the name of its format was another format's before:
// such a file of before is not taken for one of now (1000000: quartet is the published recipe, what it was is
// quartet-rtn).
enum { FILE_RENAMED_VERSION = 1000000 };

static int renamed_version(const char *format) {
  struct arena arena = {0};
  bool renamed = strcmp(format_identity(format, &arena), format) != 0;
  arena_free(&arena);
  return renamed ? FILE_RENAMED_VERSION : 0;
}

static int file_version(const struct run_config *config) {
  struct arena arena = {0};
  int version = config_version(config) + renamed_version(config_format_name(config, &arena));
  arena_free(&arena);
  return version;
}

int config_version(const struct run_config *resolved) {
  const struct task *task = task_of(resolved);
  if (task) return task->version;
  struct arena arena = {0};
  int version = version_of(resolved->model.dtype, resolved->train.schedule, resolved->train.optimizer,
                           config_format(resolved, &arena), resolved->model.context, resolved->train.steps);
  arena_free(&arena);
  return version;
}

// Of the "config" of a run's file; a format that this trainer does not know changes nothing.
static int version_of_file(const json_t *config) {
  struct arena arena = {0};
  struct error unknown = {0};
  const char *text = json_string_value(json_object_get(config, "format")),
             *task = json_string_value(json_object_get(config, "task"));
  if (task && task_find(task)) return task_find(task)->version;
  const json_t *context = json_object_get(config, "model.context"), *steps = json_object_get(config, "train.steps");
  int version = version_of(json_string_value(json_object_get(config, "model.dtype")),
                           json_string_value(json_object_get(config, "train.schedule")),
                           json_string_value(json_object_get(config, "train.optimizer")),
                           text ? format_read(text, &arena, &unknown) : NULL,
                           json_is_number(context) ? (int64_t)json_number_value(context) : 0,
                           json_is_number(steps) ? (int64_t)json_number_value(steps) : 0);
  if (text) version += renamed_version(format_canonical(text, &arena));
  arena_free(&arena);
  return version;
}

struct digest config_identity(const struct run_config *resolved, const char *corpus_digest, const char *stage,
                              const char *parent_id) {
  struct text text = {0};
  text_format(&text, "isoloss-run %d\n%s\n%s\n%s\n", config_version(resolved), stage, parent_id, corpus_digest);
  put_canonical(resolved, true, &text);
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return digest;
}

// ---- a run's config.json ----

static void put_trunk(struct json_writer *json, const struct run_file *file) {
  if (file->trunk[0]) json_key_string(json, "trunk", file->trunk);
  if (!file->branch_count) return;
  json_key(json, "branches");
  json_array_begin(json);
  for (size_t i = 0; i < file->branch_count; i++) {
    json_object_begin(json);
    json_key_string(json, "id", file->branches[i].id);
    json_key_integer(json, "step", file->branches[i].step);
    json_key_integer(json, "steps", file->branches[i].steps);
    json_object_end(json);
  }
  json_array_end(json);
}

void config_speed_settings(const struct run_config *resolved, struct text *out) {
  char number[32];
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (!(field->groups & GROUP_SPEED) || config_is_default(resolved, field) || !optimizer_reads(resolved, field) ||
        (field->counts_when && !field->counts_when(resolved)))
      continue;
    text_format(out, "%s%s=%s", out->length ? " " : "", field->path,
                field_text(field, field_get(resolved, field), number));
  }
}

void run_file_write(const struct run_file *file, struct text *out) {
  struct json_writer json = json_writer(out, true);
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_trainer", file_version(&file->config));
  json_key_string(&json, "id", file->id);
  if (file->config.stage) {
    json_key_string(&json, "stage", file->config.stage);
    json_key_string(&json, "parent", file->parent);
  }
  put_trunk(&json, file);
  if (file->spent_more) json_key_boolean(&json, "spent_more", true);
  json_key(&json, "corpus");
  json_object_begin(&json);
  json_key_string(&json, "path", file->corpus_path);
  json_key_string(&json, "digest", file->corpus_digest);
  json_object_end(&json);
  json_key(&json, "config");
  json_object_begin(&json);
  for (size_t i = 0; i < run_field_count; i++) {
    struct value value = field_get(&file->config, &run_fields[i]);
    if (!config_has(&file->config, &run_fields[i])) continue;
    if (run_fields[i].stage && !file->config.stage && config_is_default(&file->config, &run_fields[i])) continue;
    if (value.kind == VALUE_MISSING && !run_fields[i].auto_allowed) continue;  // of a model trained elsewhere
    json_key(&json, run_fields[i].path);
    field_json(&json, &run_fields[i], value);
  }
  for (size_t i = 0; i < file->config.own.count; i++) {
    const struct run_field *field = &file->config.own.fields[i];
    json_key(&json, field->path);
    field_json(&json, field, field_get(&file->config, field));
  }
  json_object_end(&json);
  json_object_end(&json);
}

static bool read_field(struct arena *arena, struct run_config *config, const char *key, json_t *value,
                       struct error *error) {
  const char *nearest;
  const struct run_field *field = field_find(key, &nearest);
  bool fine = false;
  for (size_t i = 0; i < config->own.count && !field; i++)
    if (strcmp(config->own.fields[i].path, key) == 0) field = &config->own.fields[i];
  if (!field) {
    error_set(error, EXIT_USAGE_ERROR, "unknown field '%.100s'", key);
    return error_hint(error, nearest, NULL);
  }
  if (json_is_string(value))
    fine = config_set(config, field, json_string_value(value), arena, error);
  else if (json_is_boolean(value))
    fine = config_set_boolean(config, field, json_boolean_value(value), error);
  else if (json_is_integer(value) &&
           (json_integer_value(value) > 1LL << 53 || json_integer_value(value) < -(1LL << 53)))
    fine = error_set(error, EXIT_USAGE_ERROR, "must be a number of at most 2^53, not %lld",
                     (long long)json_integer_value(value));
  else if (json_is_number(value))
    fine = config_set_number(config, field, json_number_value(value), error);
  else
    return error_set(error, EXIT_USAGE_ERROR, "field '%s' is not a plain value", key);
  return fine || error_subject(error, "%s", key);
}

// `nulls`: what is null stays at its default.
static bool read_fields(struct arena *arena, struct run_config *config, json_t *fields, bool nulls,
                        struct error *error) {
  const char *key, *name = json_string_value(json_object_get(fields, "task"));
  json_t *value;
  const struct task *task = name ? task_find(name) : NULL;  // first: it says which fields there are
  if (task) task_give(config, task, task_fields(task, arena));
  json_object_foreach(fields, key, value) {
    if (nulls && json_is_null(value)) continue;
    if (nulls && strcmp(key, "results") == 0) continue;
    if (nulls && task && strcmp(key, "own") == 0) {
      if (!read_fields(arena, config, value, nulls, error)) return false;
      continue;
    }
    if (!read_field(arena, config, key, value, error)) return false;
  }
  return true;
}

bool config_read(struct arena *arena, const char *text, struct run_config *config, struct error *error) {
  json_error_t problem;
  char words[160];
  config_default(config);
  json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
  bool fine = json_is_object(root) ? read_fields(arena, config, root, true, error)
                                   : error_set(error, EXIT_USAGE_ERROR, "no JSON object of a run's fields: %s",
                                               root ? "it is something else" : json_problem(problem.text, words));
  json_decref(root);
  return fine;
}

static bool is_run_id(const char *id) {
  return id && strlen(id) == DIGEST_LENGTH && strspn(id, "0123456789abcdef") == DIGEST_LENGTH;
}

// "trunk" and "branches" of a run's file.
static bool read_trunk(struct arena *arena, const char *path, json_t *root, struct run_file *file,
                       struct error *error) {
  json_t *trunk = json_object_get(root, "trunk"), *branches = json_object_get(root, "branches"), *value;
  size_t i;
  if (trunk && !is_run_id(json_string_value(trunk)))
    return error_set(error, EXIT_USAGE_ERROR, "%s: trunk is no id of a run", path);
  if (trunk) memcpy(file->trunk, json_string_value(trunk), DIGEST_LENGTH);
  if (!branches) return true;
  struct run_branch *read = arena_array(arena, json_array_size(branches), sizeof *read);
  json_array_foreach(branches, i, value) {
    const char *id = json_string_value(json_object_get(value, "id"));
    read[i].step = json_integer_value(json_object_get(value, "step"));
    read[i].steps = json_integer_value(json_object_get(value, "steps"));
    if (!is_run_id(id) || read[i].step < 1 || read[i].steps < read[i].step || read[i].steps > 1LL << 53) break;
    memcpy(read[i].id, id, DIGEST_LENGTH);
    file->branch_count++;
  }
  file->branches = read;
  return (json_is_array(branches) && file->branch_count == json_array_size(branches)) ||
         error_set(error, EXIT_USAGE_ERROR, "%s: branches: each needs the id of a run, and 1 <= step <= steps", path);
}

bool run_file_read(struct arena *arena, const char *path, struct run_file *file, struct error *error) {
  json_error_t problem;
  memset(file, 0, sizeof *file);
  config_default(&file->config);
  size_t length;
  char words[160];
  const char *bytes = file_read(arena, path, &length, error);
  if (!bytes) return false;
  json_t *root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &problem);
  if (!root)
    return error_set(error, EXIT_USAGE_ERROR, "%s:%d:%d: no JSON, as a run's config.json is: %s", path, problem.line,
                     problem.column, json_problem(problem.text, words));
  bool fine = false;
  json_t *version = json_object_get(root, "isoloss_trainer"), *corpus = json_object_get(root, "corpus"),
         *config = json_object_get(root, "config");
  const char *id = json_string_value(json_object_get(root, "id"));
  const char *digest = json_string_value(json_object_get(corpus, "digest"));
  const char *corpus_path = json_string_value(json_object_get(corpus, "path"));
  const char *stage = json_string_value(json_object_get(root, "stage"));
  const char *parent = json_string_value(json_object_get(root, "parent"));
  int expected = version_of_file(config);
  if (!json_is_integer(version) || !json_is_object(corpus) || !json_is_object(config) || !id || !digest ||
      !corpus_path) {
    error_set(error, EXIT_USAGE_ERROR,
              "%s: not a run's config.json (isoloss_trainer, id, corpus and config are needed)", path);
  } else if (json_integer_value(version) != expected) {
    error_set(error, EXIT_USAGE_ERROR, "%s: made for trainer version %" JSON_INTEGER_FORMAT ", this is version %d",
              path, json_integer_value(version), expected);
    if (expected - json_integer_value(version) == FILE_RENAMED_VERSION)
      error_add(error,
                " (quartet is the published recipe now, with stochastic gradients; what it was is quartet-rtn: "
                "`isoloss run` writes the file anew)");
  } else if (strlen(id) >= sizeof file->id || strlen(digest) >= sizeof file->corpus_digest) {
    error_set(error, EXIT_USAGE_ERROR, "%s: id or corpus digest too long", path);
  } else if (stage && (!parent || ((*parent || strcmp(stage, ROOT_STAGE) != 0) && !is_run_id(parent)))) {
    error_set(error, EXIT_USAGE_ERROR, "%s: stage '%s' needs the id of its parent", path, stage);
  } else {
    if (stage) {
      file->config.stage = arena_string(arena, stage);
      memcpy(file->parent, parent, strlen(parent));
    }
    snprintf(file->id, sizeof file->id, "%s", id);
    snprintf(file->corpus_digest, sizeof file->corpus_digest, "%s", digest);
    file->corpus_path = arena_string(arena, corpus_path);
    file->spent_more = json_is_true(json_object_get(root, "spent_more"));
    fine = read_trunk(arena, path, root, file, error) &&
           (read_fields(arena, &file->config, config, false, error) || error_context(error, "%s", path));
  }
  json_decref(root);
  return fine;
}
