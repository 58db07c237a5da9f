// See admm.h.
#include "trainer/stages/admm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/bfloat16.h"
#include "kernels/formats/scale_value.h"
#include "trainer/layout.h"

// One matrix of a block.
struct part {
  int64_t at, count;            // in the model's parameters
  struct compress_layer shape;  // as the projection takes it
  float *z, *u;                 // in full,
  struct narrow_values low_z;   // or narrow
  uint16_t *low_u;
};

struct admm {
  struct model *model;
  const struct compress_settings *settings;
  struct model_partner partner;
  struct part *parts;
  int64_t part_count, steps, step;
  bool low;
  double lambda, lambda_of_u;  // now, and when u was last taken
  float *x, *y, *z, *u;        // of one matrix
  float *sparse;
  struct error error;  // of an update
};

double admm_lambda(const struct compress_settings *settings, int64_t step, int64_t steps) {
  double s = (double)(step + 1) / (double)steps;
  const char *name = settings->lambda_schedule;
  double share = strcmp(name, "linear") == 0        ? s
                 : strcmp(name, "cosine") == 0      ? (1 - cos(M_PI * s)) / 2
                 : strcmp(name, "exponential") == 0 ? pow(1000, s - 1)
                                                    : 1;
  return settings->lambda * share;
}

// ---- narrow values ----

static const float most_narrow = 448;

static float e4m3_value(int code) {
  int exponent = code >> 3, fraction = code & 7;
  return exponent ? ldexpf(1 + (float)fraction / 8, exponent - 7) : ldexpf((float)fraction, -9);
}

// Of a magnitude that has one.
static int e4m3_code(float value) {
  int exponent;
  if (value < 0x1p-6f) return (int)ldexpf(value, 9);
  frexpf(value, &exponent);  // value is below 2^exponent, and not below half of that
  return (exponent + 6) * 8 + (int)ldexpf(value, 4 - exponent) - 8;
}

void narrow_put(struct narrow_values *narrow, const float *values, int64_t count) {
  float most = 0;
  for (int64_t i = 0; i < count; i++) most = fmaxf(most, fabsf(values[i]));
  narrow->scale = most > 0 ? most / most_narrow : 1;
  for (int64_t i = 0; i < count; i++)
    narrow->codes[i] =
        (uint8_t)(e4m3_code(nearest_e4m3(fabsf(values[i]) / narrow->scale)) | (signbit(values[i]) ? 128 : 0));
}

void narrow_get(const struct narrow_values *narrow, float *values, int64_t count) {
  float table[128];
  for (int code = 0; code < 128; code++) table[code] = e4m3_value(code);
  for (int64_t i = 0; i < count; i++) {
    float value = narrow->scale * table[narrow->codes[i] & 127];
    values[i] = narrow->codes[i] & 128 ? -value : value;
  }
}

// ---- z and u of a matrix ----

static void get(const struct admm *a, const struct part *part, float *z, float *u) {
  size_t bytes = (size_t)part->count * sizeof(float);
  if (!a->low) {
    memcpy(z, part->z, bytes);
    memcpy(u, part->u, bytes);
    return;
  }
  narrow_get(&part->low_z, z, part->count);
  for (int64_t i = 0; i < part->count; i++) u[i] = bfloat16_value(part->low_u[i]);
}

// z, and u = sum - z with z as it is kept.
static void put(const struct admm *a, struct part *part, float *z, const float *sum) {
  if (a->low) {
    narrow_put(&part->low_z, z, part->count);
    narrow_get(&part->low_z, z, part->count);
    for (int64_t i = 0; i < part->count; i++) part->low_u[i] = bfloat16_nearest(sum[i] - z[i]);
    return;
  }
  memcpy(part->z, z, (size_t)part->count * sizeof *z);
  for (int64_t i = 0; i < part->count; i++) part->u[i] = sum[i] - z[i];
}

// What u is worth under the lambda of now.
static float scale_of_u(const struct admm *a) {
  return a->lambda > 0 && a->lambda_of_u > 0 ? (float)(a->lambda_of_u / a->lambda) : 1;
}

static bool fetch(struct admm *a, float *to, const void *from, int64_t count) {
  return !a->error.code && a->model->ops->download(a->model->device, to, from, (size_t)count * sizeof *to, &a->error);
}

static void send(struct admm *a, void *to, const float *from, int64_t count) {
  a->model->ops->upload(a->model->device, to, from, (size_t)count * sizeof *from);
}

// y += factor (x - z + u) for one matrix.
static void add_distance(struct admm *a, const struct part *part, float factor, float *y) {
  float scale = scale_of_u(a);
  get(a, part, a->z, a->u);
  for (int64_t i = 0; i < part->count; i++) y[i] += factor * (a->x[i] - a->z[i] + scale * a->u[i]);
}

// ---- its part in an update ----

static bool in_gradient(const struct admm *a) { return strcmp(a->settings->penalty, "in_gradient") == 0; }

static void before_update(void *context) {
  struct admm *a = context;
  struct model *m = a->model;
  a->lambda = admm_lambda(a->settings, a->step, a->steps);
  if (!in_gradient(a)) return;
  for (int64_t i = 0; i < a->part_count; i++) {
    struct part *part = &a->parts[i];
    if (!fetch(a, a->x, model_parameter(m, part->at), part->count) ||
        !fetch(a, a->y, m->gradients + part->at, part->count))
      return;
    add_distance(a, part, (float)a->lambda, a->y);
    send(a, m->gradients + part->at, a->y, part->count);
  }
}

