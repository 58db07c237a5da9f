// Matrix products through every library against double precision, their packing and their bits; the output head where
// nothing counts. Linear layers and the head are in the table of operations (test_cases.c).
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/gemm_library.h"
#include "tests/kernels/kernel_check.h"

static double at(const struct tensor *tensor, bool transposed, int64_t row, int64_t column, int64_t stride) {
  return tensor->values[transposed ? column * stride + row : row * stride + column];
}
// One product with room between rows, against the sum in double.
static void product_case(struct gemm_context *context, struct gemm gemm) {
  struct error error = {0};
  bool a_turned = gemm.form == GEMM_TN, b_turned = gemm.form == GEMM_NT;
  int64_t a_rows = a_turned ? gemm.k : gemm.m, b_rows = b_turned ? gemm.n : gemm.k;
  int64_t lda = gemm.lda ? gemm.lda : a_turned ? gemm.m : gemm.k;
  int64_t ldb = gemm.ldb ? gemm.ldb : b_turned ? gemm.k : gemm.n;
  int64_t ldc = gemm.ldc ? gemm.ldc : gemm.n;
  struct tensor a = tensor_random(gemm.in, a_rows * lda, 1), b = tensor_random(gemm.in, b_rows * ldb, 1);
  struct tensor c = tensor_random(gemm.out, gemm.m * ldc, 1);
  double *want = malloc((size_t)c.count * sizeof *want);
  memcpy(want, c.values, (size_t)c.count * sizeof *want);
  for (int64_t i = 0; i < gemm.m; i++)
    for (int64_t j = 0; j < gemm.n; j++) {
      double sum = gemm.accumulate ? want[i * ldc + j] : 0;
      for (int64_t k = 0; k < gemm.k; k++) sum += at(&a, a_turned, i, k, lda) * at(&b, b_turned, k, j, ldb);
      want[i * ldc + j] = sum;
    }
  int before = check_failures;
  size_t packed_bytes = 0;
  if (gemm.form != GEMM_TN && !gemm.ldb) packed_bytes = gemm_packed_bytes(context, gemm.form, gemm.n, gemm.k, gemm.in);
  void *packed = ops->allocate(device, packed_bytes, &error);
  double *before_values = malloc((size_t)c.count * sizeof *before_values);
  memcpy(before_values, c.values, (size_t)c.count * sizeof *before_values);
  if (!CHECK(gemm_run(context, &gemm, a.data, b.data, c.data, &error))) printf("# %s\n", error.text);
  tensor_check(&c, want, gemm.out == DTYPE_FLOAT32 ? 2e-6 : 4e-3, "product");
  if (packed_bytes) {  // once more with B in the library's layout
    memcpy(c.values, before_values, (size_t)c.count * sizeof *before_values);
    tensor_write(&c);
    gemm.packed = true;
    if (!CHECK(gemm_pack(context, gemm.form, gemm.n, gemm.k, gemm.in, b.data, packed, &error) &&
               gemm_run(context, &gemm, a.data, packed, c.data, &error)))
      printf("# %s\n", error.text);
    tensor_check(&c, want, gemm.out == DTYPE_FLOAT32 ? 2e-6 : 4e-3, "product with packed B");
  }
  free(before_values);
  ops->free(device, packed);
  if (check_failures > before)
    printf("# ... form %d, %lld x %lld x %lld, lda %lld, %s -> %s, accumulate %d\n", gemm.form, (long long)gemm.m,
           (long long)gemm.n, (long long)gemm.k, (long long)gemm.lda, dtype_name(gemm.in), dtype_name(gemm.out),
           gemm.accumulate);
  tensor_free(&a), tensor_free(&b), tensor_free(&c);
  free(want);
}
static bool here(enum gemm_library library) {
  if (gemm_library_available(library)) return true;
  printf("# products %s: not on this CPU\n", gemm_library_name(library));
  return false;
}
static void every_library(void) {
  // The last two: more than one block of the sum, and of rows, in kernels of our own.
  static const int64_t sizes[][3] = {{1, 1, 1},   {1, 257, 16},  {3, 33, 50},   {64, 48, 16},
                                     {40, 1, 21}, {65, 31, 129}, {9, 34, 1700}, {200, 5, 40}};
  device_begin(ISA_PORTABLE, "reference", 1);
  for (enum gemm_library library = GEMM_REFERENCE; library < GEMM_LIBRARIES; library++) {
    if (!here(library)) continue;
    struct error error = {0};
    int before = check_failures;
    struct gemm_context *context = gemm_open(library, 1, &error);
    CHECK(context != NULL);
    CHECK(gemm_dtype_supported(context, DTYPE_FLOAT32));
    for (enum gemm_form form = GEMM_NT; form <= GEMM_TN; form++)
      for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
        struct gemm gemm = {.form = form, .m = sizes[size][0], .n = sizes[size][1], .k = sizes[size][2]};
        product_case(context, gemm);
        gemm.accumulate = true;
        product_case(context, gemm);
        gemm.lda = gemm.ldb = gemm.ldc = 1760;
        product_case(context, gemm);
        if (!gemm_dtype_supported(context, DTYPE_BFLOAT16)) continue;
        gemm.in = DTYPE_BFLOAT16;
        product_case(context, gemm);
        gemm.accumulate = false;
        product_case(context, gemm);
        gemm.out = DTYPE_BFLOAT16;
        product_case(context, gemm);
      }
    gemm_close(context);
    if (check_failures > before) printf("# ... by %s\n", gemm_library_name(library));
  }
  device_end();
}

