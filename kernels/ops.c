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

// A program has the CPU and what else it links: nothing refers to the others strongly, so that a program without them
// is whole.
extern const struct ops cuda_ops __attribute__((weak));
extern const struct ops cuda_emulated_ops __attribute__((weak));

const struct ops *ops_find(const char *name, struct error *error) {
  const struct ops *const backends[] = {&cpu_ops, &cuda_ops, &cuda_emulated_ops};
  struct text names = {0};
  for (size_t i = 0; i < sizeof backends / sizeof backends[0]; i++) {
    if (!backends[i]) continue;
    if (strcmp(name, backends[i]->name) == 0) {
      text_free(&names);
      return backends[i];
    }
    text_format(&names, "%s%s", names.length ? ", " : "", backends[i]->name);
  }
  error_set(error, EXIT_USAGE_ERROR, "no backend named \"%s\" in this build (there is: %s)", name, text_string(&names));
  text_free(&names);
  return NULL;
}
