// What compressing a model's layers costs beside the calibration that it needs: for each kind of matrix of a block, the
// Hessian of the calibration tokens and the method, in processor time, and for the whole model the ratio to the bare
// products of the calibration's forward passes (attention, norms and head left out: a real pass takes longer).
//   bench_compress_layer [width [layers [tokens [folder]]]]
// Into the folder go the weights, the inputs of the calibration and what gptq made of them, for torch_gptq.py, which
// does the same to the same.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "kernels/bfloat16.h"
#include "trainer/compress/compress.h"
#include "trainer/compress/hessian.h"

enum { CHUNK = 4096, ROUNDS = 3 };

struct bench {
  struct gemm_context *context;
  enum dtype dtype;
  int64_t tokens;
  const char *folder;  // NULL: nothing is written
  FILE *list;          // of the layers in it
  struct error error;
};

static _Noreturn void stop(const struct bench *bench) {
  fprintf(stderr, "%s\n", bench->error.text);
  exit(3);
}

static void put(struct bench *b, int layer, const char *what, const void *bytes, size_t size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%d.%s", b->folder, layer, what);
  if (!file_write_atomic(path, bytes, size, &b->error)) stop(b);
}

static void *inputs(const struct bench *b, int64_t rows, int64_t columns) {
  void *x = memory_get((size_t)(rows * columns) * dtype_bytes(b->dtype));
  for (int64_t i = 0; i < rows * columns; i += 2) {
    double pair[2];
    random_normal_pair(1, RANDOM_STREAM_MONTE_CARLO, 0, (uint64_t)i / 2, pair);
    for (int k = 0; k < 2 && i + k < rows * columns; k++)
      if (b->dtype == DTYPE_FLOAT32)
        ((float *)x)[i + k] = (float)pair[k];
      else
        ((uint16_t *)x)[i + k] = bfloat16_nearest((float)pair[k]);
  }
  return x;
}

// Seconds of a chunk's product y = x W^T, least of a few, times the chunks of all tokens.
static double forward(struct bench *b, int64_t outputs, int64_t columns) {
  void *x = inputs(b, CHUNK, columns), *w = inputs(b, outputs, columns);
  float *y = memory_get((size_t)(CHUNK * outputs) * sizeof *y);
  struct gemm product = {GEMM_NT, CHUNK, outputs, columns, b->dtype, DTYPE_FLOAT32};
  double least = INFINITY;
  for (int round = 0; round <= ROUNDS; round++) {
    double begin = clock_thread_seconds();
    if (!gemm_run(b->context, &product, x, w, y, &b->error)) stop(b);
    if (round) least = fmin(least, clock_thread_seconds() - begin);
  }
  free(x);
  free(w);
  free(y);
  return least * (double)b->tokens / CHUNK;
}

// The Hessian of `columns` inputs, and what it cost for all tokens.
static struct hessian *calibrate(struct bench *b, int layer_number, int64_t columns, double *seconds) {
  struct hessian *hessian = hessian_make(b->context, columns, b->dtype, &b->error);
  if (!hessian) stop(b);
  void *x = inputs(b, CHUNK, columns);
  double least = INFINITY;
  for (int round = 0; round <= ROUNDS; round++) {
    double begin = clock_thread_seconds();
    if (!hessian_add(hessian, x, CHUNK, &b->error)) stop(b);
    if (round) least = fmin(least, clock_thread_seconds() - begin);
  }
  *seconds = least * (double)b->tokens / CHUNK;
  if (b->folder) put(b, layer_number, "inputs", x, (size_t)(CHUNK * columns) * dtype_bytes(b->dtype));
  free(x);
  return hessian;
}

