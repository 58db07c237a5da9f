// Synthetic digits of 8 x 8 pixels, and their permutations. See continual.h.
#include "base/philox.h"
#include "trainer/tasks/continual/continual.h"

enum { STREAM_PERMUTATION = 46 };

// Which of the segments a digit has: top, upper left, upper right, middle, lower left, lower right, bottom.
static const uint8_t segments[DIGITS][7] = {
    {1, 1, 1, 0, 1, 1, 1}, {0, 0, 1, 0, 0, 1, 0}, {1, 0, 1, 1, 1, 0, 1}, {1, 0, 1, 1, 0, 1, 1}, {0, 1, 1, 1, 0, 1, 0},
    {1, 1, 0, 1, 0, 1, 1}, {1, 1, 0, 1, 1, 1, 1}, {1, 0, 1, 0, 0, 1, 0}, {1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 0, 1, 1}};
// Left, top, width and height of a shape.
static const int shapes[DIGIT_SHAPES][4] = {{0, 0, 5, 7}, {3, 1, 4, 7}, {2, 0, 6, 5}};

static void stroke(float *pixels, int x0, int y0, int x1, int y1) {
  for (int y = y0; y <= y1; y++)
    for (int x = x0; x <= x1; x++) pixels[y * DIGIT_SIDE + x] = 1;
}

void digit_draw(int digit, int shape, float *pixels) {
  const int *s = shapes[shape];
  int left = s[0], top = s[1], right = left + s[2] - 1, bottom = top + s[3] - 1, middle = (top + bottom) / 2;
  const int ends[7][4] = {{left, top, right, top},       {left, top, left, middle},    {right, top, right, middle},
                          {left, middle, right, middle}, {left, middle, left, bottom}, {right, middle, right, bottom},
                          {left, bottom, right, bottom}};
  for (int i = 0; i < DIGIT_PIXELS; i++) pixels[i] = 0;
  for (int i = 0; i < 7; i++)
    if (segments[digit][i]) stroke(pixels, ends[i][0], ends[i][1], ends[i][2], ends[i][3]);
}

void digit_permutation(uint64_t seed, int64_t phase, int32_t place[DIGIT_PIXELS]) {
  for (int32_t i = 0; i < DIGIT_PIXELS; i++) place[i] = i;
  for (int i = DIGIT_PIXELS - 1; i > 0 && phase > 0; i--) {
    uint64_t other = random_below(seed, STREAM_PERMUTATION, (uint64_t)phase, (uint64_t)i, (uint64_t)i + 1);
    int32_t kept = place[i];
    place[i] = place[other];
    place[other] = kept;
  }
}

void digit_examples(uint64_t seed, uint32_t stream, int64_t phase, uint64_t step, double noise, int64_t rows, float *x,
                    int32_t *digits) {
  int32_t place[DIGIT_PIXELS];
  float pixels[DIGIT_PIXELS];
  uint64_t block = (uint64_t)phase << 32 | step, choices = (uint64_t)1 << 40;
  digit_permutation(seed, phase, place);
  for (int64_t r = 0; r < rows; r++) {
    uint64_t chosen = random_below(seed, stream, block, choices + (uint64_t)r, DIGITS * DIGIT_SHAPES);
    double pair[2];
    digits[r] = (int32_t)(chosen % DIGITS);
    digit_draw(digits[r], (int)(chosen / DIGITS), pixels);
    for (int i = 0; i < DIGIT_PIXELS; i++) {
      if (i % 2 == 0) random_normal_pair(seed, stream, block, (uint64_t)(r * DIGIT_PIXELS + i) / 2, pair);
      x[r * DIGIT_PIXELS + place[i]] = (float)(pixels[i] + noise * pair[i % 2]);
    }
  }
}
