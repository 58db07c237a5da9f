// Every matrix product, by cuBLASLt: float32 in float32, bfloat16 with float32 accumulation, and operands encoded in
// eight or four bits with their scales (native_products.cuh). cuBLASLt is column-major: a row-major matrix is its own
// transpose there, so y = x W^T becomes y^T = W x^T, and no data of values is ever transposed.
#pragma once
#include "kernels/cuda/algorithms.cuh"
#include "kernels/cuda/native_library.cuh"

// How the operands of a product are encoded; types NATIVE_NONE: as values.
struct gemm_encoding {
  native_type a = NATIVE_NONE, b = NATIVE_NONE;
  native_scaling scaling = NATIVE_TENSOR;
  int64_t lead_a = 0, lead_b = 0, lead_d = 0;  // from one column to the next, in elements; 0: columns are adjacent
};
// A product d = op(a) op(b), all of it column-major, and what cuBLASLt wants to know of it.
struct gemm_shape {
  int64_t m, n, k;  // d [m, n]
  bool transpose_a, transpose_b;
  enum dtype in, out;
  gemm_encoding encoding = {};
};
// The scales of encoded operands, in device memory, and what the product is multiplied by: `alpha`, or with
// NATIVE_BLOCK16 numbers[0], and then numbers[1] and [2] are 0 and 1.
struct gemm_scales {
  const void *a = nullptr, *b = nullptr;
  float alpha = 1;
  const float *numbers = nullptr;
};
struct gemm_plan {
  struct gemm_plan *next;
  gemm_shape shape;
  cublasLtMatmulDesc_t description;
  cublasLtMatrixLayout_t a, b, d;
  // What the library proposes, best first by its own estimate; `chosen` is one of them, or of the cache file.
  cublasLtMatmulHeuristicResult_t proposals[TRIAL_CANDIDATES];
  int proposal_count;
  bool settled;
  bool refused;  // the library has none; kept, so that it is not asked again
  chosen_algorithm chosen;
};

namespace {

inline bool same_encoding(const gemm_encoding &x, const gemm_encoding &y) {
  return x.a == y.a && x.b == y.b && x.scaling == y.scaling && x.lead_a == y.lead_a && x.lead_b == y.lead_b &&
         x.lead_d == y.lead_d;
}

inline bool same_shape(const gemm_shape &x, const gemm_shape &y) {
  return same_encoding(x.encoding, y.encoding) && x.m == y.m && x.n == y.n && x.k == y.k &&
         x.transpose_a == y.transpose_a && x.transpose_b == y.transpose_b && x.in == y.in && x.out == y.out;
}

inline void plan_free(struct device *device, gemm_plan *plan) {
  if (plan->a) device->library.layout_destroy(plan->a);
  if (plan->b) device->library.layout_destroy(plan->b);
  if (plan->d) device->library.layout_destroy(plan->d);
  if (plan->description) device->library.description_destroy(plan->description);
  std::free(plan);
}

inline void plans_free(struct device *device) {
  while (device->plans) {
    gemm_plan *plan = device->plans;
    device->plans = plan->next;
    plan_free(device, plan);
  }
}

// Rows of a matrix as it is in memory, which op() may turn, and from one of its columns to the next.
inline int64_t rows_of_a(const gemm_shape &s) { return s.transpose_a ? s.k : s.m; }
inline int64_t rows_of_b(const gemm_shape &s) { return s.transpose_b ? s.n : s.k; }
inline int64_t lead_of_a(const gemm_shape &s) { return s.encoding.lead_a ? s.encoding.lead_a : rows_of_a(s); }
inline int64_t lead_of_b(const gemm_shape &s) { return s.encoding.lead_b ? s.encoding.lead_b : rows_of_b(s); }
inline int64_t lead_of_d(const gemm_shape &s) { return s.encoding.lead_d ? s.encoding.lead_d : s.m; }

// What the columns' starts are aligned to, for the heuristic: the largest power of two up to 16 that divides the bytes
// from one to the next. Arrays themselves begin at DEVICE_ALIGNMENT or at a column of such an array.
inline uint32_t column_alignment(int64_t lead, enum dtype dtype) {
  uint64_t bytes = (uint64_t)lead * dtype_bytes(dtype);
  uint32_t alignment = 16;
  while (bytes % alignment) alignment /= 2;
  return alignment;
}

inline bool encoded(const gemm_shape &shape) { return shape.encoding.a != NATIVE_NONE; }

inline cublasStatus_t propose_algorithms(struct device *device, gemm_plan *plan) {
  const lt_library &lt = device->library;
  const gemm_shape &s = plan->shape;
  cublasLtMatmulPreference_t preference = nullptr;
  cublasStatus_t status = lt.preference_create(&preference);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  uint64_t workspace = CUDA_PRODUCTS_WORKSPACE;
  uint32_t a = column_alignment(lead_of_a(s), s.in), b = column_alignment(lead_of_b(s), s.in);
  uint32_t d = column_alignment(lead_of_d(s), s.out);
  if (encoded(s)) a = b = d = 16;
  lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace, sizeof workspace);
  // Sums that are split over k are added up in float32, never in a result of bfloat16: neither there (IN_PLACE) nor as
  // partial sums of its type (OUTPUT_TYPE).
  uint32_t reduction = s.out == DTYPE_FLOAT32 ? CUBLASLT_REDUCTION_SCHEME_MASK : CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  status = lt.preference_set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction, sizeof reduction);
  lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &a, sizeof a);
  lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &b, sizeof b);
  lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &d, sizeof d);
  lt.preference_set(preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &d, sizeof d);
  if (status == CUBLAS_STATUS_SUCCESS)
    status = lt.heuristic(device->products, plan->description, plan->a, plan->b, plan->d, plan->d, preference,
                          TRIAL_CANDIDATES, plan->proposals, &plan->proposal_count);
  lt.preference_destroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  return plan->proposal_count < 1 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

