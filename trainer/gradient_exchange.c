// See gradient_exchange.h.
#include "trainer/gradient_exchange.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "kernels/formats/fitted_levels.h"

enum { SAMPLE = 1024 };  // magnitudes of a tensor that levels are fitted to, at most

enum fitting { FIT_NONE, FIT_COMMON, FIT_EACH };

struct gradient_exchange {
  enum fitting fitting;
  struct levels start;  // before anything is fitted
  int64_t bucket;       // elements that share a norm; 0: a tensor's
  uint64_t seed;
  int64_t room;              // elements of the arrays
  float *own, *sum, *exact;  // one worker's; of what arrived; of what was exact
  double *block;             // a bucket's
  struct levels *levels;     // of each tensor
  int tensors;
  double bytes;
  struct error failed;
  double error;
};

static bool compresses(const struct run_config *c) { return strcmp(c->train.gradient_compression, "none") != 0; }

int64_t gradient_exchange_bytes(const struct run_config *c, int64_t count) {
  return compresses(c) ? 3 * count * (int64_t)sizeof(float) : 0;
}

struct gradient_exchange *gradient_exchange_make(const struct run_config *c) {
  if (!compresses(c)) return NULL;
  const char *way = c->train.gradient_compression;
  int count = (int)c->train.gradient_levels;
  struct gradient_exchange *e = memory_get(sizeof *e);
  e->fitting = strcmp(way, "fitted") == 0 ? FIT_COMMON : strcmp(way, "layerwise") == 0 ? FIT_EACH : FIT_NONE;
  e->start = strcmp(way, "uniform") == 0 ? levels_uniform(count) : levels_exponential(count);
  e->bucket = c->train.gradient_bucket;
  e->seed = (uint64_t)c->seed;
  e->error = NAN;
  return e;
}

