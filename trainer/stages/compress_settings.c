// The stage compress before it starts: its settings, and what they can be known to make impossible. See compress.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "trainer/formats.h"
#include "trainer/layout.h"
#include "trainer/stages/allocate.h"
#include "trainer/stages/compress.h"
#include "trainer/stages/elsa.h"
#include "trainer/stages/search.h"

enum { DEFAULT_CALIBRATION = 65536 };

bool compress_stage_skips(const struct run_config *config) { return strcmp(config->compress.method, "none") == 0; }

static const struct run_field *field_of(const char *name) {
  char path[64];
  snprintf(path, sizeof path, "compress.%s", name);
  return field_find(path, NULL);
}

// Errors of trainer/compress/ are about fields by their last names.
bool compress_about_stage(struct error *error) {
  for (size_t i = 0; i < sizeof error->about / sizeof *error->about && error->about[i]; i++) {
    const struct run_field *field = field_of(error->about[i]);
    if (field) error->about[i] = field->path;
  }
  return false;
}

bool compress_settings_read(const struct run_config *config, struct compress_settings *settings, struct arena *arena,
                            struct error *error) {
  const struct compress_method *method = compress_method_find(config->compress.method, NULL);
  if (!method) return error_set(error, EXIT_USAGE_ERROR, "compress.method %s is no method", config->compress.method);
  compress_default(settings, method);
  for (size_t i = 0; i < compress_setting_count; i++) {
    const struct compress_setting *setting = &compress_settings_table[i];
    const struct run_field *field = compress_setting_field(setting);
    char number[32];
    const char *text = field_text(field, field_get(config, field), number);
    if (strcmp(text, field->fallback) == 0) continue;
    if (allocates(config) && allocation_gives(setting->name))
      return error_set(error, EXIT_USAGE_ERROR, "%s %s is next to compress.allocate, which chooses it: leave one out",
                       field->path, text) ||
             error_about(error, field->path, NULL);
    // Once resolved, a configuration has the format that its bits stand for.
    if (strcmp(setting->name, "format") == 0 && config->compress.bits != AUTO_INTEGER) continue;
    if (!compress_method_reads(method, setting->name))
      return error_set(error, EXIT_USAGE_ERROR,
                       "%s %s says nothing to the method %s, which reads others: give each method a mapping of its own",
                       field->path, text, method->name) ||
             error_about(error, field->path, NULL);
    if (!compress_set(settings, setting, text, arena, error))
      return error_subject(error, "%s", field->path) || error_about(error, field->path, NULL);
  }
  return true;
}

bool compress_settings_of(const struct run_config *config, struct compress_settings *settings, struct arena *arena,
                          struct error *error) {
  if (allocates(config)) {
    // All options are alike in what is asked of them here: what activations become.
    struct allocation_options options;
    if (!allocation_options_of(config, &options, arena, error)) return false;
    *settings = options.settings[options.count - 1];
    return true;
  }
  return compress_settings_read(config, settings, arena, error) &&
         (compress_resolve(settings, arena, error) || compress_about_stage(error));
}

static bool check_format(const struct run_config *config, const struct compress_settings *settings,
                         struct error *error) {
  const struct format *format = settings->parsed_format;
  if (!format) return true;
  if (format->after > 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "compress.format %s begins within a training, and compressions follow it: leave after out",
                     format->name) ||
           error_about(error, "compress.format", NULL);
  if (!representation_is_none(&format->operands[OPERAND_GRADIENTS]) || format->backward != BACKWARD_FORWARD ||
      format->gradient_token_hadamard)
    return error_set(error, EXIT_USAGE_ERROR,
                     "compress.format %s says how gradients pass: after the training there are none", format->name) ||
           error_about(error, "compress.format", NULL);
  if (format->high_precision > 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "compress.format %s leaves blocks in full precision, which compressions do not: leave "
                     "high-precision out",
                     format->name) ||
           error_about(error, "compress.format", NULL);
  if (format_has_learned_scales(format))
    return error_set(error, EXIT_USAGE_ERROR, "compress.format %s learns its scales while it trains", format->name) ||
           error_about(error, "compress.format", NULL);
  return config_format_fits(config, format, "compress.format", error);
}

