// The stage compress at work: calibration where it is asked for, the method on one matrix after the other, errors by
// layer, and a checkpoint that holds the represented values. See compress.h.
#include "trainer/stages/compress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/formats.h"
#include "trainer/layout.h"
#include "trainer/stages/allocate.h"
#include "trainer/stages/calibration.h"
#include "trainer/stages/elsa.h"
#include "trainer/stages/work.h"

// Sums over all matrices that are compressed.
struct sums {
  double square, error;  // ||W||^2, ||W' - W||^2
  double bits, zeroes;
  int64_t count;
  struct mean {
    double sum;
    int matrices;
  } output_error, over_bound, pivot_trace, clipped;  // each over the matrices that have it
};

static void mean_add(struct mean *mean, double value) {
  if (!isfinite(value)) return;
  mean->sum += value;
  mean->matrices++;
}

static double mean_of(const struct mean *mean) { return mean->matrices ? mean->sum / mean->matrices : NAN; }

struct compressing {
  struct stage_work *work;
  struct compress_settings settings;
  struct model_values *before, *after;
  struct calibration calibration;  // no Hessians: not asked for; of inputs as compressed, of one block at a time
  struct allocated allocated;      // no choice: not asked for
  struct sums sums;
};

static const char *const matrix_names[] = {"self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj",
                                           "mlp.down_proj"};

const char *compress_matrix_name(int which) { return matrix_names[which]; }

static int64_t offset_of(const struct model_values *values, int64_t layer, int which) {
  return layout_weight_offset(&values->table, (enum model_matrix)which, layer);
}

// What a matrix adds to the means. The trace of the pivots is taken over that of H', the damped Hessian: what no order
// changes.
static void add_means(struct compressing *c, const struct compress_layer *matrix,
                      const struct compress_settings *settings, const struct compress_result *result) {
  double trace = 0;
  for (int64_t i = 0; matrix->hessian && i < matrix->inputs; i++) trace += matrix->hessian[i * matrix->inputs + i];
  trace *= 1 + settings->damping;
  mean_add(&c->sums.output_error, result->output_error);
  if (result->bound > 0) mean_add(&c->sums.over_bound, result->weighted_error / result->bound);
  if (trace > 0) mean_add(&c->sums.pivot_trace, result->pivot_trace / trace);
  if (isfinite(result->bound)) mean_add(&c->sums.clipped, result->clipped);
}

struct compress_layer compress_matrix_of(struct stage_work *work, const struct model_values *values,
                                         struct calibration *calibration, int64_t layer, int which) {
  const struct run_config *config = &work->run.file.config;
  const struct weight_description d = layout_weight(config, (enum model_matrix)which, layer);
  struct compress_layer matrix = {.outputs = d.outputs,
                                  .inputs = d.inputs,
                                  .parts = d.parts,
                                  .weights = values->values + offset_of(values, layer, which),
                                  .seed = (uint64_t)config->seed,
                                  .number = d.number};
  memcpy(matrix.part_outputs, d.part_outputs, sizeof matrix.part_outputs);
  if (calibration->count) matrix.hessian = calibration_hessian(calibration, layer, which);
  return matrix;
}

static bool compress_one(struct compressing *c, int64_t layer, int which, struct error *error) {
  struct stage_work *work = c->work;
  const struct allocated *allocated = &c->allocated;
  struct compress_layer matrix = compress_matrix_of(work, c->before, &c->calibration, layer, which);
  const float *weights = matrix.weights;
  const int64_t count = matrix.outputs * matrix.inputs, number = layer * MATRIX_HEAD + which;
  const struct compress_settings *settings =
      allocated->choice ? &allocated->options.settings[allocated->choice[number]] : &c->settings;
  const struct sensitivity sensitivity =
      allocated->choice ? allocated->sensitivities[number] : (struct sensitivity){NAN, NAN};
  struct compress_result result = {.represented = c->after->values + offset_of(c->after, layer, which)};
  if (settings->method->trains) matrix.trained = result.represented;
  if (!compress_matrix(settings, &matrix, &result, error))
    return error_context(error, "%s of layer %lld", matrix_names[which], (long long)layer);
  for (int64_t i = 0; i < count; i++) {
    double difference = (double)result.represented[i] - weights[i];
    c->sums.square += (double)weights[i] * weights[i];
    c->sums.error += difference * difference;
    c->sums.zeroes += result.represented[i] == 0;
  }
  add_means(c, &matrix, settings, &result);
  c->sums.bits += result.bits_per_weight * (double)count;
  c->sums.count += count;
  const double weighted = result.weighted_error, bound = result.bound;
  const struct layer_result said = {.layer = layer,
                                    .matrix = matrix_names[which],
                                    .rows = matrix.outputs,
                                    .columns = matrix.inputs,
                                    .relative_error = result.relative_error,
                                    .output_error = result.output_error,
                                    .weighted_error = weighted,
                                    .bound = bound,
                                    .bits = result.bits_per_weight,
                                    .sparsity = result.sparsity,
                                    .alpha = sensitivity.alpha,
                                    .alpha_error = sensitivity.error};
  return report_layer(work, &said, error);
}

