// The operations that there are, a file each; cases.c lists them.
#pragma once
#include "kernels/cases/cases.h"

extern const struct operation operation_linear, operation_norm, operation_qkv, operation_attention,
    operation_cached_attention, operation_swiglu, operation_head, operation_embedding, operation_optimizer,
    operation_momentum, operation_orthogonal, operation_dct, operation_fast_dct, operation_matrices,
    operation_directions, operation_convert, operation_fill, operation_weight_format, operation_activation_format,
    operation_pruning;
