// What a folder says of its model. See model_folder.h.
#include "trainer/model_folder.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trainer/hugging_face.h"
#include "trainer/search_budget.h"
#include "trainer/stages/stage.h"
#include "trainer/trainer.h"

// config.json while it is read.
struct description {
  const char *path;  // of the file
  json_t *root;
  struct run_config *config;
  struct arena *arena;
};

static bool refuse(const struct description *d, struct error *error, const char *format, const char *given) {
  error_set(error, EXIT_USAGE_ERROR, format, given);
  return error_context(error, "%s", d->path);
}

static const char *shown(struct arena *arena, const json_t *value) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  const char *kept = arena_format(arena, "%.80s", text ? text : "?");
  free(text);
  return kept;
}

static json_t *get(const struct description *d, const char *key) {
  json_t *value = json_object_get(d->root, key);
  return json_is_null(value) ? NULL : value;
}

// A number of the description into a field. `fallback`: what LlamaConfig takes where nothing is said; NULL: needed.
static bool take(const struct description *d, const json_t *value, const char *key, const char *path,
                 const char *fallback, struct error *error) {
  const struct run_field *field = field_find(path, NULL);
  bool fine;
  if (!value && !fallback) return refuse(d, error, "%s is missing", key);
  if (!value)
    fine = config_set(d->config, field, fallback, d->arena, error);
  else if (json_is_boolean(value))
    fine = config_set_boolean(d->config, field, json_boolean_value(value), error);
  else if (json_is_number(value))
    fine = config_set_number(d->config, field, json_number_value(value), error);
  else
    fine = error_set(error, EXIT_USAGE_ERROR, "must be a number, not %s", shown(d->arena, value));
  return fine || (error_subject(error, "%s", key), error_context(error, "%s", d->path));
}

// ---- what the trainer's model is not ----

static bool check_architecture(const struct description *d, struct error *error) {
  const json_t *names = get(d, "architectures");
  const char *name = json_array_size(names) == 1 ? json_string_value(json_array_get(names, 0)) : NULL;
  if (!name)
    return refuse(d, error, "architectures must be [\"LlamaForCausalLM\"], not %s",
                  names ? shown(d->arena, names) : "missing");
  return strcmp(name, "LlamaForCausalLM") == 0 ||
         refuse(d, error, "the architecture is %s: only LlamaForCausalLM can be taken", name);
}

// Keys that must not be there, or must have the value of a plain Llama.
static bool check_plain(const struct description *d, struct error *error) {
  static const struct {
    const char *key, *plain, *what;
  } all[] = {{"hidden_act", "\"silu\"", "the activation of the MLP"},
             {"attention_bias", "false", "biases of the attention"},
             {"mlp_bias", "false", "biases of the MLP"},
             {"sliding_window", NULL, "a sliding window"},
             {"quantization_config", NULL, "weights that are quantized already"},
             {"partial_rotary_factor", "1.0", "rotary positions of a part of a head"},
             {"attention_multiplier", NULL, "scaled attention"},
             {"residual_multiplier", NULL, "scaled residuals"},
             {"embedding_multiplier", NULL, "scaled embeddings"},
             {"logits_scaling", NULL, "scaled logits"}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    const json_t *value = get(d, all[i].key);
    if (!value) continue;
    const char *text = shown(d->arena, value);
    if (all[i].plain && strcmp(text, all[i].plain) == 0) continue;
    if (all[i].plain && json_is_number(value) && json_number_value(value) == strtod(all[i].plain, NULL)) continue;
    return refuse(d, error, arena_format(d->arena, "%s %%s: %s cannot be represented here", all[i].key, all[i].what),
                  text);
  }
  return true;
}

// Rotary positions: rope_theta and rope_scaling, or (transformers 5) both in rope_parameters.
static bool take_rotary(const struct description *d, struct error *error) {
  const json_t *scaling = get(d, "rope_scaling"), *both = get(d, "rope_parameters"), *theta = get(d, "rope_theta");
  const json_t *const kinds[] = {scaling, both};
  for (size_t i = 0; i < 2; i++) {
    if (!kinds[i]) continue;
    const json_t *type = json_object_get(kinds[i], "rope_type");
    if (!type) type = json_object_get(kinds[i], "type");
    const char *name = json_string_value(type);
    if (!json_is_object(kinds[i]) || (type && (!name || strcmp(name, "default") != 0)) || (!type && i == 0))
      return refuse(d, error, "scaled rotary positions (%s) cannot be represented here", shown(d->arena, kinds[i]));
    const json_t *part = json_object_get(kinds[i], "partial_rotary_factor");
    if (part && json_number_value(part) != 1)
      return refuse(d, error, "rotary positions of a part of a head (%s) cannot be represented here",
                    shown(d->arena, kinds[i]));
  }
  if (json_object_get(both, "rope_theta")) theta = json_object_get(both, "rope_theta");
  return take(d, theta, "rope_theta", "model.rope_theta", "10000", error);
}

