// What cuBLASLt calls encoded operands and their scales, and which of them a GPU has.
//   one float32 a tensor   FP8, compute capability 8.9 and up
//   one float32 a row      FP8, 9.0 ("outer vector" scales)
//   UE8M0 for 32 values    FP8, 10.0 and up
//   UE4M3 for 16 values    FP4, 10.0 and up
// (cuBLAS, "Narrow Precision Data Types Usage".) There is no product of E5M2 with itself, and none of FP4 with UE8M0
// scales. The operands stand along the summed axis ("TN"), which FP8 needs on 8.9, 9.0 and 12.x, and FP4 and scales of
// blocks everywhere.
#pragma once
#include "kernels/cuda/device.cuh"

namespace {

// cublasLt.h has names for these since CUDA 12.8 and 12.9. An older library answers that it does not know them, and the
// products are then made of values.
constexpr int LT_POINTER_MODE = 2;
constexpr int LT_A_SCALE_POINTER = 17, LT_B_SCALE_POINTER = 18, LT_A_SCALE_MODE = 31, LT_B_SCALE_MODE = 32;
constexpr int LT_SCALE_TENSOR = 0, LT_SCALE_VEC16_UE4M3 = 1, LT_SCALE_VEC32_UE8M0 = 2, LT_SCALE_ROWS = 3;
constexpr int LT_8F_E4M3 = 28, LT_8F_E5M2 = 29, LT_4F_E2M1 = 33;
constexpr int LT_POINTERS_ON_DEVICE = 1;

inline const char *native_name(native_type type) {
  static const char *const names[] = {"none", "e4m3", "e5m2", "e2m1"};
  return names[type];
}

inline const char *scaling_name(native_scaling scaling) {
  static const char *const names[] = {"tensor", "row", "block32", "block16"};
  return names[scaling];
}

inline cudaDataType_t native_data_type(native_type type) {
  return (cudaDataType_t)(type == NATIVE_E4M3 ? LT_8F_E4M3 : type == NATIVE_E5M2 ? LT_8F_E5M2 : LT_4F_E2M1);
}

inline bool capability_has(const struct device *device, native_scaling scaling) {
  int capability = device->properties.major * 10 + device->properties.minor;
  if (scaling == NATIVE_TENSOR) return capability >= 89;
  return scaling == NATIVE_ROW ? capability == 90 : capability >= 100;
}

// ISOLOSS_NATIVE=off multiplies values: the same products up to the order of summation.
inline bool native_wanted() {
  const char *choice = std::getenv("ISOLOSS_NATIVE");
  return !choice || std::strcmp(choice, "off") != 0;
}

template <class Value>
cublasStatus_t set_attribute(const struct device *device, cublasLtMatmulDesc_t description, int attribute,
                             Value value) {
  return device->library.description_set(description, (cublasLtMatmulDescAttributes_t)attribute, &value, sizeof value);
}

inline cublasStatus_t set_scales(const struct device *device, cublasLtMatmulDesc_t description, const void *a,
                                 const void *b) {
  cublasStatus_t status = set_attribute(device, description, LT_A_SCALE_POINTER, a);
  return status == CUBLAS_STATUS_SUCCESS ? set_attribute(device, description, LT_B_SCALE_POINTER, b) : status;
}

// Fast accumulation stays off, as it is by default: sums go to float32 as often as the GPU can.
inline cublasStatus_t set_encoding(const struct device *device, cublasLtMatmulDesc_t description,
                                   native_scaling scaling) {
  int32_t mode = scaling == NATIVE_ROW       ? LT_SCALE_ROWS
                 : scaling == NATIVE_BLOCK32 ? LT_SCALE_VEC32_UE8M0
                 : scaling == NATIVE_BLOCK16 ? LT_SCALE_VEC16_UE4M3
                                             : LT_SCALE_TENSOR;
  cublasStatus_t status = CUBLAS_STATUS_SUCCESS;
  if (scaling != NATIVE_TENSOR) {
    status = set_attribute(device, description, LT_A_SCALE_MODE, mode);
    if (!status) status = set_attribute(device, description, LT_B_SCALE_MODE, mode);
  }
  if (!status && scaling == NATIVE_BLOCK16)
    status = set_attribute(device, description, LT_POINTER_MODE, (int32_t)LT_POINTERS_ON_DEVICE);
  // Proposals depend on there being scales, not on where they are.
  if (!status) status = set_scales(device, description, device->products_workspace, device->products_workspace);
  return status;
}

}  // namespace
