// See allocate.h.
#include "trainer/stages/allocate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/layout.h"
#include "trainer/stages/compress.h"
#include "trainer/stages/sensitivity_kept.h"
#include "trainer/stages/work.h"

bool allocates(const struct run_config *config) { return strcmp(config->compress.allocate.method, "none") != 0; }

bool allocation_gives(const char *name) {
  return strcmp(name, "format") == 0 || strcmp(name, "bits") == 0 || strcmp(name, "n") == 0;
}

double allocation_forward_tokens(const struct run_config *config) {
  if (!allocates(config)) return 0;
  return sensitivity_forward_tokens(config->compress.allocate.alpha, config->compress.allocate.noises,
                                    config->compress.allocate.tokens, config->model.layers * MATRIX_HEAD);
}

// ---- options ----

static bool refuse(struct error *error, const char *field) { return error_about(error, field, NULL); }

bool allocation_options_of(const struct run_config *config, struct allocation_options *options, struct arena *arena,
                           struct error *error) {
  struct compress_settings settings;
  int64_t least = config->compress.allocate.least_bits, most = config->compress.allocate.most_bits;
  options->count = 0;
  if (!compress_settings_read(config, &settings, arena, error)) return false;
  if (!compress_allocates(settings.method)) {
    error_set(error, EXIT_USAGE_ERROR,
              "%s has no numbers of bits to choose among: compress.allocate is of rtn, gptq, babai and higgs",
              settings.method->name);
    return refuse(error, "compress.allocate.method");
  }
  if (strcmp(settings.range, "unbounded") == 0) {
    error_set(error, EXIT_USAGE_ERROR,
              "with compress.range unbounded the bits are known afterwards alone: compress.allocate needs them before");
    return refuse(error, "compress.range");
  }
  for (int64_t bits = least; bits <= most; bits++) {
    struct compress_settings *option = &options->settings[options->count];
    *option = settings;
    if (!compress_set_bits(option, (int)bits)) continue;
    if (!compress_resolve(option, arena, error)) return compress_about_stage(error);
    options->bits[options->count++] = (int)bits;
  }
  if (options->count) return true;
  error_set(error, EXIT_USAGE_ERROR, "%s has no option of %lld to %lld bits", settings.method->name, (long long)least,
            (long long)most);
  return error_about(error, "compress.allocate.most_bits", "compress.allocate.least_bits", NULL);
}

bool allocation_check_used(const struct run_config *config, struct error *error) {
  static const char section[] = "compress.allocate.";
  if (allocates(config)) return true;
  for (size_t i = 0; i < run_field_count; i++) {
    const struct run_field *field = &run_fields[i];
    if (strncmp(field->path, section, sizeof section - 1) != 0 || config_is_default(config, field)) continue;
    error_set(error, EXIT_USAGE_ERROR,
              "%s says nothing where compress.allocate.method is none: give a method, dp or "
              "uniform",
              field->path);
    return refuse(error, field->path);
  }
  return true;
}

// Bits a weight of the cheapest choice: with one option for all, or the cheapest of each matrix.
static double cheapest(const struct run_config *config, const struct allocation_options *options, bool uniform) {
  double each = 0, weights = 0, alike[ALLOCATION_OPTIONS] = {0}, least = INFINITY;
  for (int which = 0; which < MATRIX_HEAD; which++) {
    const struct weight_description d = layout_weight(config, (enum model_matrix)which, 0);
    const double count = (double)d.outputs * (double)d.inputs;
    double here = INFINITY;
    for (int o = 0; o < options->count; o++) {
      const double bits = compress_bits(&options->settings[o], d.inputs) * count;
      alike[o] += bits;
      here = fmin(here, bits);
    }
    each += here;
    weights += count;
  }
  for (int o = 0; o < options->count; o++) least = fmin(least, alike[o]);
  return (uniform ? least : each) / weights;
}

bool allocation_check(const struct run_config *config, const struct corpus_facts *facts, struct error *error) {
  struct arena arena = {0};
  struct allocation_options options;
  const double budget = config->compress.allocate.budget_bits;
  if (!allocates(config)) return true;
  bool fine = allocation_options_of(config, &options, &arena, error);
  for (int o = 0; fine && o < options.count; o++)
    fine = compress_check_matrices(config, &options.settings[o], error) ||
           error_context(error, "the option of %d bits", options.bits[o]);
  if (fine && isnan(budget)) {
    error_set(error, EXIT_USAGE_ERROR, "compress.allocate needs budget_bits: stored bits a weight, as 3.5");
    fine = refuse(error, "compress.allocate.budget_bits");
  }
  const double least = fine ? cheapest(config, &options, strcmp(config->compress.allocate.method, "uniform") == 0) : 0;
  if (fine && budget < least * (1 - 1e-12)) {
    error_set(error, EXIT_USAGE_ERROR,
              "compress.allocate.budget_bits %g is below the cheapest options, which take %.6g bits a weight", budget,
              least);
    fine = error_about(error, "compress.allocate.budget_bits", "compress.allocate.least_bits", NULL);
  }
  const bool random = strcmp(config->compress.allocate.alpha, "kl-random") == 0;
  if (fine && facts->known && !random && config->compress.allocate.tokens > facts->train_tokens) {
    error_set(error, EXIT_USAGE_ERROR,
              "compress.allocate.tokens %lld are more than the %lld tokens of the corpus's training split",
              (long long)config->compress.allocate.tokens, (long long)facts->train_tokens);
    fine = refuse(error, "compress.allocate.tokens");
  }
  arena_free(&arena);
  return fine;
}

// ---- errors of the options ----

struct erring {
  struct stage_work *work;
  const struct model_values *values;
  struct calibration *calibration;
  const struct allocation_options *options;
  float *represented;  // of the largest matrix
};

