// See cublaslt.h.
#include "kernels/cuda/emulator/cublaslt.h"

#include <cstring>
#include <vector>

#include "kernels/cuda/emulator/formats.h"
#include "kernels/cuda/emulator/memory.h"

namespace emulator {

struct lt_context {
  int unused;
};
struct lt_description {
  cublasOperation_t a = CUBLAS_OP_N, b = CUBLAS_OP_N;
  cublasLtPointerMode_t pointers = CUBLASLT_POINTER_MODE_HOST;
  cublasLtMatmulMatrixScale_t scale_a = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F, scale_b = scale_a;
  const void *scales_a = nullptr, *scales_b = nullptr;
};
struct lt_layout {
  cudaDataType_t type;
  uint64_t rows, columns;
  int64_t leading;
  int bits() const { return type == CUDA_R_32F ? 32 : type == CUDA_R_16BF ? 16 : type == CUDA_R_4F_E2M1 ? 4 : 8; }
  bool narrow() const { return bits() < 16; }
  size_t bytes() const { return (((size_t)leading * (columns - 1) + rows) * (size_t)bits() + 7) / 8; }
};
struct lt_preference {
  size_t workspace = 0;
  uint32_t reduction = CUBLASLT_REDUCTION_SCHEME_MASK;
  uint32_t alignment[3] = {256, 256, 256};  // of A, B and of C with D
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

template <class T>
static cublasStatus_t take_value(T *to, const void *value, size_t bytes) {
  if (bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(to, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t description,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
      return take_value(&description->pointers, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take_value(&description->a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take_value(&description->b, value, bytes);
    case CUBLASLT_MATMUL_DESC_A_SCALE_POINTER:
      return take_value(&description->scales_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_B_SCALE_POINTER:
      return take_value(&description->scales_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_A_SCALE_MODE:
      return take_value(&description->scale_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_B_SCALE_MODE:
      return take_value(&description->scale_b, value, bytes);
  }
  return CUBLAS_STATUS_INVALID_VALUE;
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
    return CUBLAS_STATUS_SUCCESS;
  }
  uint32_t number;
  if (bytes != sizeof number) return CUBLAS_STATUS_INVALID_VALUE;
  memcpy(&number, value, bytes);
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
      preference->reduction = number;
      return number & ~CUBLASLT_REDUCTION_SCHEME_MASK ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES:
      preference->alignment[0] = number;
      break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES:
      preference->alignment[1] = number;
      break;
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES:
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES:
      preference->alignment[2] = number;
      break;
    default:
      return CUBLAS_STATUS_INVALID_VALUE;
  }
  return number && !(number & (number - 1)) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

// Rows and columns of op(matrix).
static uint64_t op_rows(const lt_layout *layout, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? layout->rows : layout->columns;
}

static uint64_t op_columns(const lt_layout *layout, cublasOperation_t op) {
  return op == CUBLAS_OP_N ? layout->columns : layout->rows;
}

namespace {
struct library {
  int fastest = 2;                // which algorithm
  int used = 0;                   // by the last product
  unsigned long long narrow = 0;  // products of FP8 and FP4
  bool refuses = false;           // to propose one
  unsigned long long slow = 0;    // products whose columns were not aligned for the fast algorithms
  bool scales_by_rows = false;    // a mistake that tests plant: scales of blocks in rows, not in tiles
};
library &the_library() {
  static library library;
  return library;
}

}  // namespace

// Algorithms 1 to 3 give the same result.
constexpr uint64_t SPLIT_IN_OUTPUT = 4, SLOW = 5;

// Whether the starts of columns, the first one's aside, are multiples of so many bytes.
static bool columns_aligned(const lt_layout *layout, uint64_t alignment) {
  return layout->columns < 2 || (uint64_t)layout->leading * (uint64_t)layout->bits() % (alignment * 8) == 0;
}

static bool aligned_bits(int64_t elements, const lt_layout *layout) { return elements * layout->bits() % 128 == 0; }
// Whether the emulated device has a product of FP8 or FP4 operands.
static bool narrow_fits(const lt_description *description, const lt_layout *a, const lt_layout *b, const lt_layout *d) {
  int capability = emulated_capability();
  bool fp4 = a->type == CUDA_R_4F_E2M1;
  if (fp4 != (b->type == CUDA_R_4F_E2M1) || (a->type == CUDA_R_8F_E5M2 && b->type == CUDA_R_8F_E5M2)) return false;
  if (description->scale_a != description->scale_b) return false;
  switch (description->scale_a) {
    case CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F:
      if (fp4 || capability < 89) return false;
      break;
    case CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F:
      if (fp4 || capability != 90) return false;
      break;
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0:
      if (fp4 || capability < 100) return false;
      break;
    case CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3:
      if (!fp4 || capability < 100) return false;
      break;
    default:
      return false;
  }
  bool in_order = description->a == CUBLAS_OP_T && description->b == CUBLAS_OP_N;
  if (!in_order && (fp4 || capability < 100 || capability >= 120)) return false;
  return aligned_bits((int64_t)a->rows, a) && aligned_bits((int64_t)b->rows, b) && aligned_bits((int64_t)d->rows, d) &&
         aligned_bits(a->leading, a) && aligned_bits(b->leading, b) && aligned_bits(d->leading, d);
}

static bool fits(const lt_description *description, const lt_layout *a, const lt_layout *b, const lt_layout *d) {
  if (op_rows(a, description->a) != d->rows || op_columns(b, description->b) != d->columns ||
      op_columns(a, description->a) != op_rows(b, description->b) || d->narrow())
    return false;
  if (a->narrow() != b->narrow()) return false;
  if (a->narrow()) return !the_library().refuses && narrow_fits(description, a, b, d);
  return a->type == b->type && (a->type == CUDA_R_16BF || d->type == a->type);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t description,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int asked,
                                              cublasLtMatmulHeuristicResult_t *results, int *found) {
  *found = 0;
  if (asked < 1 || !fits(description, a, b, d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  static const lt_preference usual = {0, CUBLASLT_REDUCTION_SCHEME_MASK, {16, 16, 16}};
  if (!preference) preference = const_cast<cublasLtMatmulPreference_t>(&usual);
  const uint32_t *alignment = preference->alignment;
  // What was asked for must hold for the columns, or no algorithm takes them.
  if (!columns_aligned(a, alignment[0]) || !columns_aligned(b, alignment[1]) || !columns_aligned(d, alignment[2]))
    return CUBLAS_STATUS_NOT_SUPPORTED;
  auto propose = [&](uint64_t number) {
    if (*found == asked) return;
    results[*found] = {};
    results[*found].algo.data[0] = number;
    for (int i = 0; i < 3; i++) results[*found].algo.data[1 + i] = alignment[i];
    ++*found;
  };
  // Some that give the same result and, as far as trials can tell, take different times.
  if (preference->reduction & CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE && d->type == CUDA_R_16BF) propose(SPLIT_IN_OUTPUT);
  for (uint64_t i = 1; i <= 3; i++) propose(i);
  if (alignment[0] < 16 || alignment[1] < 16 || alignment[2] < 16) {
    results[0] = {};
    *found = 0;
    propose(SLOW);
  }
  return CUBLAS_STATUS_SUCCESS;
}

static float number_at(const char *data, const lt_layout *layout, size_t element) {
  if (layout->type == CUDA_R_8F_E4M3) return float_of_e4m3((uint8_t)data[element]);
  if (layout->type == CUDA_R_8F_E5M2) return float_of_e5m2((uint8_t)data[element]);
  if (layout->type == CUDA_R_4F_E2M1)  // the first of two in the lower half
    return float_of_e2m1((uint8_t)((uint8_t)data[element / 2] >> (element % 2 ? 4 : 0)));
  uint32_t bits = 0;
  if (layout->type == CUDA_R_32F) {
    memcpy(&bits, data + element * 4, 4);
  } else {
    uint16_t half;
    memcpy(&half, data + element * 2, 2);
    bits = (uint32_t)half << 16;
  }
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// op(matrix) as doubles, row-major.
static std::vector<double> widen(const char *data, const lt_layout *layout, cublasOperation_t op) {
  std::vector<double> values(layout->rows * layout->columns);
  for (uint64_t column = 0; column < layout->columns; column++)
    for (uint64_t row = 0; row < layout->rows; row++)
      values[op == CUBLAS_OP_N ? row * layout->columns + column : column * layout->rows + row] =
          number_at(data, layout, (size_t)layout->leading * column + row);
  return values;
}

// Memory of the device that must have been written, and stand at a multiple of 16 bytes.
static bool readable(const void *device, size_t bytes, size_t alignment, region *region) {
  if ((uintptr_t)device % alignment) {
    fault_note("a product's operand or scale is not aligned for %zu bytes", alignment);
    return false;
  }
  return memory_need_written(device, bytes, region);
}

// A matrix that was written, column by column: between them there may be something else.
static bool matrix_readable(const void *device, const lt_layout *layout, size_t alignment, region *region) {
  size_t column = layout->rows * (size_t)layout->bits() / 8;
  if ((uint64_t)layout->leading == layout->rows || layout->rows * (size_t)layout->bits() % 8)
    return readable(device, layout->bytes(), alignment, region);
  for (uint64_t j = 0; j < layout->columns; j++) {
    const char *at = (const char *)device + (size_t)layout->leading * (size_t)layout->bits() / 8 * j;
    if (!readable(at, column, j ? 1 : alignment, region)) return false;
  }
  return memory_region(device, layout->bytes(), region);
}

// Multiplies operand values [outer, inner] (or [inner, outer]: by_rows false) by their scales.
static bool apply_scales(std::vector<double> &values, uint64_t outer_count, uint64_t inner_count, bool outer_first,
                         cublasLtMatmulMatrixScale_t mode, const void *scales) {
  region region;
  bool one = mode == CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F, rows = mode == CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F;
  uint64_t block = mode == CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3 ? 16 : 32;
  uint64_t outer_padded = (outer_count + 127) / 128 * 128,
           inner_padded = ((inner_count + block - 1) / block + 3) / 4 * 4;
  if (one || rows) {
    if (one && !scales) return true;
    if (!readable(scales, (one ? 1 : outer_count) * sizeof(float), one ? sizeof(float) : 16, &region)) return false;
  } else if (!scales || !readable(scales, outer_padded * inner_padded, 16, &region)) {
    return false;
  }
  for (uint64_t outer = 0; outer < (one || rows ? outer_count : outer_padded); outer++)
    for (uint64_t inner = 0; inner < (one || rows ? inner_count : inner_padded * block); inner++) {
      double scale;
      bool there = outer < outer_count && inner < inner_count;
      if (one || rows) {
        float number;
        memcpy(&number, region.begin + (one ? 0 : outer) * sizeof number, sizeof number);
        scale = number;
      } else {
        uint64_t column = inner / block;
        // Within a tile of 128 by 4, and tiles row by row.
        uint64_t at = outer % 128 % 32 * 16 + outer % 128 / 32 * 4 + column % 4 +
                      (column / 4 * 4 + outer / 128 * inner_padded) * 128;
        if (the_library().scales_by_rows) at = outer * inner_padded + column;
        auto code = (uint8_t)region.begin[at];
        if ((outer >= outer_count || column * block >= inner_count) && code != 0 && !the_library().scales_by_rows) {
          fault_note("a scale behind the matrix's end is not 0");
          return false;
        }
        scale = block == 16 ? float_of_e4m3(code & 0x7f) : float_of_ue8m0(code);
      }
      if (there) values[outer_first ? outer * inner_count + inner : inner * outer_count + outer] *= scale;
    }
  return true;
}

// Whether the result may be written (and, with `keep`, read); marks it as written. Between columns there may be
// something else.
static bool result_ready(void *d, cublasLtMatrixLayout_t layout, size_t alignment, float keep, region *to) {
  if ((uintptr_t)d % alignment) {
    fault_note("a product's result is not aligned for 16 bytes");
    return false;
  }
  size_t bytes = layout->rows * (size_t)layout->bits() / 8;
  for (uint64_t j = 0; j < layout->columns; j++) {
    char *column = (char *)d + (size_t)layout->leading * (size_t)layout->bits() / 8 * j;
    if (keep != 0 && !memory_need_written(column, bytes, to)) return false;
    if (!memory_mark_written(column, bytes, to)) return false;
  }
  return memory_region(d, layout->bytes(), to);
}

// Puts one element: `value` and `keep` times what is there (float32 only), or `value` rounded to bfloat16.
static void put(cublasLtMatrixLayout_t layout, char *at, float value, float keep) {
  uint32_t bits;
  if (layout->type == CUDA_R_32F) {
    if (keep != 0) {
      float old;
      memcpy(&old, at, sizeof old);
      value += keep * old;
    }
    memcpy(at, &value, sizeof value);
    return;
  }
  memcpy(&bits, &value, sizeof bits);
  uint16_t half = value == value ? (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) : (uint16_t)0x7FC0;
  memcpy(at, &half, sizeof half);
}

static double in_bfloat16(double sum) {
  auto value = (float)sum;
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000u;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// scale * left [m, k] right [k, n] + keep * what is there, summed in double precision; in several `parts` of k, whose
// sums are rounded to bfloat16 as they go.
static void multiply(const std::vector<double> &left, const std::vector<double> &right, uint64_t m, uint64_t n,
                     uint64_t k, float scale, float keep, cublasLtMatrixLayout_t layout, char *to, uint64_t parts) {
  size_t item = (size_t)layout->bits() / 8, pitch = (size_t)layout->leading * item;
  std::vector<double> sums(n);
  for (uint64_t i = 0; i < m; i++) {
    for (double &sum : sums) sum = 0;
    for (uint64_t l = 0; l < k; l++) {
      double factor = left[i * k + l];
      for (uint64_t j = 0; j < n; j++) sums[j] += factor * right[l * n + j];
      if (parts > 1 && (l + 1) % ((k + parts - 1) / parts) == 0)
        for (double &sum : sums) sum = in_bfloat16(sum);
    }
    for (uint64_t j = 0; j < n; j++) {
      put(layout, to + pitch * j + i * item, (float)(scale * sums[j]), keep);
    }
  }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t description, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t a_layout, const void *b,
                              cublasLtMatrixLayout_t b_layout, const void *beta, const void *c,
                              cublasLtMatrixLayout_t c_layout, void *d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t workspace_bytes,
                              cudaStream_t stream) {
  turn turn(machine());
  if (sticky_error() != cudaSuccess) return CUBLAS_STATUS_SUCCESS;
  if (!fits(description, a_layout, b_layout, d_layout) || c != d) return CUBLAS_STATUS_INVALID_VALUE;
  if (algorithm->data[0] < 1 || algorithm->data[0] > SLOW) return CUBLAS_STATUS_INVALID_VALUE;
  for (int i = 1; i <= 3; i++)
    if (algorithm->data[i] == 0) return CUBLAS_STATUS_INVALID_VALUE;
  if ((uintptr_t)a % algorithm->data[1] || (uintptr_t)b % algorithm->data[2] || (uintptr_t)d % algorithm->data[3])
    return CUBLAS_STATUS_INVALID_VALUE;
  the_library().used = (int)algorithm->data[0];
  if (!put_off(stream)) the_library().slow += algorithm->data[0] == SLOW;
  bool split = algorithm->data[0] == SPLIT_IN_OUTPUT;
  pretend_time(split ? 0.5 : (int)algorithm->data[0] == the_library().fastest ? 1 : 2);
  bool on_device = description->pointers == CUBLASLT_POINTER_MODE_DEVICE;
  float scale = 0, keep = 0;
  if (!on_device) {
    memcpy(&scale, alpha, sizeof scale);
    memcpy(&keep, beta, sizeof keep);
  }
  if (put_off(stream)) {
    cublasLtMatmulAlgo_t chosen = *algorithm;
    lt_description then = *description;  // what it says now; numbers on the device are read when the product is made
    capture(stream, [=]() mutable {
      cublasLtMatmul(handle, &then, on_device ? alpha : &scale, a, a_layout, b, b_layout, on_device ? beta : &keep, c,
                     c_layout, d, d_layout, &chosen, workspace, workspace_bytes, nullptr);
    });
    return CUBLAS_STATUS_SUCCESS;
  }
  region from_a, from_b, to;
  bool narrow = a_layout->narrow(), fine = true;
  if (on_device) {
    region number;
    fine = readable(alpha, sizeof scale, sizeof scale, &number);
    if (fine) memcpy(&scale, number.begin, sizeof scale);
    fine = fine && readable(beta, sizeof keep, sizeof keep, &number);
    if (fine) memcpy(&keep, number.begin, sizeof keep);
  }
  size_t alignment = narrow ? 16 : 1;
  fine = fine && matrix_readable(a, a_layout, alignment, &from_a) && matrix_readable(b, b_layout, alignment, &from_b);
  uint64_t m = d_layout->rows, n = d_layout->columns, k = op_columns(a_layout, description->a);
  fine = fine && result_ready(d, d_layout, alignment, keep, &to);
  std::vector<double> left, right;
  if (fine) {
    left = widen(from_a.begin, a_layout, description->a);
    right = widen(from_b.begin, b_layout, description->b);
  }
  if (fine && narrow) {
    the_library().narrow++;
    fine = apply_scales(left, m, k, true, description->scale_a, description->scales_a) &&
           apply_scales(right, n, k, false, description->scale_b, description->scales_b);
  }
  if (!fine) {
    stick(cudaErrorInvalidValue);
    return CUBLAS_STATUS_INVALID_VALUE;
  }
  multiply(left, right, m, n, k, scale, keep, d_layout, to.begin, split ? 4 : 1);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace emulator

// For tests in C: which algorithm trials shall find the fastest, and which one the last product took.
extern "C" {
void isoloss_emulator_fastest_algorithm(int number);
void isoloss_emulator_fastest_algorithm(int number) { emulator::the_library().fastest = number; }
int isoloss_emulator_used_algorithm(void);
int isoloss_emulator_used_algorithm(void) { return emulator::the_library().used; }
// How many products of FP8 and FP4 were made; whether the library refuses to propose any; and a mistake to find: scales
// of blocks are read row by row.
unsigned long long isoloss_emulator_narrow_products(void);
unsigned long long isoloss_emulator_narrow_products(void) { return emulator::the_library().narrow; }
void isoloss_emulator_refuse_narrow(int refuse);
void isoloss_emulator_refuse_narrow(int refuse) { emulator::the_library().refuses = refuse; }
void isoloss_emulator_scales_by_rows(int by_rows);
void isoloss_emulator_scales_by_rows(int by_rows) { emulator::the_library().scales_by_rows = by_rows; }
// How many products had columns that were not aligned to 16 bytes.
unsigned long long isoloss_emulator_slow_products(void);
unsigned long long isoloss_emulator_slow_products(void) { return emulator::the_library().slow; }
}