static double run(struct bench *b, int layer_number, const char *method, const char *order, int64_t outputs,
                  int64_t columns, const float *hessian) {
  struct arena arena = {0};
  struct compress_settings settings;
  const struct compress_method *found = compress_method_find(method, NULL);
  compress_default(&settings, found);
  if (found->prunes)
    settings.sparsity = 0.5;
  else
    settings.bits = 4, settings.group = 64;
  settings.order = order;
  if (!compress_resolve(&settings, &arena, &b->error)) stop(b);
  float *w = memory_get((size_t)(outputs * columns) * sizeof *w);
  for (int64_t i = 0; i < outputs * columns; i += 2) {
    double pair[2];
    random_normal_pair(2, RANDOM_STREAM_MONTE_CARLO, 0, (uint64_t)i / 2, pair);
    w[i] = (float)pair[0];
    if (i + 1 < outputs * columns) w[i + 1] = (float)pair[1];
  }
  struct compress_layer layer = {.outputs = outputs, .inputs = columns, .weights = w, .hessian = hessian};
  struct compress_result result = {.represented = memory_get((size_t)(outputs * columns) * sizeof(float))};
  double least = INFINITY;
  for (int round = 0; round < ROUNDS; round++) {
    double begin = clock_thread_seconds();
    if (!compress_matrix(&settings, &layer, &result, &b->error)) stop(b);
    least = fmin(least, clock_thread_seconds() - begin);
  }
  if (b->folder && strcmp(method, "gptq") == 0 && strcmp(order, "natural") == 0) {
    size_t size = (size_t)(outputs * columns) * sizeof *w;
    put(b, layer_number, "weights", w, size);
    put(b, layer_number, "represented", result.represented, size);
    fprintf(b->list, "%lld %lld %s %.9g %.9g\n", (long long)outputs, (long long)columns,
            b->dtype == DTYPE_BFLOAT16 ? "bfloat16" : "float32", least, result.output_error);
  }
  free(result.represented);
  free(w);
  arena_free(&arena);
  return least;
}

int main(int argc, char **argv) {
  int64_t width = argc > 1 ? atoll(argv[1]) : 256, layers = argc > 2 ? atoll(argv[2]) : 4;
  struct bench b = {.tokens = argc > 3 ? atoll(argv[3]) : 65536, .folder = argc > 4 ? argv[4] : NULL};
  int64_t hidden = (width * 8 / 3 + 31) / 32 * 32;
  struct arena arena = {0};
  b.context = gemm_open(GEMM_AUTO, 1, &b.error);
  if (!b.context) stop(&b);
  b.dtype = gemm_dtype_fast(b.context, DTYPE_BFLOAT16) ? DTYPE_BFLOAT16 : DTYPE_FLOAT32;
  struct text library = {0};
  gemm_describe(b.context, &library);
  printf("%lld x %lld, %lld tokens, %s inputs, %s, %s; processor seconds of one thread\n", (long long)layers,
         (long long)width, (long long)b.tokens, b.dtype == DTYPE_BFLOAT16 ? "bfloat16" : "float32",
         text_string(&library), compress_library(&arena));
  printf("%-24s %9s %9s %9s %9s %9s %9s\n", "matrix", "forward", "Hessian", "gptq", "min-pivot", "babai", "sparsegpt");
  const struct {
    const char *name;
    int64_t outputs, inputs;
    bool hessian;  // of its own: query, key and value share one
  } matrices[] = {{"query, key, value", 3 * width, width, true},
                  {"attention output", width, width, true},
                  {"gate and up", 2 * hidden, width, true},
                  {"down", width, hidden, true}};
  double total[6] = {0};
  char list[1024];
  snprintf(list, sizeof list, "%s/layers", b.folder ? b.folder : "");
  if (b.folder && !(b.list = fopen(list, "w"))) {
    fprintf(stderr, "%s cannot be written\n", list);
    return 3;
  }
  for (int m = 0; m < 4; m++) {
    int64_t outputs = matrices[m].outputs, columns = matrices[m].inputs;
    double seconds[6] = {forward(&b, outputs, columns)};
    struct hessian *hessian = calibrate(&b, m, columns, &seconds[1]);
    const float *mean = hessian_mean(hessian);
    seconds[2] = run(&b, m, "gptq", "natural", outputs, columns, mean);
    seconds[3] = run(&b, m, "gptq", "min-pivot", outputs, columns, mean);
    seconds[4] = run(&b, m, "babai", "natural", outputs, columns, mean);
    seconds[5] = run(&b, m, "sparsegpt", "natural", outputs, columns, mean);
    hessian_free(hessian);
    if (b.folder) fprintf(b.list, "%.9g %.9g\n", seconds[1], seconds[0]);
    char name[64];
    snprintf(name, sizeof name, "%s %lldx%lld", matrices[m].name, (long long)outputs, (long long)columns);
    printf("%-24s", name);
    for (int i = 0; i < 6; i++) {
      printf(" %9.4f", seconds[i]);
      total[i] += seconds[i] * (double)layers;
    }
    printf("\n");
  }
  printf("%-24s", "model");
  for (int i = 0; i < 6; i++) printf(" %9.4f", total[i]);
  printf("\nHessians and gptq over forward: %.2f (forward passes themselves come on top)\n",
         (total[1] + total[2]) / total[0]);
  if (b.list) fclose(b.list);
  gemm_close(b.context);
  text_free(&library);
  arena_free(&arena);
  return 0;
}