// ---- Hugging Face's config.json ----

// Fields of a training that nobody has told us of are not known.
static void forget_training(struct run_config *config) {
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (starts_with(field->path, "train.") && field->type == FIELD_NUMBER)
      field_put(config, field, (struct value){.kind = VALUE_MISSING});
  }
  config_clear_budget(config);
  config->train.warmup_steps = AUTO_INTEGER;
}

static bool take_shape(const struct description *d, struct error *error) {
  const json_t *head_dim = get(d, "head_dim"), *kv_heads = get(d, "num_key_value_heads");
  return take(d, get(d, "vocab_size"), "vocab_size", "model.vocabulary", NULL, error) &&
         take(d, get(d, "hidden_size"), "hidden_size", "model.width", NULL, error) &&
         take(d, get(d, "intermediate_size"), "intermediate_size", "model.mlp_width", NULL, error) &&
         take(d, get(d, "num_hidden_layers"), "num_hidden_layers", "model.layers", NULL, error) &&
         take(d, get(d, "num_attention_heads"), "num_attention_heads", "model.heads", NULL, error) &&
         take(d, kv_heads, "num_key_value_heads", "model.kv_heads", "auto", error) &&
         take(d, head_dim, "head_dim", "model.head_dim", "auto", error) &&
         take(d, get(d, "rms_norm_eps"), "rms_norm_eps", "model.norm_eps", "1e-6", error) &&
         take(d, get(d, "tie_word_embeddings"), "tie_word_embeddings", "model.tied_head", "false", error) &&
         take(d, get(d, "initializer_range"), "initializer_range", "model.init_std", "0.02", error) &&
         take_rotary(d, error);
}

// The longest context; one that no run can have stays open.
static bool take_context(const struct description *d, struct error *error) {
  const json_t *longest = get(d, "max_position_embeddings");
  if (longest && !(json_is_integer(longest) && json_integer_value(longest) > 0))
    return refuse(d, error, "max_position_embeddings must be a whole number above 0, not %s", shown(d->arena, longest));
  d->config->model.context = longest ? json_integer_value(longest) : 2048;
  return true;
}

// Whether the whole fits: what config_resolve finds of any other model's fields.
static bool check_whole(const struct description *d, struct error *error) {
  struct run_config dry = *d->config;
  struct corpus_facts unknown = {0};
  if (dry.model.context > 65536) dry.model.context = 65536;
  dry.train.batch_tokens = dry.model.context;
  dry.train.steps = 1;
  dry.train.tokens = dry.train.warmup_steps = AUTO_INTEGER;
  dry.train.warmup_fraction = 0;
  dry.train.tokens_per_parameter = NAN;
  if (!config_resolve(&dry, &unknown, "float32", error)) return error_context(error, "%s", d->path);
  d->config->model.heads = dry.model.heads;
  d->config->model.kv_heads = dry.model.kv_heads;
  d->config->model.head_dim = dry.model.head_dim;
  return true;
}

// ---- isoloss' own folders ----

// The run's file of an export or a checkpoint; NULL: neither.
static const char *run_file_of(const char *folder, struct arena *arena) {
  const char *exported = path_join(arena, folder, EXPORT_RUN_FILE),
             *run = path_join(arena, folder, "../../config.json");
  if (file_exists(exported)) return exported;
  return file_exists(path_join(arena, folder, STATE_FILE)) && file_exists(run) ? run : NULL;
}

// What both files say of a model. Of a search that made it smaller, shapes are those of its blocks, which differ.
static bool is_same_model(const struct run_config *run, const struct run_config *described, bool smaller,
                          const char *path, struct error *error) {
  static const struct {
    const char *path;
    bool of_blocks;
  } fields[] = {{"model.layers", false},    {"model.width", false},    {"model.vocabulary", false},
                {"model.context", false},   {"model.norm_eps", false}, {"model.rope_theta", false},
                {"model.tied_head", false}, {"model.heads", true},     {"model.kv_heads", true},
                {"model.head_dim", true},   {"model.mlp_width", true}};
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    const struct run_field *field = field_find(fields[i].path, NULL);
    const struct value own = field_get(run, field), other = field_get(described, field);
    if ((smaller && fields[i].of_blocks) || value_equal(own, other)) continue;
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s is of another model than config.json next to the weights: %s is %.15g there, %.15g here", path,
                     field->path, own.number, other.number);
  }
  return true;
}

