// Normal distribution, root finding, quadrature; see gaussian.h.
#include "kernels/formats/gaussian.h"

#include <math.h>

double normal_density(double x) { return 0.3989422804014326779 * exp(-0.5 * x * x); }
double normal_below(double x) { return 0.5 * erfc(-x * M_SQRT1_2); }
double normal_above(double x) { return 0.5 * erfc(x * M_SQRT1_2); }

double normal_between(double low, double high) {
  if (low > 0) return normal_above(low) - normal_above(high);
  return normal_below(high) - normal_below(low);
}

// x phi(x), with its limit 0 at the infinities.
static double x_density(double x) { return isinf(x) ? 0 : x * normal_density(x); }

double normal_first_moment(double low, double high) { return normal_density(low) - normal_density(high); }

double normal_second_moment(double low, double high) {
  return normal_between(low, high) + x_density(low) - x_density(high);
}

struct quantile_problem {
  double p;
  bool upper;
};
static double quantile_excess(const void *context, double x) {
  const struct quantile_problem *problem = context;
  return problem->upper ? problem->p - normal_above(x) : normal_below(x) - problem->p;
}

double normal_quantile(double p) {
  // Solved in the tail that p lies in, so that the small probability is the one compared.
  struct quantile_problem problem = {p > 0.5 ? 1 - p : p, p > 0.5};
  return find_root(quantile_excess, &problem, problem.upper ? 0 : -40, problem.upper ? 40 : 0, 1e-15);
}

double find_root(real_function *f, const void *context, double a, double b, double tolerance) {
  double fa = f(context, a), fb = f(context, b), c = a, fc = fa, step = b - a, before = step;
  for (int i = 0; i < 200; i++) {
    if ((fb > 0) == (fc > 0)) {  // keep the root between b and c
      c = a;
      fc = fa;
      before = step = b - a;
    }
    if (fabs(fc) < fabs(fb)) {  // b is the best guess
      a = b;
      b = c;
      c = a;
      fa = fb;
      fb = fc;
      fc = fa;
    }
    double accuracy = 4.5e-16 * fabs(b) + 0.5 * tolerance, middle = 0.5 * (c - b);
    if (fabs(middle) <= accuracy || fb == 0) return b;
    if (fabs(before) >= accuracy && fabs(fa) > fabs(fb)) {
      // Secant, or inverse quadratic interpolation when three points are known; kept when it falls well inside.
      double s = fb / fa, p, q;
      if (a == c) {
        p = 2 * middle * s;
        q = 1 - s;
      } else {
        double r = fb / fc, t = fa / fc;
        p = s * (2 * middle * t * (t - r) - (b - a) * (r - 1));
        q = (t - 1) * (r - 1) * (s - 1);
      }
      if (p > 0)
        q = -q;
      else
        p = -p;
      double most = 3 * middle * q - fabs(accuracy * q), half = fabs(before * q);
      if (2 * p < (most < half ? most : half)) {
        before = step;
        step = p / q;
      } else {
        before = step = middle;
      }
    } else {
      before = step = middle;
    }
    a = b;
    fa = fb;
    b += fabs(step) > accuracy ? step : (middle > 0 ? accuracy : -accuracy);
    fb = f(context, b);
  }
  return b;
}

double integrate(real_function *f, const void *context, double a, double b, int pieces) {
  // Positive nodes and weights of the ten-point rule on [-1, 1].
  static const double nodes[5] = {0.14887433898163121088, 0.43339539412924719080, 0.67940956829902440623,
                                  0.86506336668898451073, 0.97390652851717172008};
  static const double weights[5] = {0.29552422471475287017, 0.26926671930999635509, 0.21908636251598204400,
                                    0.14945134915058059315, 0.06667134430868813759};
  double sum = 0, half = (b - a) / (2 * pieces);
  for (int piece = 0; piece < pieces; piece++) {
    double middle = a + (2 * piece + 1) * half;
    for (int i = 0; i < 5; i++)
      sum += weights[i] * (f(context, middle - half * nodes[i]) + f(context, middle + half * nodes[i]));
  }
  return sum * half;
}
