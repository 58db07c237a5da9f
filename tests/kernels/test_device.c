// Opening devices, their errors, exponentials, large sums of squares, initial values, and equality of bits from run to
// run.
#include "base/philox.h"
#include "kernels/cpu/level.h"
#include "tests/kernels/kernel_check.h"

static void open_error(struct device_options options, const char *want) {
  struct error error = {0};
  CHECK(ops_find("cpu", &error)->open(&options, &error) == NULL);
  CHECK_TEXT(error.text, want);
}
static void options(void) {
  struct error error = {0};
  CHECK(ops_find("tpu", &error) == NULL);
  CHECK(error.code == EXIT_USAGE_ERROR);
  CHECK(strstr(error.text, "cpu") != NULL);
  open_error((struct device_options){.isa = "mmx"},
             "no instruction set level \"mmx\" (there are: portable, avx2, avx512, avx512-bf16)");
  open_error(
      (struct device_options){.gemm = "blis"},
      "no matrix products named \"blis\" (there are: auto, trial, onednn, avx512-bf16, amx, amx-emulated, widened, "
      "reference)");
  open_error((struct device_options){.threads = -1}, "-1 threads: must be 1 to 1024");
  setenv("ISOLOSS_ISA", "portable", 1);
  setenv("ISOLOSS_GEMM", "reference", 1);
  error = (struct error){0};
  ops = ops_find("cpu", &error);
  device = ops->open(&(struct device_options){0}, &error);
  struct text text = {0};
  ops->describe(device, &text);
  CHECK_TEXT(text_string(&text), "cpu: portable passes, reference products, 1 thread");
  CHECK(ops->dtype_supported(device, DTYPE_BFLOAT16) && !ops->dtype_fast(device, DTYPE_BFLOAT16));
  text_free(&text);
  ops->close(device);
  if (!gemm_library_available(GEMM_AMX))
    open_error((struct device_options){.gemm = "amx"}, "this CPU has no amx for matrix products");
  setenv("ISOLOSS_ISA", "sse9", 1);
  open_error((struct device_options){0},
             "no instruction set level \"sse9\" (there are: portable, avx2, avx512, avx512-bf16)");
  unsetenv("ISOLOSS_ISA");
  unsetenv("ISOLOSS_GEMM");
  enum dtype dtype;
  CHECK(dtype_find("bfloat16", &dtype) && dtype == DTYPE_BFLOAT16 && !dtype_find("float16", &dtype));
}

// `auto` is bfloat16 where the kernel's list of what the CPU can do says AMX, or AVX512-BF16 on AMD's.
static void bfloat16_where_it_gains(void) {
  FILE *file = fopen("/proc/cpuinfo", "r");
  char line[8192] = "";
  bool gains = false, amd = false;
  while (file && fgets(line, sizeof line, file)) {
    amd |= strstr(line, "AuthenticAMD") != NULL;
    gains |= strstr(line, " amx_bf16") || (amd && strstr(line, " avx512_bf16"));
  }
  if (file) fclose(file);
  device_begin(isa_best(), "auto", 1);
  if (ops->dtype_supported(device, DTYPE_BFLOAT16)) CHECK(ops->dtype_fast(device, DTYPE_BFLOAT16) == gains);
  CHECK(!ops->dtype_fast(device, DTYPE_FLOAT32));
  device_end();
}

static void memory(void) {
  device_begin(isa_best(), "onednn", 1);
  struct error error = {0};
  char *a = ops->allocate(device, 1000, &error), *b = ops->allocate(device, (size_t)5 << 20, &error);
  CHECK((uintptr_t)a % DEVICE_ALIGNMENT == 0 && (uintptr_t)b % DEVICE_ALIGNMENT == 0);
  char text[8] = "device", back[8] = "";
  ops->upload(device, a, text, sizeof text);
  ops->copy(device, b + 100, a, sizeof text);
  CHECK(ops->download(device, back, b + 100, sizeof back, &error));
  CHECK_TEXT(back, "device");
  ops->clear(device, b + 100, 3);
  CHECK(b[100] == 0 && b[102] == 0 && b[103] == 'i');
  ops->free(device, a);
  ops->free(device, b);
  CHECK(ops->allocate(device, SIZE_MAX - 10, &error) == NULL);
  CHECK(error.code == EXIT_ENVIRONMENT);
  device_end();
}

