// A backend that times another: an ops table whose every entry passes the call on, waits, and keeps the best time of
// each call of a step. A model made on it trains as on the real one.
#pragma once
#include "runner/bench/bench.h"

enum bench_op {
  BENCH_LINEAR_FORWARD,
  BENCH_LINEAR_INPUT_GRADIENT,
  BENCH_LINEAR_WEIGHT_GRADIENT,
  BENCH_HEAD_LOSS,
  BENCH_ATTENTION_FORWARD,
  BENCH_ATTENTION_BACKWARD,
  BENCH_RMSNORM_FORWARD,
  BENCH_RMSNORM_BACKWARD,
  BENCH_QKV_FORWARD,
  BENCH_QKV_BACKWARD,
  BENCH_SWIGLU_FORWARD,
  BENCH_SWIGLU_BACKWARD,
  BENCH_EMBEDDING_FORWARD,
  BENCH_EMBEDDING_BACKWARD,
  BENCH_WEIGHT_PREPARE,
  BENCH_WEIGHT_GRADIENT_FINISH,
  BENCH_SQUARE_SUM,
  BENCH_ADAMW,
  BENCH_MEMORY,  // upload, download, copy, clear, convert
};
#define BENCH_OPS_COUNT (BENCH_MEMORY + 1)
const char *bench_op_name(enum bench_op op);

// A call of a step: the same one in every repeat.
struct bench_call {
  enum bench_op op;
  int64_t size[4];      // shape as reported; 0 ends it
  double flops, bytes;  // strictly necessary ones: causal attention by half; each operand read or written once
  double best, total;   // seconds
  int repeats;
};

struct bench_profile {
  struct ops ops;       // what a model is made with, and `device` below
  struct bench *bench;  // clock
  const struct ops *inner;
  struct device *inner_device;
  struct bench_call *calls;
  size_t count, capacity, next;
  struct bench_weight *weights;
  size_t weight_count;
};

void bench_profile_open(struct bench_profile *profile, struct bench *bench);
void bench_profile_close(struct bench_profile *profile);  // after the model is freed
struct device *bench_profile_device(struct bench_profile *profile);
// Before each step: the calls that follow are the same as those of the step before.
void bench_profile_begin(struct bench_profile *profile);
bool bench_call_same(const struct bench_call *a, const struct bench_call *b);  // the same operation on the same shape
// Seconds of a step (of its calls of one operation, when `op` is not NULL), every call at the best time seen of any
// call like it: what the floor does with the products.
double bench_profile_best(const struct bench_profile *profile, const enum bench_op *op);
