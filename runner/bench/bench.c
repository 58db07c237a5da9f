// What the suites of `isoloss bench` share: opening, clocks, models, rows. See bench.h.
#include "runner/bench/bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/trainer.h"

const char *bench_suite_name(enum bench_suite suite) {
  static const char *const names[BENCH_SUITES] = {"gemm", "ops", "step", "formats"};
  return names[suite];
}

const char *bench_unit_name(enum bench_unit unit) {
  static const char *const names[] = {"tokens_per_second", "gflops", "gbytes_per_second"};
  return names[unit];
}

bool bench_compares_optimizers(const struct bench_options *options) {
  return options->optimizer && strchr(options->optimizer, ',');
}

double bench_now(const struct bench *bench) {
  return bench->options.threads == 1 ? clock_thread_seconds() : clock_seconds();
}

bool bench_again(const struct bench_budget *budget, int done, double spent) {
  return done < budget->least || (done < budget->most && spent < budget->seconds);
}

bool bench_burst_on(struct bench_burst *burst) {
  if (burst->done && (burst->done >= 8 || burst->spent >= 2e-3)) return false;
  burst->done++;
  return true;
}

bool bench_open(struct bench *bench, const struct bench_options *options, struct error *error) {
  bench->options = *options;
  bench->ops = ops_find("cpu", error);
  if (!bench->ops) return false;
  bench->device = bench->ops->open(&(struct device_options){.threads = (int)options->threads}, error);
  if (!bench->device) return false;
  text_clear(&bench->description);
  bench->ops->describe(bench->device, &bench->description);
  // Its last part is the number of threads, which rows have of their own.
  char *last = bench->description.length ? strrchr(bench->description.bytes, ',') : NULL;
  if (last) *last = '\0';
  enum gemm_library own = gemm_library_own();
  if (own != GEMM_ONEDNN && !(bench->own = gemm_open(own, (int)options->threads, error))) return false;
  bench->gemm = gemm_open(GEMM_ONEDNN, (int)options->threads, error);
  if (!bench->gemm || gemm_dtype_supported(bench->gemm, DTYPE_BFLOAT16)) return bench->gemm != NULL;
  gemm_close(bench->gemm);
  return (bench->gemm = gemm_open(GEMM_AUTO, (int)options->threads, error)) != NULL;
}

void bench_close(struct bench *bench) {
  gemm_close(bench->gemm);
  gemm_close(bench->own);
  if (bench->device) bench->ops->close(bench->device);
  text_free(&bench->description);
  free(bench->rows);
  arena_free(&bench->arena);
  *bench = (struct bench){0};
}

bool bench_run(struct bench *bench, enum bench_suite suite, const char *const *names, int count, struct error *error) {
  switch (suite) {
    case BENCH_GEMM:
      return bench_gemm(bench, names, count, error);
    case BENCH_OPS:
      return bench_ops(bench, error);
    case BENCH_STEP:
      if (bench_compares_optimizers(&bench->options)) return bench_optimizers(bench, error);
      return bench->options.processes > 1 ? bench_sharing(bench, error) : bench_step(bench, error);
    case BENCH_FORMATS:
      return bench_formats(bench, names, count, error);
  }
  return false;
}

bool bench_dtype(const struct bench *bench, enum dtype *dtype, struct error *error) {
  const char *name = bench->options.dtype;
  if (!name || strcmp(name, "auto") == 0) name = trainer_dtype(bench->ops, bench->device);
  if (!dtype_find(name, dtype))
    return error_set(error, EXIT_USAGE_ERROR, "bench: --dtype is auto, float32 or bfloat16, not '%s'", name);
  if (bench->ops->dtype_supported(bench->device, *dtype)) return true;
  return error_set(error, EXIT_ENVIRONMENT, "bench: this CPU has no products in %s", name);
}

// ---- models ----

static bool model_make(struct bench *bench, int64_t layers, int64_t width, struct run_config *config,
                       struct error *error) {
  const struct bench_options *o = &bench->options;
  int64_t context = o->context == AUTO_INTEGER ? 256 : o->context, batch = o->batch == AUTO_INTEGER ? 16 : o->batch;
  const struct {
    const char *option, *path;
    int64_t value;
  } fields[] = {{"layers", "model.layers", layers},
                {"width", "model.width", width},
                {"vocabulary", "model.vocabulary", o->vocabulary == AUTO_INTEGER ? 4096 : o->vocabulary},
                {"context", "model.context", context},
                {"threads", "train.threads", o->threads}};
  config_default(config);
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    if (!config_set_number(config, field_find(fields[i].path, NULL), (double)fields[i].value, error))
      return error_context(error, "bench: --%s %lld", fields[i].option, (long long)fields[i].value);
  if (batch < 1 || batch > 1 << 20)
    return error_set(error, EXIT_USAGE_ERROR, "bench: --batch %lld: must be 1 to %d sequences", (long long)batch,
                     1 << 20);
  enum dtype dtype;
  if (!bench_dtype(bench, &dtype, error)) return false;
  if (!config_set_number(config, field_find("train.batch_tokens", NULL), (double)(batch * context), error))
    return error_context(error, "bench: %lld sequences of %lld tokens", (long long)batch, (long long)context);
  if (o->optimizer && !config_set(config, field_find("train.optimizer", NULL), o->optimizer, &bench->arena, error))
    return error_context(error, "bench: --optimizer");
  struct corpus_facts facts = {0};
  return config_resolve(config, &facts, dtype_name(dtype), error) || error_context(error, "bench");
}

bool bench_models(struct bench *bench, const struct run_config **models, int *count, struct error *error) {
  const struct bench_options *o = &bench->options;
  static const int64_t ladder[BENCH_MODELS][2] = {{2, 64}, {4, 128}, {4, 256}};
  bool one = o->layers != AUTO_INTEGER || o->width != AUTO_INTEGER;
  *count = one ? 1 : BENCH_MODELS;
  for (int i = 0; i < *count; i++) {
    struct run_config *config = arena_alloc(&bench->arena, sizeof *config);
    int64_t layers = one ? (o->layers == AUTO_INTEGER ? 4 : o->layers) : ladder[i][0];
    int64_t width = one ? (o->width == AUTO_INTEGER ? 256 : o->width) : ladder[i][1];
    if (!model_make(bench, layers, width, config, error)) return false;
    models[i] = config;
  }
  return true;
}

// ---- rows ----

struct bench_row *bench_row_add(struct bench *bench, const char *name, enum bench_unit unit) {
  bench->rows = memory_grow(bench->rows, (bench->count + 1) * sizeof *bench->rows);
  struct bench_row *row = &bench->rows[bench->count++];
  *row = (struct bench_row){.name = name,
                            .unit = unit,
                            .rate = NAN,
                            .floor_ratio = NAN,
                            .peak_ratio = NAN,
                            .threads = bench->options.threads,
                            .processes = 1,
                            .seconds = NAN,
                            .products_ratio = NAN,
                            .time_ratio = NAN,
                            .median_rate = NAN,
                            .wall_rate = NAN,
                            .floor_rate = NAN,
                            .whole_step_floor_ratio = NAN,
                            .loss_by_sharing = NAN,
                            .wall_loss_by_sharing = NAN};
  return row;
}

void bench_progress(const struct bench *bench, const char *format, ...) {
  if (!bench->options.progress) return;
  va_list arguments;
  va_start(arguments, format);
  fprintf(bench->options.progress, "bench: ");
  vfprintf(bench->options.progress, format, arguments);
  fprintf(bench->options.progress, "\n");
  va_end(arguments);
}
