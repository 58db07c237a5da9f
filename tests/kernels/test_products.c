// Matrix products through every library, linear layers, and the output head, against double precision.
#include "kernels/cpu/bfloat16.h"
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
  static const int64_t sizes[][3] = {{1, 1, 1},     {1, 257, 16},  {3, 33, 50}, {64, 48, 16},
                                     {65, 31, 129}, {9, 34, 1700}, {200, 5, 40}};
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

static uint16_t *random_halves(int64_t count) {
  uint16_t *made = malloc((size_t)count * sizeof *made);
  for (int64_t i = 0; i < count; i++) made[i] = float_to_half((float)random_number());
  return made;
}
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

// The same product gives the same bits again, on one thread or three, and on real and emulated AMX.
static void same_bits(void) {
  device_begin(ISA_PORTABLE, "reference", 1);
  enum { M = 230, N = 45, K = 577 };
  struct tensor a = tensor_random(DTYPE_BFLOAT16, M * K, 1), b = tensor_random(DTYPE_BFLOAT16, K * N, 1);
  for (enum gemm_library library = GEMM_ONEDNN + 1; library < GEMM_LIBRARIES; library++) {
    if (!here(library)) continue;
    for (enum gemm_form form = GEMM_NT; form <= GEMM_TN; form++) {
      float *c[3];
      for (int time = 0; time < 3; time++) {
        struct error error = {0};
        bool emulate = library == GEMM_AMX && time == 1;
        struct gemm_context *context = gemm_open(emulate ? GEMM_AMX_EMULATED : library, time == 2 ? 3 : 1, &error);
        struct gemm gemm = {.form = form, .m = M, .n = N, .k = K, .in = DTYPE_BFLOAT16};
        c[time] = calloc(M * N, sizeof **c);
        CHECK(gemm_run(context, &gemm, a.data, b.data, c[time], &error));
        if (time > 0) CHECK(memcmp(c[0], c[time], M * N * sizeof **c) == 0);
        gemm_close(context);
      }
      for (int time = 0; time < 3; time++) free(c[time]);
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

struct layer {
  int64_t rows, inputs, outputs;
  struct tensor x, w, d_y;
  double *y;
};
static double layer_double(const void *argument) {
  const struct layer *l = argument;
  double loss = 0;
  for (int64_t row = 0; row < l->rows; row++)
    for (int64_t o = 0; o < l->outputs; o++) {
      double sum = 0;
      for (int64_t i = 0; i < l->inputs; i++) sum += l->x.values[row * l->inputs + i] * l->w.values[o * l->inputs + i];
      l->y[row * l->outputs + o] = sum;
      loss += sum * l->d_y.values[row * l->outputs + o];
    }
  return loss;
}
static void layer_case(int64_t rows, int64_t inputs, int64_t outputs, enum dtype dtype) {
  struct layer l = {.rows = rows, .inputs = inputs, .outputs = outputs};
  l.x = tensor_random(dtype, rows * inputs, 1);
  l.d_y = tensor_random(dtype, rows * outputs, 1);
  l.y = calloc((size_t)(rows * outputs), sizeof(double));
  l.w = tensor_random(DTYPE_FLOAT32, outputs * inputs, 1);
  if (dtype == DTYPE_BFLOAT16)  // so that rounding the master loses nothing
    for (int64_t i = 0; i < l.w.count; i++) l.w.values[i] = half_to_float(float_to_half((float)l.w.values[i]));
  tensor_write(&l.w);
  void *memory;
  struct weight_description description = {.outputs = outputs, .inputs = inputs, .dtype = dtype};
  if (outputs > 2) {
    description.parts = 2;
    description.part_outputs[0] = 1;
    description.part_outputs[1] = outputs - 1;
  }
  struct weight *weight = weight_of(&description, &l.w, &memory);
  struct linear linear = {.weight = weight, .rows = rows, .dtype = dtype};
  workspace_for(OP_LINEAR, (struct op_shape){.rows = rows, .dtype = dtype, .weight = &description, .training = true});
  struct tensor y = tensor_empty(dtype, rows * outputs), d_x = tensor_empty(dtype, rows * inputs);
  struct tensor d_w = tensor_empty(DTYPE_FLOAT32, outputs * inputs);
  CHECK(ops->linear_saved_bytes(device, &description, rows) == 0);
  layer_double(&l);
  ops->linear_forward(device, &linear, l.x.data, NULL, y.data);
  tensor_check(&y, l.y, tolerance_of(dtype), "y");
  ops->linear_input_gradient(device, &linear, NULL, l.d_y.data, d_x.data);
  gradient_check(layer_double, &l, &l.x, &d_x, tolerance_of(dtype), "d_x");
  ops->linear_weight_gradient(device, &linear, l.x.data, NULL, l.d_y.data, d_w.data, false);
  ops->weight_gradient_finish(device, weight, d_w.data);
  gradient_check(layer_double, &l, &l.w, &d_w, 2e-6, "d_weight");
  ops->linear_weight_gradient(device, &linear, l.x.data, NULL, l.d_y.data, d_w.data, true);
  double *twice = malloc((size_t)d_w.count * sizeof *twice);
  for (int64_t i = 0; i < d_w.count; i++) twice[i] = 2 * d_w.values[i];
  tensor_check(&d_w, twice, 2e-6, "d_weight, accumulated");
  free(twice);
  free(l.y);
  struct tensor *all[] = {&l.x, &l.w, &l.d_y, &y, &d_x, &d_w};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
  ops->weight_free(device, weight);
  ops->free(device, memory);
}
static void linear(void) {
  for (enum gemm_library library = GEMM_REFERENCE; library < GEMM_LIBRARIES; library++) {
    if (!here(library)) continue;
    device_begin(isa_best(), gemm_library_name(library), 1);
    for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
      if (!ops->dtype_supported(device, dtype)) continue;
      layer_case(1, 16, 1, dtype);
      layer_case(3, 20, 257, dtype);
      layer_case(70, 33, 48, dtype);
    }
    device_end();
  }
}

struct loss_case {
  int64_t rows, width, vocabulary;
  struct tensor x, w;
  const int32_t *targets;
  const uint8_t *mask;
  double scale;
  double *nats;
};
static double loss_double(const void *argument) {
  const struct loss_case *c = argument;
  double total = 0, *logits = malloc((size_t)c->vocabulary * sizeof *logits);
  for (int64_t row = 0; row < c->rows; row++) {
    double maximum = -INFINITY, sum = 0;
    for (int64_t token = 0; token < c->vocabulary; token++) {
      logits[token] = 0;
      for (int64_t i = 0; i < c->width; i++)
        logits[token] += c->x.values[row * c->width + i] * c->w.values[token * c->width + i];
      if (logits[token] > maximum) maximum = logits[token];
    }
    for (int64_t token = 0; token < c->vocabulary; token++) sum += exp(logits[token] - maximum);
    c->nats[row] = c->mask && !c->mask[row] ? 0 : maximum + log(sum) - logits[c->targets[row]];
    total += c->nats[row];
  }
  free(logits);
  return total * c->scale;
}
static void head_case(int64_t rows, int64_t width, int64_t vocabulary, enum dtype dtype, bool masked) {
  struct loss_case c = {.rows = rows, .width = width, .vocabulary = vocabulary, .scale = 0.25};
  int32_t *targets = malloc((size_t)rows * sizeof *targets);
  uint8_t *mask = malloc((size_t)rows);
  int64_t counted = 0;
  for (int64_t row = 0; row < rows; row++) {
    targets[row] = (int32_t)((row * 7919 + vocabulary - 1) % vocabulary);
    mask[row] = row % 3 != 1;
    counted += !masked || mask[row];
  }
  c.targets = targets;
  c.mask = masked ? mask : NULL;
  c.x = tensor_random(dtype, rows * width, 1);
  c.w = tensor_random(DTYPE_FLOAT32, vocabulary * width, 1);
  for (int64_t i = 0; dtype == DTYPE_BFLOAT16 && i < c.w.count; i++)
    c.w.values[i] = half_to_float(float_to_half((float)c.w.values[i]));
  tensor_write(&c.w);
  c.nats = calloc((size_t)rows, sizeof(double));
  struct tensor row_nats = tensor_empty(DTYPE_FLOAT32, rows), d_x = tensor_empty(dtype, rows * width);
  struct tensor d_w = tensor_zero(DTYPE_FLOAT32, vocabulary * width);
  void *memory;
  struct weight_description description = {.outputs = vocabulary, .inputs = width, .dtype = dtype};
  struct weight *weight = weight_of(&description, &c.w, &memory);
  struct head head = {.weight = weight, .rows = rows, .dtype = dtype, .gradient_scale = (float)c.scale};
  struct op_shape shape = {
      .rows = rows, .width = width, .vocabulary = vocabulary, .dtype = dtype, .weight = &description};
  struct loss_sum sum = {.nats = 100, .targets = 10};  // sums are added to
  int before = check_failures;

  double total = loss_double(&c) / c.scale;
  workspace_for(OP_HEAD, shape);
  ops->head_evaluate(device, &head, c.x.data, targets, c.mask, &sum, row_nats.data);
  CHECK_NEAR(sum.nats, 100 + total, 1e-6);
  CHECK(sum.targets == 10 + counted);
  tensor_check(&row_nats, c.nats, 2e-6, "nats by row");
  shape.training = true;
  workspace_for(OP_HEAD, shape);
  struct loss_sum training = {0};
  ops->head_loss(device, &head, c.x.data, targets, c.mask, &training, NULL, d_x.data, d_w.data, true);
  CHECK(training.nats == sum.nats - 100 || fabs(training.nats - (sum.nats - 100)) < 1e-9 * sum.nats);
  gradient_check(loss_double, &c, &c.x, &d_x, tolerance_of(dtype), "d_x");
  gradient_check(loss_double, &c, &c.w, &d_w, tolerance_of(dtype), "d_weight");
  // Without `accumulate` what was there is gone.
  struct tensor fresh = tensor_random(DTYPE_FLOAT32, d_w.count, 1);
  ops->head_loss(device, &head, c.x.data, targets, c.mask, &training, NULL, d_x.data, fresh.data, false);
  tensor_check(&fresh, d_w.values, 1e-6, "d_weight, not accumulated");
  if (check_failures > before)
    printf("# ... rows %lld, width %lld, vocabulary %lld, %s, masked %d\n", (long long)rows, (long long)width,
           (long long)vocabulary, dtype_name(dtype), masked);
  struct tensor *all[] = {&c.x, &c.w, &row_nats, &d_x, &d_w, &fresh};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
  free(targets), free(mask), free(c.nats);
  ops->weight_free(device, weight);
  ops->free(device, memory);
}
static void head_shapes(void) {
  for (enum dtype dtype = DTYPE_FLOAT32; dtype <= DTYPE_BFLOAT16; dtype++) {
    if (!ops->dtype_supported(device, dtype)) continue;
    head_case(1, 16, 2, dtype, false);
    head_case(3, 20, 257, dtype, true);
    head_case(70, 16, 100, dtype, true);
    head_case(131, 8, 2500, dtype, false);  // several tiles of rows
  }
}
static void head(void) { on_every_level(head_shapes); }
// A vocabulary of a power of two, whose rows are stored further apart, and odd ones, through every library.
static void head_libraries(void) {
  for (enum gemm_library library = GEMM_REFERENCE; library < GEMM_LIBRARIES; library++) {
    if (!here(library)) continue;
    device_begin(isa_best(), gemm_library_name(library), 1);
    if (ops->dtype_supported(device, DTYPE_BFLOAT16)) {
      head_case(1, 20, 257, DTYPE_BFLOAT16, false);
      head_case(37, 17, 257, DTYPE_BFLOAT16, true);
      head_case(19, 8, 1024, DTYPE_BFLOAT16, true);
    }
    device_end();
  }
}
static void head_reference(void) {
  device_begin(isa_best(), "reference", 1);
  head_shapes();
  device_end();
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
  RUN(packing);
  RUN(widened_bits);
  RUN(bfloat16_everywhere);
  RUN(same_bits);
  RUN(linear);
  RUN(head);
  RUN(head_libraries);
  RUN(head_reference);
  RUN(head_edges);
  return check_end();
}
