// See cublaslt.h.
#include "kernels/cuda/emulator/cublaslt.h"

#include <cstring>
#include <vector>

#include "kernels/cuda/emulator/memory.h"

namespace emulator {

struct lt_context {
  int unused;
};
struct lt_description {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
};
struct lt_layout {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t leading;
  size_t element() const { return type == CUDA_R_32F ? 4 : 2; }
  size_t bytes() const { return ((size_t)leading * (columns - 1) + rows) * element(); }
};
struct lt_preference {
  size_t workspace = 0;
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  *handle = new lt_context{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
size_t cublasLtGetVersion() { return 0; }
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *description, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F) return CUBLAS_STATUS_NOT_SUPPORTED;
  *description = new lt_description{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t description) {
  delete description;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
  if (bytes != sizeof(cublasOperation_t)) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(attribute == CUBLASLT_MATMUL_DESC_TRANSA ? &description->a : &description->b, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t leading) {
  if (!rows || !columns || leading < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
  *layout = new lt_layout{type, rows, columns, leading};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
  *preference = new lt_preference{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
                                                    size_t bytes) {
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    if (bytes != sizeof(uint64_t)) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(&preference->workspace, value, bytes);
  } else if (bytes != sizeof(uint32_t)) {
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  return CUBLAS_STATUS_SUCCESS;
}

// Rows and columns of op(matrix).
static uint64_t op_rows(const lt_layout *layout, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? layout->rows : layout->columns;
}
static uint64_t op_columns(const lt_layout *layout, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? layout->columns : layout->rows;
}
static bool fits(const lt_description *description, const lt_layout *a, const lt_layout *b, const lt_layout *d) {
  return a->type == b->type && op_rows(a, description->a) == d->rows && op_columns(b, description->b) == d->columns &&
         op_columns(a, description->a) == op_rows(b, description->b) && (a->type == CUDA_R_16BF || d->type == a->type);
}

namespace {
struct library {
  int fastest = 2;  // which algorithm
  int used = 0;     // by the last product
};
library &the_library() {
  static library library;
  return library;
}
}  // namespace

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t, int asked,
                                              cublasLtMatmulHeuristicResult_t *results, int *found) {
  *found = 0;
  if (asked < 1 || !fits(description, a, b, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  // Some that give the same result and, as far as trials can tell, take different times.
  for (int i = 0; i < asked && i < 3; i++) {
    results[i] = {};
    results[i].algo.data[0] = (uint64_t)i + 1;
    *found = i + 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

// op(matrix) as doubles, row-major.
static std::vector<double> widen(const char *data, const lt_layout *layout, cublasOperation_t op) {
  std::vector<double> values(layout->rows * layout->columns);
  for (uint64_t column = 0; column < layout->columns; column++)
    for (uint64_t row = 0; row < layout->rows; row++) {
      const char *at = data + ((size_t)layout->leading * column + row) * layout->element();
      uint32_t bits = 0;
      if (layout->type == CUDA_R_32F) {
        memcpy(&bits, at, 4);
      } else {
        uint16_t half;
        memcpy(&half, at, 2);
        bits = (uint32_t)half << 16;
      }
      float value;
      memcpy(&value, &bits, sizeof value);
      values[op == CUBLAS_OP_N ? row * layout->columns + column : column * layout->rows + row] = value;
    }
  return values;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  if (sticky_error() != cudaSuccess) return CUBLAS_STATUS_SUCCESS;
  if (!fits(description, a_layout, b_layout, d_layout) || c != d) return CUBLAS_STATUS_INVALID_VALUE;
  float scale, keep;
  memcpy(&scale, alpha, sizeof scale);
  memcpy(&keep, beta, sizeof keep);
  if (algorithm->data[0] < 1 || algorithm->data[0] > 3) return CUBLAS_STATUS_INVALID_VALUE;
  the_library().used = (int)algorithm->data[0];
  pretend_time((int)algorithm->data[0] == the_library().fastest ? 1 : 2);
  if (capturing(stream)) {
    cublasLtMatmulAlgo_t chosen = *algorithm;
    capture(stream, [=] {
      cublasLtMatmul(handle, description, &scale, a, a_layout, b, b_layout, &keep, c, c_layout, d, d_layout, &chosen,
                     workspace, workspace_bytes, nullptr);
    });
    return CUBLAS_STATUS_SUCCESS;
  }
  region from_a, from_b, to;
  bool fine = memory_need_written(a, a_layout->bytes(), &from_a) && memory_need_written(b, b_layout->bytes(), &from_b);
  if (fine && keep != 0) fine = memory_need_written(d, d_layout->bytes(), &to);
  // Columns stand without gaps in all that this project multiplies.
  if (!fine || d_layout->leading != (int64_t)d_layout->rows || !memory_mark_written(d, d_layout->bytes(), &to)) {
    stick(cudaErrorInvalidValue);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  std::vector<double> left = widen(from_a.begin, a_layout, description->a);
  std::vector<double> right = widen(from_b.begin, b_layout, description->b);
  uint64_t m = d_layout->rows, n = d_layout->columns, k = op_columns(a_layout, description->a);
  std::vector<double> sums(n);
  for (uint64_t i = 0; i < m; i++) {
    for (double &sum : sums) sum = 0;
    for (uint64_t l = 0; l < k; l++) {
      double factor = left[i * k + l];
      for (uint64_t j = 0; j < n; j++) sums[j] += factor * right[l * n + j];
    }
    for (uint64_t j = 0; j < n; j++) {
      char *at = to.begin + ((size_t)d_layout->leading * j + i) * d_layout->element();
      uint32_t bits;
      float value = (float)(scale * sums[j]);
      if (d_layout->type == CUDA_R_32F) {
        if (keep != 0) {
          float old;
          memcpy(&old, at, sizeof old);
          value += keep * old;
        }
        memcpy(at, &value, sizeof value);
        continue;
      }
      memcpy(&bits, &value, sizeof bits);
      uint16_t half = value == value ? (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) : (uint16_t)0x7FC0;
      memcpy(at, &half, sizeof half);
    }
  }
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace emulator

// For tests in C: which algorithm trials shall find the fastest, and which one the last product took.
extern "C" {
void isoloss_emulator_fastest_algorithm(int number);
void isoloss_emulator_fastest_algorithm(int number) { emulator::the_library().fastest = number; }
int isoloss_emulator_used_algorithm(void);
int isoloss_emulator_used_algorithm(void) { return emulator::the_library().used; }
}