// Every matrix of a block, and the tokens that its inputs are measured on.
bool compress_check_matrices(const struct run_config *config, const struct compress_settings *settings,
                             struct error *error) {
  static const char *const names[] = {"query, key and value", "attention output", "gate and up", "down"};
  for (int which = 0; which < MATRIX_HEAD; which++) {
    struct weight_description d = layout_weight(config, (enum model_matrix)which, 0);
    if (!compress_check_shape(settings, d.outputs, d.inputs, error))
      return error_context(error, "the %s matrix", names[which]) || compress_about_stage(error);
    if (!compress_check_tokens(settings, d.inputs, config->compress.calibration_tokens, error))
      return error_context(error, "the %s matrix", names[which]) ||
             error_about(error, "compress.calibration_tokens", NULL);
  }
  return true;
}

bool compress_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                            struct error *error) {
  if (!search_stage_skips(config))
    return error_set(
               error, EXIT_USAGE_ERROR,
               "a search chose what becomes of the matrices: compress does not follow it, give each a chain of its "
               "own") ||
           error_about(error, "compress.method", NULL);
  struct arena scratch = {0};
  struct compress_settings settings;
  bool both = config->compress.bits != AUTO_INTEGER && strcmp(config->compress.format, "none") != 0, fine;
  const char *given = config->compress.format;
  fine = allocation_check_used(config, error) && compress_settings_of(config, &settings, &scratch, error);
  if (fine && settings.parsed_format && !allocates(config))
    config->compress.format = arena_string(arena, settings.parsed_format->name);
  if (fine && both && strcmp(format_canonical(given, &scratch), config->compress.format) != 0)
    fine =
        error_set(error, EXIT_USAGE_ERROR, "compress.bits and compress.format say the same thing: give one of them") ||
        error_about(error, "compress.bits", "compress.format", NULL);
  if (fine && strcmp(settings.method->name, "higgs") == 0) config->compress.group = settings.group;
  bool by_default = config->compress.calibration_tokens == AUTO_INTEGER;
  if (fine && by_default)
    config->compress.calibration_tokens = settings.method->needs_calibration ? DEFAULT_CALIBRATION : 0;
  if (fine && config->compress.calibration_tokens == 0 && strcmp(config->compress.inputs, "compressed") == 0)
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "compress.inputs compressed says nothing to %s without compress.calibration_tokens: no inputs are "
                     "measured",
                     settings.method->name) ||
           error_about(error, "compress.inputs", NULL);
  fine = fine && check_format(config, &settings, error) && compress_check_matrices(config, &settings, error) &&
         allocation_check(config, facts, error) &&
         (!settings.method->trains || elsa_resolve(config, facts, arena, error));
  if (fine && facts->known && config->compress.calibration_tokens > facts->train_tokens)
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "compress.calibration_tokens %" PRId64 "%s are more than the %" PRId64
                     " tokens of the corpus's training split",
                     config->compress.calibration_tokens, by_default ? " (auto)" : "", facts->train_tokens) ||
           error_about(error, "compress.calibration_tokens", NULL);
  arena_free(&scratch);
  return fine;
}

const char *compress_stage_libraries(const struct run_config *config, struct arena *arena) {
  struct compress_settings settings;
  struct error error = {0};
  // Those that read a Hessian factor it by LAPACK.
  bool factors = compress_settings_of(config, &settings, arena, &error) && settings.method->needs_calibration;
  return factors ? compress_library(arena) : NULL;
}

bool compress_stage_becomes(struct run_config *config, struct arena *arena, struct error *error) {
  struct compress_settings settings;
  if (!compress_settings_of(config, &settings, arena, error)) return false;
  const struct format *activations = compress_activations(&settings, arena);
  if (activations) {
    config->format = activations->name;
  } else {
    // Those of the format that the model was trained in.
    if (!config->parsed_format && !config_parse_format(config, arena, error)) return false;
    config->format = format_after_weights(config->parsed_format, arena);
  }
  config->parsed_format = NULL;
  return config_parse_format(config, arena, error);
}

double compress_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  (void)facts;
  const int64_t calibration = config->compress.calibration_tokens;
  bool propagated = strcmp(config->compress.inputs, "compressed") == 0;
  // Once for all matrices, and once a block where earlier ones are compressed already.
  double passes = propagated ? (double)config->model.layers + allocates(config) : 1;
  double trained = 0;
  if (compress_stage_trains(config)) {
    struct run_config training = *config;
    compress_stage_training(&training);
    trained = 3 * (double)training.train.tokens;  // forward and backward
  }
  return (calibration == AUTO_INTEGER ? 0 : passes * (double)calibration) + allocation_forward_tokens(config) + trained;
}
