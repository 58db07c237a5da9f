// bfloat16 products cut into blocks for the kernels of bfloat16.h. Every element of C is summed in the same order
// whatever the number of threads: they share out rows, never a sum.
#include "kernels/cpu/bfloat16.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/parallel.h"

// BLOCK_M rows of A, as long as the kernel's stretch of k, stay in the second cache while the panels of B pass by.
// BLOCK_N columns of B and of float32 sums are kept at a time where they need scratch. Where A is packed or copied on
// the fly both want room in the second cache: the stretch is BLOCK_K_COPIED. Where the operands are longer, blocks are
// of about equal size.
#define BLOCK_M 192
#define BLOCK_K_COPIED 512
#define BLOCK_N 1024

// What one thread needs: a block of A; of B, where both are packed on the fly; of float32 sums.
struct scratch {
  uint16_t *a, *b;
  float *sums;
};
struct bfloat16 {
  const struct bfloat16_kernel *kernel;
  const struct bfloat16_packing *packing;
  int threads;
  struct scratch *scratch;  // by worker
  uint16_t *packed;         // a whole B that came unpacked
  size_t packed_bytes;
};

static int64_t round_up(int64_t count, int64_t to) { return (count + to - 1) / to * to; }
// The next odd number of cache lines: what is written side by side at this distance falls on different sets.
static int64_t spread(int64_t bytes) { return ((bytes + 63) / 64 | 1) * 64; }
// Rows of A at such a stride fall on the same few sets of the first cache: they are copied.
static bool is_crowded(int64_t lda) { return lda * 2 % 8192 == 0; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
// The size of the blocks, at most `most`, that `count` is cut into.
static int64_t block_size(int64_t count, int64_t most, int64_t multiple) {
  int64_t blocks = (count + most - 1) / most;
  return smaller(most, round_up((count + blocks - 1) / blocks, multiple));
}

// Memory on a cache line, made on first use.
static void *lines(void *present, size_t bytes) {
  if (present) return present;
  void *memory = NULL;
  if (posix_memalign(&memory, 64, bytes) != 0) abort();  // a megabyte; as memory_get
  return memory;
}

struct bfloat16 *bfloat16_open(const struct bfloat16_kernel *kernel, int threads) {
  struct bfloat16 *library = memory_get(sizeof *library);
  library->kernel = kernel;
  library->packing = &bfloat16_packing_plain;
#if defined(__x86_64__)
  if (isa_available(ISA_AVX512)) library->packing = &bfloat16_packing_avx512;
#endif
  library->threads = threads;
  library->scratch = memory_get((size_t)threads * sizeof *library->scratch);
  return library;
}

void bfloat16_close(struct bfloat16 *library) {
  for (int i = 0; i < library->threads; i++) {
    free(library->scratch[i].a);
    free(library->scratch[i].b);
    free(library->scratch[i].sums);
  }
  free(library->scratch);
  free(library->packed);
  free(library);
}

const struct bfloat16_kernel *bfloat16_kernel(const struct bfloat16 *library) { return library->kernel; }
const struct bfloat16_packing *bfloat16_packing(const struct bfloat16 *library) { return library->packing; }

// ---- packing ----

size_t bfloat16_packed_bytes(int64_t n, int64_t k) {
  return (size_t)(round_up(n, PANEL_COLUMNS) * round_up(k, PACK_K)) * sizeof(uint16_t);
}

struct pack_call {  // items: panels
  const struct bfloat16_packing *packing;
  bool transposed;
  int64_t n, k, stride;
  int64_t panel;  // elements from one packed panel to the next
  const uint16_t *b;
  uint16_t *packed;
};
static void pack_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct pack_call *call = argument;
  int64_t pairs = round_up(call->k, PACK_K) / 2, column = begin * PANEL_COLUMNS;
  call->packing->panels(call->transposed, call->k, pairs, smaller(call->n, end * PANEL_COLUMNS) - column,
                        call->b + (call->transposed ? column * call->stride : column), call->stride, call->panel,
                        call->packed + begin * call->panel);
}

static void pack_all(struct bfloat16 *library, struct pack_call *call) {
  call->packing = library->packing;
  call->panel = round_up(call->k, PACK_K) * PANEL_COLUMNS;
  parallel_ranges(library->threads, round_up(call->n, PANEL_COLUMNS) / PANEL_COLUMNS, 1 + 4096 / (call->k + 1),
                  pack_pass, call);
}

void bfloat16_pack(struct bfloat16 *library, enum gemm_form form, int64_t n, int64_t k, const void *b, void *packed) {
  pack_all(
      library,
      &(struct pack_call){
          .transposed = form == GEMM_NT, .n = n, .k = k, .stride = form == GEMM_NT ? k : n, .b = b, .packed = packed});
}

// ---- products ----