// What a caller gets wrong becomes one error, later work does nothing, and nothing is touched.
static void failures(void) {
  device_begin(isa_best(), "onednn", 1);
  struct error error = {0};
  float x[64] = {0}, statistics[1] = {0}, scale[64], d_scale[64] = {0};
  int32_t tokens[] = {3, -1};
  for (int i = 0; i < 64; i++) scale[i] = 1;
  ops->rmsnorm_backward(device, 1, 64, DTYPE_FLOAT32, x, statistics, scale, x, NULL, x, NULL, d_scale);
  CHECK(!ops->synchronize(device, &error));
  CHECK(strstr(error.text, "workspace") != NULL);
  ops->fill_normal(device, x, 64, 1, 0, 0);
  CHECK(x[0] == 0);
  ops->close(device);
  device_begin(isa_best(), "onednn", 1);
  ops->embedding_forward(device, 2, 32, 4, tokens, scale, x);
  error = (struct error){0};
  CHECK(!ops->download(device, d_scale, x, 4, &error));
  CHECK_TEXT(error.text, "token -1 in row 1 is not below the vocabulary of 4");
  ops->close(device);
  device_begin(isa_best(), "onednn", 1);
  struct weight_description description = {.outputs = 4, .inputs = 16, .parts = 2, .part_outputs = {1, 2}};
  error = (struct error){0};
  CHECK(ops->weight_create(device, &description, NULL, &error) == NULL);
  CHECK(error.code == EXIT_USAGE_ERROR);
  struct op_shape shape = {.heads = 3, .kv_heads = 2, .head_dim = 16};
  error = (struct error){0};
  CHECK(!ops->shape_supported(device, OP_ATTENTION, &shape, &error));
  CHECK_TEXT(error.text, "2 key heads must divide 3 query heads");
  shape.head_dim = 7;
  error = (struct error){0};
  CHECK(!ops->shape_supported(device, OP_ATTENTION, &shape, &error));
  CHECK_TEXT(error.text, "head dimension 7: must be even, 2 to 256");
  ops->close(device);
}

static void exponential_of_level(void) {
  enum { COUNT = 200003 };
  float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
  for (int i = 0; i < COUNT; i++) x[i] = (float)(-87.3 + i * (175.0 / COUNT));
  double worst = 0;
  for (int level = 0; level < ISA_LEVELS; level++) {
    if (!isa_available((enum isa_level)level)) continue;
    cpu_level_find((enum isa_level)level)->exponential(COUNT, x, y);
    for (int i = 0; i < COUNT; i++) {
      double want = exp(x[i]), off = fabs(y[i] - want) / want;
      if (off > worst) worst = off;
    }
    CHECK_NEAR(worst, 0, 1.5 * 0x1p-23);
    float edges[] = {0, -INFINITY, -88, NAN, -1e30f, 100}, results[6];
    cpu_level_find((enum isa_level)level)->exponential(6, edges, results);
    CHECK(results[0] == 1 && results[1] == 0 && results[2] == 0 && isnan(results[3]) && results[4] == 0);
    CHECK_NEAR(results[5] / exp(88), 1, 1e-6);
  }
  printf("# exponential: largest relative error %.3g\n", worst);
  free(x), free(y);
}
// Those of rounded.h: the argument's rounding counts, and what is beyond float32 may be inf.
static void rounded_exponential(void) {
  enum { COUNT = 200003 };
  float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
  for (int i = 0; i < COUNT; i++) x[i] = (float)(-87 + i * (174.0 / COUNT));
  for (int level = 0; level < ISA_LEVELS; level++) {
    if (!isa_available((enum isa_level)level)) continue;
    const struct cpu_level *table = cpu_level_find((enum isa_level)level);
    table->rounded_exponential(COUNT, x, y);
    double worst = 0;
    for (int i = 0; i < COUNT; i++)
      worst = fmax(worst, fabs(y[i] / exp(x[i]) - 1) / (3 * 0x1p-23 + fabs(x[i]) * 0x1p-23));
    if (!CHECK(worst < 1)) printf("# level %s: %g of what is allowed\n", isa_name((enum isa_level)level), worst);
    float edges[] = {0, -INFINITY, -200, NAN, -1e30f, 200}, results[6];
    table->rounded_exponential(6, edges, results);
    CHECK_NEAR(results[0], 1, 1e-7);
    CHECK(results[1] == 0 && results[2] == 0 && isnan(results[3]) && results[4] == 0 && results[5] > 1e38f);
  }
  free(x), free(y);
}
static void exponential(void) { exponential_of_level(); }

