// isoloss bench: how fast this machine multiplies, runs each operation, and trains.
#include "runner/bench/bench.h"

#include <limits.h>
#include <string.h>

#include "kernels/cpu/parallel.h"
#include "runner/commands.h"

struct bench_arguments {
  enum bench_suite suite;
  const char *const *shapes;
  int shape_count;
  struct bench_options options;
  bool json, store;
};

static bool measure(const struct bench_arguments *arguments, struct error *error) {
  struct bench bench = {0};
  struct text document = {0};
  bool fine = bench_open(&bench, &arguments->options, error) &&
              bench_run(&bench, arguments->suite, arguments->shapes, arguments->shape_count, error);
  if (fine) {
    bench_json(&bench, &document);
    error->told = NULL;  // the document is out
    if (arguments->json)
      printf("%s\n", text_string(&document));
    else
      bench_table(&bench, stdout);
    // What was measured is out before anything can go wrong with the disk.
    fflush(stdout);
    if (arguments->store) fine = bench_keep(&bench, arguments->suite, text_string(&document), error);
  }
  text_free(&document);
  bench_close(&bench);
  return fine;
}

static bool suite_find(const char *name, enum bench_suite *suite, struct error *error) {
  const char *names[BENCH_SUITES];
  for (int i = 0; i < BENCH_SUITES; i++) {
    names[i] = bench_suite_name((enum bench_suite)i);
    if (strcmp(name, names[i]) != 0) continue;
    *suite = (enum bench_suite)i;
    return true;
  }
  error_set(error, EXIT_USAGE_ERROR, "bench: no suite '%s'", name);
  error_hint(error, nearest_name(name, names, BENCH_SUITES), NULL);
  return error_add(error, " (there are: gemm, ops, step, formats)");
}

static bool check(const struct bench_arguments *a, int argument_count, struct error *error) {
  const struct bench_options *o = &a->options;
  if (a->suite != BENCH_GEMM && a->suite != BENCH_FORMATS && argument_count > 1)
    return error_set(error, EXIT_USAGE_ERROR, "bench %s takes no shapes: --layers, --width and the like give the model",
                     bench_suite_name(a->suite));
  if (o->threads < 1 || o->threads > parallel_limit())
    return error_set(error, EXIT_USAGE_ERROR, "bench: --threads is 1 to %d", parallel_limit());
  if (o->processes && a->suite != BENCH_STEP)
    return error_set(error, EXIT_USAGE_ERROR, "bench: --side-by-side is for step");
  if (o->optimizer && a->suite != BENCH_STEP)
    return error_set(error, EXIT_USAGE_ERROR, "bench: --optimizer is for step");
  if (bench_compares_optimizers(o) && o->processes)
    return error_set(error, EXIT_USAGE_ERROR, "bench: several optimizers and --side-by-side exclude each other");
  if (o->levels && a->suite != BENCH_OPS) return error_set(error, EXIT_USAGE_ERROR, "bench: --levels is for ops");
  if (o->processes && (o->processes < 2 || o->processes > 64 || o->processes > parallel_limit()))
    return error_set(error, EXIT_USAGE_ERROR, "bench: --side-by-side is 2 to %d",
                     parallel_limit() < 64 ? parallel_limit() : 64);
  if (o->processes && o->threads != 1)
    return error_set(
        error, EXIT_USAGE_ERROR,
        "bench: --side-by-side and --threads exclude each other (it times one run on as many threads too)");
  return true;
}

void command_bench(struct command_line *line) {
  struct bench_arguments arguments = {.store = true};
  struct bench_options *o = &arguments.options;
  o->threads = 1;
  o->layers = o->width = o->vocabulary = o->context = o->batch = AUTO_INTEGER;
  bool quiet = false;
  const struct option options[] = {
      {"layers", 'l', OPTION_INTEGER, &o->layers, "N", "of one model instead of the ladder (4)"},
      {"width", 'w', OPTION_INTEGER, &o->width, "N", "of one model instead of the ladder (256)"},
      {"vocabulary", 0, OPTION_INTEGER, &o->vocabulary, "N", "tokens (4096)"},
      {"context", 0, OPTION_INTEGER, &o->context, "N", "tokens of a sequence (256)"},
      {"batch", 0, OPTION_INTEGER, &o->batch, "N", "sequences of a step (16)"},
      {"dtype", 0, OPTION_TEXT, &o->dtype, "TYPE", "auto, float32 or bfloat16; gemm: all the CPU has",
       (const char *const[]){"auto", "float32", "bfloat16", NULL}},
      {"optimizer", 0, OPTION_TEXT, &o->optimizer, "NAME",
       "step: one of train.optimizer (adamw), or several as adamw,muon: each in turns with the first; not kept"},
      {"threads", 0, OPTION_INTEGER, &o->threads, "N", "of each step or product (1)"},
      {"side-by-side", 0, OPTION_INTEGER, &o->processes, "N", "step: in N processes at once, and on N threads"},
      {"levels", 0, OPTION_FLAG, &o->levels, NULL, "ops: on every instruction set level of this CPU, side by side"},
      {"quick", 0, OPTION_FLAG, &o->quick, NULL, "few repeats: rougher numbers, in seconds"},
      {"store", 0, OPTION_FLAG, &arguments.store, NULL, "keep the results for time estimates (--no-store: do not)"},
      {"json", 0, OPTION_FLAG, &arguments.json, NULL, "one JSON document on standard output"},
      {"quiet", 'q', OPTION_FLAG, &quiet, NULL, "no progress on standard error"},
      {0}};
  const struct command_usage usage = {
      "isoloss bench gemm [MxNxK...] | ops | step | formats [FORMAT...] [options]",
      "gemm: matrix products in a layer's three forms (rows x outputs x inputs), against the peak of one thread.\n"
      "ops:  the operations of a training step, each alone, against the roofline of peak and read bandwidth, and\n"
      "      those that multiply against their bare products; --levels: with each of the CPU's instruction sets.\n"
      "step: whole training steps of 2x64, 4x128, 4x256, or one that you describe, against the floor: all their\n"
      "      matrix products through oneDNN and nothing else, attention's in full.\n"
      "formats: steps with a format, against steps of the same model without one.\n\n"
      "What is compared is timed in turns and the best time of each part counts; with one thread the clock is\n"
      "processor time, so that other programs disturb little. Ratios are safer than rates on a busy machine.\n"
      "What is measured is kept in the database, and isoloss plan estimates times by it.",
      1, INT_MAX, "a suite: gemm, ops, step or formats"};
  if (!command_begin(line, &usage, options)) return;
  arguments.shapes = line->arguments + 1;
  arguments.shape_count = line->count - 1;
  if (!quiet) o->progress = stderr;
  // Times are estimated by what is kept, whatever the optimizer.
  if (o->optimizer && strcmp(o->optimizer, "adamw") != 0) arguments.store = false;
  if (suite_find(line->arguments[0], &arguments.suite, &line->error) && check(&arguments, line->count, &line->error))
    measure(&arguments, &line->error);
}
