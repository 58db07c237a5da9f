// What fast_dct.h gives in a build without KISS FFT: nothing, said by fast_dct_needed before any of it is called.
#include "kernels/fast_dct.h"

bool fast_dct_present(void) { return false; }
const char *fast_dct_library(void) { return NULL; }

bool fast_dct_needed(struct error *error) {
  return error_set(error, EXIT_ENVIRONMENT,
                   "isoloss was built without KISS FFT: install libkissfft-dev and call ./setup, or use train.dct: "
                   "product") ||
         error_about(error, "train.dct", NULL);
}

struct fast_dct *fast_dct_open(int64_t side) {
  return NULL;
}
void fast_dct_close(struct fast_dct *plan) {}
void fast_dct_pair(struct fast_dct *plan, const double *a, const double *b, double *a_to, double *b_to) {}
void fast_dct_lines(struct fast_dct *plan, int64_t lines, int64_t line_stride, int64_t element_stride, const float *x,
                    float *to) {}
