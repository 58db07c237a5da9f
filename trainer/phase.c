// From full precision to the format that begins later. See phase.h.
#include "trainer/phase.h"

#include <stdlib.h>
#include <string.h>

static bool is_formatted(const struct model *m) { return m->config.parsed_format == m->format; }

bool model_take_phase(struct model *m, int64_t step, struct error *error) {
  bool formatted = model_has_format(m, step);
  return formatted == is_formatted(m) || model_lay_out_anew(m, formatted, error);
}

enum { SHIFT_BYTES = 1 << 20 };

// Moves a stretch of device memory up, from its end on, so that it may overlap itself.
static bool shift(struct model *m, const void *from, void *to, int64_t bytes, char *staging, struct error *error) {
  for (int64_t left = bytes; left > 0 && from != to;) {
    int64_t chunk = left < SHIFT_BYTES ? left : SHIFT_BYTES;
    left -= chunk;
    if (!m->ops->download(m->device, staging, (const char *)from + left, (size_t)chunk, error)) return false;
    m->ops->upload(m->device, (char *)to + left, staging, (size_t)chunk);
  }
  return true;
}

static const struct parameter_tensor *same_tensor(const struct parameter_table *table, const char *name) {
  for (int i = 0; i < table->tensor_count; i++)
    if (strcmp(table->tensors[i].name, name) == 0) return &table->tensors[i];
  return NULL;
}

// Bytes of a tensor in an array of the optimizer's state.
static int64_t state_bytes_of(const struct model *m, int array, const struct parameter_tensor *tensor) {
  if (array != STATE_OF_MATRICES) return tensor->count * (int64_t)dtype_bytes(m->state_type);
  return optimizer_of(&m->config)->matrix_state(&m->config, tensor->rows, tensor->columns) * (int64_t)sizeof(float);
}

// Puts parameters (array -1) or an array of the state where the new layout has them: at the same place or further up.
static bool shift_tensors(struct model *m, const struct model *before, int array, char *staging, struct error *error) {
  for (int i = m->table.tensor_count - 1; i >= 0; i--) {
    const struct parameter_tensor *to = &m->table.tensors[i], *from = same_tensor(&before->table, to->name);
    bool parameters = array < 0;
    void *place = parameters ? model_parameter(m, to->offset) : model_state(m, array, to->offset);
    if (!place) continue;
    int64_t bytes =
        parameters ? to->count * (int64_t)(to->offset < m->table.norms_end ? sizeof(float) : dtype_bytes(m->master))
                   : state_bytes_of(m, array, to);
    if (!from)
      m->ops->clear(m->device, place, (size_t)bytes);
    else if (!shift(m, parameters ? model_parameter(before, from->offset) : model_state(before, array, from->offset),
                    place, bytes, staging, error))
      return false;
  }
  return true;
}

bool model_begin_format(struct model *m, struct error *error) {
  const struct model before = *m;  // its places
  if (is_formatted(m)) return true;
  if (!model_lay_out_anew(m, true, error)) return false;
  char *staging = memory_get(SHIFT_BYTES);
  bool fine = true;
  for (int array = STATE_ARRAYS - 1; array >= -1 && fine; array--)
    fine = shift_tensors(m, &before, array, staging, error);
  free(staging);
  if (!fine || !m->ops->synchronize(m->device, error)) return false;
  model_prepare(m, m->format_begins);
  return true;
}
