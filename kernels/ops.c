// Finding backends, and the names and sizes of dtypes.
#include "kernels/ops.h"

#include <string.h>

#include "kernels/cpu/cpu.h"

size_t dtype_bytes(enum dtype dtype) { return dtype == DTYPE_BFLOAT16 ? 2 : 4; }

const char *dtype_name(enum dtype dtype) { return dtype == DTYPE_BFLOAT16 ? "bfloat16" : "float32"; }

bool dtype_find(const char *name, enum dtype *dtype) {
  for (enum dtype candidate = DTYPE_FLOAT32; candidate <= DTYPE_BFLOAT16; candidate++) {
    if (strcmp(name, dtype_name(candidate)) != 0) continue;
    *dtype = candidate;
    return true;
  }
  return false;
}

const struct ops *ops_find(const char *name, struct error *error) {
  if (strcmp(name, cpu_ops.name) == 0) return &cpu_ops;
  error_set(error, EXIT_USAGE_ERROR, "no backend named \"%s\" in this build (there is: cpu)", name);
  return NULL;
}
