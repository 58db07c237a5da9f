// A matrix made ready for rounding: transformed, with the scales of its format; and matrices through the formats' own
// passes. See internal.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/formats/sparsity.h"
#include "trainer/compress/internal.h"

// A call's matrix on the passes of kernels/formats.
struct passes {
  struct compress_call *call;
  struct quantizer quantizer;
  const struct format_level *level;
  const uint32_t *signs;  // [inputs], or NULL
  float *x;               // [outputs, inputs]: the weights, transformed
  float *scratch;
};

static bool passes_make(struct passes *p, struct compress_call *call, const struct representation *representation,
                        struct error *error) {
  const struct compress_layer *layer = call->layer;
  size_t count = (size_t)(layer->outputs * layer->inputs);
  enum isa_level isa;
  *p = (struct passes){.call = call};
  if (!isa_choose(NULL, &isa, error) ||
      !quantizer_make(&p->quantizer, representation, layer->inputs, call->arena, error))
    return false;
  p->level = format_level_find(isa);
  p->x = arena_array(call->arena, count + 64, sizeof *p->x);
  p->scratch = arena_array(call->arena, (size_t)quantize_scratch(layer->inputs), sizeof *p->scratch);
  if (p->quantizer.hadamard_block <= 1) {
    memcpy(p->x, layer->weights, count * sizeof *p->x);
    return true;
  }
  if (p->quantizer.hadamard_random) {
    uint32_t *signs = arena_array(call->arena, (size_t)layer->inputs, sizeof *signs);
    hadamard_signs(layer->seed, 0, layer->number, layer->inputs, signs);
    p->signs = signs;
  }
  struct transform_call transform = {.columns = layer->inputs,
                                     .block = p->quantizer.hadamard_block,
                                     .signs = p->signs,
                                     .from = layer->weights,
                                     .to = p->x,
                                     .scratch = p->scratch};
  p->level->transform(&transform, 0, layer->outputs, 0);
  return true;
}

// Of the rows of one part, which share scales and selections.
static struct tensor_statistics part_statistics(const struct passes *p, const float *x, int64_t rows) {
  const struct quantizer *q = &p->quantizer;
  struct tensor_statistics statistics = {.pruned = q->pruned, .last_tie = -1};
  int64_t columns = q->columns;
  if (quantizer_needs_absmax(q) || quantizer_needs_rms(q)) {
    float *absmax = memory_get((size_t)rows * sizeof *absmax);
    double *squares = memory_get((size_t)rows * sizeof *squares), sum = 0;
    struct statistics_call call = {.quantizer = q,
                                   .from = x,
                                   .transformed = true,
                                   .row_absmax = absmax,
                                   .row_squares = squares,
                                   .scratch = p->scratch};
    p->level->statistics(&call, 0, rows, 0);
    for (int64_t row = 0; row < rows; row++) {
      sum += squares[row];
      statistics.absmax = fmaxf(statistics.absmax, absmax[row]);
    }
    statistics.rms = (float)sqrt(sum / (double)(rows * columns));
    free(absmax);
    free(squares);
  }
  if (quantizer_needs_selection(q)) {
    int64_t count = rows * columns;
    struct float_span span = {x, count};
    struct selection selection = select_largest(&span, 1, count - llround((double)q->pruned * (double)count));
    statistics.threshold = selection.threshold;
    statistics.last_tie = selection.last_tie;
  }
  return statistics;
}

static int parts_of(const struct compress_layer *layer) { return layer->parts > 0 ? layer->parts : 1; }
static int64_t part_rows(const struct compress_layer *layer, int part) {
  return layer->parts > 0 ? layer->part_outputs[part] : layer->outputs;
}

bool represent_matrix(struct compress_call *call, const struct representation *representation, float *out,
                      struct error *error) {
  const struct compress_layer *layer = call->layer;
  struct passes p;
  if (!passes_make(&p, call, representation, error)) return false;
  int64_t begin = 0;
  for (int part = 0; part < parts_of(layer); part++) {
    int64_t rows = part_rows(layer, part);
    const float *x = p.x + begin * layer->inputs;
    struct tensor_statistics statistics = part_statistics(&p, x, rows);
    struct quantize_call quantize = {.quantizer = &p.quantizer,
                                     .statistics = &statistics,
                                     .rows = rows,
                                     .from = x,
                                     .to = out + begin * layer->inputs,
                                     .transformed = true,
                                     .place = {layer->seed, 0, (uint64_t)layer->number * 4 + OPERAND_WEIGHTS, begin},
                                     .scratch = p.scratch};
    p.level->quantize(&quantize, 0, rows, 0);
    begin += rows;
  }
  if (p.quantizer.hadamard_block > 1) {
    struct transform_call back = {.columns = layer->inputs,
                                  .block = p.quantizer.hadamard_block,
                                  .signs = p.signs,
                                  .from = out,
                                  .to = out,
                                  .scratch = p.scratch};
    p.level->inverse(&back, 0, layer->outputs, 0);
  }
  return true;
}

