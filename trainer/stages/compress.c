// See compress.h. A method turns the parent's matrices into represented ones; what is common stands here: the format,
// errors by layer, the loss, the checkpoint, which holds the represented values.
#include "trainer/stages/compress.h"

#include <math.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/formats.h"
#include "trainer/stages/work.h"

// ---- settings ----

bool compress_skips(const struct run_config *config) { return strcmp(config->compress.method, "none") == 0; }

static const char *const formats_by_bits[] = {"absmax-w1", "absmax-w2", "absmax-w3", "absmax-w4",
                                              "absmax-w5", "absmax-w6", "absmax-w7", "absmax-w8"};

static bool check_format(const struct run_config *config, struct error *error) {
  struct arena arena = {0};
  const struct format *format = format_read(config->compress.format, &arena, error);
  bool fine = format != NULL;
  if (fine && representation_is_none(&format->operands[OPERAND_WEIGHTS]))
    fine = error_set(error, EXIT_USAGE_ERROR, "compress.format %s leaves weights as they are: nothing is compressed",
                     format->name);
  else if (fine && (!representation_is_none(&format->operands[OPERAND_GRADIENTS]) ||
                    format->backward != BACKWARD_FORWARD || format->gradient_token_hadamard))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "compress.format %s says how gradients pass: after the training there are none", format->name);
  else if (fine && format_has_learned_scales(format))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "compress.format %s learns its scales while it trains: method %s has none to learn them",
                     format->name, config->compress.method);
  if (!fine) error_about(error, "compress.format", "compress.bits", NULL);
  fine = fine && config_format_fits(config, format, "compress.format", error);
  arena_free(&arena);
  return fine;
}

bool compress_resolve(struct run_config *config, const struct corpus_facts *facts, struct error *error) {
  (void)facts;
  bool format = strcmp(config->compress.format, "none") != 0;
  if (config->compress.bits != AUTO_INTEGER) {
    const char *by_bits = formats_by_bits[config->compress.bits - 1];
    if (format && strcmp(config->compress.format, by_bits) != 0)
      return error_set(error, EXIT_USAGE_ERROR,
                       "compress.bits and compress.format say the same thing: give one of them") ||
             error_about(error, "compress.bits", "compress.format", NULL);
    config->compress.format = by_bits;
  } else if (!format) {
    return error_set(error, EXIT_USAGE_ERROR, "compress needs a format, or bits: {method: %s, format: int4-g32}",
                     config->compress.method) ||
           error_about(error, "compress.format", "compress.method", NULL);
  }
  return check_format(config, error);
}

bool compress_becomes(struct run_config *config, struct arena *arena, struct error *error) {
  const struct format *own = format_read(config->compress.format, arena, error);
  if (!own) return false;
  // Its activations, or else those of the format that the model was trained in.
  if (representation_is_none(&own->operands[OPERAND_ACTIVATIONS])) {
    if (!config->parsed_format && !config_parse_format(config, arena, error)) return false;
    own = config->parsed_format;
  }
  config->format = format_after_weights(own, arena);
  config->parsed_format = NULL;
  return config_parse_format(config, arena, error);
}

double compress_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  (void)config, (void)facts;
  return 0;
}

// ---- rtn ----

// Each value to the nearest one of the format, by the kernels that train in it.
static bool round_to_nearest(struct stage_work *work, const struct model_values *before, struct model_values *after,
                             struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct model *model = stage_model_of(work, c->compress.format, before, error);
  // A density that falls while a model trains is at its end here.
  bool fine = model && model_represent(model, c->train.steps, error) && values_read(after, model, error);
  model_free(model);
  return fine;
}

// ---- what became of the matrices ----

struct sums {
  double square, error;  // of all matrices: ||W||^2, ||W' - W||^2
  int64_t zeroes;
};

static bool report_tensor(struct stage_work *work, const struct parameter_tensor *tensor, int64_t layer,
                          const float *before, const float *after, double bits, struct sums *sums,
                          struct error *error) {
  double square = 0, difference = 0;
  int64_t zeroes = 0;
  for (int64_t i = 0; i < tensor->count; i++) {
    double d = (double)after[i] - before[i];
    square += (double)before[i] * before[i];
    difference += d * d;
    zeroes += after[i] == 0;
  }
  const char *name = strstr(tensor->name, "layers.");
  name = name ? strchr(name + strlen("layers."), '.') : NULL;
  if (!name) return true;
  struct arena *arena = &work->run.arena;
  const char *matrix = arena_copy(arena, name + 1, strlen(name + 1) - strlen(".weight"));
  sums->square += square;
  sums->error += difference;
  sums->zeroes += zeroes;
  struct layer_result result = {.layer = layer,
                                .matrix = matrix,
                                .rows = tensor->rows,
                                .columns = tensor->columns,
                                .relative_error = square > 0 ? difference / square : NAN,
                                .output_error = NAN,
                                .bound = NAN,
                                .bits = bits,
                                .sparsity = (double)zeroes / (double)tensor->count};
  return report_layer(work, &result, error);
}

// All matrices of the blocks, in the order of memory.
static bool report_layers(struct stage_work *work, const struct model_values *before, const struct model_values *after,
                          double bits, struct sums *sums, struct error *error) {
  const struct parameter_table *table = &before->table;
  int64_t layers = work->run.file.config.model.layers, layer = 0;
  for (int i = 0; i < table->tensor_count; i++) {
    const struct parameter_tensor *tensor = &table->tensors[i];
    if (tensor->offset < table->norms_end || tensor->offset >= table->matrices_end) continue;
    while (layer + 1 < layers && tensor->offset >= table->layers[layer + 1].qkv) layer++;
    const struct parameter_tensor *other = values_find(after, tensor->name);
    if (!report_tensor(work, tensor, layer, before->values + tensor->offset, after->values + other->offset, bits, sums,
                       error))
      return false;
  }
  return true;
}

bool compress_work(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  struct model_values before = {0}, after = {0};
  struct evaluation evaluation;
  struct sums sums = {0};
  const struct format *format = format_read(c->compress.format, &t->arena, error);
  bool fine =
      format && stage_parent_values(work, &before, error) && round_to_nearest(work, &before, &after, error) &&
      report_layers(work, &before, &after, representation_bits(&format->operands[OPERAND_WEIGHTS]), &sums, error) &&
      stage_make_model(work, &after, error) && stage_write_checkpoint(work, error) &&
      stage_evaluate(work, &evaluation, error);
  values_free(&before);
  values_free(&after);
  if (!fine) return false;
  bool sparse = format->operands[OPERAND_WEIGHTS].sparsity.kind != SPARSITY_NONE;
  double kept = (double)(config_parameters(c).non_embedding - sums.zeroes);
  struct stage_number numbers[] = {{"weight_error", sums.square > 0 ? sums.error / sums.square : NAN},
                                   {"parameters_active", sparse ? kept : NAN}};
  return report_stage_done(work, &evaluation, numbers, sizeof numbers / sizeof *numbers, error);
}
