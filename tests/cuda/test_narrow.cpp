// The emulated cuBLASLt's products of FP8 and FP4: what the compute capability, the types, the scales, the order and
// the alignment of operands allow, a product by hand, and mistakes that are found.
#include <vector>

#include "kernels/cuda/emulator/formats.h"
#include "kernels/cuda/portable.cuh"
#include "tests/check.h"

extern "C" void isoloss_emulator_capability(int capability);

namespace {

constexpr cublasLtMatmulMatrixScale_t TENSOR = CUBLASLT_MATMUL_MATRIX_SCALE_SCALAR_32F,
                                      ROWS = CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F,
                                      BLOCK32 = CUBLASLT_MATMUL_MATRIX_SCALE_VEC32_UE8M0,
                                      BLOCK16 = CUBLASLT_MATMUL_MATRIX_SCALE_VEC16_UE4M3;
constexpr cudaDataType_t E4M3 = CUDA_R_8F_E4M3, E5M2 = CUDA_R_8F_E5M2, E2M1 = CUDA_R_4F_E2M1;

// A product [m, n] over k, with columns that follow one another.
struct product {
  cublasLtMatmulDesc_t description = nullptr;
  cublasLtMatrixLayout_t a = nullptr, b = nullptr, d = nullptr;
  product(cudaDataType_t type_a, cudaDataType_t type_b, cublasLtMatmulMatrixScale_t scale_a,
          cublasLtMatmulMatrixScale_t scale_b, cublasOperation_t op_a, cublasOperation_t op_b, uint64_t m, uint64_t n,
          uint64_t k, cudaDataType_t type_d = CUDA_R_32F) {
    cublasLtMatmulDescCreate(&description, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &op_a, sizeof op_a);
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_TRANSB, &op_b, sizeof op_b);
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, &scale_a, sizeof scale_a);
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, &scale_b, sizeof scale_b);
    bool turned_a = op_a == CUBLAS_OP_T, turned_b = op_b == CUBLAS_OP_T;
    cublasLtMatrixLayoutCreate(&a, type_a, turned_a ? k : m, turned_a ? m : k, (int64_t)(turned_a ? k : m));
    cublasLtMatrixLayoutCreate(&b, type_b, turned_b ? n : k, turned_b ? k : n, (int64_t)(turned_b ? n : k));
    cublasLtMatrixLayoutCreate(&d, type_d, m, n, (int64_t)m);
  }
  ~product() {
    cublasLtMatmulDescDestroy(description);
    cublasLtMatrixLayoutDestroy(a);
    cublasLtMatrixLayoutDestroy(b);
    cublasLtMatrixLayoutDestroy(d);
  }
  bool proposed(int capability) const {
    cublasLtMatmulHeuristicResult_t result;
    int found = 0;
    isoloss_emulator_capability(capability);
    cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(nullptr, description, a, b, d, d, nullptr, 1, &result, &found);
    return status == CUBLAS_STATUS_SUCCESS && found == 1;
  }
  cublasStatus_t multiply(const void *from_a, const void *scales_a, const void *from_b, const void *scales_b,
                          float *to) const {
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &scales_a, sizeof scales_a);
    cublasLtMatmulDescSetAttribute(description, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &scales_b, sizeof scales_b);
    cublasLtMatmulAlgo_t algorithm = {{1, 1, 1, 1}};  // whatever the operands' alignment
    float one = 1, zero = 0;
    return cublasLtMatmul(nullptr, description, &one, from_a, a, from_b, b, &zero, to, d, to, d, &algorithm, nullptr, 0,
                          nullptr);
  }
};

