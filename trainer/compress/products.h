// Sums of rows, the work of all sweeps. See internal.h.
#pragma once
#include <stdint.h>

// to[i] -= sum over k < count of coefficients[k] * rows[k][i], i < n. `to` is none of the rows.
void subtract_rows(double *to, const double *const *rows, const double *coefficients, int count, int64_t n);
// The same, for one instruction set each.
void subtract_rows_portable(double *to, const double *const *rows, const double *coefficients, int count, int64_t n);
void subtract_rows_avx2(double *to, const double *const *rows, const double *coefficients, int count, int64_t n);
void subtract_rows_avx512(double *to, const double *const *rows, const double *coefficients, int count, int64_t n);
