// A fuzz target is one function over bytes. With -Dfuzz=true (clang) libFuzzer drives it for as long as one likes:
//
//   CC=clang-14 CXX=clang++-14 meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz
//   build-fuzz/tests/fuzz/fuzz_spec -max_len=4096 CORPUS tests/spec/errors tests/spec/expand experiments
//   build-fuzz/tests/fuzz/fuzz_format -max_len=80 CORPUS tests/fuzz/format_seeds
//   build-fuzz/tests/fuzz/fuzz_csv CORPUS tests/fuzz/csv_seeds        compression, document, expression, points: in the
//   same way
//
// A valid format takes milliseconds.
//
// CORPUS is a folder of your own: what is found goes there. Everything is instrumented, for ASan and UBSan too.
//
// In every other build mutate.c drives it: the seeds, then a fixed number of cheap mutations of them, the same ones in
// every run, as an ordinary test.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The input as text, ending with a NUL; the caller frees it.
static inline char *fuzz_text(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (!text) abort();
  memcpy(text, data, size);
  text[size] = '\0';
  return text;
}
