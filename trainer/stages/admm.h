// Training towards sparse weights by the alternating direction method of multipliers (ELSA, arXiv 2510.01650): least
// f(x) with x sparse, by the augmented Lagrangian f(x) + lambda/2 |x - z + u|^2 with z sparse and scaled multipliers u.
//
//   x   the optimizer's own steps, with lambda (x - z + u) in the gradient (penalty in_gradient), or moved by
//       -lr lambda (x - z + u) after each step (decoupled)
//   z   every `interval` steps the projection of x + u (compress_project), by x^2 or by AdamW's v x^2
//   u   then u + x - z; where lambda changes, u is scaled so that lambda u, the multiplier itself, stays
//
// and at the end z is the result. x, z and u are the matrices of the blocks; all else is trained as usual. They are
// kept on the host: z and u in float32, or z in FP8 (E4M3, a scale for each matrix) and u in bfloat16.
#pragma once
#include "trainer/compress/compress.h"
#include "trainer/model.h"

struct admm;

// Begins at the model's parameters, with z their projection and u 0. The model, which must train in float32 masters,
// has part of it in its updates until admm_free. NULL and an error when the device fails.
struct admm *admm_make(struct model *model, const struct compress_settings *resolved, int64_t steps,
                       struct error *error);
// After an update, `done` of them so far: where it is time, z and u. False with an error, also one of an update before.
bool admm_after_step(struct admm *admm, int64_t done, struct error *error);
// The z of last time in full, in the order of the parameters' block matrices: [matrices_end - norms_end].
const float *admm_sparse(const struct admm *admm);
void admm_free(struct admm *admm);  // NULL is fine

// lambda at the update number `step` of `steps`, from 0: constant, or rising with s = (step + 1) / steps as s (linear),
// (1 - cos(pi s)) / 2 (cosine), 1000^(s - 1) (exponential).
double admm_lambda(const struct compress_settings *resolved, int64_t step, int64_t steps);

// The nearest values of FP8 E4M3 times a scale (the largest magnitude over 448), and back.
struct narrow_values {
  uint8_t *codes;
  float scale;
};
void narrow_put(struct narrow_values *narrow, const float *values, int64_t count);
void narrow_get(const struct narrow_values *narrow, float *values, int64_t count);