struct product_call {  // items: rows of C
  struct bfloat16 *library;
  const struct gemm *gemm;
  const uint16_t *a, *b;  // b: packed, but for GEMM_TN
  char *c;
};

// Rows [row, row + rows) and columns [step, step + k) of A, as the kernel reads it: where it is, or in scratch.
static void take_a(const struct product_call *call, struct scratch *scratch, int64_t row, int64_t step, int64_t rows,
                   int64_t k, struct bfloat16_block *block) {
  const struct bfloat16_kernel *kernel = call->library->kernel;
  const struct bfloat16_packing *packing = call->library->packing;
  int64_t lda = call->gemm->lda;
  int64_t stored = kernel->tiles ? round_up(rows, 16) : rows;
  block->rows = rows;
  block->pairs = kernel->tiles ? round_up(k, PACK_K) / 2 : (k + 1) / 2;
  block->a_pair = 4;
  size_t a_bytes = (size_t)(BLOCK_M * (kernel->stretch + PACK_K)) * sizeof(uint16_t);
  if (call->gemm->form == GEMM_TN) {
    scratch->a = lines(scratch->a, a_bytes);
    const uint16_t *a = call->a + step * lda + row;
    block->a = (const char *)scratch->a;
    if (kernel->tiles) {
      packing->turn_rows(k, block->pairs, rows, a, lda, scratch->a);
      block->a_row = block->pairs * 4;
      block->a_block = block->a_row * kernel->rows;
    } else {
      block->a_block = spread(block->pairs * kernel->rows * 4);
      packing->turn_words(k, block->pairs, rows, kernel->rows, a, lda, block->a_block / 2, scratch->a);
      block->a_row = 4;
      block->a_pair = kernel->rows * 4;
    }
    return;
  }
  const uint16_t *a = call->a + row * lda + step;
  block->a = (const char *)a;
  block->a_row = lda * 2;
  if (block->pairs * 2 != k || stored != rows || is_crowded(lda)) {
    scratch->a = lines(scratch->a, a_bytes);
    int64_t stride = round_up(k, PACK_K) + PACK_K;
    for (int64_t r = 0; r < stored; r++) {
      int64_t present = r < rows ? k : 0;
      if (present) memcpy(scratch->a + r * stride, a + r * lda, (size_t)present * 2);
      memset(scratch->a + r * stride + present, 0, (size_t)(block->pairs * 2 - present) * 2);
    }
    block->a = (const char *)scratch->a;
    block->a_row = stride * 2;
  }
  block->a_block = kernel->rows * block->a_row;
}

// Where a block's sums go and come from: C itself, or scratch until the last block of the sum, so that a bfloat16 C is
// rounded once. `first` and `last` of the sum's blocks; `at` is the block's first element of C.
static void place_sums(const struct gemm *gemm, float *sums, int64_t at, bool first, bool last, char *c,
                       struct bfloat16_block *block) {
  block->c = c + at * (int64_t)dtype_bytes(gemm->out);
  block->c_row = gemm->ldc;
  block->out = gemm->out;
  if (gemm->out == DTYPE_FLOAT32) {
    if (first && !gemm->accumulate) return;
    block->sums = block->c;
    block->sums_row = block->c_row;
    return;
  }
  block->sums = first ? NULL : sums;
  block->sums_row = block->columns;
  if (last) return;
  block->c = sums;
  block->c_row = block->columns;
  block->out = DTYPE_FLOAT32;
}

struct blocks {
  int64_t m, n, k;  // at most
};
struct piece {
  int64_t row, column, step;  // where a block begins
};
static struct blocks blocks_of(const struct product_call *call, struct scratch *scratch, int64_t rows) {
  const struct gemm *gemm = call->gemm;
  bool copied = gemm->form == GEMM_TN || is_crowded(gemm->lda);
  int64_t stretch = copied ? BLOCK_K_COPIED : call->library->kernel->stretch;
  struct blocks most = {.m = block_size(rows, BLOCK_M, call->library->kernel->rows),
                        .n = block_size(gemm->n, BLOCK_N, PANEL_COLUMNS),
                        .k = block_size(gemm->k, stretch, PACK_K)};
  if (gemm->out == DTYPE_BFLOAT16 && gemm->k > most.k)
    scratch->sums = lines(scratch->sums, BLOCK_M * BLOCK_N * sizeof(float));
  return most;
}

