// Least squares by orthogonal factors. Matrices stand by columns: number i of column k is at [k * rows + i].
#pragma once
#include <stdbool.h>
#include <stddef.h>

// Scales columns of `rows` numbers to length 1, their lengths into length [count]; a column of zeros stays. False where
// a number is not finite.
bool orthogonal_scale(double *columns, size_t rows, int count, double *length);
// Makes columns of `rows` numbers triangular by Householder reflections, b [rows] with them.
void orthogonal_reflect(double *columns, double *b, size_t rows, int count);
// The x [count] of least length at which |R x - b| is least, over the columns `of` (ascending) of the triangle R
// [n][n]. Directions in which R is below `cut` count as without effect. Returns the rank, or -1 where no number comes
// out.
int orthogonal_shortest(const double *r, const double *b, int n, const int *of, int count, double cut, double *x);
// Eigenvalues (ascending) and vectors (columns of [n][n], row by row) of R'R, to the relative accuracy of R itself.
bool orthogonal_singular(const double *r, int n, double *values, double *vectors);