void restrictions() {
  struct {
    cudaDataType_t a, b;
    cublasLtMatmulMatrixScale_t scale_a, scale_b;
    cublasOperation_t op_a, op_b;
    uint64_t m, n, k;
    const char *where;  // of 8.0, 8.9, 9.0, 10.0, 12.0
  } cases[] = {
      {E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 16, "01111"},
      {E4M3, E5M2, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 7, 32, "01111"},
      {E5M2, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "01111"},
      {E5M2, E5M2, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
      {E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_N, CUBLAS_OP_N, 16, 16, 16, "00010"},
      {E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_T, 16, 16, 16, "00010"},
      {E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 24, "00000"},
      {E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 18, 16, 16, "00000"},
      {E4M3, E4M3, ROWS, ROWS, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 16, "00100"},
      {E4M3, E4M3, ROWS, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 16, "00000"},
      {E4M3, E4M3, BLOCK32, BLOCK32, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00011"},
      {E4M3, E4M3, BLOCK16, BLOCK16, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
      {E2M1, E2M1, BLOCK16, BLOCK16, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00011"},
      {E2M1, E2M1, BLOCK16, BLOCK16, CUBLAS_OP_N, CUBLAS_OP_N, 32, 32, 32, "00000"},
      {E2M1, E2M1, BLOCK16, BLOCK16, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 16, "00000"},
      {E2M1, E2M1, BLOCK32, BLOCK32, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
      {E2M1, E2M1, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
      {E2M1, E4M3, BLOCK16, BLOCK16, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
      {E4M3, CUDA_R_16BF, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 32, "00000"},
  };
  const int capabilities[] = {80, 89, 90, 100, 120};
  int number = 0;
  for (const auto &c : cases) {
    product p(c.a, c.b, c.scale_a, c.scale_b, c.op_a, c.op_b, c.m, c.n, c.k);
    for (int i = 0; i < 5; i++)
      if (!CHECK(p.proposed(capabilities[i]) == (c.where[i] == '1')))
        printf("# case %d at capability %d\n", number, capabilities[i]);
    number++;
  }
  isoloss_emulator_capability(100);
  product narrow_result(E4M3, E4M3, TENSOR, TENSOR, CUBLAS_OP_T, CUBLAS_OP_N, 16, 16, 16, E4M3);
  CHECK(!narrow_result.proposed(100));
}

// Device memory with bytes in it.
struct bytes {
  uint8_t *at = nullptr;
  bytes(const std::vector<uint8_t> &values) {
    void *memory = nullptr;
    cudaMalloc(&memory, values.size());
    at = static_cast<uint8_t *>(memory);
    cudaMemcpyAsync(at, values.data(), values.size(), cudaMemcpyHostToDevice, nullptr);
  }
  ~bytes() { cudaFree(at); }
};

// A product of FP4 with one column of ones: codes, their order in a byte, and one scale at a time in its place.
void by_hand() {
  forget_error();
  isoloss_emulator_capability(100);
  constexpr uint64_t M = 144, N = 1, K = 96;
  product p(E2M1, E2M1, BLOCK16, BLOCK16, CUBLAS_OP_T, CUBLAS_OP_N, M, N, K);
  std::vector<uint8_t> a(M * K / 2, 0x42), b(K / 2, 0x22);  // 1, 2, 1, 2, ...; ones
  std::vector<uint8_t> zeroes(256 * 8), ones(128 * 8);
  for (int block = 0; block < 6; block++) ones[(size_t)(block % 4 + block / 4 * 512)] = 0x38;  // 1.0, row 0
  bytes data_a(a), data_b(b), scales_b(ones);
  void *result = nullptr;
  cudaMalloc(&result, M * sizeof(float));
  const uint64_t places[][2] = {{0, 0}, {1, 0}, {33, 1}, {127, 3}, {100, 4}, {128, 0}, {143, 5}};
  for (const auto &place : places) {
    std::vector<uint8_t> scales = zeroes;
    uint64_t row = place[0], block = place[1], tile = row / 128 * 2 + block / 4;
    scales[tile * 512 + row % 32 * 16 + row % 128 / 32 * 4 + block % 4] = 0x40;  // 2.0
    bytes scales_a(scales);
    CHECK(p.multiply(data_a.at, scales_a.at, data_b.at, scales_b.at, static_cast<float *>(result)) ==
          CUBLAS_STATUS_SUCCESS);
    float got[M];
    cudaMemcpyAsync(got, result, sizeof got, cudaMemcpyDeviceToHost, nullptr);
    for (uint64_t i = 0; i < M; i++) CHECK(got[i] == (i == row ? 2 * (8 * 1 + 8 * 2) : 0));
  }
  cudaFree(result);
}

// Each is an error, with a word about it.
void mistakes() {
  isoloss_emulator_capability(100);
  constexpr uint64_t M = 16, N = 16, K = 32;
  const struct {
    int offset_a, offset_scale;
    size_t scale_bytes;
    uint8_t behind;
    const char *what;
  } cases[] = {{0, 0, 512, 0, nullptr},
               {8, 0, 512, 0, "not aligned"},
               {0, 4, 512, 0, "not aligned"},
               {0, 0, 496, 0, ""},  // not the whole tile
               {0, 0, 512, 1, "behind the matrix's end"}};
  for (const auto &c : cases) {
    forget_error();
    product p(E4M3, E4M3, BLOCK32, BLOCK32, CUBLAS_OP_T, CUBLAS_OP_N, M, N, K);
    std::vector<uint8_t> scales(c.scale_bytes + 16);
    for (int row = 0; row < 16; row++) scales[(size_t)row * 16] = 127;
    scales[400] = c.behind;  // row 25
    if (c.scale_bytes < 512) scales.resize(c.scale_bytes);
    bytes a(std::vector<uint8_t>(M * K + 16, 0x38)), b(std::vector<uint8_t>(N * K, 0x38)), scale(scales);
    void *to = nullptr;
    cudaMalloc(&to, M * N * sizeof(float));
    cublasStatus_t status =
        p.multiply(a.at + c.offset_a, scale.at + c.offset_scale, b.at, scale.at, static_cast<float *>(to));
    bool fine = status == CUBLAS_STATUS_SUCCESS && cudaGetLastError() == cudaSuccess;
    const char *text = cudaGetErrorString(cudaGetLastError());
    if (!CHECK(fine == (c.what == nullptr)) || !CHECK(!c.what || strstr(text, c.what))) printf("# %s\n", text);
    forget_error();
    cudaFree(to);
  }
}

}  // namespace

int main() {
  RUN(restrictions);
  RUN(by_hand);
  RUN(mistakes);
  return check_end();
}