static bool take_run(struct model_folder *folder, const char *path, struct arena *arena, struct error *error) {
  struct run_file file;
  struct run_config model = folder->config;
  if (!run_file_read(arena, path, &file, error)) return false;
  const bool smaller = search_removes(&file.config);
  file.spent_more = file.spent_more || stages_spend(&file.config);
  if (!stage_model_config(&file.config, arena, error)) return false;
  config_clear_stages(&file.config);
  if (!is_same_model(&file.config, &model, smaller, path, error)) return false;
  folder->config = file.config;
  folder->config.from.spent_more = file.spent_more;
  if (file.config.train.steps == AUTO_INTEGER) forget_training(&folder->config);
  folder->of_run = true;
  return config_parse_format(&folder->config, arena, error);
}

// What config.json of isoloss says under "isoloss".
static bool take_origin(struct model_folder *folder, const struct description *d, const char *run,
                        struct error *error) {
  const json_t *origin = get(d, "isoloss");
  const char *format = json_string_value(json_object_get(origin, "format"));
  const json_t *step = json_object_get(origin, "step");
  if (json_is_integer(step) && json_integer_value(step) > 1) folder->step = json_integer_value(step);
  if (run) return take_run(folder, run, d->arena, error);
  return !format || strcmp(format, "none") == 0 ||
         refuse(d, error,
                "these weights are of a run with format %s, and what it has still to do is not known here: take the "
                "whole folder of isoloss export (with its isoloss.json), or a checkpoint where its run is",
                format);
}

// ---- reading ----

static bool read_description(struct model_folder *folder, struct arena *arena, struct error *error) {
  struct description d = {path_join(arena, folder->path, CONFIG_FILE), NULL, &folder->config, arena};
  size_t length;
  json_error_t problem;
  char words[160];
  if (!file_exists(d.path))
    return error_set(error, EXIT_USAGE_ERROR, "%s holds no model: there is no config.json%s", folder->path,
                     file_exists(path_join(arena, folder->path, "checkpoints")) ? " of one" : "");
  const char *bytes = file_read(arena, d.path, &length, error);
  if (!bytes) return false;
  d.root = json_loadb(bytes, length, JSON_REJECT_DUPLICATES, &problem);
  if (!json_is_object(d.root)) {
    json_decref(d.root);
    return error_set(error, EXIT_USAGE_ERROR, "%s:%d:%d: no description of a model: %s", d.path, problem.line,
                     problem.column, d.root ? "no object" : json_problem(problem.text, words));
  }
  bool fine;
  if (json_object_get(d.root, "isoloss_trainer"))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "%s is the folder of a run: name one of its checkpoints (checkpoints/step-N), or an export",
                     folder->path);
  else
    fine = check_architecture(&d, error) && check_plain(&d, error) && take_shape(&d, error) &&
           take_context(&d, error) && check_whole(&d, error) &&
           take_origin(folder, &d, run_file_of(folder->path, arena), error);
  json_decref(d.root);
  return fine;
}

static bool compute_digest(struct model_folder *folder, struct arena *arena, struct error *error) {
  struct text lines = {0};
  struct digest one;
  const char *scales = path_join(arena, folder->path, SCALES_FILE);
  bool fine = digest_file(path_join(arena, folder->path, CONFIG_FILE), &one, error);
  if (fine) text_format(&lines, "%s\n", one.hex);
  for (size_t i = 0; i < folder->weight_count && fine; i++) {
    fine = digest_file(folder->weights[i], &one, error);
    if (fine) text_format(&lines, "%s\n", one.hex);
  }
  if (fine && file_exists(scales)) {
    fine = digest_file(scales, &one, error);
    if (fine) text_format(&lines, "%s\n", one.hex);
  }
  if (fine && folder->of_run) {
    text_format(&lines, "step %" PRId64 "\n", folder->step);
    config_canonical(&folder->config, &lines);
  }
  one = digest_bytes(lines.bytes, lines.length);
  folder->digest = arena_string(arena, one.hex);
  text_free(&lines);
  return fine;
}

