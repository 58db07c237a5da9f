// Configurations: setting, resolving, counting, canonical form, identity. The table itself is config_fields.c.
#include "trainer/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "kernels/ops.h"

const struct run_field *field_find(const char *path, const char **nearest) {
  if (nearest) *nearest = NULL;
  for (size_t i = 0; i < run_field_count; i++)
    if (strcmp(run_fields[i].path, path) == 0) return &run_fields[i];
  if (nearest) {
    const char *paths[256];
    size_t count = 0;
    for (size_t i = 0; i < run_field_count && count < 256; i++) paths[count++] = run_fields[i].path;
    *nearest = nearest_name(path, paths, count);
  }
  return NULL;
}

static void *place(const struct run_config *config, const struct run_field *field) {
  return (char *)(uintptr_t)config + field->offset;
}

static const char *type_name(const struct run_field *field) {
  switch (field->type) {
    case FIELD_INTEGER:
      return "a whole number";
    case FIELD_NUMBER:
      return "a number";
    case FIELD_BOOLEAN:
      return "true or false";
    default:
      return "text";
  }
}

static bool in_range(const struct run_field *field, double value, struct error *error) {
  char low[32], high[32];
  if (field->low == 0 && field->high == 0) return true;
  if (value >= field->low && value <= field->high) return true;
  number_shortest(field->low, low);
  number_shortest(field->high, high);
  return error_set(error, EXIT_USAGE_ERROR, "must be between %s and %s", low, high);
}

// The spelling of a choice that the table holds, or NULL.
static const char *choice_of(const struct run_field *field, const char *text, struct arena *arena) {
  const char *from = field->choices;
  size_t length = strlen(text);
  while (*from) {
    size_t size = strcspn(from, "|");
    if (size == length && strncmp(from, text, size) == 0) return arena_copy(arena, from, size);
    from += size + (from[size] == '|');
  }
  return NULL;
}

static bool wrong_choice(const struct run_field *field, const char *text, struct error *error) {
  struct text list = {0};
  const char *names[16];
  char copy[256];
  size_t count = 0;
  snprintf(copy, sizeof copy, "%s", field->choices);
  for (char *save, *word = strtok_r(copy, "|", &save); word && count < 16; word = strtok_r(NULL, "|", &save)) {
    text_format(&list, "%s%s", count ? ", " : "", word);
    names[count++] = word;
  }
  const char *near = nearest_name(text, names, count);
  error_set(error, EXIT_USAGE_ERROR, "must be one of %s%s%s%s", text_string(&list), near ? "; did you mean '" : "",
            near ? near : "", near ? "'?" : "");
  text_free(&list);
  return false;
}

bool config_set(struct run_config *config, const struct run_field *field, const char *text, struct arena *arena,
                struct error *error) {
  void *target = place(config, field);
  if (field->auto_allowed && strcmp(text, "auto") == 0) {
    if (field->type == FIELD_INTEGER)
      *(int64_t *)target = AUTO_INTEGER;
    else
      *(double *)target = NAN;
    return true;
  }
  switch (field->type) {
    case FIELD_INTEGER: {
      int64_t value;
      if (!integer_parse(text, &value))
        return error_set(error, EXIT_USAGE_ERROR, "must be a whole number%s, not '%s'",
                         field->auto_allowed ? " or auto" : "", text);
      if (!in_range(field, (double)value, error)) return false;
      *(int64_t *)target = value;
      return true;
    }
    case FIELD_NUMBER: {
      double value;
      if (!number_parse(text, &value) || !isfinite(value))
        return error_set(error, EXIT_USAGE_ERROR, "must be a number%s, not '%s'", field->auto_allowed ? " or auto" : "",
                         text);
      if (!in_range(field, value, error)) return false;
      *(double *)target = value;
      return true;
    }
    case FIELD_BOOLEAN:
      if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
        return error_set(error, EXIT_USAGE_ERROR, "must be true or false, not '%s'", text);
      *(bool *)target = text[0] == 't';
      return true;
    case FIELD_CHOICE: {
      const char *choice = choice_of(field, text, arena);
      if (!choice) return wrong_choice(field, text, error);
      *(const char **)target = choice;
      return true;
    }
    case FIELD_TEXT:
    case FIELD_LIST:
      *(const char **)target = arena_string(arena, text);
      if (target == &config->format) config->parsed_format = NULL;
      return true;
  }
  return false;
}