static bool propagates(const struct run_config *config) { return strcmp(config->compress.inputs, "compressed") == 0; }

// The inputs of a block in the model whose earlier blocks are compressed.
static bool calibrate_block(struct compressing *c, int64_t layer, struct error *error) {
  calibration_free(&c->calibration);
  return calibrate(c->work, c->after, c->work->run.file.config.compress.calibration_tokens, layer, &c->calibration,
                   error);
}

// The matrices that the format is of, block by block. Others stay as they are.
static bool compress_all(struct compressing *c, struct error *error) {
  static const unsigned kinds[] = {LAYER_QKV, LAYER_OUTPUT, LAYER_GATE_UP, LAYER_DOWN};
  struct stage_work *work = c->work;
  const struct format *format = c->settings.parsed_format;
  for (int64_t layer = 0; layer < work->run.file.config.model.layers; layer++) {
    if (propagates(&work->run.file.config) && !calibrate_block(c, layer, error)) return false;
    for (int which = 0; which < MATRIX_HEAD; which++) {
      work->stopped = work->stop_asked && *work->stop_asked;
      if (work->stopped) return false;
      if (format && !(format->layers & kinds[which])) continue;
      if (!compress_one(c, layer, which, error)) return false;
    }
  }
  return true;
}

static bool report_end(struct compressing *c, const struct evaluation *evaluation, struct error *error) {
  const struct sums *sums = &c->sums;
  const struct format *format = c->settings.parsed_format;
  bool sparse =
      c->settings.method->prunes || (format && format->operands[OPERAND_WEIGHTS].sparsity.kind != SPARSITY_NONE);
  double kept = (double)config_parameters(&c->work->run.file.config).non_embedding - sums->zeroes;
  const struct stage_number numbers[] = {{"weight_error", sums->square > 0 ? sums->error / sums->square : NAN},
                                         {"stored_bits", sums->count ? sums->bits / (double)sums->count : NAN},
                                         {"output_error", mean_of(&sums->output_error)},
                                         {"error_over_bound", mean_of(&sums->over_bound)},
                                         {"pivot_trace", mean_of(&sums->pivot_trace)},
                                         {"clipped", mean_of(&sums->clipped)},
                                         {"predicted_increase", c->allocated.choice ? c->allocated.predicted : NAN},
                                         {"parameters_active", sparse ? kept : NAN}};
  return report_stage_done(c->work, evaluation, numbers, sizeof numbers / sizeof *numbers, error);
}

bool compress_stage_work(struct stage_work *work, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *config = &t->file.config;
  struct model_values before = {0}, after = {0};
  struct evaluation evaluation;
  struct compressing c = {.work = work, .before = &before, .after = &after};
  bool fine = compress_settings_of(config, &c.settings, &t->arena, error) &&
              stage_values(work, &work->parent, &before, &work->parent_format, error) && values_copy(&after, &before);
  if (fine && config->compress.calibration_tokens > 0 && (!propagates(config) || allocates(config)))
    fine = calibrate(work, &before, config->compress.calibration_tokens, CALIBRATE_ALL, &c.calibration, error);
  if (fine && allocates(config)) fine = allocate_bits(work, &before, &c.calibration, &c.allocated, error);
  if (fine && c.settings.method->trains) fine = elsa_train(work, &c.settings, &after, error);
  fine = fine && compress_all(&c, error);
  calibration_free(&c.calibration);
  fine = fine && stage_make_model(work, &after, error) && stage_write_checkpoint(work, error) &&
         stage_evaluate(work, config->train.final_eval_tokens, &evaluation, error) &&
         report_end(&c, &evaluation, error);
  allocated_free(&c.allocated);
  values_free(&before);
  values_free(&after);
  return fine;
}