bool model_folder_read(const char *path, struct arena *arena, struct model_folder *folder, struct error *error) {
  struct stat status;
  *folder = (struct model_folder){.path = path, .step = 1};
  config_default(&folder->config);
  forget_training(&folder->config);
  if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode))
    return error_set(error, EXIT_USAGE_ERROR, "%s: there is no such folder", path);
  char *whole = realpath(path, NULL);
  if (!whole) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot find %s", path);
  folder->path = arena_string(arena, whole);
  free(whole);
  return read_description(folder, arena, error) && model_folder_check_weights(folder, arena, error) &&
         compute_digest(folder, arena, error);
}

// ---- applying ----

bool model_folder_apply(const struct model_folder *folder, struct run_config *config, struct error *error) {
  struct run_config made = folder->config;
  made.corpus = config->corpus;
  made.own = config->own;
  made.model.dtype = config->model.dtype;
  made.model.device = config->model.device;
  made.train.final_eval_tokens = config->train.final_eval_tokens;
  made.train.threads = config->train.threads;
  made.from.path = folder->path;
  made.from.digest = folder->digest;
  made.stage = ROOT_STAGE;
  int64_t asked = config->model.context, longest = folder->config.model.context;
  if (folder->of_run && asked != AUTO_INTEGER && asked != longest)
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.context %" PRId64 ": the model in %s was trained with %" PRId64 ", which counts", asked,
                     folder->path, longest) ||
           error_about(error, "model.context", NULL);
  if (asked > longest && asked != AUTO_INTEGER)
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.context %" PRId64 " is more than the %" PRId64 " that the model in %s takes", asked,
                     longest, folder->path) ||
           error_about(error, "model.context", NULL);
  made.model.context = asked == AUTO_INTEGER ? longest : asked;
  if (made.model.context > 65536)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the model in %s takes contexts of up to %" PRId64 ": give model.context, at most 65536",
                     folder->path, longest) ||
           error_about(error, "from.path", NULL);
  if (!folder->of_run) {
    made.seed = config->seed;
    made.train.batch_tokens = made.model.context;
    if (made.train.batch_tokens < 4096) made.train.batch_tokens *= 4096 / made.model.context;
  } else if (config->seed != 0 && config->seed != made.seed) {
    return error_set(error, EXIT_USAGE_ERROR, "seed %" PRId64 ": the run in %s has seed %" PRId64 ", which counts",
                     config->seed, folder->path, made.seed) ||
           error_about(error, "seed", NULL);
  }
  *config = made;
  return true;
}

// ---- tokenizers ----

enum tokenizer_match model_folder_tokenizer(const struct model_folder *folder, const struct tokenizer *tokenizer,
                                            struct arena *arena, const char **why) {
  const char *pieces = path_join(arena, folder->path, "tokenizer.model"),
             *described = path_join(arena, folder->path, "tokenizer.json");
  struct error ignored = {0};
  struct digest found, own;
  if (!tokenizer || tokenizer->kind == TOKENIZER_NUMBERS) {
    *why = "the corpus's tokens are numbers without a tokenizer";
    return TOKENIZER_UNKNOWN;
  }
  if (file_exists(pieces) && digest_file(pieces, &found, &ignored)) {
    own = digest_bytes(tokenizer->model_bytes.bytes, tokenizer->model_bytes.length);
    bool same = tokenizer->kind == TOKENIZER_SENTENCEPIECE && strcmp(own.hex, found.hex) == 0;
    *why = arena_format(arena, "tokenizer.model (digest %.8s) is%s the corpus's tokenizer %s", found.hex,
                        same ? "" : " not", tokenizer->name);
    return same ? TOKENIZER_SAME : TOKENIZER_OTHER;
  }
  if (!file_exists(described)) {
    *why = "the folder has no tokenizer";
    return TOKENIZER_UNKNOWN;
  }
  struct text text = {0};
  if (tokenizer->kind == TOKENIZER_BYTES) bytes_tokenizer_text((int64_t)tokenizer->end_token, &text);
  own = digest_bytes(text.bytes, text.length);
  bool same = text.length && digest_file(described, &found, &ignored) && strcmp(own.hex, found.hex) == 0;
  text_free(&text);
  *why = same
             ? "tokenizer.json is that of bytes"
             : arena_format(arena, "tokenizer.json cannot be compared with the corpus's tokenizer %s", tokenizer->name);
  return same ? TOKENIZER_SAME : TOKENIZER_UNKNOWN;
}