bool config_set_number(struct run_config *config, const struct run_field *field, double value, struct error *error) {
  if (field->type == FIELD_NUMBER) {
    if (!isfinite(value)) return error_set(error, EXIT_USAGE_ERROR, "must be a finite number");
    if (!in_range(field, value, error)) return false;
    *(double *)place(config, field) = value;
    return true;
  }
  if (field->type == FIELD_INTEGER) {
    // Expressions of a spec give doubles: 64 * 1.5 is fine, 64 / 3 is not a width.
    double whole = nearbyint(value);
    if (!isfinite(value) || fabs(value - whole) > 1e-9 * fmax(1, fabs(whole)) || fabs(whole) > 9.007199254740992e15) {
      char number[32];
      number_shortest(value, number);
      return error_set(error, EXIT_USAGE_ERROR, "must be a whole number, not %s (round() makes one)", number);
    }
    if (!in_range(field, whole, error)) return false;
    *(int64_t *)place(config, field) = (int64_t)whole;
    return true;
  }
  return error_set(error, EXIT_USAGE_ERROR, "must be %s, not a number", type_name(field));
}

struct value config_get(const struct run_config *config, const struct run_field *field) {
  const void *from = place(config, field);
  struct value value = {.kind = VALUE_MISSING};
  switch (field->type) {
    case FIELD_INTEGER:
      if (*(const int64_t *)from != AUTO_INTEGER)
        value = (struct value){.kind = VALUE_NUMBER, .number = (double)*(const int64_t *)from};
      break;
    case FIELD_NUMBER:
      if (!isnan(*(const double *)from)) value = (struct value){.kind = VALUE_NUMBER, .number = *(const double *)from};
      break;
    case FIELD_BOOLEAN:
      value = (struct value){.kind = VALUE_BOOLEAN, .number = *(const bool *)from};
      break;
    default:
      value = (struct value){.kind = VALUE_TEXT, .text = *(const char *const *)from};
  }
  return value;
}

// Defaults that are text point at the table's own strings.
void config_default(struct run_config *config) {
  memset(config, 0, sizeof *config);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    struct error ignored = {0};
    if (field->type >= FIELD_CHOICE)
      *(const char **)place(config, field) = field->fallback;
    else
      config_set(config, field, field->fallback, NULL, &ignored);
  }
}

bool config_is_default(const struct run_config *config, const struct run_field *field) {
  struct run_config fresh;
  config_default(&fresh);
  struct value a = config_get(config, field), b = config_get(&fresh, field);
  if (a.kind != b.kind) return false;
  return a.kind == VALUE_TEXT ? strcmp(a.text, b.text) == 0 : a.kind == VALUE_MISSING || a.number == b.number;
}

// ---------- resolving ----------

static int64_t vocabulary_of(const struct run_config *config, const struct corpus_facts *facts) {
  if (facts->known) return facts->vocabulary;
  if (strcmp(config->corpus.tokenizer, "bytes") == 0) return 257;  // 256 bytes and the end of a document
  if (config->corpus.vocabulary != AUTO_INTEGER) return config->corpus.vocabulary;
  return strcmp(config->corpus.tokenizer, "sentencepiece") == 0 ? 4096 : 0;
}

static bool device_known(const char *device) {
  if (strcmp(device, "auto") == 0 || strcmp(device, "cpu") == 0 || strcmp(device, "cuda") == 0) return true;
  if (!starts_with(device, "cuda:") || !device[5]) return false;
  for (const char *c = device + 5; *c; c++)
    if (!isdigit((unsigned char)*c)) return false;
  return true;
}