// What oneDNN packs is unpacked to the same bytes, wherever it has a layout of its own.
static void unpacking(void) {
  struct error error = {0};
  device_begin(ISA_PORTABLE, "reference", 1);
  struct onednn *onednn = onednn_open(1, &error);
  CHECK(onednn != NULL);
  static const int64_t sizes[][2] = {{16, 16}, {33, 50}, {96, 64}, {257, 80}, {64, 512}};
  int packed_ones = 0;
  for (int i = 0; i < 20; i++) {
    enum dtype dtype = i / 10 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
    enum gemm_form form = i / 5 % 2 ? GEMM_NN : GEMM_NT;
    int64_t n = sizes[i % 5][0], k = sizes[i % 5][1];
    size_t bytes = onednn_packed_bytes(onednn, form, n, k, dtype), plain = (size_t)(n * k) * dtype_bytes(dtype);
    if (!bytes) continue;
    packed_ones++;
    struct tensor b = tensor_random(dtype, n * k, 1);
    void *packed = aligned_alloc(64, (bytes + 63) / 64 * 64), *again = calloc(1, plain);
    if (!CHECK(onednn_pack(onednn, form, n, k, dtype, b.data, packed, &error) &&
               onednn_unpack(onednn, form, n, k, dtype, packed, again, &error)))
      printf("# %s\n", error.text);
    CHECK(memcmp(again, b.data, plain) == 0);
    free(packed), free(again);
    tensor_free(&b);
  }
  printf("# %d of 20 matrices have a layout of oneDNN's own on this CPU\n", packed_ones);
  struct gemm gemm = {.form = GEMM_NT, .m = 64, .n = 64, .k = 64, .lda = 64, .ldb = 64, .ldc = 64};
  CHECK(onednn_optimized(onednn, &gemm));
  onednn_close(onednn);
  device_end();
}

// Both ways to pack give the same bytes, at edges of every kind.
static void packing(void) {
#if defined(__x86_64__)
  if (!isa_available(ISA_AVX512)) {
    printf("# packing by avx512: not on this CPU\n");
    return;
  }
  enum { ROWS = 12, MOST = 96 };
  const struct bfloat16_packing *fast = &bfloat16_packing_avx512, *plain = &bfloat16_packing_plain;
  uint16_t from[MOST * MOST];
  for (int i = 0; i < MOST * MOST; i++) from[i] = (uint16_t)(i * 2654435761u >> 8);
  static const int sizes[][2] = {{1, 1}, {2, 12}, {31, 13}, {32, 16}, {33, 31}, {64, 32}, {65, 25}};
  for (size_t size = 0; size < sizeof sizes / sizeof sizes[0]; size++) {
    int k = sizes[size][0], columns = sizes[size][1];
    int64_t pairs = (k + PACK_K - 1) / PACK_K * PACK_K / 2;
    uint16_t got[2][MOST * MOST] __attribute__((aligned(64)));
    for (int transposed = 0; transposed < 2; transposed++) {
      memset(got, 0x55, sizeof got);
      plain->panels(transposed, k, pairs, columns, from, MOST, pairs * 64, got[0]);
      fast->panels(transposed, k, pairs, columns, from, MOST, pairs * 64, got[1]);
      CHECK(memcmp(got[0], got[1], sizeof got[0]) == 0);
    }
    memset(got, 0x55, sizeof got);
    plain->turn_rows(k, pairs, columns, from, MOST, got[0]);
    fast->turn_rows(k, pairs, columns, from, MOST, got[1]);
    CHECK(memcmp(got[0], got[1], sizeof got[0]) == 0);
    // Of the last block only what there is counts.
    memset(got, 0, sizeof got);
    plain->turn_words(k, (k + 1) / 2, columns, ROWS, from, MOST, (k + 1) * ROWS, got[0]);
    fast->turn_words(k, (k + 1) / 2, columns, ROWS, from, MOST, (k + 1) * ROWS, got[1]);
    CHECK(memcmp(got[0], got[1], sizeof got[0]) == 0);
  }
#endif
}

