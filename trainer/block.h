// One block of the decoder, forward and backward; used by trainer/model.c alone.
#pragma once
#include "trainer/model.h"

// Forward of the whole decoder up to the final norm: tokens (on the device, model->tokens) to model->final_x, for
// `rows` tokens in whole sequences. `first_row` keys stochastic rounding (see struct linear).
void blocks_forward(struct model *model, int64_t rows, int64_t first_row);
// Backward of the same for model->rows tokens: from model->d_x, the gradient of final_x, adds to all gradients but the
// head's. With `first`, the matrices' gradients are replaced instead; those of embedding and norms must be cleared
// before.
void blocks_backward(struct model *model, int64_t first_row, bool first);
