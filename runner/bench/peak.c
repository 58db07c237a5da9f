// What one thread of this machine can do at most: multiply-adds on registers, the best matrix products, reading.
#include <math.h>
#include <stdlib.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/cpu/isa.h"
#include "runner/bench/bench.h"
#include "runner/bench/products.h"

// ---- multiply-adds on registers ----

#if defined(__x86_64__)
// More independent sums than latency times units, and few enough to stay in registers. Each returns a number that
// depends on all of them, so that the loop is not thought away; every sum goes to 2.
enum { SUMS_512 = 24, SUMS_256 = 12 };

__attribute__((target("avx512f"))) static float multiply_add_512(int64_t loops) {
  __m512 sums[SUMS_512], half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1);
#pragma GCC unroll 24
  for (int i = 0; i < SUMS_512; i++) sums[i] = _mm512_set1_ps((float)i);
  for (int64_t loop = 0; loop < loops; loop++) {
#pragma GCC unroll 24
    for (int i = 0; i < SUMS_512; i++) sums[i] = _mm512_fmadd_ps(sums[i], half, one);
  }
#pragma GCC unroll 24
  for (int i = 1; i < SUMS_512; i++) sums[0] = _mm512_add_ps(sums[0], sums[i]);
  return _mm512_cvtss_f32(sums[0]);
}

__attribute__((target("avx2,fma"))) static float multiply_add_256(int64_t loops) {
  __m256 sums[SUMS_256], half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1);
#pragma GCC unroll 12
  for (int i = 0; i < SUMS_256; i++) sums[i] = _mm256_set1_ps((float)i);
  for (int64_t loop = 0; loop < loops; loop++) {
#pragma GCC unroll 12
    for (int i = 0; i < SUMS_256; i++) sums[i] = _mm256_fmadd_ps(sums[i], half, one);
  }
#pragma GCC unroll 12
  for (int i = 1; i < SUMS_256; i++) sums[0] = _mm256_add_ps(sums[0], sums[i]);
  return _mm256_cvtss_f32(sums[0]);
}
#endif

// FLOP/s of one loop of about a millisecond; 0 where there is none for this CPU.
static double register_rate(void) {
#if defined(__x86_64__)
  struct bench single = {.options = {.threads = 1}};
  volatile float keep;
  double start = bench_now(&single), flops;
  if (isa_best() >= ISA_AVX512) {
    const int64_t loops = 200000;
    keep = multiply_add_512(loops);
    flops = 2.0 * 16 * SUMS_512 * (double)loops;
  } else if (isa_best() == ISA_AVX2) {
    const int64_t loops = 400000;
    keep = multiply_add_256(loops);
    flops = 2.0 * 8 * SUMS_256 * (double)loops;
  } else {
    return 0;
  }
  (void)keep;
  return flops / (bench_now(&single) - start);
#else
  return 0;
#endif
}

// ---- products that stay in cache ----

static bool product_rate(struct bench *bench, enum dtype dtype, double *best, struct error *error) {
  const int64_t shapes[][3] = {{256, 256, 256}, {512, 256, 1024}, {512, 1024, 256}, {1024, 1024, 1024}};
  struct bench_product items[12];
  struct bench_products products = {.items = items};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
    for (int form = GEMM_NT; form <= GEMM_TN; form++)
      items[products.count++] = (struct bench_product){
          .form = (enum gemm_form)form, .m = shapes[i][0], .n = shapes[i][1], .k = shapes[i][2], .dtype = dtype};
  bool fine = bench_products_open(bench, &products, error);
  for (int round = 0; round < 2 && fine; round++) fine = bench_products_time(&products, error);
  bench_products_close(&products);
  *best = 0;
  for (int i = 0; i < products.count && fine; i++) *best = fmax(*best, bench_product_flops(&items[i]) / items[i].best);
  return fine;
}

void bench_peak_seen(struct bench *bench, enum dtype dtype, double flops) {
  if (!(flops > bench->peak[dtype].flops)) return;
  bench->peak[dtype].flops = flops;
  bench->peak[dtype].source = "best product";
}