double allocation_error(const struct compress_settings *settings, const struct compress_layer *matrix,
                        const struct compress_result *result) {
  if (!settings->method->needs_calibration) return result->relative_error;
  const int64_t n = matrix->inputs;
  double trace = 0, square = 0;
  for (int64_t i = 0; i < n; i++) trace += (double)matrix->hessian[i * n + i];
  for (int64_t i = 0; i < matrix->outputs * n; i++) square += (double)matrix->weights[i] * (double)matrix->weights[i];
  if (trace <= 0 || square <= 0) return result->relative_error;
  const double damped = settings->damping * trace / (double)n * result->relative_error * square;
  return fmax(0, (result->weighted_error - damped) / (square * trace / (double)n));
}

static bool measure_options(struct erring *e, int64_t layer, int which, struct allocation_option *out,
                            struct error *error) {
  const struct compress_layer matrix = compress_matrix_of(e->work, e->values, e->calibration, layer, which);
  for (int o = 0; o < e->options->count; o++) {
    const struct compress_settings *settings = &e->options->settings[o];
    struct compress_result result = {.represented = e->represented};
    e->work->stopped = e->work->stop_asked && *e->work->stop_asked;
    if (e->work->stopped) return false;
    if (!compress_matrix(settings, &matrix, &result, error))
      return error_context(error, "%s of layer %lld at %d bits", compress_matrix_name(which), (long long)layer,
                           e->options->bits[o]);
    out[o] = (struct allocation_option){.bits = result.bits_per_weight,
                                        .error = allocation_error(settings, &matrix, &result)};
  }
  return true;
}

// ---- the whole ----

static bool choose(struct stage_work *work, const struct allocation_layer *layers, int count,
                   struct allocated *allocated, struct error *error) {
  const struct run_config *c = &work->run.file.config;
  struct allocation allocation = {.choice = allocated->choice};
  bool uniform = strcmp(c->compress.allocate.method, "uniform") == 0;
  if (!(uniform ? allocate_uniform : allocate)(layers, count, c->compress.allocate.budget_bits, &allocation, error))
    return false;
  allocated->predicted = allocation.increase;
  return true;
}

// Of every matrix of every block, in order.
static bool sensitivities_of(struct stage_work *work, const struct model_values *values, struct sensitivity *out,
                             struct error *error) {
  const struct run_config *c = &work->run.file.config;
  const int64_t count = c->model.layers * MATRIX_HEAD;
  struct sensitivity_range *ranges = memory_get((size_t)count * sizeof *ranges);
  for (int64_t i = 0; i < count; i++) {
    const enum model_matrix which = (enum model_matrix)(i % MATRIX_HEAD);
    const struct weight_description d = layout_weight(c, which, i / MATRIX_HEAD);
    ranges[i] = (struct sensitivity_range){layout_weight_offset(&values->table, which, i / MATRIX_HEAD),
                                           d.outputs * d.inputs, (uint64_t)i};
  }
  const struct sensitivity_request request = {.alpha = c->compress.allocate.alpha,
                                              .noises = c->compress.allocate.noises,
                                              .tokens = c->compress.allocate.tokens,
                                              .largest_noise = c->compress.allocate.largest_noise,
                                              .seed = (uint64_t)c->seed,
                                              .ranges = ranges,
                                              .count = count};
  bool fine = kept_sensitivities(work, values, &request, out, error);
  free(ranges);
  return fine;
}

bool allocate_bits(struct stage_work *work, const struct model_values *values, struct calibration *calibration,
                   struct allocated *allocated, struct error *error) {
  struct training *t = &work->run;
  const struct run_config *c = &t->file.config;
  const int count = (int)(c->model.layers * MATRIX_HEAD);
  *allocated = (struct allocated){.predicted = NAN};
  allocated->sensitivities = memory_get((size_t)count * sizeof *allocated->sensitivities);
  allocated->choice = memory_get((size_t)count * sizeof *allocated->choice);
  if (!allocation_options_of(c, &allocated->options, &t->arena, error) ||
      !sensitivities_of(work, values, allocated->sensitivities, error))
    return false;
  const int options = allocated->options.count;
  struct allocation_option *errors = memory_get((size_t)(count * options) * sizeof *errors);
  struct allocation_layer *layers = memory_get((size_t)count * sizeof *layers);
  struct erring e = {work, values, calibration, &allocated->options, NULL};
  int64_t largest = 0;
  bool fine = true;
  for (int i = 0; i < MATRIX_HEAD; i++) {
    const struct weight_description d = layout_weight(c, (enum model_matrix)i, 0);
    if (d.outputs * d.inputs > largest) largest = d.outputs * d.inputs;
  }
  e.represented = memory_get((size_t)largest * sizeof *e.represented);
  for (int i = 0; i < count && fine; i++) {
    const struct weight_description d = layout_weight(c, (enum model_matrix)(i % MATRIX_HEAD), i / MATRIX_HEAD);
    // Where noise lowers the loss, errors are taken to cost nothing.
    layers[i] = (struct allocation_layer){.weights = d.outputs * d.inputs,
                                          .alpha = fmax(0, allocated->sensitivities[i].alpha),
                                          .options = errors + i * options,
                                          .count = options};
    fine = measure_options(&e, i / MATRIX_HEAD, i % MATRIX_HEAD, errors + i * options, error);
  }
  fine = fine && choose(work, layers, count, allocated, error);
  free(e.represented);
  free(errors);
  free(layers);
  return fine;
}

void allocated_free(struct allocated *allocated) {
  free(allocated->sensitivities);
  free(allocated->choice);
  *allocated = (struct allocated){0};
}
