// The CPU backend's ops table; see kernels/ops.h for what every entry computes.
#pragma once
#include "kernels/ops.h"

extern const struct ops cpu_ops;