static bool resolve_model(struct run_config *config, const struct corpus_facts *facts, const char *resolved_dtype,
                          struct error *error) {
  int64_t width = config->model.width;
  if (!device_known(config->model.device))
    return error_set(error, EXIT_USAGE_ERROR, "model.device must be auto, cpu, cuda or cuda:N, not '%s'",
                     config->model.device);
  if (width % 16) return error_set(error, EXIT_USAGE_ERROR, "model.width %" PRId64 " is not a multiple of 16", width);
  if (config->model.head_dim == AUTO_INTEGER) {
    if (config->model.heads != AUTO_INTEGER)
      config->model.head_dim = width / config->model.heads;
    else
      config->model.head_dim = width % 64 == 0 ? 64 : width % 32 == 0 ? 32 : 16;
  }
  if (config->model.heads == AUTO_INTEGER) {
    if (width % config->model.head_dim)
      return error_set(error, EXIT_USAGE_ERROR, "model.head_dim %" PRId64 " does not divide model.width %" PRId64,
                       config->model.head_dim, width);
    config->model.heads = width / config->model.head_dim;
  }
  if (config->model.head_dim < 2 || config->model.head_dim % 2)
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.head_dim %" PRId64 " is not an even number of at least 2 (rotary positions turn pairs)",
                     config->model.head_dim);
  if (config->model.kv_heads == AUTO_INTEGER) config->model.kv_heads = config->model.heads;
  if (config->model.heads % config->model.kv_heads)
    return error_set(error, EXIT_USAGE_ERROR, "model.kv_heads %" PRId64 " does not divide model.heads %" PRId64,
                     config->model.kv_heads, config->model.heads);
  if (config->model.mlp_width == AUTO_INTEGER) config->model.mlp_width = (width * 8 / 3 + 31) / 32 * 32;
  if (config->model.vocabulary == AUTO_INTEGER) {
    config->model.vocabulary = vocabulary_of(config, facts);
    if (config->model.vocabulary == 0)
      return error_set(error, EXIT_USAGE_ERROR,
                       "model.vocabulary is not known before the corpus is prepared: give corpus.vocabulary");
  } else if (facts->known && config->model.vocabulary < facts->vocabulary) {
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.vocabulary %" PRId64 " is smaller than the tokenizer's vocabulary %" PRId64,
                     config->model.vocabulary, facts->vocabulary);
  }
  if (strcmp(config->model.dtype, "auto") == 0)
    config->model.dtype =
        strcmp(config->train.master_weights, "bfloat16") == 0 || strcmp(resolved_dtype, "bfloat16") == 0 ? "bfloat16"
                                                                                                         : "float32";
  if (strcmp(config->train.master_weights, "float32") != 0 &&
      strcmp(config->train.master_weights, config->model.dtype) != 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.master_weights %s goes with model.dtype %s or auto, not %s: products would be wider than "
                     "what is kept",
                     config->train.master_weights, config->train.master_weights, config->model.dtype);
  return true;
}

bool config_parse_format(struct run_config *config, struct arena *arena, struct error *error) {
  config->parsed_format = NULL;
  if (strcmp(config->format, "none") == 0) return true;
  const struct format *format = format_parse(config->format, arena, error);
  if (!format) return false;
  config->parsed_format = format_is_none(format) ? NULL : format;
  return true;
}

// The format of a configuration: as it was parsed before, or into the arena (which takes time). NULL for none, and for
// one of somebody else's trainer, which prunes what we cannot know.
static const struct format *format_of(const struct run_config *c, struct arena *arena) {
  struct error error = {0};
  struct run_config parsed = *c;
  if (parsed.parsed_format || config_parse_format(&parsed, arena, &error)) return parsed.parsed_format;
  return NULL;
}

// Whether the format's blocks and groups divide the axes they lie on. What this trainer does not know is not checked.
static bool format_fits(const struct run_config *c, struct error *error) {
  struct arena arena = {0};
  const struct format *format = format_of(c, &arena);
  bool fine = true;
  if (format) {
    int64_t width = c->model.width, hidden = c->model.mlp_width, query = c->model.heads * c->model.head_dim;
    int64_t qkv = query + 2 * c->model.kv_heads * c->model.head_dim,
            rows = c->train.batch_tokens / c->train.accumulation;
    const struct {
      const char *name;
      unsigned layer;
      int64_t outputs, inputs;
    } matrices[] = {{"query, key and value", LAYER_QKV, qkv, width},
                    {"attention output", LAYER_OUTPUT, width, query},
                    {"gate and up", LAYER_GATE_UP, 2 * hidden, width},
                    {"down", LAYER_DOWN, width, hidden}};
    for (int i = 0; i < 4 && fine; i++)
      if (format->layers & matrices[i].layer &&
          !format_check_shape(format, matrices[i].outputs, matrices[i].inputs, rows, error))
        fine = error_context(error, "format %s does not fit the %s matrix", format->name, matrices[i].name);
  }
  arena_free(&arena);
  return fine;
}

