// Matrix products: the forms of ops.h, row-major, behind one seam. Implementations: plain C (always there; the oracle
// and the fallback), oneDNN, and our own bfloat16 products (bfloat16.h). Sums are float32 whatever the operands are.
#pragma once
#include "kernels/ops.h"

struct gemm {
  enum gemm_form form;
  int64_t m, n, k;
  enum dtype in, out;     // of A and B; of C (bfloat16 C only with bfloat16 operands)
  int64_t lda, ldb, ldc;  // elements between rows as stored; 0 means tight
  bool accumulate;        // C += (float32 C only)
  bool packed;            // B is in the library's own layout, made by gemm_pack (not for GEMM_TN)
};

// Our own libraries multiply bfloat16 and leave float32 to oneDNN. GEMM_AUTO takes for each product the faster
// one: where it was measured (tests/benchmarks/RESULTS.md) by a fixed rule of what CPUID says and of the product, on
// CPUs with AMX as GEMM_TRIAL does. GEMM_TRIAL compares this CPU's own kernel with oneDNN once (gemm_trial.h). Where
// there is no kernel for this CPU and oneDNN has no bfloat16 products either, both take GEMM_WIDENED, which any CPU can
// run.
enum gemm_library {
  GEMM_REFERENCE,
  GEMM_ONEDNN,
  GEMM_AVX512_BF16,
  GEMM_AMX,
  GEMM_AMX_EMULATED,
  GEMM_WIDENED,
  GEMM_TRIAL,
  GEMM_AUTO
};
#define GEMM_LIBRARIES 8
// "reference", "onednn", "avx512-bf16", "amx", "amx-emulated", "widened", "trial", "auto"
const char *gemm_library_name(enum gemm_library library);
bool gemm_library_find(const char *name, enum gemm_library *library);
// Whether this CPU can run it.
bool gemm_library_available(enum gemm_library library);
// Our own one that has this CPU's instructions for bfloat16; GEMM_ONEDNN where there is none.
enum gemm_library gemm_library_own(void);

// What products of one device share: the library, its threads, primitives cached by shape.
struct gemm_context;
// NULL and an error (EXIT_ENVIRONMENT) when this CPU cannot run the library.
struct gemm_context *gemm_open(enum gemm_library library, int threads, struct error *error);
void gemm_close(struct gemm_context *context);
// Our own library that multiplies bfloat16 in this context (bfloat16.h); NULL where oneDNN or plain C does.
struct bfloat16;
const struct bfloat16 *gemm_bfloat16(const struct gemm_context *context);
void gemm_describe(const struct gemm_context *context, struct text *out);  // "oneDNN 2.6.3 (avx512_core)"
// What a trial chose, "amx for NT TN attention" or "oneDNN throughout"; nothing where there was none.
void gemm_choices(const struct gemm_context *context, struct text *out);
// Whether operands of this dtype can be multiplied here, and whether the CPU has units that gain by it.
bool gemm_dtype_supported(const struct gemm_context *context, enum dtype dtype);
bool gemm_dtype_fast(const struct gemm_context *context, enum dtype dtype);

// Who multiplies: the name of a library.
const char *gemm_product_name(const struct gemm_context *context, enum gemm_form form, enum dtype dtype);

// Whether a row of C has the same bits whatever other rows are multiplied with it. It has by our own kernels; oneDNN
// may choose another one for another number of rows.
bool gemm_rows_stand_alone(const struct gemm_context *context, enum dtype dtype);

// Bytes of B [k, n] (GEMM_NN) or [n, k] (GEMM_NT) in the layout that the library multiplies fastest, whatever m; 0
// where the library takes it as it is.
size_t gemm_packed_bytes(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype);
// Packs a tight B; `packed` has gemm_packed_bytes, aligned to 64. False with an error as gemm_run.
bool gemm_pack(struct gemm_context *context, enum gemm_form form, int64_t n, int64_t k, enum dtype dtype, const void *b,
               void *packed, struct error *error);

// Runs a product. False with an error (EXIT_ENVIRONMENT) when the library refuses it: memory, or a form it lacks.
bool gemm_run(struct gemm_context *context, const struct gemm *gemm, const void *a, const void *b, void *c,
              struct error *error);

// The plain implementation, for comparison.
void gemm_reference(const struct gemm *gemm, const void *a, const void *b, void *c);
