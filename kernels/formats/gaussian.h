// The normal distribution and one-dimensional numerics, in double precision: what closed forms of formats' errors need.
#pragma once
#include <stdbool.h>

double normal_density(double x);
double normal_below(double x);                   // P(X < x)
double normal_above(double x);                   // P(X > x), accurate in the upper tail
double normal_between(double low, double high);  // P(low < X < high), accurate in both tails; infinities are fine
double normal_quantile(double p);                // x with P(X < x) = p, 0 < p < 1, to a few units in the last place
// Integrals of x phi(x) and x^2 phi(x) over [low, high]; infinities are fine.
double normal_first_moment(double low, double high);
double normal_second_moment(double low, double high);

typedef double real_function(const void *context, double x);
// A root of f between a and b, where f has different signs (Brent 1973): to `tolerance`, at most 200 evaluations.
double find_root(real_function *f, const void *context, double a, double b, double tolerance);
// Integral of f over [a, b] by Gauss-Legendre rules of ten points on `pieces` equal pieces.
double integrate(real_function *f, const void *context, double a, double b, int pieces);