bool config_resolve(struct run_config *config, const struct corpus_facts *facts, const char *resolved_dtype,
                    struct error *error) {
  if (!resolve_model(config, facts, resolved_dtype, error)) return false;
  int64_t batch = config->train.batch_tokens, context = config->model.context;
  if (batch % context)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.batch_tokens %" PRId64 " is not a multiple of model.context %" PRId64, batch, context);
  if (batch / context % config->train.accumulation)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.accumulation %" PRId64 " does not divide the batch of %" PRId64 " sequences",
                     config->train.accumulation, batch / context);
  bool tokens = config->train.tokens != AUTO_INTEGER, steps = config->train.steps != AUTO_INTEGER,
       ratio = !isnan(config->train.tokens_per_parameter);
  if (tokens + steps + ratio > 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "train.tokens, train.steps and train.tokens_per_parameter say the same thing: give one of them");
  if (!steps) {
    double wanted = (double)config->train.tokens;
    if (!tokens) {
      double per_parameter = ratio ? config->train.tokens_per_parameter : 20;
      wanted = per_parameter * (double)config_parameters(config).non_embedding;
    }
    if (wanted / (double)batch > 1e12) return error_set(error, EXIT_USAGE_ERROR, "more than 1e12 steps");
    config->train.steps = (int64_t)(wanted / (double)batch);
    if (config->train.steps < 1) config->train.steps = 1;
  }
  if ((double)config->train.steps * (double)batch > 9e15)
    return error_set(error, EXIT_USAGE_ERROR, "more than 9e15 training tokens");
  config->train.tokens = config->train.steps * batch;
  config->train.tokens_per_parameter = (double)config->train.tokens / (double)config_parameters(config).non_embedding;
  if (config->train.warmup_steps == AUTO_INTEGER)
    config->train.warmup_steps = (int64_t)(config->train.warmup_fraction * (double)config->train.steps);
  if (config->train.warmup_steps > config->train.steps)
    return error_set(error, EXIT_USAGE_ERROR, "train.warmup_steps %" PRId64 " is more than the run's %" PRId64 " steps",
                     config->train.warmup_steps, config->train.steps);
  return format_fits(config, error);
}

// ---------- counting ----------

// Of one block.
static int64_t learned_scales(const struct run_config *c) {
  const struct format *format = c->parsed_format;
  struct arena arena = {0};
  struct error error = {0};
  // Only these words ask for them: other formats need not be parsed to be counted.
  bool maybe = strstr(c->format, "lsq") || strstr(c->format, "learned");
  if (!format && maybe) format = format_parse(c->format, &arena, &error);
  int64_t count = format_has_learned_scales(format) ? 4 * LEARNED_SCALES : 0;
  arena_free(&arena);
  return count;
}

struct parameter_counts config_parameters(const struct run_config *c) {
  int64_t d = c->model.width, layers = c->model.layers;
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  struct parameter_counts p = {0};
  p.embedding = c->model.vocabulary * d;
  p.head = c->model.tied_head ? 0 : c->model.vocabulary * d;
  p.attention = layers * (d * query + 2 * d * key + query * d);
  p.mlp = layers * 3 * d * c->model.mlp_width;
  p.norms = (2 * layers + 1) * d;
  p.prunable = p.attention + p.mlp;
  p.non_embedding = p.prunable + p.norms;
  p.scales = layers * learned_scales(c);
  p.total = p.non_embedding + p.embedding + p.head + p.scales;
  return p;
}

// FLOPs of one training token, per operation: a multiply-add is 2; forward once, backward twice. Linear layers and the
// vocabulary matrix by their weights; attention by the (T + 1) / 2 keys a causal query sees on average, scores and
// weighted values. Norms, activations, softmax and the optimizer are left out (they are no matrix products).
static double flops_per_token(const struct run_config *c, double prunable) {
  double attention =
      2.0 * 2.0 * (double)(c->model.layers * c->model.heads * c->model.head_dim) * ((double)c->model.context + 1) / 2;
  double forward = 2.0 * prunable + attention + 2.0 * (double)(c->model.vocabulary * c->model.width);
  return 3 * forward;
}