#if defined(__x86_64__)
static uint16_t *random_halves(int64_t count) {
  uint16_t *made = malloc((size_t)count * sizeof *made);
  for (int64_t i = 0; i < count; i++) made[i] = bfloat16_nearest((float)random_number());
  return made;
}
#endif

// Without instructions for bfloat16 every level has the same bits: that of AVX2 against plain C.
static void widened_bits(void) {
#if defined(__x86_64__)
  if (!bfloat16_widened_avx2.available()) {
    printf("# widened products by avx2: not on this CPU\n");
    return;
  }
  enum { M = 70, N = 45, K = 1025 };
  uint16_t *a = random_halves(M * K), *b = random_halves(K * N);
  for (enum gemm_form form = GEMM_NT; form <= GEMM_TN; form++)
    for (enum dtype out = DTYPE_FLOAT32; out <= DTYPE_BFLOAT16; out++) {
      struct gemm gemm = {.form = form, .m = M, .n = N, .k = K, .in = DTYPE_BFLOAT16, .out = out, .ldc = N};
      gemm.lda = form == GEMM_TN ? M : K;
      gemm.ldb = form == GEMM_NT ? K : N;
      float *c[2];
      for (int avx2 = 0; avx2 < 2; avx2++) {
        struct bfloat16 *library = bfloat16_open(avx2 ? &bfloat16_widened_avx2 : &bfloat16_widened, 1);
        c[avx2] = calloc(M * N, sizeof **c);
        bfloat16_run(library, &gemm, a, b, c[avx2]);
        bfloat16_close(library);
      }
      CHECK(memcmp(c[0], c[1], M * N * sizeof **c) == 0);
      free(c[0]), free(c[1]);
    }
  free(a), free(b);
#endif
}

// Whatever the CPU, what a device takes unless told otherwise multiplies bfloat16: by oneDNN or by a kernel of our own.
static void bfloat16_everywhere(void) {
  struct error error = {0};
  struct gemm_context *onednn = gemm_open(GEMM_ONEDNN, 1, &error);
  bool has = gemm_dtype_supported(onednn, DTYPE_BFLOAT16);
  gemm_close(onednn);
  for (enum gemm_library library = GEMM_TRIAL; library <= GEMM_AUTO; library++) {
    struct gemm_context *context = gemm_open(library, 1, &error);
    CHECK(context && gemm_dtype_supported(context, DTYPE_BFLOAT16));
    bool widened = strcmp(gemm_product_name(context, GEMM_NT, DTYPE_BFLOAT16), "widened") == 0;
    CHECK(widened == (!has && gemm_library_own() == GEMM_ONEDNN));
    CHECK_TEXT(gemm_product_name(context, GEMM_NT, DTYPE_FLOAT32), "onednn");
    CHECK(!widened || !gemm_dtype_fast(context, DTYPE_BFLOAT16));
    gemm_close(context);
  }
}