// ---- scales that stand ----

// |x - q(x)|^norm summed over a range of a row, or as far as it takes to be no less than `enough`.
static double range_error(const struct nearest *nearest, const float *x, int64_t count, double scale, double norm,
                          double enough) {
  double sum = 0;
  for (int64_t i = 0; i < count && sum < enough; i++) {
    int32_t number;
    double z = (double)x[i] / scale, apart = fabs(z - nearest_level(nearest, z, &number)) * scale;
    sum += pow(apart, norm);
  }
  return sum;
}

// GPTQ's clip search: the size that a scale follows from is shrunk in 80 steps of 1/100, down to 0.21; the least error
// of rounding each value for itself, in the norm 2.4, wins, the larger scale among equals.
static void search_clip(const struct gridded *g, const struct passes *p, const struct tensor_statistics *statistics,
                        int64_t begin, int64_t rows, struct arena *arena) {
  enum { STEPS = 80 };
  const double norm = 2.4;
  int64_t count = rows * g->units;
  float *trial = arena_array(arena, (size_t)count, sizeof *trial), *scales = g->scales + begin * g->units;
  double *least = arena_array(arena, (size_t)count, sizeof *least);
  for (int step = 0; step < STEPS; step++) {
    struct scales_call call = {.quantizer = &p->quantizer,
                               .statistics = statistics,
                               .from = p->x + begin * g->inputs,
                               .scratch = p->scratch,
                               .shrink = 1 - (float)step / 100,
                               .scales = trial};
    p->level->scales(&call, 0, rows, 0);
    for (int64_t i = 0; i < count; i++) {
      if (step && trial[i] == scales[i]) continue;
      int64_t row = begin + i / g->units, at = i % g->units * g->group;
      int64_t length = at + g->group < g->inputs ? g->group : g->inputs - at;
      double error = range_error(&g->nearest, p->x + row * g->inputs + at, length, (double)trial[i], norm,
                                 step ? least[i] : INFINITY);
      if (step && !(error < least[i])) continue;
      least[i] = error;
      scales[i] = trial[i];
    }
  }
}

bool gridded_make(struct gridded *g, struct compress_call *call, const struct representation *representation,
                  struct error *error) {
  const struct compress_layer *layer = call->layer;
  struct passes p;
  struct representation dense = *representation;
  dense.sparsity = (struct sparsity){0};
  if (!passes_make(&p, call, &dense, error)) return false;
  *g = (struct gridded){.outputs = layer->outputs,
                        .inputs = layer->inputs,
                        .group = p.quantizer.unit == SCALE_PER_GROUP ? p.quantizer.group : layer->inputs,
                        .units = quantizer_scale_units(&p.quantizer),
                        .transform = {layer->inputs, p.quantizer.hadamard_block, p.signs},
                        .values = p.x};
  nearest_make(&g->nearest, &dense.grid, strcmp(call->settings->range, "unbounded") == 0);
  g->scales = arena_array(call->arena, (size_t)(g->outputs * g->units), sizeof *g->scales);
  int64_t begin = 0;
  for (int part = 0; part < parts_of(layer); part++) {
    int64_t rows = part_rows(layer, part);
    const float *x = p.x + begin * layer->inputs;
    struct tensor_statistics statistics = part_statistics(&p, x, rows);
    struct scales_call scales = {.quantizer = &p.quantizer,
                                 .statistics = &statistics,
                                 .from = x,
                                 .shrink = 1,
                                 .scales = g->scales + begin * g->units,
                                 .scratch = p.scratch};
    p.level->scales(&scales, 0, rows, 0);
    if (strcmp(call->settings->clip, "mse") == 0) search_clip(g, &p, &statistics, begin, rows, call->arena);
    begin += rows;
  }
  return true;
}
