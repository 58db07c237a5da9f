// Drawing the next token.
#pragma once
#include "base/base.h"

// The token at which the running sum of exp(logit / temperature), of the `top` largest logits (0: all), passes the
// share `uniform`, in [0, 1), of the whole; temperature 0: the token of the largest logit, the first of equal ones.
int32_t token_draw(const double *logits, int64_t vocabulary, double temperature, int64_t top, double uniform);