// The same product gives the same bits again on as many threads; kernels of our own give them on any number of threads,
// and on real and emulated AMX.
static void same_bits(void) {
  device_begin(ISA_PORTABLE, "reference", 1);
  enum { M = 230, N = 45, K = 577, TIMES = 4 };
  static const int threads[TIMES] = {1, 1, 3, 3}, like[TIMES] = {0, 0, 0, 2};
  struct tensor a = tensor_random(DTYPE_BFLOAT16, M * K, 1), b = tensor_random(DTYPE_BFLOAT16, K * N, 1);
  for (enum gemm_library library = GEMM_ONEDNN + 1; library < GEMM_LIBRARIES; library++) {
    if (!here(library)) continue;
    for (enum gemm_form form = GEMM_NT; form <= GEMM_TN; form++) {
      float *c[TIMES];
      for (int time = 0; time < TIMES; time++) {
        struct error error = {0};
        bool emulate = library == GEMM_AMX && time == 1;
        struct gemm_context *context = gemm_open(emulate ? GEMM_AMX_EMULATED : library, threads[time], &error);
        struct gemm gemm = {.form = form, .m = M, .n = N, .k = K, .in = DTYPE_BFLOAT16};
        c[time] = calloc(M * N, sizeof **c);
        CHECK(gemm_run(context, &gemm, a.data, b.data, c[time], &error));
        const char *whose = gemm_product_name(context, form, DTYPE_BFLOAT16);
        bool may_differ = threads[time] != threads[like[time]] && strcmp(whose, gemm_library_name(GEMM_ONEDNN)) == 0;
        if (!may_differ && !CHECK(memcmp(c[like[time]], c[time], M * N * sizeof **c) == 0))
          printf("# %s (%s), form %d, on %d threads and on %d\n", gemm_library_name(library), whose, form,
                 threads[like[time]], threads[time]);
        gemm_close(context);
      }
      for (int time = 0; time < TIMES; time++) free(c[time]);
    }
  }
  tensor_free(&a), tensor_free(&b);
  device_end();
}

static struct weight *weight_of(const struct weight_description *description, struct tensor *master, void **memory) {
  struct error error = {0};
  *memory = ops->allocate(device, ops->weight_bytes(device, description), &error);
  struct weight *weight = ops->weight_create(device, description, *memory, &error);
  if (!CHECK(weight != NULL)) printf("# %s\n", error.text), exit(1);
  ops->weight_prepare(device, weight, master->data, 1);
  return weight;
}

// A batch in which nothing counts has no loss and no gradient; a NaN shows.
static void head_edges(void) {
  device_begin(isa_best(), "onednn", 1);
  struct tensor x = tensor_random(DTYPE_FLOAT32, 2 * 16, 1), w = tensor_random(DTYPE_FLOAT32, 5 * 16, 1);
  struct tensor d_x = tensor_empty(DTYPE_FLOAT32, 2 * 16), d_w = tensor_empty(DTYPE_FLOAT32, 5 * 16);
  struct weight_description description = {.outputs = 5, .inputs = 16};
  void *memory;
  struct weight *weight = weight_of(&description, &w, &memory);
  struct head head = {.weight = weight, .rows = 2, .gradient_scale = 1};
  int32_t targets[] = {4, 0};
  uint8_t mask[] = {0, 0};
  struct loss_sum sum = {0};
  double zeroes[5 * 16] = {0};
  workspace_for(OP_HEAD, (struct op_shape){.rows = 2, .width = 16, .vocabulary = 5, .training = true});
  ops->head_loss(device, &head, x.data, targets, mask, &sum, NULL, d_x.data, d_w.data, false);
  CHECK(sum.nats == 0 && sum.targets == 0);
  tensor_check(&d_x, zeroes, 0, "d_x of a masked batch");
  tensor_check(&d_w, zeroes, 0, "d_weight of a masked batch");
  ((float *)x.data)[3] = NAN;
  ops->head_evaluate(device, &head, x.data, targets, NULL, &sum, NULL);
  CHECK(isnan(sum.nats) && sum.targets == 2);
  // A target that is no token stops the device with a message.
  targets[1] = 5;
  ops->head_evaluate(device, &head, x.data, targets, NULL, &sum, NULL);
  struct error error = {0};
  CHECK(!ops->synchronize(device, &error));
  CHECK_TEXT(error.text, "target 5 in row 1 is not below the vocabulary of 5");
  CHECK(sum.targets == 2);
  struct tensor *all[] = {&x, &w, &d_x, &d_w};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
  ops->weight_free(device, weight);
  ops->free(device, memory);
  ops->free(device, workspace);
  workspace = NULL;
  ops->close(device);
}

int main(void) {
  RUN(every_library);
  RUN(unpacking);
  RUN(packing);
  RUN(widened_bits);
  RUN(bfloat16_everywhere);
  RUN(same_bits);
  RUN(head_edges);
  return check_end();
}
