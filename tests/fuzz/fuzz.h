// A fuzz target is one function over bytes. With -Dfuzz=true (clang) libFuzzer drives it for as long as one likes:
//
//   CC=clang-14 CXX=clang++-14 meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz
//   build-fuzz/tests/fuzz/fuzz_spec -max_len=4096 CORPUS experiments
//
// In every other build mutate.c drives it: the seeds, then a fixed number of cheap mutations of them, the same ones in
// every run, as an ordinary test.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
