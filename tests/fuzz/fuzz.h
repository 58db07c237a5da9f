// A fuzz target is one function over bytes. With -Dfuzz=true (clang) libFuzzer drives it for as long as one likes:
//
//   CC=clang-14 CXX=clang++-14 meson setup build-fuzz -Dfuzz=true && ninja -C build-fuzz
//   build-fuzz/tests/fuzz/fuzz_spec -max_len=4096 CORPUS tests/spec/errors tests/spec/expand experiments
//   build-fuzz/tests/fuzz/fuzz_format -max_len=80 CORPUS tests/fuzz/format_seeds
//   build-fuzz/tests/fuzz/fuzz_csv CORPUS tests/fuzz/csv_seeds        and so every other target
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The path of a file that holds these bytes, for readers that take a path: always the same file, in memory.
static inline const char *fuzz_file(const void *bytes, size_t size) {
  static char path[64];
  static int file = -1;
  if (file < 0) {
    file = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  }
  if (file < 0 || ftruncate(file, 0) != 0 || pwrite(file, bytes, size, 0) != (ssize_t)size) abort();
  return path;
}

// The input as text, ending with a NUL; the caller frees it.
static inline char *fuzz_text(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  if (!text) abort();
  memcpy(text, data, size);
  text[size] = '\0';
  return text;
}
