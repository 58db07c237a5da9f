// See average.h.
#include "trainer/average.h"

#include <stdlib.h>

#include "kernels/bfloat16.h"

static bool averages(const struct run_config *c) { return c->train.average_checkpoints > 1; }

int64_t average_bytes(const struct run_config *c) {
  return averages(c) ? config_parameters(c).total * (int64_t)sizeof(float) : 0;
}

int64_t average_first(const struct run_config *c) {
  return averages(c) ? c->train.steps - (c->train.average_checkpoints - 1) * c->train.average_every : 0;
}

int64_t average_count(const struct run_config *c, int64_t done) {
  int64_t first = average_first(c);
  return !averages(c) || done < first ? 0 : (done - first) / c->train.average_every + 1;
}

bool average_takes(const struct run_config *c, int64_t done) {
  return averages(c) && done >= average_first(c) && (c->train.steps - done) % c->train.average_every == 0;
}

bool average_is_pending(const struct run_config *c, int64_t done) {
  return done < c->train.steps && average_count(c, done) > 0;
}

enum { CHUNK = 1 << 16 };

// A stretch of parameters of one type, added to the sum or, where `mean` is their number, replaced by its mean.
static bool take_stretch(struct model *m, int64_t from, int64_t to, enum dtype dtype, float mean, void *staging,
                         struct error *error) {
  float *wide = staging;
  uint16_t *narrow = staging;
  for (int64_t at = from; at < to; at += CHUNK) {
    int64_t count = to - at < CHUNK ? to - at : CHUNK;
    size_t bytes = (size_t)count * dtype_bytes(dtype);
    float *sum = m->average + at;
    if (!m->ops->download(m->device, staging, model_parameter(m, at), bytes, error)) return false;
    for (int64_t i = 0; i < count; i++) sum[i] += dtype == DTYPE_FLOAT32 ? wide[i] : bfloat16_value(narrow[i]);
    if (mean == 0) continue;
    for (int64_t i = 0; i < count; i++) {
      if (dtype == DTYPE_FLOAT32)
        wide[i] = sum[i] / mean;
      else
        narrow[i] = bfloat16_nearest(sum[i] / mean);
    }
    m->ops->upload(m->device, model_parameter(m, at), staging, bytes);
  }
  return true;
}

bool average_take(struct model *m, int64_t done, struct error *error) {
  const struct run_config *c = &m->config;
  int64_t count = average_count(c, done), all = m->table.count, wide = m->table.norms_end;
  float mean = done == c->train.steps ? (float)count : 0;
  for (int64_t i = 0; count == 1 && i < all; i++) m->average[i] = 0;
  void *staging = memory_get(CHUNK * sizeof(float));
  bool fine = take_stretch(m, 0, wide, DTYPE_FLOAT32, mean, staging, error) &&
              take_stretch(m, wide, all, m->master, mean, staging, error) && m->ops->synchronize(m->device, error);
  free(staging);
  if (fine && mean != 0) model_prepare(m, done);
  return fine;
}
