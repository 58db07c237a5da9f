// LAPACK through its C interface, on the host, in double precision, and on one thread: an optimized BLAS in its place
// would start threads of its own, and sum in another order each time their number changes.
#pragma once
#include "base/base.h"

// To be called before LAPACK is: keeps a BLAS that has threads to one. Once is enough, more do no harm.
void lapack_use_one_thread(void);
// "LAPACK 3.11.0" and who provides it, where it says so: for the record of a run. Owned by the arena.
const char *lapack_library(struct arena *arena);

// What orthonormalize and eigenvectors of kernels/ops.h tell, on host memory. False with an error when LAPACK does not
// converge, or when what it was given is not finite.
bool lapack_orthonormalize(int64_t rank, int64_t side, float *x, const float *by, int32_t *order, struct error *error);
bool lapack_eigenvectors(int64_t n, float *x, double exponent, double damping, struct error *error);

// The eigenvalues of the symmetric a [n, n], ascending; a is overwritten.
bool lapack_eigenvalues(int64_t n, double *a, double *values, struct error *error);
// Solves a x = b of a symmetric positive definite a [n, n], overwritten, for `columns` right sides, one behind the
// other in b [columns, n], which become the solutions.
bool lapack_solve_positive(int64_t n, double *a, int64_t columns, double *b, struct error *error);
