// `isoloss bench`: how fast this machine multiplies, runs each operation, and trains; always next to what it could do
// at most, measured in the same process.
//
// Machines are noisy (other programs, a clock that moves), so everything is timed many times, what is compared is timed
// in turns, and the best time of each part counts. With one thread the clock is the processor time of that thread,
// which stands still while another program has the core; with several it is the wall clock.
//
// Terms. Peak: FLOP/s of one thread, by a loop of multiply-adds on registers, or of the best matrix product found where
// that is higher or there is no such loop for the type. Roofline: the time that peak and read bandwidth allow, the
// larger of FLOPs / peak and bytes / bandwidth, the bandwidth being measured on as many bytes (Williams, Waterman &
// Patterson 2009). Floor of a training step: the time of its bare matrix products through oneDNN on plain operands,
// every product at the best time seen; attention's are counted in full though causal attention needs half of them.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "kernels/cpu/gemm.h"
#include "kernels/ops.h"
#include "trainer/config.h"

enum bench_suite { BENCH_GEMM, BENCH_OPS, BENCH_STEP, BENCH_FORMATS };
#define BENCH_SUITES 4
const char *bench_suite_name(enum bench_suite suite);  // "gemm", "ops", "step", "formats"

struct bench_options {
  bool quick;             // a few repeats
  const char *dtype;      // of the products; NULL: gemm takes all the device has, ops and step what the trainer would
  const char *optimizer;  // step: by its name; NULL: adamw. Several, with commas: each in turns with the first
  int64_t threads;
  int64_t processes;  // step: this many at once, against as many floors; 0 or 1: no such comparison
  // Shape of the model; AUTO_INTEGER where not given.
  int64_t layers, width, vocabulary, context, batch;
  bool levels;     // ops: on every instruction set level of this CPU
  FILE *progress;  // one line for each thing that is begun, or NULL
};

bool bench_compares_optimizers(const struct bench_options *options);  // there are several

enum bench_unit { BENCH_TOKENS, BENCH_GFLOPS, BENCH_GBYTES };  // per second
const char *bench_unit_name(enum bench_unit unit);             // the name of the field in JSON

// One result. Numbers that a row does not have are NAN and are left out of its JSON.
struct bench_row {
  const char *name;
  const char *shape;               // "4096x256x768", or NULL: of a model
  const char *sizes;               // ops: what the numbers of the shape are
  const struct run_config *model;  // resolved, or NULL
  enum dtype dtype;
  enum bench_unit unit;
  double rate;
  double floor_ratio;  // gemm, ops: roofline / time; step: floor / time, every part of both at its best
  double peak_ratio;   // of the peak, or of the read bandwidth where the unit is GBYTES
  int64_t threads, processes;
  int64_t repeats;
  double seconds;         // of one call, or of one step
  const char *library;    // gemm: who multiplied
  double products_ratio;  // ops: bare products of the same operation / time
  const char *level;      // ops: instruction set level of the passes
  const char *format;     // formats: which, or NULL
  const char *against;    // optimizers: which it is held against, or NULL
  double time_ratio;      // its step's time over that of the format none, or of the optimizer `against`
  // Steps only: other ways to look at the same measurement.
  double median_rate, wall_rate, floor_rate, whole_step_floor_ratio;
  double loss_by_sharing, wall_loss_by_sharing;
  int share_count;
  const struct bench_share *shares;
};
struct bench_share {
  const char *name;
  double share;  // of the step's time
};

// What is short runs again at once, at most 8 times in about 2 ms, while its operands are in cache.
struct bench_burst {
  int done;
  double spent;  // seconds; the caller adds to them
};
bool bench_burst_on(struct bench_burst *burst);  // whether to go on; counts

// A loop of repeats: at least so many, and as many more as the seconds allow.
struct bench_budget {
  double seconds;
  int least, most;
};

struct bench {
  struct bench_options options;
  struct arena arena;  // rows and their texts
  const struct ops *ops;
  struct device *device;
  struct gemm_context *gemm;  // bare products: oneDNN, ours where it has none
  struct gemm_context *own;   // NULL: this CPU has no bfloat16 products of our own
  struct text description;    // of the device
  struct bench_row *rows;
  size_t count;
  struct {
    double flops;             // per second, of all threads
    const char *source;       // "registers" or "best product"
  } peak[2];                  // by dtype
  double read_bandwidth[64];  // bytes per second by log2 of the bytes read; 0: not measured
};

// Measures the CPU: operands are the host's memory. Opens the device and its products. What was made so far is released
// by bench_close in any case.
bool bench_open(struct bench *bench, const struct bench_options *options, struct error *error);
void bench_close(struct bench *bench);

// Each adds its rows. False with an error: an option out of range (EXIT_USAGE_ERROR), or no memory.
// `shapes` are texts MxNxK; none: those of the models that `step` runs.
bool bench_gemm(struct bench *bench, const char *const *shapes, int shape_count, struct error *error);
// Every operation of kernels/cases at the shapes that a step of the model has.
bool bench_ops(struct bench *bench, struct error *error);
bool bench_step(struct bench *bench, struct error *error);
// Steps with each of these formats, in turns with steps without one; count 0: of a list of its own.
bool bench_formats(struct bench *bench, const char *const *formats, int count, struct error *error);
// Steps with each of options.optimizer, in turns with steps of the first. Of an optimizer that does part of its work
// every train.basis_steps steps a time is the mean over as many.
bool bench_optimizers(struct bench *bench, struct error *error);
// The same step in options.processes processes at once, against as many floors at once, and one step on as many
// threads. It forks: the bench must be of one thread, so that there is no other to lose.
bool bench_sharing(struct bench *bench, struct error *error);

// The rows of a suite; `names` are shapes or formats.
bool bench_run(struct bench *bench, enum bench_suite suite, const char *const *names, int count, struct error *error);
// Keeps the document of bench_json in the store, and the speed of each whole step, which time estimates ask for.
bool bench_keep(const struct bench *bench, enum bench_suite suite, const char *document, struct error *error);

// The models that the options ask for: one where layers or width are given, else the ladder 2x64, 4x128, 4x256.
// Resolved configurations in the bench's arena.
bool bench_models(struct bench *bench, const struct run_config **models, int *count, struct error *error);
#define BENCH_MODELS 3

// What the trainer would use, or what --dtype names. False with an error when the device has no such products.
bool bench_dtype(const struct bench *bench, enum dtype *dtype, struct error *error);
struct bench_row *bench_row_add(struct bench *bench, const char *name, enum bench_unit unit);  // all numbers NAN
void bench_progress(const struct bench *bench, const char *format, ...) __attribute__((format(printf, 2, 3)));

double bench_now(const struct bench *bench);  // seconds by the clock that counts
bool bench_again(const struct bench_budget *budget, int done, double spent);

// peak.c. Measures again and keeps the best: cheap enough to stand between repeats.
bool bench_peak(struct bench *bench, enum dtype dtype, struct error *error);
void bench_peak_seen(struct bench *bench, enum dtype dtype, double flops);  // a product that ran at that many a second
double bench_roofline(struct bench *bench, enum dtype dtype, double flops, double bytes);  // seconds; after bench_peak
double bench_bandwidth(struct bench *bench, double bytes);  // bytes per second of reading that many

// print.c. The rows as an array of objects, and as a table for people below a line about the machine.
void bench_json(const struct bench *bench, struct text *out);
void bench_table(const struct bench *bench, FILE *out);