static void after_update(void *context, double lr) {
  struct admm *a = context;
  struct model *m = a->model;
  for (int64_t i = 0; i < a->part_count && !in_gradient(a); i++) {
    struct part *part = &a->parts[i];
    if (!fetch(a, a->x, model_parameter(m, part->at), part->count)) return;
    memcpy(a->y, a->x, (size_t)part->count * sizeof *a->y);
    add_distance(a, part, (float)(-lr * a->lambda), a->y);
    send(a, model_parameter(m, part->at), a->y, part->count);
  }
  a->step++;
}

// ---- projections ----

static bool project(struct admm *a, bool first, struct error *error) {
  struct model *m = a->model;
  bool weighed = !first && strcmp(a->settings->projection, "second_moment") == 0;
  float scale = scale_of_u(a);
  for (int64_t i = 0; i < a->part_count; i++) {
    struct part *part = &a->parts[i];
    float *sparse = a->sparse + (part->at - m->table.norms_end);
    if (!fetch(a, a->x, model_parameter(m, part->at), part->count) ||
        (weighed && !fetch(a, a->y, model_state(m, STATE_V, part->at), part->count))) {
      error_take(error, &a->error);
      return false;
    }
    get(a, part, a->z, a->u);
    for (int64_t k = 0; k < part->count; k++) a->u[k] = a->x[k] + scale * a->u[k];
    compress_project(a->settings, &part->shape, a->u, weighed ? a->y : NULL, sparse);
    memcpy(a->z, sparse, (size_t)part->count * sizeof *sparse);
    if (first) memcpy(a->u, a->z, (size_t)part->count * sizeof *a->u);  // u begins at 0
    put(a, part, a->z, a->u);
  }
  a->lambda_of_u = a->lambda;
  return true;
}

bool admm_after_step(struct admm *a, int64_t done, struct error *error) {
  if (a->error.code) {
    error_take(error, &a->error);
    return false;
  }
  return (done % a->settings->interval != 0 && done != a->steps) || project(a, false, error);
}

const float *admm_sparse(const struct admm *a) { return a->sparse; }

// ---- the whole ----

static void make_part(struct admm *a, struct part *part, int64_t layer, int which) {
  const struct model *m = a->model;
  const struct weight_description d = layout_weight(&m->config, (enum model_matrix)which, layer);
  *part = (struct part){.at = layout_weight_offset(&m->table, (enum model_matrix)which, layer),
                        .count = d.outputs * d.inputs,
                        .shape = {.outputs = d.outputs, .inputs = d.inputs, .parts = d.parts}};
  memcpy(part->shape.part_outputs, d.part_outputs, sizeof part->shape.part_outputs);
  size_t count = (size_t)part->count;
  if (a->low) {
    part->low_z = (struct narrow_values){.codes = memory_get(count), .scale = 1};
    part->low_u = memory_get(count * sizeof *part->low_u);
    memset(part->low_z.codes, 0, count);
    memset(part->low_u, 0, count * sizeof *part->low_u);
  } else {
    part->z = memory_get(count * sizeof *part->z);
    part->u = memory_get(count * sizeof *part->u);
    memset(part->z, 0, count * sizeof *part->z);
    memset(part->u, 0, count * sizeof *part->u);
  }
}

struct admm *admm_make(struct model *m, const struct compress_settings *settings, int64_t steps, struct error *error) {
  struct admm *a = memory_get(sizeof *a);
  int64_t widest = 0, all = m->table.matrices_end - m->table.norms_end;
  *a = (struct admm){.model = m,
                     .settings = settings,
                     .partner = {a, before_update, after_update},
                     .part_count = m->config.model.layers * MATRIX_HEAD,
                     .steps = steps,
                     .low = strcmp(settings->memory, "low") == 0};
  a->parts = memory_get((size_t)a->part_count * sizeof *a->parts);
  for (int64_t i = 0; i < a->part_count; i++) {
    make_part(a, &a->parts[i], i / MATRIX_HEAD, (int)(i % MATRIX_HEAD));
    if (a->parts[i].count > widest) widest = a->parts[i].count;
  }
  float **const scratch[] = {&a->x, &a->y, &a->z, &a->u};
  for (int i = 0; i < 4; i++) *scratch[i] = memory_get((size_t)widest * sizeof(float));
  a->sparse = memory_get((size_t)all * sizeof *a->sparse);
  if (!project(a, true, error)) {
    admm_free(a);
    return NULL;
  }
  m->partner = &a->partner;
  return a;
}

void admm_free(struct admm *a) {
  if (!a) return;
  if (a->model->partner == &a->partner) a->model->partner = NULL;
  for (int64_t i = 0; i < a->part_count; i++) {
    free(a->parts[i].z);
    free(a->parts[i].u);
    free(a->parts[i].low_z.codes);
    free(a->parts[i].low_u);
  }
  float *const scratch[] = {a->x, a->y, a->z, a->u, a->sparse};
  for (int i = 0; i < 5; i++) free(scratch[i]);
  free(a->parts);
  free(a);
}
