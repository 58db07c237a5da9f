// What the eigenvalues of a matrix's squares tell of it, and how much of a matrix few directions hold. On the host, in
// double precision.
#pragma once
#include "base/base.h"

struct spectrum {
  double squares;         // sum of the eigenvalues: the matrix's squared Frobenius norm
  double stable_rank;     // that over the largest one; 0 of a matrix of zeros
  double effective_rank;  // exp of the entropy of the eigenvalues as shares (Roy & Vetterli 2007); 0 likewise
  double largest_share;   // of the `rank` largest eigenvalues, in the squares
};

// Of x [rows, columns], by x x^T or x^T x, whichever is smaller. False with an error as LAPACK has it, or when x is not
// finite.
bool spectrum_of(int64_t rows, int64_t columns, const float *x, int64_t rank, struct spectrum *spectrum,
                 struct error *error);
// Of a matrix of squares x^T x itself, [n, n], which is overwritten.
bool spectrum_of_squares(int64_t n, double *squares, int64_t rank, struct spectrum *spectrum, struct error *error);

// The share of x's squares in `rank` directions of its smaller side: those of the discrete cosine transform that hold
// most, and random ones (of Philox, `seed`). 0 of a matrix of zeros.
double spectrum_dct_share(int64_t rows, int64_t columns, const float *x, int64_t rank);
bool spectrum_random_share(int64_t rows, int64_t columns, const float *x, int64_t rank, uint64_t seed, double *share,
                           struct error *error);