// The sum of squares takes large counts and large values, the same at any thread count.
static void square_sums(void) {
  enum { COUNT = 30011 };
  double sums[2];
  for (int run = 0; run < 2; run++) {
    device_begin(isa_best(), "onednn", 1 + 2 * run);
    random_state = 99;
    struct tensor x = tensor_random(DTYPE_FLOAT32, COUNT, 1e25);
    struct tensor_span span = {x.data, COUNT};
    double want = 0;
    for (int i = 0; i < COUNT; i++) want += x.values[i] * x.values[i];
    workspace_for(OP_OPTIMIZER, (struct op_shape){.rows = COUNT});
    ops->square_sum(device, &span, 1, &sums[run]);
    CHECK_NEAR(sums[run] / want, 1, 1e-12);
    tensor_free(&x);
    device_end();
  }
  CHECK(sums[0] == sums[1]);
}

static void initial_values(void) {
  enum { COUNT = 100001 };
  device_begin(isa_best(), "onednn", 1);
  float *x = malloc(COUNT * sizeof *x), *y = malloc(COUNT * sizeof *y);
  ops->fill_normal(device, x, COUNT, 0.02, 7, 3);
  double sum = 0, squares = 0, fourth = 0, pair[2];
  for (int i = 0; i < COUNT; i++) {
    double z = x[i] / 0.02;
    sum += z, squares += z * z, fourth += z * z * z * z;
  }
  CHECK_NEAR(sum / COUNT, 0, 4 / sqrt(COUNT));
  CHECK_NEAR(squares / COUNT, 1, 4 * sqrt(2.0 / COUNT));
  CHECK_NEAR(fourth / COUNT, 3, 4 * sqrt(96.0 / COUNT) / 3);
  random_normal_pair(7, RANDOM_STREAM_INIT, 3, 1000, pair);
  CHECK(x[2000] == (float)(0.02 * pair[0]) && x[2001] == (float)(0.02 * pair[1]));
  ops->fill_normal(device, y, COUNT, 0.02, 7, 4);
  CHECK(memcmp(x, y, COUNT * sizeof *x) != 0);
  device_end();
  device_begin(ISA_PORTABLE, "reference", 4);
  ops->fill_normal(device, y, COUNT, 0.02, 7, 3);
  CHECK(memcmp(x, y, COUNT * sizeof *x) == 0);
  device_end();
  free(x), free(y);
}

