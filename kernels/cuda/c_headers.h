// The project's C headers, for the C++ of this folder.
#pragma once
// What the C headers include themselves must not be seen for the first time as C.
#include <cctype>
#include <cmath>
#include <cstdarg>
#include <cstdbool>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "base/base.h"
#include "kernels/cuda/format_sizes.h"
#include "kernels/cuda/native_sizes.h"
#include "kernels/cuda/sizes.h"
#include "kernels/fast_dct.h"
#include "kernels/formats/format.h"
#include "kernels/formats/gaussian.h"
#include "kernels/formats/grid.h"
#include "kernels/formats/scale_value.h"
#include "kernels/lapack.h"
#include "kernels/ops.h"
}
