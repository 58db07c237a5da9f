// The discrete cosine transform by a fast Fourier transform, on the host and in double precision, through KISS FFT: its
// template is compiled here, so that there is no library to load. A build without it has none of this, says so by
// fast_dct_present, and refuses runs that ask for it (train.dct: fast).
#pragma once
#include "base/base.h"

// The smallest side from which train.dct: fast transforms; below it the product is faster. One number for all machines,
// since a run's bits follow from it.
#define FAST_DCT_SIDE 1024

bool fast_dct_present(void);
// "KISS FFT 131.1.0", for the record of a run.
const char *fast_dct_library(void);
// False and an error (EXIT_ENVIRONMENT, about train.dct) in a build without KISS FFT.
bool fast_dct_needed(struct error *error);

// Transforms of lines of one length. One thread at a time may use one. The caller closes it; only where it is present.
struct fast_dct;
struct fast_dct *fast_dct_open(int64_t side);
void fast_dct_close(struct fast_dct *plan);
// a_to[k] = sum over i of q_k(i) a[i], b_to likewise, all [side]; q_k as dct_basis of kernels/ops.h has them. Two real
// lines are one complex transform (Makhoul 1980: even elements, then odd ones from behind).
void fast_dct_pair(struct fast_dct *plan, const double *a, const double *b, double *a_to, double *b_to);
// The same of `lines` lines: element i of line j is x[j line_stride + i element_stride], coefficients lie likewise.
// Line 2 j goes with line 2 j + 1: whoever divides lines between threads divides pairs, so that bits stay.
void fast_dct_lines(struct fast_dct *plan, int64_t lines, int64_t line_stride, int64_t element_stride, const float *x,
                    float *to);