void gradient_exchange_free(struct gradient_exchange *e) {
  if (!e) return;
  void *const all[] = {e->own, e->sum, e->exact, e->block, e->levels, e};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

// A format that begins later has more parameters.
static void make_room(struct gradient_exchange *e, const struct parameter_table *table) {
  int64_t largest = e->bucket;
  if (e->room >= table->count && e->tensors == table->tensor_count) return;
  for (int i = 0; i < table->tensor_count && !e->bucket; i++)
    if (table->tensors[i].count > largest) largest = table->tensors[i].count;
  size_t bytes = (size_t)table->count * sizeof(float);
  e->own = memory_grow(e->own, bytes);
  e->sum = memory_grow(e->sum, bytes);
  e->exact = memory_grow(e->exact, bytes);
  e->block = memory_grow(e->block, (size_t)largest * sizeof *e->block);
  e->levels = memory_grow(e->levels, (size_t)table->tensor_count * sizeof *e->levels);
  e->room = table->count;
  e->tensors = table->tensor_count;
}

static int64_t bucket_of(const struct gradient_exchange *e, const struct parameter_tensor *t, int64_t first) {
  int64_t left = t->count - first;
  return e->bucket && e->bucket < left ? e->bucket : left;
}

static double norm_of(const float *x, int64_t count) {
  double square = 0;
  for (int64_t i = 0; i < count; i++) square += (double)x[i] * (double)x[i];
  return sqrt(square);
}

// ---- levels ----

// Magnitudes of evenly chosen elements over their buckets' norms; returns how many.
static size_t sample(const struct gradient_exchange *e, const struct parameter_tensor *t, double *u) {
  int64_t wanted = t->count < SAMPLE ? t->count : SAMPLE, of_bucket = -1;
  const float *g = e->own + t->offset;
  double norm = 0;
  size_t count = 0;
  for (int64_t k = 0; k < wanted; k++) {
    int64_t at = k * t->count / wanted, first = e->bucket ? at / e->bucket * e->bucket : 0;
    if (first != of_bucket) norm = norm_of(g + first, bucket_of(e, t, first));
    of_bucket = first;
    if (norm > 0 && isfinite(norm)) u[count++] = fmin(fabs((double)g[at]) / norm, 1);
  }
  return count;
}

static void fit(struct gradient_exchange *e, const struct parameter_table *table) {
  int sets = e->fitting == FIT_COMMON ? 1 : table->tensor_count;
  for (int i = 0; i < table->tensor_count; i++) e->levels[i] = e->start;
  if (e->fitting == FIT_NONE) return;
  double *u = memory_get((size_t)table->tensor_count * SAMPLE * sizeof *u);
  size_t count = 0;
  for (int i = 0; i < table->tensor_count; i++) {
    if (e->fitting == FIT_EACH) count = 0;
    count += sample(e, &table->tensors[i], u + count);
    if (e->fitting == FIT_EACH && count) e->levels[i] = levels_fit(&e->start, u, count);
  }
  if (e->fitting == FIT_COMMON && count) {
    struct levels common = levels_fit(&e->start, u, count);
    for (int i = 0; i < table->tensor_count; i++) e->levels[i] = common;
  }
  free(u);
  e->bytes += 4.0 * e->start.count * sets;
}

// ---- exchange ----

// A tensor's gradients in e->own become what arrives of them.
static void send_tensor(struct gradient_exchange *e, const struct parameter_tensor *t, const struct levels *levels,
                        uint64_t step, uint64_t first) {
  for (int64_t at = 0; at < t->count;) {
    int64_t count = bucket_of(e, t, at);
    float *g = e->own + t->offset + at;
    for (int64_t i = 0; i < count; i++) e->block[i] = g[i];
    levels_round(levels, e->block, (size_t)count, e->seed, RANDOM_STREAM_GRADIENT, step, first + (uint64_t)at,
                 e->block);
    for (int64_t i = 0; i < count; i++) g[i] = (float)e->block[i];
    at += count;
  }
}

static double bytes_of(const struct gradient_exchange *e, const struct parameter_tensor *t) {
  double sum = 0;
  for (int64_t at = 0; at < t->count; at += bucket_of(e, t, at))
    sum += (double)levels_bytes(&e->start, bucket_of(e, t, at));
  return sum;
}

void gradient_exchange_send(struct gradient_exchange *e, const struct ops *ops, struct device *device,
                            const struct parameter_table *table, float *gradients, int64_t worker, int64_t step) {
  size_t bytes = (size_t)table->count * sizeof(float);
  make_room(e, table);
  if (e->failed.code || !ops->download(device, e->own, gradients, bytes, &e->failed)) return;
  ops->clear(device, gradients, bytes);
  if (worker == 0) {
    memset(e->sum, 0, bytes);
    memset(e->exact, 0, bytes);
    e->bytes = 0;
    fit(e, table);
    for (int i = 0; i < table->tensor_count; i++) e->bytes += bytes_of(e, &table->tensors[i]);
  }
  for (int64_t i = 0; i < table->count; i++) e->exact[i] += e->own[i];
  for (int i = 0; i < table->tensor_count; i++) {
    const struct parameter_tensor *t = &table->tensors[i];
    send_tensor(e, t, &e->levels[i], (uint64_t)step, (uint64_t)(worker * table->count + t->offset));
  }
  for (int64_t i = 0; i < table->count; i++) e->sum[i] += e->own[i];
}

void gradient_exchange_receive(struct gradient_exchange *e, const struct ops *ops, struct device *device,
                               const struct parameter_table *table, float *gradients) {
  double wrong = 0, whole = 0;
  if (e->failed.code) return;
  for (int64_t i = 0; i < table->count; i++) {
    double apart = (double)e->sum[i] - (double)e->exact[i];
    wrong += apart * apart;
    whole += (double)e->exact[i] * (double)e->exact[i];
  }
  e->error = whole > 0 ? wrong / whole : NAN;
  ops->upload(device, gradients, e->sum, (size_t)table->count * sizeof(float));
}

bool gradient_exchange_tell(const struct gradient_exchange *e, struct gradient_exchange_told *told,
                            struct error *error) {
  *told = (struct gradient_exchange_told){e->error, e->bytes};
  if (!e->failed.code) return true;
  *error = e->failed;
  return false;
}
