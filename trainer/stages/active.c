// How many parameters of a model are not zero that a stage pruned, whichever stage reads it afterwards.
#include <math.h>
#include <string.h>

#include "kernels/formats/format.h"
#include "trainer/layout.h"
#include "trainer/search_budget.h"
#include "trainer/stages/compress.h"
#include "trainer/stages/work.h"

// Whether a compression or a search of the chain leaves zeroes on purpose. (Other formats represent small weights as 0,
// too, and nobody counts these as removed.)
static bool pruned(const struct run_config *config, struct arena *arena) {
  struct compress_settings settings;
  struct error unknown = {0};  // that the settings can be read was seen when the chain was planned
  if (search_reads_sparsity(config)) return true;
  if (strcmp(config->compress.method, "none") == 0 || !compress_settings_of(config, &settings, arena, &unknown))
    return false;
  const struct format *format = settings.parsed_format;
  return settings.method->prunes || (format && format->operands[OPERAND_WEIGHTS].sparsity.kind != SPARSITY_NONE);
}

bool stage_active_parameters(struct stage_work *work, double *active, struct error *error) {
  const struct run_config *config = &work->run.file.config;
  struct model_values values = {0};
  *active = NAN;
  if (!work->run.model || !pruned(config, &work->run.arena)) return true;
  bool fine = values_read(&values, work->run.model, error);
  int64_t zeroes = 0;
  for (int64_t layer = 0; fine && layer < config->model.layers; layer++)
    for (int which = 0; which < MATRIX_HEAD; which++) {
      const struct weight_description d = layout_weight(config, (enum model_matrix)which, layer);
      const float *weights = values.values + layout_weight_offset(&values.table, (enum model_matrix)which, layer);
      for (int64_t i = 0; i < d.outputs * d.inputs; i++) zeroes += weights[i] == 0;
    }
  if (fine) *active = (double)(config_parameters(config).non_embedding - zeroes);
  values_free(&values);
  return fine;
}
