// Matrices and their coefficients in a few directions. See steps.h.
#include <string.h>

#include "kernels/fast_dct.h"
#include "trainer/optimizers/steps.h"

bool low_rank_feeds_back(const struct run_config *config) { return strcmp(config->train.error_feedback, "on") == 0; }

enum dct_score low_rank_score(const struct run_config *config) {
  return strcmp(config->train.rank_score, "l2") == 0 ? DCT_SCORE_L2 : DCT_SCORE_L1;
}

bool optimizer_transforms(const struct run_config *config) { return strcmp(config->train.dct, "fast") == 0; }

enum dct_path low_rank_path(const struct run_config *config, const struct low_rank *l) {
  return optimizer_transforms(config) && l->side >= FAST_DCT_SIDE ? DCT_FAST : DCT_PRODUCT;
}

struct low_rank low_rank_of(const struct run_config *config, int64_t rows, int64_t columns) {
  bool wide = rows < columns;
  int64_t side = wide ? rows : columns, rank = config->train.rank;
  return (struct low_rank){rows, columns, side, wide ? columns : rows, rank < side ? rank : side, wide};
}

void low_rank_project(const struct optimizer_step *s, const struct low_rank *l, const float *basis, const float *x,
                      float *kept) {
  s->ops->product(s->device, l->wide ? GEMM_NN : GEMM_NT, l->rank, l->length, l->side, basis, x, kept, false);
}

void low_rank_expand(const struct optimizer_step *s, const struct low_rank *l, const float *basis, const float *kept,
                     float *x) {
  s->ops->product(s->device, GEMM_TN, l->rows, l->columns, l->rank, l->wide ? basis : kept, l->wide ? kept : basis, x,
                  false);
}
