// The public face of kernels/: tensor operations with forward and backward on opaque device memory.
#pragma once
#include "kernels/ops.h"