// A small layer stack run twice on fresh devices: the same bits, through each library, with 1 and with 2 threads.
static void run_twice(const char *gemm, int threads) {
  enum { ROWS = 96, WIDTH = 48, VOCABULARY = 257 };
  static float results[2][VOCABULARY * WIDTH + ROWS * WIDTH];
  double nats[2];
  for (int run = 0; run < 2; run++) {
    device_begin(isa_best(), gemm, threads);
    struct error error = {0};
    random_state = 4242;
    struct tensor x = tensor_random(DTYPE_FLOAT32, ROWS * WIDTH, 1),
                  w = tensor_random(DTYPE_FLOAT32, VOCABULARY * WIDTH, 1);
    struct tensor y = tensor_empty(DTYPE_FLOAT32, ROWS * WIDTH), inverse = tensor_empty(DTYPE_FLOAT32, ROWS);
    struct tensor scale = tensor_random(DTYPE_FLOAT32, WIDTH, 1);
    int32_t targets[ROWS];
    for (int row = 0; row < ROWS; row++) targets[row] = row;
    struct weight_description description = {.outputs = VOCABULARY, .inputs = WIDTH};
    void *memory = ops->allocate(device, ops->weight_bytes(device, &description), &error);
    struct weight *weight = ops->weight_create(device, &description, memory, &error);
    ops->weight_prepare(device, weight, w.data, 1);
    ops->rmsnorm_forward(device, ROWS, WIDTH, 1e-5f, DTYPE_FLOAT32, x.data, NULL, scale.data, NULL, y.data,
                         inverse.data);
    workspace_for(OP_HEAD, (struct op_shape){.rows = ROWS, .width = WIDTH, .vocabulary = VOCABULARY, .training = true});
    struct head head = {.weight = weight, .rows = ROWS, .gradient_scale = 1.0f / ROWS};
    struct loss_sum sum = {0};
    ops->head_loss(device, &head, y.data, targets, NULL, &sum, NULL, results[run] + VOCABULARY * WIDTH, results[run],
                   false);
    nats[run] = sum.nats;
    struct tensor *all[] = {&x, &w, &y, &inverse, &scale};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) tensor_free(all[i]);
    ops->weight_free(device, weight);
    ops->free(device, memory);
    device_end();
  }
  CHECK(nats[0] == nats[1]);
  CHECK(memcmp(results[0], results[1], sizeof results[0]) == 0);
}
static void same_bits(void) {
  run_twice("onednn", 1);
  run_twice("onednn", 2);
  run_twice("reference", 1);
}

// Subnormal moments vanish rather than slow the step down; the caller's arithmetic is left as it was.
static void subnormals(void) {
  device_begin(isa_best(), "onednn", 1);
  struct tensor p = tensor_zero(DTYPE_FLOAT32, 40), g = tensor_zero(DTYPE_FLOAT32, 40);
  struct tensor m = tensor_random(DTYPE_FLOAT32, 40, 1e-39), v = tensor_random(DTYPE_FLOAT32, 40, 1e-39);
  struct adamw adamw = {.lr = 1, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .step = 10, .gradient_scale = 1};
  struct optimizer_tensor tensor = {p.data, g.data, m.data, v.data, 40, true};
  ops->adamw_step(device, &adamw, &tensor, 1, NULL);
  double zeroes[40] = {0};
  tensor_check(&m, zeroes, 0, "m");
  tensor_check(&v, zeroes, 0, "v");
  tensor_check(&p, zeroes, 0, "parameter");
  volatile float small = 1e-30f;
  CHECK(small * 1e-10f > 0);
  tensor_free(&p), tensor_free(&g), tensor_free(&m), tensor_free(&v);
  device_end();
}

// Threads of this process; 1 without /proc, where there is nothing to see.
static int threads_now(void) {
  int threads = 1;
  char line[256];
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) sscanf(line, "Threads: %d", &threads);
  if (status) fclose(status);
  return threads;
}

// A one-thread device starts no thread, whatever the OpenMP runtime was told before. (An emulator has some of its own.)
static void one_thread(void) {
  int before = threads_now();
  parallel_set_library_threads(3);
  device_begin(isa_best(), "onednn", 1);
  struct tensor a = tensor_random(DTYPE_FLOAT32, 512 * 512, 1), c = tensor_empty(DTYPE_FLOAT32, 512 * 512);
  struct error error = {0};
  struct weight_description description = {.outputs = 512, .inputs = 512};
  void *memory = ops->allocate(device, ops->weight_bytes(device, &description), &error);
  struct weight *weight = ops->weight_create(device, &description, memory, &error);
  ops->weight_prepare(device, weight, a.data, 1);
  struct linear layer = {.weight = weight, .rows = 512};
  ops->linear_forward(device, &layer, a.data, NULL, c.data);
  CHECK(threads_now() == before);
  tensor_free(&a), tensor_free(&c);
  ops->weight_free(device, weight);
  ops->free(device, memory);
  device_end();
}

int main(void) {
  RUN(one_thread);
  RUN(options);
  RUN(bfloat16_where_it_gains);
  RUN(memory);
  RUN(failures);
  RUN(exponential);
  RUN(rounded_exponential);
  RUN(square_sums);
  RUN(initial_values);
  RUN(subnormals);
  RUN(same_bits);
  return check_end();
}