inline cublasStatus_t multiply_with(struct device *device, const gemm_plan *plan, const chosen_algorithm &chosen,
                                    const void *a, const void *b, void *d, bool accumulate, const gemm_scales &scales) {
  const float one = scales.alpha, keep = accumulate ? 1.0f : 0.0f;
  const float *alpha = &one, *beta = &keep;
  if (encoded(plan->shape)) {
    cublasStatus_t status = set_scales(device, plan->description, scales.a, scales.b);
    if (status != CUBLAS_STATUS_SUCCESS) return status;
    if (scales.numbers) {
      alpha = scales.numbers;
      beta = scales.numbers + (accumulate ? 2 : 1);
    }
  }
  return device->library.multiply(device->products, plan->description, alpha, a, plan->a, b, plan->b, beta, d, plan->d,
                                  d, plan->d, &chosen.algorithm, device->products_workspace, chosen.workspace,
                                  device->stream);
}

// Times the proposals on the operands at hand, into memory of its own; the first where there is none, or no choice.
inline chosen_algorithm try_algorithms(struct device *device, const gemm_plan *plan, const void *a, const void *b,
                                       const gemm_scales &scales) {
  chosen_algorithm best = {plan->proposals[0].algo, plan->proposals[0].workspaceSize};
  const gemm_shape &s = plan->shape;
  size_t bytes = (size_t)(lead_of_d(s) * s.n) * dtype_bytes(s.out);
  void *d = nullptr;
  cudaEvent_t before = nullptr, after = nullptr;
  float least = -1;
  if (plan->proposal_count < 2 || cudaMalloc(&d, bytes) != cudaSuccess) {
    (void)cudaGetLastError();  // no room is no failure
    return best;
  }
  if (cudaEventCreate(&before) == cudaSuccess && cudaEventCreate(&after) == cudaSuccess)
    for (int i = 0; i < plan->proposal_count; i++) {
      chosen_algorithm candidate = {plan->proposals[i].algo, plan->proposals[i].workspaceSize};
      if (plan->proposals[i].state != CUBLAS_STATUS_SUCCESS) continue;
      float took = trial_time(device, before, after,
                              [&] { return multiply_with(device, plan, candidate, a, b, d, false, scales); });
      if (took < 0 || (least >= 0 && took >= least)) continue;
      least = took;
      best = candidate;
    }
  if (before) (void)cudaEventDestroy(before);
  if (after) (void)cudaEventDestroy(after);
  check(device, cudaFree(d), "trying algorithms");
  return best;
}

// The algorithm of a plan that has none yet: from the file, else by trial, which is then kept there.
inline void settle_algorithm(struct device *device, gemm_plan *plan, const void *a, const void *b,
                             const gemm_scales &scales) {
  const gemm_shape &s = plan->shape;
  struct arena arena = {};
  struct error error = {};
  char shape[192];
  plan->chosen = {plan->proposals[0].algo, plan->proposals[0].workspaceSize};
  plan->settled = true;
  if (!trials_wanted() || device->repeat.mode == REPEAT_RECORDING) return;
  if (encoded(s))
    std::snprintf(shape, sizeof shape, "%lld %lld %lld TN %s %s %s %s %lld %lld %lld", (long long)s.m, (long long)s.n,
                  (long long)s.k, native_name(s.encoding.a), native_name(s.encoding.b),
                  scaling_name(s.encoding.scaling), dtype_name(s.out), (long long)s.encoding.lead_a,
                  (long long)s.encoding.lead_b, (long long)s.encoding.lead_d);
  else
    std::snprintf(shape, sizeof shape, "%lld %lld %lld %c%c %s %s", (long long)s.m, (long long)s.n, (long long)s.k,
                  s.transpose_a ? 'T' : 'N', s.transpose_b ? 'T' : 'N', dtype_name(s.in), dtype_name(s.out));
  size_t length = std::strlen(shape);
  if (!encoded(s) && (lead_of_a(s) != rows_of_a(s) || lead_of_b(s) != rows_of_b(s) || lead_of_d(s) != s.m))
    std::snprintf(shape + length, sizeof shape - length, " %lld %lld %lld", (long long)lead_of_a(s),
                  (long long)lead_of_b(s), (long long)lead_of_d(s));
  const char *path = algorithms_path(&arena, device);
  bool known = algorithm_find(path, shape, &plan->chosen);
  int lock = known ? -1 : algorithms_lock(path, &error);
  if (lock >= 0 && !algorithm_find(path, shape, &plan->chosen)) {
    plan->chosen = try_algorithms(device, plan, a, b, scales);
    if (!algorithm_keep(path, shape, plan->chosen)) error_set_errno(&error, EXIT_ENVIRONMENT, "cannot write %s", path);
  }
  if (lock >= 0) close(lock);
  if (error.code != EXIT_DONE) {
    plan->chosen = {plan->proposals[0].algo, plan->proposals[0].workspaceSize};
    if (!device->trials_refused)
      std::fprintf(stderr, "products take the library's first proposals, unmeasured: %s\n", error.text);
    device->trials_refused = true;
  }
  struct text line = {};
  algorithm_line(shape, plan->chosen, &line);
  device->choices += hash64(line.bytes, line.length, 0);  // in whatever order shapes come
  device->choice_count++;
  text_free(&line);
  arena_free(&arena);
}

