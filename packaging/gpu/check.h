// The program that is carried to a machine with a GPU; see check.c.
#pragma once
#include "base/options.h"

int gpu_bench(int argc, char **argv);  // bench.c; the exit code
