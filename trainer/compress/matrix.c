// One matrix through its method: checks, the method, what is measured. See compress.h.
#include <math.h>
#include <string.h>

#include "kernels/formats/grid.h"
#include "trainer/compress/internal.h"

static bool check_layer(const struct compress_settings *settings, const struct compress_layer *layer,
                        struct error *error) {
  int64_t stacked = 0;
  for (int part = 0; part < layer->parts; part++) stacked += layer->part_outputs[part];
  if (layer->parts > 0 && stacked != layer->outputs)
    return error_set(error, EXIT_ENVIRONMENT, "a matrix of %lld outputs has parts of %lld", (long long)layer->outputs,
                     (long long)stacked);
  for (int64_t i = 0; i < layer->outputs * layer->inputs; i++)
    if (!isfinite(layer->weights[i]))
      return error_set(error, EXIT_USAGE_ERROR, "weight (%lld, %lld) is not finite", (long long)(i / layer->inputs),
                       (long long)(i % layer->inputs));
  if (settings->method->needs_calibration && !layer->hessian)
    return error_set(error, EXIT_USAGE_ERROR, "%s needs calibration inputs", settings->method->name);
  return compress_check_shape(settings, layer->outputs, layer->inputs, error);
}

bool compress_matrix(const struct compress_settings *settings, const struct compress_layer *layer,
                     struct compress_result *result, struct error *error) {
  struct arena arena = {0};
  struct compress_call call = {settings, layer, result, &arena};
  double begin = clock_seconds();
  *result = (struct compress_result){.represented = result->represented,
                                     .codes = result->codes,
                                     .output_error = NAN,
                                     .weighted_error = NAN,
                                     .method_error = NAN,
                                     .bound = NAN,
                                     .pivot_trace = NAN,
                                     .bits_per_weight = NAN};
  bool fine = check_layer(settings, layer, error) && settings->method->run(&call, error);
  if (fine) {
    measure_result(&call);
    struct representation representation = resolved_representation(settings, layer->inputs);
    double stored = representation_bits(&representation);
    // Entropy, where it was measured, in place of the bits of a code.
    if (isnan(result->bits_per_weight))
      result->bits_per_weight = stored;
    else
      result->bits_per_weight += stored - grid_bits(&representation.grid);
  }
  result->seconds = clock_seconds() - begin;
  arena_free(&arena);
  return fine;
}
