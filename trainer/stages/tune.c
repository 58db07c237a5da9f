// See tune.h.
#include "trainer/stages/tune.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/compress/compress.h"
#include "trainer/formats.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/search_budget.h"
#include "trainer/stages/compress.h"
#include "trainer/stages/plant.h"
#include "trainer/stages/search.h"
#include "trainer/stages/select.h"

const char *const tune_stage_needs[] = {"tune.tokens", "tune.steps", NULL};

bool tune_stage_skips(const struct run_config *config) { return !config->tune.tokens && !config->tune.steps; }

bool tune_stage_is_after_compress(const struct run_config *config) {
  return !tune_stage_skips(config) && strcmp(config->tune.after, "compress") == 0;
}

bool tune_stage_begins(const struct run_config *config) {
  return !tune_stage_skips(config) && strcmp(config->tune.weights, TUNE_INITIAL) == 0;
}

// ---- its fields besides a training's ----

// The training's field that a field of this stage takes the place of: train.lr of tune.lr. NULL: none.
static const struct run_field *trained_field(const struct run_field *field) {
  char path[64];
  if (!field->stage || strcmp(field->stage, TUNE_STAGE) != 0) return NULL;
  const char *name = field->path + strlen(TUNE_STAGE) + 1;
  if (strcmp(name, "format") == 0 || strcmp(name, "seed") == 0) return field_find(name, NULL);
  snprintf(path, sizeof path, "train.%s", name);
  return field_find(path, NULL);
}

static bool is_auto(const struct run_field *field, const struct run_config *config) {
  struct value value = field_get(config, field);
  return value.kind == VALUE_MISSING || (field->type == FIELD_CHOICE && strcmp(value.text, "auto") == 0);
}

// Another optimizer than the training's: its settings are its own, not those that the training's had.
static bool changes_optimizer(const struct run_config *config) {
  return strcmp(config->tune.optimizer, "auto") != 0 && strcmp(config->tune.optimizer, config->train.optimizer) != 0;
}

// What is auto becomes the training's; where that is not known, as of a folder's model, a training's default.
static bool fill(struct run_config *config, struct error *error) {
  struct run_config plain;
  config_default(&plain);
  if (isnan(config->tune.lr)) config->tune.lr = config->train.lr / (tune_stage_begins(config) ? 1 : 10);
  if (isnan(config->tune.lr))
    return error_set(error, EXIT_USAGE_ERROR,
                     "tune.lr is needed: the rate that the model was trained with, whose tenth it would be, is not "
                     "known") ||
           error_about(error, "tune.lr", NULL);
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i], *trained = trained_field(field);
    if (!trained || !is_auto(field, config) || strcmp(field->path, "tune.warmup_steps") == 0) continue;
    if (changes_optimizer(config) && optimizer_has_setting(trained->path)) continue;
    const struct run_config *from = is_auto(trained, config) ? &plain : config;
    field_put(config, field, field_get(from, trained));
  }
  return true;
}

void tune_stage_training(struct run_config *config) {
  struct run_config plain;
  config_default(&plain);
  for (size_t i = 0; i < run_field_count && changes_optimizer(config); i++)
    if (optimizer_has_setting(run_fields[i].path)) field_put(config, &run_fields[i], field_get(&plain, &run_fields[i]));
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i], *trained = trained_field(field);
    if (trained) field_put(config, trained, field_get(config, field));
  }
  // Settings of an optimizer that no field of this stage stands for: those that it has by default where they are not
  // the training's. What does not go is refused when the stage is resolved.
  struct error known = {0};
  optimizer_resolve(config, &known);
  if (!config->train.tokens) config->train.tokens = AUTO_INTEGER;
  if (!config->train.steps) config->train.steps = AUTO_INTEGER;
  config->train.tokens_per_parameter =
      config->train.tokens == AUTO_INTEGER || config->train.steps == AUTO_INTEGER
          ? NAN
          : (double)config->train.tokens / (double)config_kept_parameters(config).non_embedding;
  config->from.path = config->from.digest = "";
  config->train.average_checkpoints = 0;
  config->train.gradient_compression = plain.train.gradient_compression;
  config->train.gradient_levels = plain.train.gradient_levels;
  config->train.first_moment = plain.train.first_moment;
  config->train.second_moment = plain.train.second_moment;
  config->train.gradient_bucket = plain.train.gradient_bucket;
  config->format_begins = 0;
}

uint64_t tune_data_seed(const struct run_config *training) {
  bool further = training->stage && strcmp(training->stage, TUNE_STAGE) == 0;
  return further ? hash64(TUNE_STAGE, strlen(TUNE_STAGE), (uint64_t)training->seed) >> 11 : (uint64_t)training->seed;
}

// ---- its format ----

static bool give_format(const char *why, struct error *error) {
  return error_set(error, EXIT_USAGE_ERROR,
                   "tune.format is needed: %s. A format keeps the weights in it while they are trained, none lets them "
                   "go where they will",
                   why) ||
         error_about(error, "tune.format", NULL);
}

// What `parent` stands for.
static bool parent_format(struct run_config *config, struct arena *arena, struct error *error) {
  struct compress_settings settings;
  const struct format *trained = config_format(config, arena), *compressed;
  if (compress_stage_skips(config) && !search_stage_skips(config)) {
    config->tune.format = "none";
    return search_removes(config) ||
           give_format("what a search brings matrices to, each to a level of its own, is no format", error);
  }
  if (compress_stage_skips(config)) {
    config->tune.format = trained ? format_from_start(trained, arena)->name : "none";
    return true;
  }
  if (!compress_settings_of(config, &settings, arena, error)) return false;
  compressed = compress_format(&settings, trained, arena);
  if (!compressed)
    return give_format(
        arena_format(arena, "what %s brings weights to is nothing that they are trained in", settings.method->name),
        error);
  config->tune.format = compressed->name;
  return true;
}

