// Numbers of an array of the device's types, one by one, once they are on the host.
#pragma once
#include "kernels/bfloat16.h"
#include "kernels/ops.h"

static inline float element_value(const void *values, enum dtype dtype, int64_t i) {
  return dtype == DTYPE_FLOAT32 ? ((const float *)values)[i] : bfloat16_value(((const uint16_t *)values)[i]);
}