// C = A B with B packed: blocks of rows, and of each the whole sum.
static void product_packed(const struct product_call *call, struct scratch *scratch, int64_t begin, int64_t end) {
  const struct gemm *gemm = call->gemm;
  int64_t stored_k = round_up(gemm->k, PACK_K);
  struct blocks most = blocks_of(call, scratch, end - begin);
  for (int64_t column = 0; column < gemm->n; column += most.n)
    for (int64_t row = begin; row < end; row += most.m)
      for (int64_t step = 0; step < gemm->k || step == 0; step += most.k) {
        int64_t k = smaller(most.k, gemm->k - step);
        struct bfloat16_block block = {.columns = smaller(most.n, gemm->n - column),
                                       .b = call->b + column * stored_k + step * PANEL_COLUMNS,
                                       .b_panel = stored_k * PANEL_COLUMNS};
        take_a(call, scratch, row, step, smaller(most.m, end - row), k, &block);
        place_sums(gemm, scratch->sums, row * gemm->ldc + column, step == 0, step + k >= gemm->k, call->c, &block);
        call->library->kernel->multiply(&block);
      }
}

// What the block behind this one reads: A, and where a new stretch of k begins, B.
static void read_ahead_turned(const struct product_call *call, const struct piece *now, int64_t begin, int64_t end,
                              const struct blocks *most, struct ahead_region ahead[AHEAD_REGIONS]) {
  const struct gemm *gemm = call->gemm;
  bool same_step = now->row + most->m < end;
  int64_t row = same_step ? now->row + most->m : begin, step = same_step ? now->step : now->step + most->k;
  if (step >= gemm->k) return;
  int64_t k = smaller(most->k, gemm->k - step);
  if (!same_step)
    *ahead++ = (struct ahead_region){.from = (const char *)(call->b + step * gemm->ldb + now->column),
                                     .rows = k,
                                     .bytes = smaller(most->n, gemm->n - now->column) * 2,
                                     .stride = gemm->ldb * 2};
  *ahead = (struct ahead_region){.from = (const char *)(call->a + step * gemm->lda + row),
                                 .rows = k,
                                 .bytes = smaller(most->m, end - row) * 2,
                                 .stride = gemm->lda * 2};
}

// C = A^T B: a block of B is packed, then every block of A turned for it. A bfloat16 C takes BLOCK_M rows at most.
static void product_turned(const struct product_call *call, struct scratch *scratch, int64_t begin, int64_t end) {
  const struct gemm *gemm = call->gemm;
  struct blocks most = blocks_of(call, scratch, end - begin);
  scratch->b = lines(scratch->b, BLOCK_N * (BLOCK_K_COPIED + PACK_K) * sizeof(uint16_t));
  for (int64_t column = 0; column < gemm->n; column += most.n)
    for (int64_t step = 0; step < gemm->k || step == 0; step += most.k) {
      int64_t columns = smaller(most.n, gemm->n - column), k = smaller(most.k, gemm->k - step);
      int64_t panel = spread(round_up(k, PACK_K) * PANEL_COLUMNS * 2) / 2;
      struct pack_call pack = {.packing = call->library->packing,
                               .n = columns,
                               .k = k,
                               .stride = gemm->ldb,
                               .panel = panel,
                               .b = call->b + step * gemm->ldb + column,
                               .packed = scratch->b};
      pack_pass(&pack, 0, round_up(columns, PANEL_COLUMNS) / PANEL_COLUMNS, 0);
      for (int64_t row = begin; row < end; row += most.m) {
        struct bfloat16_block block = {.columns = columns, .b = scratch->b, .b_panel = panel};
        take_a(call, scratch, row, step, smaller(most.m, end - row), k, &block);
        place_sums(gemm, scratch->sums, row * gemm->ldc + column, step == 0, step + k >= gemm->k, call->c, &block);
        read_ahead_turned(call, &(struct piece){row, column, step}, begin, end, &most, block.ahead);
        call->library->kernel->multiply(&block);
      }
    }
}

static void product_pass(const void *argument, int64_t begin, int64_t end, int worker) {
  const struct product_call *call = argument;
  struct scratch *scratch = &call->library->scratch[worker];
  if (call->gemm->form != GEMM_TN) {
    product_packed(call, scratch, begin, end);
    return;
  }
  int64_t most = call->gemm->out == DTYPE_BFLOAT16 ? BLOCK_M : end - begin;
  for (int64_t row = begin; row < end; row += most) product_turned(call, scratch, row, smaller(row + most, end));
}

void bfloat16_run(struct bfloat16 *library, const struct gemm *gemm, const void *a, const void *b, void *c) {
  if (gemm->form != GEMM_TN && !gemm->packed) {
    size_t bytes = bfloat16_packed_bytes(gemm->n, gemm->k);
    if (bytes > library->packed_bytes) {
      free(library->packed);
      library->packed = lines(NULL, bytes);
      library->packed_bytes = bytes;
    }
    pack_all(library, &(struct pack_call){.transposed = gemm->form == GEMM_NT,
                                          .n = gemm->n,
                                          .k = gemm->k,
                                          .stride = gemm->ldb,
                                          .b = b,
                                          .packed = library->packed});
    b = library->packed;
  }
  struct product_call call = {.library = library, .gemm = gemm, .a = a, .b = b, .c = c};
  parallel_ranges(library->threads, gemm->m, 96, product_pass, &call);
}
