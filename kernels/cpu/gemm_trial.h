// Which library multiplies bfloat16 faster here, found by trying: for CPUs on which nobody has compared them yet.
#pragma once
#include "kernels/cpu/bfloat16.h"
#include "kernels/cpu/gemm_library.h"

struct gemm_choice {
  bool right;   // our kernel's results are oneDNN's up to rounding
  bool own[3];  // by enum gemm_form: our kernel is the faster one as well
};

// Times both libraries on one thread over products of layers and heads with packed weights, some tenths of a second in
// all, and takes for each form the faster one. What is found is kept in $XDG_CACHE_HOME/isoloss/cpu, in a file for each
// CPU model, oneDNN version and kernel, and taken from there from then on, so that a run that continues, and the next
// one, get the same bits; a damaged file is made anew. Processes that start together wait for each other. A kernel
// whose results are not oneDNN's up to rounding is used nowhere. All oneDNN, with a line on standard error, where
// nothing can be kept; all oneDNN too with ISOLOSS_TRIALS=off.
struct gemm_choice gemm_trial(const struct bfloat16_kernel *kernel);
