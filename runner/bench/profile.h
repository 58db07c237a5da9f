// A backend that times another: an ops table whose every entry passes the call on, waits, and keeps the best time of
// each call of a step. A model made on it trains as on the real one.
#pragma once
#include "runner/bench/bench.h"

// A call of a step: the same one in every repeat. Its name is that of the pass in kernels/cases, or BENCH_MEMORY.
#define BENCH_MEMORY "memory"  // upload, download, copy, clear, convert
struct bench_call {
  const char *name;
  int64_t size[4];     // calls of the same name and sizes do the same
  double best, total;  // seconds
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
// The names that calls have, each once, in the order of their first calls; `names` has room for `count`. How many.
size_t bench_profile_names(const struct bench_profile *profile, const char **names);
// Seconds of a step (of its calls of one name, when that is not NULL), every call at the best time seen of any call
// like it: what the floor does with the products.
double bench_profile_best(const struct bench_profile *profile, const char *name);
