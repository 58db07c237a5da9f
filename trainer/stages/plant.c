// See plant.h.
#include "trainer/stages/plant.h"

#include <inttypes.h>
#include <stdlib.h>

#include "kernels/formats/format.h"
#include "trainer/layout.h"
#include "trainer/stages/work.h"

const char *const plant_stage_needs[] = {"plant_outliers.channels", NULL};

bool plant_stage_skips(const struct run_config *config) { return !config->plant_outliers.channels; }

bool plant_stage_resolve(struct run_config *config, const struct corpus_facts *facts, struct arena *arena,
                         struct error *error) {
  (void)facts;
  int64_t values = config->model.kv_heads * config->model.head_dim, least = config->model.width;
  if (values < least) least = values;
  if (config->model.mlp_width < least) least = config->model.mlp_width;
  if (config->plant_outliers.channels > least)
    return error_set(error, EXIT_USAGE_ERROR,
                     "plant_outliers.channels %" PRId64 " are more than the %" PRId64 " of the narrowest matrix",
                     config->plant_outliers.channels, least) ||
           error_about(error, "plant_outliers.channels", NULL);
  if (!format_has_learned_scales(config_format(config, arena))) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "outliers cannot be planted after a training in %s: its learned scales are those of the operands as "
                   "they were",
                   config->format);
}

double plant_stage_forward_tokens(const struct run_config *config, const struct corpus_facts *facts) {
  (void)config, (void)facts;
  return 0;  // besides the final evaluation
}

// ---- which channels ----

// `count` of 0 .. range - 1, in `chosen`: by the seed, other ones for each matrix.
static void choose(const struct run_config *config, int64_t layer, int matrix, int64_t range, int64_t *chosen) {
  for (int64_t i = 0, draw = 0; i < config->plant_outliers.channels; draw++) {
    const int64_t place[] = {layer, matrix, draw};
    chosen[i] = (int64_t)(hash64(place, sizeof place, (uint64_t)config->seed) % (uint64_t)range);
    int64_t before = 0;
    while (before < i && chosen[before] != chosen[i]) before++;
    if (before == i) i++;
  }
}

// ---- planting ----

struct planting {
  const struct run_config *config;
  float *values;
  float gain;
};

static void scale_row(const struct planting *p, int64_t offset, int64_t row, int64_t columns) {
  for (int64_t i = 0; i < columns; i++) p->values[offset + row * columns + i] *= p->gain;
}

static void shrink_column(const struct planting *p, int64_t offset, int64_t rows, int64_t columns, int64_t column) {
  for (int64_t i = 0; i < rows; i++) p->values[offset + i * columns + column] /= p->gain;
}

// A norm's weight and what reads the channel.
static void plant_norm(const struct planting *p, int64_t norm, int64_t matrix, int64_t rows, int64_t channel) {
  p->values[norm + channel] *= p->gain;
  shrink_column(p, matrix, rows, p->config->model.width, channel);
}

// A feature of a key and value head, which every query head of its group reads.
static void plant_value(const struct planting *p, const struct layer_offsets *layer, int64_t feature) {
  int64_t heads = p->config->model.heads, kv = p->config->model.kv_heads, dim = p->config->model.head_dim;
  int64_t group = heads / kv, first = feature / dim * group;
  scale_row(p, layer->qkv, (heads + kv) * dim + feature, p->config->model.width);
  for (int64_t head = first; head < first + group; head++)
    shrink_column(p, layer->output, p->config->model.width, heads * dim, head * dim + feature % dim);
}

static void plant_layer(const struct planting *p, const struct layer_offsets *offsets, int64_t layer) {
  const struct run_config *c = p->config;
  int64_t count = c->plant_outliers.channels, width = c->model.width, hidden = c->model.mlp_width;
  int64_t values = c->model.kv_heads * c->model.head_dim, queries = c->model.heads * c->model.head_dim;
  int64_t *chosen = memory_get((size_t)count * sizeof *chosen);
  choose(c, layer, MATRIX_QKV, width, chosen);
  for (int64_t i = 0; i < count; i++)
    plant_norm(p, offsets->attention_norm, offsets->qkv, queries + 2 * values, chosen[i]);
  choose(c, layer, MATRIX_OUTPUT, values, chosen);
  for (int64_t i = 0; i < count; i++) plant_value(p, offsets, chosen[i]);
  choose(c, layer, MATRIX_GATE_UP, width, chosen);
  for (int64_t i = 0; i < count; i++) plant_norm(p, offsets->mlp_norm, offsets->gate_up, 2 * hidden, chosen[i]);
  choose(c, layer, MATRIX_DOWN, hidden, chosen);
  for (int64_t i = 0; i < count; i++) {
    scale_row(p, offsets->gate_up, hidden + chosen[i], width);
    shrink_column(p, offsets->down, width, hidden, chosen[i]);
  }
  free(chosen);
}

bool plant_stage_work(struct stage_work *work, struct error *error) {
  const struct run_config *config = &work->run.file.config;
  struct model_values values;
  struct evaluation evaluation;
  bool fine = stage_masters(&work->run, &work->parent, &values, error);
  struct planting planting = {config, values.values, (float)config->plant_outliers.gain};
  for (int64_t layer = 0; layer < config->model.layers && fine; layer++)
    plant_layer(&planting, &values.table.layers[layer], layer);
  fine = fine && stage_make_model(work, &values, error) && stage_write_checkpoint(work, error) &&
         stage_evaluate(work, config->train.final_eval_tokens, &evaluation, error) &&
         report_stage_done(work, &evaluation, NULL, 0, error);
  values_free(&values);
  return fine;
}
