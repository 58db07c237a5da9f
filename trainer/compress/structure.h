// Structured removal of a linear layer's inputs, so that what is left is a smaller dense matrix: the optimal brain
// surgeon's step for a whole set of inputs at once, as ZipLM (arXiv 2302.04089) and DarwinLM (arXiv 2502.07780) take
// out columns of an MLP's second matrix, and heads of an attention's output.
//
// With H the damped Hessian of the inputs and G its inverse over those that are left, removing the set S costs
//   score = tr(W_S (G_SS)^-1 W_S^T),  and then  W -= W_S (G_SS)^-1 G_S:,  G -= G_:S (G_SS)^-1 G_S:
// after which W is, exactly, the matrix on the kept inputs K that is nearest in outputs: W0 H_:K (H_KK)^-1.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

struct structure;

// Begins with all inputs. weights [outputs, inputs] row-major, hessian [inputs, inputs] (compress.h), both read only
// here; sets are `unit` neighbouring inputs, which divides them; damping as a share of the Hessian's mean diagonal.
// NULL and an error where the damped Hessian is singular or not finite. Memory: 8 bytes an entry of both, and of one
// copy of the Hessian. To be freed.
struct structure *structure_begin(const float *weights, const float *hessian, int64_t outputs, int64_t inputs,
                                  int64_t unit, double damping, struct error *error);
// Removes the set of least score, the first of equals; *cost (may be NULL) gets its score. Its number, 0 <= number <
// inputs / unit; -1 where none is left, or with an error of LAPACK.
int64_t structure_step(struct structure *structure, double *cost, struct error *error);
// The weights now [outputs, inputs], 0 in what was removed; the removal's own, until the next step.
const double *structure_weights(const struct structure *structure);
bool structure_is_gone(const struct structure *structure, int64_t set);
void structure_free(struct structure *structure);  // NULL is fine
