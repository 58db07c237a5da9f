// Task `continual`: a small classifier learns digits whose pixels are permuted anew in each phase, by any optimizer;
// what does it forget, and what kind of solution does it end in (arXiv 2507.12224)?
#pragma once
#include "trainer/tasks/network.h"
#include "trainer/tasks/task.h"

struct continual {
  int64_t phases, hidden, layers, steps, batch, test_samples;
  double noise, lr, weight_decay;
  const char *optimizer, *schedule;
};

// ---- digits.c ----

enum { DIGITS = 10, DIGIT_SIDE = 8, DIGIT_PIXELS = DIGIT_SIDE * DIGIT_SIDE, DIGIT_SHAPES = 3 };

// The pixels of a digit, 0 or 1: seven segments, in one of DIGIT_SHAPES places and sizes. [DIGIT_PIXELS], row by row.
void digit_draw(int digit, int shape, float *pixels);
// The permutation of pixels of phase `phase` (from 0, which has none): pixel i of a picture becomes input place[i].
void digit_permutation(uint64_t seed, int64_t phase, int32_t place[DIGIT_PIXELS]);
// Examples of block `step` of a stream, digits and shapes at random, each pixel with Gaussian noise of that size, then
// permuted as in that phase. x [rows, DIGIT_PIXELS], digits [rows].
void digit_examples(uint64_t seed, uint32_t stream, int64_t phase, uint64_t step, double noise, int64_t rows, float *x,
                    int32_t *digits);

// ---- work.c ----

// Of accuracies by the phase that they are measured after and the phase that they are of, [phases][phases]: those of a
// phase at its own end, of all at the last end, and what was lost from the former to the latter (phases but the last;
// NAN with one phase). Means.
struct retention {
  double current, last, forgetting;
};
struct retention continual_retention(const double *accuracy, int64_t phases);
// The mean cosine of two classes' mean rows of x [rows, columns]; NAN where fewer than two classes have rows that are
// not all 0.
double class_mean_cosine(const float *x, const int32_t *classes, int64_t rows, int64_t columns, int count,
                         struct arena *arena);
