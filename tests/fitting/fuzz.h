// A fuzz target: one function for libFuzzer, and seeds for the deterministic driver.
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length);
extern const char *const fuzz_seeds[];  // ends with NULL
