// See predictor.h.
#include "trainer/cache/predictor.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/lapack.h"

// ---- one map ----

// Inputs or outputs in two parts side by side.
struct columns {
  const float *first, *second;
  int64_t first_count, second_count;
};

static double column_value(const struct columns *c, int64_t row, int64_t i) {
  return i < c->first_count ? (double)c->first[row * c->first_count + i]
                            : (double)c->second[row * c->second_count + i - c->first_count];
}

// Rows [count] of the parts less their means, as doubles.
static void centred(const struct columns *c, int64_t row, const double *means, double *out) {
  int64_t count = c->first_count + c->second_count;
  for (int64_t i = 0; i < count; i++) out[i] = column_value(c, row, i) - means[i];
}

static bool means_of(const struct columns *c, int64_t rows, double *means) {
  int64_t count = c->first_count + c->second_count;
  bool finite = true;
  for (int64_t row = 0; row < rows; row++)
    for (int64_t i = 0; i < count; i++) means[i] += column_value(c, row, i);
  for (int64_t i = 0; i < count; i++) finite = isfinite(means[i] /= (double)rows) && finite;
  return finite;
}

bool linear_map_fit(struct linear_map *map, int64_t rows, const float *x, int64_t inputs, const float *more,
                    int64_t more_inputs, const float *y, int64_t outputs, double damping, struct arena *arena,
                    struct error *error) {
  const struct columns in = {x, more, inputs, more ? more_inputs : 0}, out = {y, NULL, outputs, 0};
  int64_t n = in.first_count + in.second_count;
  double *moments = memory_get((size_t)(n * n) * sizeof *moments), *sides = memory_get((size_t)(outputs * n) * 8);
  double *of_x = memory_get((size_t)(2 * n) * 8), *of_y = memory_get((size_t)(2 * outputs) * 8), mean = 0;
  double *row_x = of_x + n, *row_y = of_y + outputs;
  bool fine = rows > 0 && means_of(&in, rows, of_x) && means_of(&out, rows, of_y);
  if (!fine) error_set(error, EXIT_RUNS_FAILED, "keys or values that are to be predicted are not finite");
  for (int64_t row = 0; row < rows && fine; row++) {
    centred(&in, row, of_x, row_x);
    centred(&out, row, of_y, row_y);
    for (int64_t i = 0; i < n; i++)
      for (int64_t j = 0; j <= i; j++) moments[i * n + j] += row_x[i] * row_x[j];
    for (int64_t o = 0; o < outputs; o++)
      for (int64_t i = 0; i < n; i++) sides[o * n + i] += row_y[o] * row_x[i];
  }
  for (int64_t i = 0; i < n; i++) mean += moments[i * n + i] / (double)n;
  for (int64_t i = 0; i < n; i++) {
    // Inputs that never change explain nothing: the damping alone then decides, and their weights are 0.
    moments[i * n + i] += mean > 0 ? damping * mean : 1;
    for (int64_t j = 0; j < i; j++) moments[j * n + i] = moments[i * n + j];
  }
  fine = fine && lapack_solve_positive(n, moments, outputs, sides, error);
  if (fine) {
    *map = (struct linear_map){n, outputs, arena_array(arena, (size_t)(n * outputs), sizeof(float)),
                               arena_array(arena, (size_t)outputs, sizeof(float))};
    for (int64_t o = 0; o < outputs; o++) {
      double constant = of_y[o];
      for (int64_t i = 0; i < n; i++) {
        map->weights[i * outputs + o] = (float)sides[o * n + i];
        constant -= sides[o * n + i] * of_x[i];
      }
      map->constant[o] = (float)constant;
    }
  }
  free(moments);
  free(sides);
  free(of_x);
  free(of_y);
  return fine;
}

static void add_products(int64_t inputs, int64_t outputs, const float *x, const float *weights, float *y) {
  for (int64_t i = 0; i < inputs; i++)
    for (int64_t o = 0; o < outputs; o++) y[o] += x[i] * weights[i * outputs + o];
}

void linear_map_apply(const struct linear_map *map, int64_t rows, const float *x, const float *more, float *y) {
  int64_t outputs = map->outputs, second = more ? outputs : 0, first = map->inputs - second;
  for (int64_t row = 0; row < rows; row++) {
    float *to = y + row * outputs;
    memcpy(to, map->constant, (size_t)outputs * sizeof *to);
    add_products(first, outputs, x + row * first, map->weights, to);
    if (more) add_products(second, outputs, more + row * second, map->weights + first * outputs, to);
  }
}

// ---- the code of a cache ----

