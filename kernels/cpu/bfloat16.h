// Our own bfloat16 matrix products, in three layers. A kernel multiplies a block of A with packed panels of B on one
// kind of CPU (bfloat16_avx512.c, bfloat16_amx.h, and bfloat16_widened.c for any); packing brings operands into the
// order that kernels read (bfloat16_packing*.c); bfloat16.c cuts products into blocks that stay in cache. All kernels
// share one layout of B and one blocking.
//
// Packed B [k, n]: panels of PANEL_COLUMNS columns, one after the other; in a panel the pairs of rows (2 p, 2 p + 1) of
// B in order, each as PANEL_COLUMNS words of two bfloat16, the even row's in the lower half. Columns are filled up with
// zeroes to whole panels, k to a multiple of PACK_K. It is what vdpbf16ps and TDPBF16PS both read.
#pragma once
#include "kernels/cpu/bfloat16_ahead.h"
#include "kernels/cpu/gemm.h"

#define PANEL_COLUMNS 32
#define PACK_K 32

// C [rows, columns] = sums + A B over the packed pairs. The pair p of row r of A is at
// `a + r / R * a_block + r % R * a_row + p * a_pair` (bytes), R being the kernel's rows.
struct bfloat16_block {
  int64_t rows, columns, pairs;
  const char *a;
  int64_t a_row, a_pair, a_block;
  const uint16_t *b;
  int64_t b_panel;    // elements from one panel to the next
  const float *sums;  // NULL: zeroes; may be c
  void *c;
  int64_t sums_row, c_row;  // elements
  enum dtype out;
  struct ahead_region ahead[AHEAD_REGIONS];  // what will be read next
};

// How operands are brought into order. Plain C, and AVX-512 with the same results.
struct bfloat16_packing {
  // Rows 0 .. k - 1 of `columns` columns of B into panels of `pairs` pairs, filled up with zeroes, `panel` elements
  // from one to the next. B is [columns, k] (transposed) or [k, columns], `stride` elements from row to row.
  void (*panels)(bool transposed, int64_t k, int64_t pairs, int64_t columns, const uint16_t *b, int64_t stride,
                 int64_t panel, uint16_t *to);
  // A [k, m] for a kernel that takes words: blocks of `rows` columns (8 to 16), each `pairs` times `rows` words,
  // `block` elements from one to the next. The words of columns that there are not are left as they were.
  void (*turn_words)(int64_t k, int64_t pairs, int64_t m, int rows, const uint16_t *a, int64_t stride, int64_t block,
                     uint16_t *to);
  // A [k, m] turned into m rows of 2 * pairs elements, filled up with zeroes to a multiple of 16 rows.
  void (*turn_rows)(int64_t k, int64_t pairs, int64_t m, const uint16_t *a, int64_t stride, uint16_t *to);
};
extern const struct bfloat16_packing bfloat16_packing_plain;

struct bfloat16_kernel {
  const char *name;
  int rows;  // R: rows of C that are in registers at a time
  // Whether it reads tiles of 16 rows x 16 pairs of A, a row's pairs adjacent: then A must hold whole ones, filled up
  // with zeroes. Otherwise any number of rows and pairs goes, and a transposed A is only interleaved.
  bool tiles;
  // The longest stretch of k that is summed in registers before sums go to memory (at least 512). A panel of B as long
  // is read again for every few rows of A: from the first cache, or the second where that is fast enough for the
  // kernel.
  int64_t stretch;
  bool (*available)(void);  // on this CPU, and let by its operating system
  void (*multiply)(const struct bfloat16_block *block);
};

// The AMX kernel's source over tiles in plain C: for tests, on every CPU.
extern const struct bfloat16_kernel bfloat16_amx_emulated;
// Products in float32, for CPUs without instructions for bfloat16; both give the same bits.
extern const struct bfloat16_kernel bfloat16_widened;
#if defined(__x86_64__)
extern const struct bfloat16_packing bfloat16_packing_avx512;
extern const struct bfloat16_kernel bfloat16_avx512, bfloat16_amx, bfloat16_widened_avx2;
#endif

// The library's side; see gemm.h. Scratch belongs to the object and is made by the first product that needs it.
struct bfloat16;
struct bfloat16 *bfloat16_open(const struct bfloat16_kernel *kernel, int threads);
void bfloat16_close(struct bfloat16 *library);
const struct bfloat16_kernel *bfloat16_kernel(const struct bfloat16 *library);
const struct bfloat16_packing *bfloat16_packing(const struct bfloat16 *library);
void bfloat16_run(struct bfloat16 *library, const struct gemm *gemm, const void *a, const void *b, void *c);
size_t bfloat16_packed_bytes(int64_t n, int64_t k);
void bfloat16_pack(struct bfloat16 *library, enum gemm_form form, int64_t n, int64_t k, const void *b, void *packed);