bool bench_peak(struct bench *bench, enum dtype dtype, struct error *error) {
  bool first = bench->peak[dtype].flops == 0;
  double best;
  if (dtype == DTYPE_FLOAT32)
    for (int again = 0; again < (first ? 20 : 2); again++) {
      double rate = (double)bench->options.threads * register_rate();
      if (!(rate > bench->peak[dtype].flops)) continue;
      bench->peak[dtype].flops = rate;
      bench->peak[dtype].source = "registers";
    }
  if (!first) return true;
  if (!product_rate(bench, dtype, &best, error)) return false;
  bench_peak_seen(bench, dtype, best);
  return true;
}

// ---- reading ----

// The sum of all 64-byte pieces, in four sums that each read a quarter: hardware prefetchers follow streams, and one
// stream alone does not get all that a core can read.
typedef uint64_t piece __attribute__((vector_size(64)));
static inline __attribute__((always_inline)) uint64_t read_pieces(const piece *at, size_t count) {
  piece a = {0}, b = {0}, c = {0}, d = {0};
  size_t quarter = count / 4;
  for (size_t i = 0; i < quarter; i++) {
    a += at[i];
    b += at[quarter + i];
    c += at[2 * quarter + i];
    d += at[3 * quarter + i];
  }
  a += b + c + d;
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum += a[i];
  return sum;
}

static uint64_t read_plain(const void *from, size_t bytes) { return read_pieces(from, bytes / sizeof(piece)); }
#if defined(__x86_64__)
__attribute__((target("avx2"))) static uint64_t read_256(const void *from, size_t bytes) {
  return read_pieces(from, bytes / sizeof(piece));
}

__attribute__((target("avx512f"))) static uint64_t read_512(const void *from, size_t bytes) {
  return read_pieces(from, bytes / sizeof(piece));
}
#endif
static uint64_t read_all(const void *from, size_t bytes) {
#if defined(__x86_64__)
  if (isa_best() >= ISA_AVX512) return read_512(from, bytes);
  if (isa_best() == ISA_AVX2) return read_256(from, bytes);
#endif
  return read_plain(from, bytes);
}

double bench_bandwidth(struct bench *bench, double bytes) {
  enum { LEAST = 15, MOST = 28 };  // 32 KiB to 256 MiB: above, nothing changes any more
  int power = (int)lround(log2(fmax(bytes, 1)));
  power = power < LEAST ? LEAST : power > MOST ? MOST : power;
  double *known = &bench->read_bandwidth[power];
  if (*known > 0) return *known;
  size_t size = (size_t)1 << power;
  struct error ignored = {0};
  struct bench single = {.options = {.threads = 1}};
  void *memory = bench->ops->allocate(bench->device, size, &ignored);
  if (!memory) return NAN;
  for (size_t i = 0; i < size / sizeof(uint64_t); i++) ((uint64_t *)memory)[i] = i;
  volatile uint64_t keep = read_all(memory, size);
  double best = INFINITY, spent = 0, enough = bench->options.quick ? 0.02 : 0.4;
  // Short reads are timed many at once: a clock costs as much as reading a few kilobytes.
  size_t times = size < (1 << 22) ? (1 << 22) / size : 1;
  for (int round = 0; round < 5 || (spent < enough && round < 1000); round++) {
    double start = bench_now(&single);
    for (size_t i = 0; i < times; i++) keep = keep + read_all(memory, size);
    double took = bench_now(&single) - start;
    best = fmin(best, took);
    spent += took;
  }
  bench->ops->free(bench->device, memory);
  *known = (double)bench->options.threads * (double)(size * times) / best;
  return *known;
}

double bench_roofline(struct bench *bench, enum dtype dtype, double flops, double bytes) {
  return fmax(flops / bench->peak[dtype].flops, bytes > 0 ? bytes / bench_bandwidth(bench, bytes) : 0);
}