bool cache_code_make(struct cache_code *code, int64_t layers, int64_t width, int bits, bool predicts, int first_bits,
                     uint64_t seed, struct arena *arena, struct error *error) {
  size_t count = (size_t)(layers * CACHED_KINDS);
  *code = (struct cache_code){.layers = layers, .width = width, .predicts = predicts};
  code->codecs = arena_array(arena, count, sizeof *code->codecs);
  code->bits = arena_array(arena, count, sizeof *code->bits);
  for (size_t i = 0; i < count; i++) {
    int own = predicts && i < CACHED_KINDS ? first_bits : bits;
    code->bits[i] = cache_codec_bits(own, width);
    code->codecs[i] = cache_codec_make(own, width, seed, i, arena, error);
    if (!code->codecs[i]) return false;
  }
  return true;
}

// What is predicted of the kind, into `to`: false where nothing is.
static bool predict(const struct cache_code *code, int64_t layer, enum cached kind, int64_t rows, const float *keys,
                    const float *const below[CACHED_KINDS], float *to) {
  const struct linear_map *map = code->maps && layer > 0 ? &code->maps[layer * CACHED_KINDS + kind] : NULL;
  if (!map || !map->weights) return false;
  if (kind == CACHED_KEYS)
    linear_map_apply(map, rows, below[CACHED_KEYS], NULL, to);
  else
    linear_map_apply(map, rows, keys, below[CACHED_VALUES], to);
  return true;
}

static double distance(const float *a, const float *b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; i++) {
    double apart = (double)a[i] - (b ? (double)b[i] : 0);
    sum += apart * apart;
  }
  return sum;
}

static void store_kind(const struct cache_code *code, int64_t layer, enum cached kind, int64_t rows, const float *of,
                       const float *keys, const float *const below[CACHED_KINDS], float *read_back, float *scratch,
                       struct cache_sums *sums) {
  const int64_t count = rows * code->width, index = layer * CACHED_KINDS + kind;
  float *predicted = scratch, *rest = scratch + count;
  bool known = predict(code, layer, kind, rows, keys, below, predicted);
  if (known) {
    for (int64_t i = 0; i < count; i++) rest[i] = of[i] - predicted[i];
    cache_codec_represent(code->codecs[index], rows, rest, read_back);
    for (int64_t i = 0; i < count; i++) read_back[i] += predicted[i];
  } else {
    cache_codec_represent(code->codecs[index], rows, of, read_back);
  }
  if (!sums) return;
  double energy = distance(of, NULL, count), error = distance(of, read_back, count);
  sums->count += count;
  sums->energy += energy;
  sums->error += error;
  sums->unexplained += known ? distance(of, predicted, count) : energy;
  if (known) cache_codec_represent(code->codecs[index], rows, of, rest);
  sums->plain_error += known ? distance(of, rest, count) : error;
}

void cache_code_store(const struct cache_code *code, int64_t layer, int64_t rows, const float *const of[CACHED_KINDS],
                      const float *const below[CACHED_KINDS], float *const read_back[CACHED_KINDS], float *scratch,
                      struct cache_sums *sums) {
  for (int kind = 0; kind < CACHED_KINDS; kind++)
    store_kind(code, layer, (enum cached)kind, rows, of[kind], read_back[CACHED_KEYS], below, read_back[kind], scratch,
               sums ? &sums[kind] : NULL);
}

bool cache_code_fit(struct cache_code *code, int64_t rows, float *const *of, double damping, struct arena *arena,
                    struct error *error) {
  int64_t width = code->width, count = rows * width;
  float *memory = memory_get((size_t)(4 * count) * sizeof *memory);
  float *scratch = memory, *read_back[CACHED_KINDS] = {memory + 2 * count, memory + 3 * count};
  bool fine = true;
  code->maps = arena_array(arena, (size_t)(code->layers * CACHED_KINDS), sizeof *code->maps);
  for (int64_t layer = 0; layer < code->layers && fine; layer++) {
    float *const *here = of + layer * CACHED_KINDS;
    const float *below[CACHED_KINDS] = {NULL, NULL};
    for (int kind = 0; kind < CACHED_KINDS && layer > 0; kind++) below[kind] = here[kind - CACHED_KINDS];
    for (int kind = 0; kind < CACHED_KINDS && fine; kind++) {
      struct linear_map *map = &code->maps[layer * CACHED_KINDS + kind];
      if (layer > 0)
        fine = kind == CACHED_KEYS ? linear_map_fit(map, rows, below[CACHED_KEYS], width, NULL, 0, here[kind], width,
                                                    damping, arena, error)
                                   : linear_map_fit(map, rows, read_back[CACHED_KEYS], width, below[CACHED_VALUES],
                                                    width, here[kind], width, damping, arena, error);
      if (fine)
        store_kind(code, layer, (enum cached)kind, rows, here[kind], read_back[CACHED_KEYS], below, read_back[kind],
                   scratch, NULL);
      else
        error_context(error, "what predicts %s of layer %" PRId64, kind == CACHED_KEYS ? "keys" : "values", layer);
    }
    for (int kind = 0; kind < CACHED_KINDS; kind++) memcpy(here[kind], read_back[kind], (size_t)count * sizeof(float));
  }
  free(memory);
  return fine;
}
