// Two models on the same tokens, row by row: logits in float32 whatever the products' type, so that small divergences
// are no rounding of theirs.
#pragma once
#include "kernels/cpu/gemm.h"
#include "trainer/model.h"

enum { LOGIT_ROWS = 128 };  // at once

struct two_models {
  struct model *models[2];
  int count;         // 1: one model alone
  float *heads[2];   // [vocabulary, width], as the products take them
  float *x[2];       // [rows, width]: final norms of the last forward pass
  float *logits[2];  // [LOGIT_ROWS, vocabulary]
  struct gemm_context *gemm;
};

// Models of one shape, the caller's; `second` NULL: the first alone, of which there is no comparison. False with an
// error; two_models_free in either case.
bool two_models_make(struct two_models *two, struct model *first, struct model *second, struct error *error);
void two_models_free(struct two_models *two);
// Whole windows through both models.
bool two_models_forward(struct two_models *two, int64_t rows, const int32_t *tokens, struct error *error);
// The same through the first model (0) or the second (1) alone: logits of the other are then those of its last pass.
bool two_models_forward_one(struct two_models *two, int which, int64_t rows, const int32_t *tokens,
                            struct error *error);
// Logits of rows [first, first + count) of the last pass, count at most LOGIT_ROWS, in two->logits. `which` 0 or 1.
bool two_models_logits(struct two_models *two, int which, int64_t first, int64_t count, struct error *error);

// Sums over rows.
struct row_sums {
  double kl;           // nats: sum over rows of sum_v p (ln p - ln q), p of the first model
  int64_t rows, same;  // rows, and those whose likeliest token is the same
  int64_t targets, right[2];
};
// Adds the rows of the last pass whose mask is not 0 (NULL: all).
bool two_models_compare(struct two_models *two, int64_t rows, const int32_t *targets, const uint8_t *mask,
                        struct row_sums *sums, struct error *error);
// Of rows [first, first + count) of the last pass those whose mask is not 0: how many, and for how many each model
// holds the target likeliest.
bool two_models_answers(struct two_models *two, int64_t first, int64_t count, const int32_t *targets,
                        const uint8_t *mask, int64_t *answers, int64_t right[2], struct error *error);
// The token of the largest logit, the first of equal ones.
int32_t likeliest(const float *logits, int64_t vocabulary);
