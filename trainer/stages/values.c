// See values.h.
#include "trainer/stages/values.h"

#include <stdlib.h>
#include <string.h>

#include "kernels/bfloat16.h"

static bool narrow(const struct model *model, const struct parameter_tensor *tensor) {
  return tensor->offset >= model->table.norms_end && model->master != DTYPE_FLOAT32;
}

static bool read_tensor(const struct parameter_tensor *tensor, struct model *model, float *out, struct error *error) {
  const void *from = model_parameter(model, tensor->offset);
  if (!narrow(model, tensor))
    return model->ops->download(model->device, out, from, (size_t)tensor->count * sizeof *out, error);
  uint16_t *kept = memory_get((size_t)tensor->count * sizeof *kept);
  bool fine = model->ops->download(model->device, kept, from, (size_t)tensor->count * sizeof *kept, error);
  for (int64_t i = 0; i < tensor->count && fine; i++) out[i] = bfloat16_value(kept[i]);
  free(kept);
  return fine;
}

bool values_read(struct model_values *values, struct model *model, struct error *error) {
  *values = (struct model_values){0};
  values->table = parameter_table(&values->arena, &model->config);
  values->values = memory_get((size_t)values->table.count * sizeof *values->values);
  for (int i = 0; i < values->table.tensor_count; i++) {
    const struct parameter_tensor *tensor = &values->table.tensors[i];
    if (!read_tensor(tensor, model, values->values + tensor->offset, error)) return false;
  }
  return true;
}

bool values_copy(struct model_values *copy, const struct model_values *values) {
  size_t bytes = (size_t)values->table.count * sizeof *values->values;
  *copy = (struct model_values){.table = values->table, .values = memory_get(bytes)};
  memcpy(copy->values, values->values, bytes);
  return true;
}

const struct parameter_tensor *values_find(const struct model_values *values, const char *name) {
  for (int i = 0; i < values->table.tensor_count; i++)
    if (strcmp(values->table.tensors[i].name, name) == 0) return &values->table.tensors[i];
  return NULL;
}

static bool write_tensor(const struct parameter_tensor *tensor, const float *from, struct model *model,
                         struct error *error) {
  void *to = model_parameter(model, tensor->offset);
  if (!narrow(model, tensor)) {
    model->ops->upload(model->device, to, from, (size_t)tensor->count * sizeof *from);
    return model->ops->synchronize(model->device, error);
  }
  uint16_t *kept = memory_get((size_t)tensor->count * sizeof *kept);
  for (int64_t i = 0; i < tensor->count; i++) kept[i] = bfloat16_nearest(from[i]);
  model->ops->upload(model->device, to, kept, (size_t)tensor->count * sizeof *kept);
  bool fine = model->ops->synchronize(model->device, error);
  free(kept);
  return fine;
}

static bool write_all(const struct model_values *values, struct model *model, bool scales, struct error *error) {
  for (int i = 0; i < model->table.tensor_count; i++) {
    const struct parameter_tensor *tensor = &model->table.tensors[i];
    const struct parameter_tensor *from = values_find(values, tensor->name);
    if (!from && !scales && ends_with(tensor->name, SCALES_ENDING)) continue;
    if (!from || from->rows != tensor->rows || from->columns != tensor->columns)
      return error_set(error, EXIT_USAGE_ERROR, "the parent's model has no %s of this shape", tensor->name);
    if (!write_tensor(tensor, values->values + from->offset, model, error)) return false;
  }
  return true;
}

bool values_write(const struct model_values *values, struct model *model, struct error *error) {
  return write_all(values, model, true, error);
}

bool values_write_known(const struct model_values *values, struct model *model, struct error *error) {
  return write_all(values, model, false, error);
}

void values_free(struct model_values *values) {
  free(values->values);
  arena_free(&values->arena);
  *values = (struct model_values){0};
}