inline cudaDataType_t data_type(enum dtype dtype) { return dtype == DTYPE_BFLOAT16 ? CUDA_R_16BF : CUDA_R_32F; }

// The plan for a shape, from the device's list, refused or not; NULL when the device has failed.
inline gemm_plan *plan_find(struct device *device, const gemm_shape &shape) {
  if (!going(device)) return nullptr;
  for (gemm_plan *plan = device->plans; plan; plan = plan->next)
    if (same_shape(plan->shape, shape)) return plan;
  const lt_library &lt = device->library;
  gemm_plan *plan = (gemm_plan *)memory_get(sizeof *plan);
  plan->shape = shape;
  cublasOperation_t a = shape.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N,
                    b = shape.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  int64_t a_rows = rows_of_a(shape), a_columns = shape.transpose_a ? shape.m : shape.k;
  int64_t b_rows = rows_of_b(shape), b_columns = shape.transpose_b ? shape.k : shape.n;
  const gemm_encoding &e = shape.encoding;
  bool coded = encoded(shape);
  cudaDataType_t out = data_type(shape.out);
  cudaDataType_t in_a = coded ? native_data_type(e.a) : data_type(shape.in);
  cudaDataType_t in_b = coded ? native_data_type(e.b) : data_type(shape.in);
  cublasStatus_t status = lt.description_create(&plan->description, CUBLAS_COMPUTE_32F, CUDA_R_32F);
  if (!status) status = lt.description_set(plan->description, CUBLASLT_MATMUL_DESC_TRANSA, &a, sizeof a);
  if (!status) status = lt.description_set(plan->description, CUBLASLT_MATMUL_DESC_TRANSB, &b, sizeof b);
  if (!status && coded) status = set_encoding(device, plan->description, e.scaling);
  if (!status) status = lt.layout_create(&plan->a, in_a, (uint64_t)a_rows, (uint64_t)a_columns, lead_of_a(shape));
  if (!status) status = lt.layout_create(&plan->b, in_b, (uint64_t)b_rows, (uint64_t)b_columns, lead_of_b(shape));
  if (!status) status = lt.layout_create(&plan->d, out, (uint64_t)shape.m, (uint64_t)shape.n, lead_of_d(shape));
  if (!status) status = propose_algorithms(device, plan);
  if (status != CUBLAS_STATUS_SUCCESS) {
    if (!coded)
      error_set(&device->error, EXIT_ENVIRONMENT,
                "cuBLASLt has no product of %lld x %lld x %lld in %s here (status %d)", (long long)shape.m,
                (long long)shape.n, (long long)shape.k, dtype_name(shape.in), (int)status);
    plan->refused = true;
  }
  plan->next = device->plans;
  device->plans = plan;
  return plan;
}

inline void multiply(struct device *device, const gemm_shape &shape, const void *a, const void *b, void *d,
                     bool accumulate, const gemm_scales &scales = {}) {
  gemm_plan *plan = plan_find(device, shape);
  if (!plan || plan->refused) return;
  if (!plan->settled) settle_algorithm(device, plan, a, b, scales);
  if (!issue(device, plan, a, b, d, accumulate, scales.a, scales.b)) return;
  cublasStatus_t status = multiply_with(device, plan, plan->chosen, a, b, d, accumulate, scales);
  if (!check(device, cudaGetLastError(), "a matrix product")) return;
  if (status != CUBLAS_STATUS_SUCCESS)
    error_set(&device->error, EXIT_ENVIRONMENT, "cuBLASLt failed in a product of %lld x %lld x %lld (status %d)%s",
              (long long)shape.m, (long long)shape.n, (long long)shape.k, (int)status,
              encoded(shape) ? "; ISOLOSS_NATIVE=off multiplies values" : "");
}

}  // namespace
