// See readout.h.
#include "trainer/readout.h"

#include <stdlib.h>

#include "kernels/bfloat16.h"

bool model_read(struct model *m, const void *from, enum dtype dtype, int64_t count, float *out, struct error *error) {
  if (dtype == DTYPE_FLOAT32) return m->ops->download(m->device, out, from, (size_t)count * sizeof *out, error);
  uint16_t *halves = memory_get((size_t)count * sizeof *halves);
  bool fine = m->ops->download(m->device, halves, from, (size_t)count * sizeof *halves, error);
  for (int64_t i = 0; i < count && fine; i++) out[i] = bfloat16_value(halves[i]);
  free(halves);
  return fine;
}

void model_write(struct model *m, void *to, enum dtype dtype, int64_t count, const float *values) {
  if (dtype == DTYPE_FLOAT32) {
    m->ops->upload(m->device, to, values, (size_t)count * sizeof *values);
    return;
  }
  uint16_t *halves = memory_get((size_t)count * sizeof *halves);
  for (int64_t i = 0; i < count; i++) halves[i] = bfloat16_nearest(values[i]);
  m->ops->upload(m->device, to, halves, (size_t)count * sizeof *halves);
  free(halves);
}

bool model_read_head(struct model *m, float *head, struct error *error) {
  int64_t count = m->config.model.vocabulary * m->config.model.width;
  enum dtype master = m->config.model.tied_head ? DTYPE_FLOAT32 : m->master;
  if (!model_read(m, model_parameter(m, m->table.head), master, count, head, error)) return false;
  for (int64_t i = 0; i < count && m->dtype != DTYPE_FLOAT32; i++) head[i] = bfloat16_value(bfloat16_nearest(head[i]));
  return true;
}
