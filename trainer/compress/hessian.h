// The Hessian of a linear layer's inputs, H = mean over tokens of x x^T, summed in float32 by blocks of the upper
// triangle on the products of kernels/cpu/gemm.h.
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "kernels/cpu/gemm.h"

struct hessian;

// All zeroes, of `inputs` inputs; add takes them as `dtype`. The context stays the caller's and outlives it. NULL and
// an error when the library cannot multiply that dtype. Memory: 4 bytes an entry.
struct hessian *hessian_make(struct gemm_context *context, int64_t inputs, enum dtype dtype, struct error *error);
// Adds x [rows, inputs], as it lies in host memory.
bool hessian_add(struct hessian *hessian, const void *x, int64_t rows, struct error *error);
int64_t hessian_tokens(const struct hessian *hessian);
// The mean over the tokens so far, both triangles: [inputs, inputs], owned by the hessian, true until the next call.
const float *hessian_mean(struct hessian *hessian);
void hessian_free(struct hessian *hessian);
