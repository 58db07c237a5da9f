// The Hessians of all linear layers' inputs, measured while the parent's model goes forward over calibration tokens.
#pragma once
#include "trainer/compress/hessian.h"
#include "trainer/stages/work.h"

enum { CALIBRATE_ALL = -1 };

struct calibration {
  struct gemm_context *gemm;
  struct hessian **hessians;  // [layers * MATRIX_HEAD], by block and matrix; NULL: not measured
  int64_t count;
};

// Runs the parent's model (of `values`, see stage_values) over the first `tokens` tokens, rounded up to whole
// windows, of an order of the training split that depends on nothing but the corpus and their number. False with an
// error, or with work->stopped; calibration_free in either case. Memory: 4 bytes an entry of each Hessian.
// `layer`: of this block's matrices alone, 0 <= layer; CALIBRATE_ALL.
bool calibrate(struct stage_work *work, const struct model_values *values, int64_t tokens, int64_t layer,
               struct calibration *calibration, struct error *error);
// Windows [first, first + rows) of the first `windows` of that order: what corpus_batch is asked for.
struct corpus_batch calibration_request(int64_t windows, int64_t first, int64_t rows, int64_t context);
// [inputs, inputs] of a block's matrix, the calibration's own.
const float *calibration_hessian(struct calibration *calibration, int64_t layer, int matrix);
void calibration_free(struct calibration *calibration);