// The weights that a format applies to.
static double formatted_parameters(const struct run_config *c, const struct format *format) {
  int64_t d = c->model.width, layers = c->model.layers;
  int64_t query = c->model.heads * c->model.head_dim, key = c->model.kv_heads * c->model.head_dim;
  int64_t count = 0;
  if (format->layers & LAYER_QKV) count += d * (query + 2 * key);
  if (format->layers & LAYER_OUTPUT) count += d * query;
  if (format->layers & LAYER_GATE_UP) count += 2 * d * c->model.mlp_width;
  if (format->layers & LAYER_DOWN) count += d * c->model.mlp_width;
  return (double)(layers * count);
}

// Pruned parameters during a step (step below 0: mean over the training).
static double pruned_parameters(const struct run_config *c, const struct format *format, int64_t step) {
  if (!format) return 0;
  double density =
      step < 0 ? format_average_density(format, c->train.steps) : format_density(format, step, c->train.steps);
  return (1 - density) * formatted_parameters(c, format);
}

double config_active_parameters(const struct run_config *resolved, int64_t step) {
  struct arena arena = {0};
  double pruned = pruned_parameters(resolved, format_of(resolved, &arena), step);
  arena_free(&arena);
  return (double)config_parameters(resolved).non_embedding - pruned;
}

struct run_quantities config_quantities(const struct run_config *c, const struct corpus_facts *facts) {
  struct run_quantities q = {.parameters = config_parameters(c), .steps = c->train.steps, .tokens = c->train.tokens};
  struct arena arena = {0};
  const struct format *format = format_of(c, &arena);
  double pruned = pruned_parameters(c, format, -1);
  q.active_parameters =
      (double)q.parameters.non_embedding - pruned_parameters(c, format, c->train.steps > 0 ? c->train.steps - 1 : 0);
  arena_free(&arena);
  q.average_active_parameters = (double)q.parameters.non_embedding - pruned;
  q.flops_per_token = flops_per_token(c, (double)q.parameters.prunable - pruned);
  q.flops = q.flops_per_token * (double)q.tokens;
  q.flops_6nd = 6.0 * (double)q.parameters.non_embedding * (double)q.tokens;
  q.epochs = !facts->known                      ? NAN
             : facts->train_tokens == INT64_MAX ? 0
             : facts->train_tokens > 0          ? (double)q.tokens / (double)facts->train_tokens
                                                : INFINITY;
  q.tokens_per_parameter = (double)q.tokens / (double)q.parameters.non_embedding;
  return q;
}

// ---------- canonical form and identity ----------

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
  const void *from = place(config, field);
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

struct digest config_identity(const struct run_config *resolved, const char *corpus_digest, const char *stage,
                              const char *parent_id) {
  struct text text = {0};
  text_format(&text, "isoloss-run %d\n%s\n%s\n%s\n", TRAINER_SEMANTIC_VERSION, stage, parent_id, corpus_digest);
  config_canonical(resolved, &text);
  struct digest digest = digest_bytes(text.bytes, text.length);
  text_free(&text);
  return digest;
}

// ---------- a run's config.json ----------

void run_file_write(const struct run_file *file, struct text *out) {
  struct json_writer json = json_writer(out, true);
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_trainer", TRAINER_SEMANTIC_VERSION);
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
  if (!json_is_integer(version) || !json_is_object(corpus) || !json_is_object(config) || !id || !digest ||
      !corpus_path) {
    error_set(error, EXIT_USAGE_ERROR,
              "%s: not a run's config.json (isoloss_trainer, id, corpus and config are needed)", path);
  } else if (json_integer_value(version) != TRAINER_SEMANTIC_VERSION) {
    error_set(error, EXIT_USAGE_ERROR, "%s: made for trainer version %" JSON_INTEGER_FORMAT ", this is version %d",
              path, json_integer_value(version), TRAINER_SEMANTIC_VERSION);
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
