// A fuzz target is one function over bytes. With -Dfuzz=true (clang) libFuzzer drives it for as long as one likes:
//
//   CC=clang-14 CXX=clang++-14 meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz
//   build-fuzz/tests/fuzz/fuzz_spec -max_len=4096 CORPUS tests/spec/errors tests/spec/expand experiments
//   build-fuzz/tests/fuzz/fuzz_format -max_len=80 CORPUS tests/fuzz/format_seeds
//   ISOLOSS_DATA=fitting build-fuzz/tests/fitting/fuzz_expression CORPUS
//
// and fuzz_csv, fuzz_document, fuzz_points like the last. A valid format takes milliseconds.
//
// CORPUS is a folder of your own: what is found goes there. Everything is instrumented, for ASan and UBSan too.
//
// In every other build mutate.c drives it: the seeds, then a fixed number of cheap mutations of them, the same ones in
// every run, as an ordinary test.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
