// See fast_dct.h.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdarg>
#include <cstdbool>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#if __has_include(<kissfft/kissfft.hh>)
#include <kissfft/kissfft.hh>
#else
#include <kissfft.hh>
#endif

extern "C" {
#include "kernels/fast_dct.h"
}

namespace {
using complex = std::complex<double>;
constexpr size_t LINES = 16;  // at a time: a cache line of floats, where lines are columns
}  // namespace

struct fast_dct {
  size_t side;
  kissfft<double> transform;
  std::vector<complex> turns;  // sqrt(2 / side) exp(i pi k / (2 side)), that of k = 0 over sqrt(2)
  std::vector<complex> in, out;
  std::vector<double> from, to;  // [LINES, side]

  explicit fast_dct(size_t n) : side(n), transform(n, false), turns(n), in(n), out(n), from(LINES * n), to(LINES * n) {
    for (size_t k = 0; k < n; k++)
      turns[k] = std::polar(std::sqrt((k ? 2 : 1) / (double)n), std::acos(-1.0) * (double)k / (2 * (double)n));
  }
};

bool fast_dct_present(void) { return true; }
const char *fast_dct_library(void) { return "KISS FFT " KISSFFT_VERSION; }
bool fast_dct_needed(struct error *) { return true; }

struct fast_dct *fast_dct_open(int64_t side) {
  return new fast_dct((size_t)side);
}
void fast_dct_close(struct fast_dct *plan) { delete plan; }

void fast_dct_pair(struct fast_dct *plan, const double *a, const double *b, double *a_to, double *b_to) {
  size_t n = plan->side;
  for (size_t i = 0; i < n; i += 2) plan->in[i / 2] = {a[i], b[i]};
  for (size_t i = 1; i < n; i += 2) plan->in[n - (i + 1) / 2] = {a[i], b[i]};
  plan->transform.transform(plan->in.data(), plan->out.data());
  // The transform of a is what is symmetric in its conjugate, that of b the rest.
  for (size_t k = 0; k < n; k++) {
    complex one = plan->out[k], other = plan->out[k ? n - k : 0], turn = plan->turns[k];
    a_to[k] = 0.5 * ((one.real() + other.real()) * turn.real() + (one.imag() - other.imag()) * turn.imag());
    b_to[k] = 0.5 * ((one.imag() + other.imag()) * turn.real() + (other.real() - one.real()) * turn.imag());
  }
}

void fast_dct_lines(struct fast_dct *plan, int64_t lines, int64_t line_stride, int64_t element_stride, const float *x,
                    float *to) {
  size_t n = plan->side;
  for (size_t first = 0; first < (size_t)lines; first += LINES) {
    size_t count = (size_t)lines - first < LINES ? (size_t)lines - first : LINES;
    const float *begin = x + (int64_t)first * line_stride;
    float *end = to + (int64_t)first * line_stride;
    // A last line without a partner goes with zeros.
    if (count % 2) std::fill_n(plan->from.begin() + (std::ptrdiff_t)(count * n), n, 0.0);
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < count; j++)
        plan->from[j * n + i] = begin[(int64_t)j * line_stride + (int64_t)i * element_stride];
    for (size_t j = 0; j < count; j += 2) {
      double *a = plan->from.data() + j * n, *made = plan->to.data() + j * n;
      fast_dct_pair(plan, a, a + n, made, made + n);
    }
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < count; j++)
        end[(int64_t)j * line_stride + (int64_t)i * element_stride] = (float)plan->to[j * n + i];
  }
}
