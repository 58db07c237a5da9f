// What a representation costs: the mean squared error of representing random data of unit variance, relative to the
// data, exactly where a closed form is known and otherwise measured on the passes that train (quantize.h).
#pragma once
#include "kernels/cpu/isa.h"
#include "kernels/formats/format.h"

enum distribution { DISTRIBUTION_NORMAL, DISTRIBUTION_LAPLACE, DISTRIBUTION_LOGISTIC, DISTRIBUTION_STUDENT_T };
// "normal", "laplace", "logistic", "student-t:NU" with NU above 2 (its variance must exist).
bool distribution_parse(const char *text, enum distribution *distribution, double *degrees, struct error *error);

struct capacity_options {
  enum distribution distribution;
  double degrees;   // of freedom, DISTRIBUTION_STUDENT_T
  int64_t samples;  // of a measurement, rounded up to whole matrices; 0: 16 million
  int64_t columns;  // length of a row, which matters to scales per row; 0: 4096. At most 65536
  uint64_t seed;
  int threads;  // at least 1
  enum isa_level isa;
  bool measure;   // even where there is a closed form
  bool hadamard;  // with the representation's transform; else data are taken as if they came out of it
};

struct capacity {
  double gmse;  // sum of squared errors over sum of squares. With scales that are powers of two: averaged over
                // standard deviations 2^(t / 8), t = 0 .. 7, since it depends on where in an octave they fall
  double standard_error;  // 0 for closed forms
  double effective_bits;  // log_{1/4} gmse: b bits at the rate-distortion bound 4^-b
  double misalignment;    // 1 - E <x, q(x)> / <x, x>; NAN for closed forms that do not give it
  bool closed_form;
  bool octave;  // averaged over an octave: the next three are set
  double octave_low, octave_high, at_unit_deviation;
  int64_t samples;
};

#define CAPACITY_CHUNK (1 << 18)  // samples of a matrix that is measured at once

// False and an error when the representation does not fit rows of that many columns, or memory or threads are missing.
bool capacity_measure(const struct representation *representation, const struct capacity_options *options,
                      struct capacity *capacity, struct error *error);