static bool check_format(const struct run_config *config, const struct run_config *training, struct error *error) {
  struct arena scratch = {0};
  const struct format *format = config_format(training, &scratch);
  bool scheduled = false;
  for (int i = 0; format && i < OPERANDS; i++) scheduled |= format->operands[i].sparsity.schedule != SCHEDULE_CONSTANT;
  arena_free(&scratch);
  return !scheduled ||
         error_set(error, EXIT_USAGE_ERROR,
                   "tune.format %s prunes by a schedule over the training that is the model's first: take a density "
                   "that stays",
                   config->tune.format) ||
         error_about(error, "tune.format", NULL);
}

// ---- initial weights ----

static bool check_beginning(const struct run_config *config, struct error *error) {
  if (!tune_stage_begins(config)) return true;
  const char *lost = !compress_stage_skips(config) ? "compress"
                     : !plant_stage_skips(config)  ? "plant_outliers"
                     : *config->from.path          ? "from"
                                                   : NULL;
  if (lost)
    return error_set(error, EXIT_USAGE_ERROR,
                     "tune.weights initial takes nothing from the model before it: %s would be without effect", lost) ||
           error_about(error, "tune.weights", NULL);
  return !select_stage_skips(config) ||
         error_set(error, EXIT_USAGE_ERROR,
                   "tune.weights initial is for trainings on selected data: without a selection (data) nothing of the "
                   "training before it would be left. Put it into the sweep") ||
         error_about(error, "tune.weights", NULL);
}

// ---- resolving ----

// Errors of config_resolve are about the fields of a training.
static bool about_stage(struct error *error) {
  for (char *at = strstr(error->text, "train."); at; at = strstr(at, "train.")) {
    memcpy(at, "tune.", 5);
    memmove(at + 5, at + 6, strlen(at + 6) + 1);
  }
  for (size_t i = 0; i < sizeof error->about / sizeof *error->about && error->about[i]; i++)
    for (size_t f = 0; f < run_field_count; f++) {
      const struct run_field *trained = trained_field(&run_fields[f]);
      if (!trained || strcmp(trained->path, error->about[i]) != 0) continue;
      error->about[i] = run_fields[f].path;
      break;
    }
  return false;
}

// Rows and columns of 0 have no gradient, and stay 0, in full precision and where each weight moves by its own.
static bool check_removed(const struct run_config *config, struct error *error) {
  if (!search_removes(config)) return true;
  if (strcmp(config->tune.format, "none") != 0)
    return error_set(
               error, EXIT_USAGE_ERROR,
               "tune.format %s would represent anew what a search took out of the model: none trains what is left",
               config->tune.format) ||
           error_about(error, "tune.format", "tune.tokens", NULL);
  struct run_config training = *config;
  training.train.optimizer = config->tune.optimizer;
  if (!optimizer_of(&training)->by_matrix) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "the optimizer %s moves every weight of a matrix, also those that a search took out of the model: "
                   "tune.optimizer adamw, sgd or lion trains what is left",
                   config->tune.optimizer) ||
         error_about(error, "tune.optimizer", "tune.tokens", NULL);
}

bool tune_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                        struct error *error) {
  if (config->tune.tokens && config->tune.steps)
    return error_set(error, EXIT_USAGE_ERROR, "tune.tokens and tune.steps say the same thing: give one of them") ||
           error_about(error, "tune.tokens", "tune.steps", NULL);
  if (!check_beginning(config, error) || !fill(config, error)) return false;
  config->tune.after = tune_stage_begins(config)       ? TUNE_INITIAL
                       : !compress_stage_skips(config) ? "compress"
                       : !search_stage_skips(config)   ? SEARCH_STAGE
                       : !plant_stage_skips(config)    ? "plant_outliers"
                       : *config->from.path            ? ROOT_STAGE
                                                       : "train";
  if (strcmp(config->tune.format, TUNE_PARENT_FORMAT) == 0 && !parent_format(config, arena, error)) return false;
  if (!check_removed(config, error)) return false;
  struct run_config training = *config;
  tune_stage_training(&training);
  if (!config_resolve(&training, facts, config->model.dtype, error)) return about_stage(error);
  for (size_t i = 0; i < run_field_count; i++) {  // settings of the optimizer that were auto
    const struct run_field *field = &run_fields[i], *trained = trained_field(field);
    if (trained && optimizer_has_setting(trained->path)) field_put(config, field, field_get(&training, trained));
  }
  config->tune.tokens = training.train.tokens;
  config->tune.steps = training.train.steps;
  config->tune.warmup_steps = training.train.warmup_steps;
  return check_format(config, &training, error);
}

bool tune_stage_becomes(struct run_config *config, struct arena *arena, struct error *error) {
  config->format = config->tune.format;
  config->parsed_format = NULL;
  config->format_begins = 0;
  if (!config_parse_format(config, arena, error)) return false;
  config->format_begins = format_begins(config->parsed_format, config->tune.steps);
  return true;
}

double tune_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  double most = facts->known ? (double)facts->validation_tokens : INFINITY;
  // Forward and backward are three passes.
  return 3 * (double)config->tune.tokens + (double)config->train.evals * fmin((double)config->train.eval_tokens, most);
}
