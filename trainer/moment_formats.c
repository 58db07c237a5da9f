// See moment_formats.h.
#include "trainer/moment_formats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/compress/compress.h"
#include "trainer/layout.h"

enum { FIRST, SECOND, MOMENTS };

struct moment {
  struct compress_settings settings;  // round to nearest, in the format
  bool represented;
  double wrong, squares, bits, count;  // of the last step
};

struct moment_formats {
  const struct run_config *config;
  struct arena arena;
  struct moment moments[MOMENTS];
  float *values, *result;  // of a matrix
  int64_t room;
  struct error failed;
};

static const char *text_of(const struct run_config *c, int which) {
  return which == FIRST ? c->train.first_moment : c->train.second_moment;
}

static bool any(const struct run_config *c) {
  return strcmp(c->train.first_moment, "none") != 0 || strcmp(c->train.second_moment, "none") != 0;
}

static int64_t largest_matrix(const struct run_config *c) {
  int64_t largest = 0;
  for (int64_t layer = 0; layer < c->model.layers; layer++)
    for (int which = 0; which < MATRIX_HEAD; which++) {
      const struct weight_description d = layout_weight(c, (enum model_matrix)which, layer);
      if (d.outputs * d.inputs > largest) largest = d.outputs * d.inputs;
    }
  return largest;
}

int64_t moment_formats_bytes(const struct run_config *c) {
  return any(c) ? 2 * largest_matrix(c) * (int64_t)sizeof(float) : 0;
}

struct moment_formats *moment_formats_make(const struct run_config *c) {
  if (!any(c)) return NULL;
  struct moment_formats *f = memory_get(sizeof *f);
  *f = (struct moment_formats){.config = c, .room = largest_matrix(c)};
  for (int which = 0; which < MOMENTS; which++) {
    struct moment *moment = &f->moments[which];
    if (strcmp(text_of(c, which), "none") == 0) continue;
    compress_default(&moment->settings, compress_method_find("rtn", NULL));
    moment->settings.format = text_of(c, which);
    moment->represented = compress_resolve(&moment->settings, &f->arena, &f->failed);
  }
  f->values = memory_get((size_t)f->room * sizeof *f->values);
  f->result = memory_get((size_t)f->room * sizeof *f->result);
  return f;
}

void moment_formats_free(struct moment_formats *f) {
  if (!f) return;
  free(f->values);
  free(f->result);
  arena_free(&f->arena);
  free(f);
}

// The moment of one matrix, in device memory, becomes what is represented of it.
static bool represent(struct moment_formats *f, int which, const struct ops *ops, struct device *device,
                      const struct weight_description *d, float *moment, int64_t step) {
  struct moment *of = &f->moments[which];
  const int64_t count = d->outputs * d->inputs;
  const uint64_t key[] = {(uint64_t)f->config->seed, (uint64_t)step, (uint64_t)which};
  if (!ops->download(device, f->values, moment, (size_t)count * sizeof *moment, &f->failed)) return false;
  struct compress_layer layer = {.outputs = d->outputs,
                                 .inputs = d->inputs,
                                 .parts = d->parts,
                                 .weights = f->values,
                                 .seed = hash64(key, sizeof key, 0),
                                 .number = d->number};
  memcpy(layer.part_outputs, d->part_outputs, sizeof layer.part_outputs);
  struct compress_result result = {.represented = f->result};
  if (which == SECOND)
    for (int64_t i = 0; i < count; i++) f->values[i] = sqrtf(f->values[i]);
  for (int64_t i = 0; i < count; i++)  // a training that has diverged ends by its loss
    if (!isfinite(f->values[i])) return true;
  if (!compress_matrix(&of->settings, &layer, &result, &f->failed)) return false;
  for (int64_t i = 0; i < count; i++) {
    const bool root = which == SECOND;
    const double was = root ? (double)f->values[i] * (double)f->values[i] : (double)f->values[i];
    if (root) f->result[i] *= f->result[i];
    const double apart = (double)f->result[i] - was;
    of->wrong += apart * apart;
    of->squares += was * was;
  }
  of->bits += result.bits_per_weight * (double)count;
  of->count += (double)count;
  ops->upload(device, moment, f->result, (size_t)count * sizeof *moment);
  return true;
}

void moment_formats_apply(struct moment_formats *f, const struct ops *ops, struct device *device,
                          const struct parameter_table *table, float *m, float *v, int64_t step) {
  float *const arrays[MOMENTS] = {m, v};
  for (int which = 0; which < MOMENTS && !f->failed.code; which++) {
    struct moment *of = &f->moments[which];
    of->wrong = of->squares = of->bits = of->count = 0;
    if (!of->represented) continue;
    for (int64_t layer = 0; layer < f->config->model.layers; layer++)
      for (int matrix = 0; matrix < MATRIX_HEAD; matrix++) {
        const struct weight_description d = layout_weight(f->config, (enum model_matrix)matrix, layer);
        const int64_t offset = layout_weight_offset(table, (enum model_matrix)matrix, layer);
        if (!represent(f, which, ops, device, &d, arrays[which] + offset, step)) return;
      }
  }
}

bool moment_formats_result(const struct moment_formats *f, struct moment_formats_result *result, struct error *error) {
  const struct moment *first = &f->moments[FIRST], *second = &f->moments[SECOND];
  *result = (struct moment_formats_result){first->squares > 0 ? first->wrong / first->squares : NAN,
                                           second->squares > 0 ? second->wrong / second->squares : NAN,
                                           first->count > 0 ? first->bits / first->count : NAN,
                                           second->count > 0 ? second->bits / second->count : NAN};
  if (!f->failed.code) return true;
  *error = f->failed;
  return false;
}
