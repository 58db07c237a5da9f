// Task continual: digits, permutations, and what is made of accuracies and of hidden values.
#include <string.h>

#include "tests/check.h"
#include "trainer/tasks/continual/continual.h"

enum { STREAM = 90, ROWS = 60 };

static void digits_are_all_different(void) {
  float all[DIGITS * DIGIT_SHAPES][DIGIT_PIXELS];
  for (int i = 0; i < DIGITS * DIGIT_SHAPES; i++) {
    double ink = 0;
    digit_draw(i % DIGITS, i / DIGITS, all[i]);
    for (int k = 0; k < DIGIT_PIXELS; k++) {
      CHECK(all[i][k] == 0 || all[i][k] == 1);
      ink += all[i][k];
    }
    CHECK(ink >= 4);
    for (int j = 0; j < i; j++) CHECK(memcmp(all[i], all[j], sizeof all[i]) != 0);
  }
  float eight[DIGIT_PIXELS], zero[DIGIT_PIXELS];
  digit_draw(8, 0, eight);
  digit_draw(0, 0, zero);
  for (int k = 0; k < DIGIT_PIXELS; k++) CHECK(zero[k] <= eight[k]);  // eight has the middle besides
}

static void permutations_are_of_all_pixels(void) {
  int32_t place[DIGIT_PIXELS], other[DIGIT_PIXELS];
  for (int64_t phase = 0; phase < 5; phase++) {
    int seen[DIGIT_PIXELS] = {0}, moved = 0;
    digit_permutation(4, phase, place);
    for (int i = 0; i < DIGIT_PIXELS; i++) {
      seen[place[i]]++;
      moved += place[i] != i;
    }
    for (int i = 0; i < DIGIT_PIXELS; i++) CHECK(seen[i] == 1);
    CHECK(phase == 0 ? moved == 0 : moved > DIGIT_PIXELS / 2);
    digit_permutation(5, phase, other);
    CHECK((memcmp(place, other, sizeof place) == 0) == (phase == 0));
  }
}

// Without noise an example is the permuted picture; noise has the size that is asked for, and no mean.
static void examples_are_permuted_pictures(void) {
  static float clean[ROWS * DIGIT_PIXELS], noisy[ROWS * DIGIT_PIXELS], again[ROWS * DIGIT_PIXELS];
  int32_t digits[ROWS], same[ROWS], place[DIGIT_PIXELS];
  double sum = 0, squares = 0;
  digit_examples(4, STREAM, 2, 7, 0, ROWS, clean, digits);
  digit_examples(4, STREAM, 2, 7, 0.5, ROWS, noisy, same);
  digit_examples(4, STREAM, 2, 7, 0.5, ROWS, again, same);
  CHECK(memcmp(digits, same, sizeof digits) == 0 && memcmp(noisy, again, sizeof noisy) == 0);
  digit_permutation(4, 2, place);
  for (int r = 0; r < ROWS; r++) {
    bool found = false;
    for (int shape = 0; shape < DIGIT_SHAPES; shape++) {
      float pixels[DIGIT_PIXELS];
      bool alike = true;
      digit_draw(digits[r], shape, pixels);
      for (int i = 0; i < DIGIT_PIXELS; i++) alike &= clean[r * DIGIT_PIXELS + place[i]] == pixels[i];
      found |= alike;
    }
    CHECK(found);
  }
  for (int i = 0; i < ROWS * DIGIT_PIXELS; i++) {
    double apart = (double)noisy[i] - (double)clean[i];
    sum += apart;
    squares += apart * apart;
  }
  double count = ROWS * DIGIT_PIXELS;
  CHECK(fabs(sum / count) < 4 * 0.5 / sqrt(count));
  CHECK_NEAR(sqrt(squares / count), 0.5, 4 * 0.5 / sqrt(2 * count));
}

static void forgetting_by_hand(void) {
  const double accuracy[] = {0.9, 0, 0, 0.7, 0.8, 0, 0.4, 0.6, 0.95};
  struct retention r = continual_retention(accuracy, 3);
  CHECK_NEAR(r.current, (0.9 + 0.8 + 0.95) / 3, 1e-12);
  CHECK_NEAR(r.last, (0.4 + 0.6 + 0.95) / 3, 1e-12);
  CHECK_NEAR(r.forgetting, (0.5 + 0.2) / 2, 1e-12);
  r = continual_retention(accuracy, 1);
  CHECK(r.current == 0.9 && r.last == 0.9 && isnan(r.forgetting));
}

static void class_means_by_hand(void) {
  struct arena arena = {0};
  const float x[] = {1, 0, 3, 0, 0, 2, 1, 1};
  const int32_t classes[] = {0, 0, 1, 2};  // means (2, 0), (0, 2), (1, 1): cosines 0, and twice 1/sqrt 2
  CHECK_NEAR(class_mean_cosine(x, classes, 4, 2, 3, &arena), 2 / sqrt(2) / 3, 1e-12);
  CHECK_NEAR(class_mean_cosine(x, classes, 4, 2, 5, &arena), 2 / sqrt(2) / 3, 1e-12);  // two without rows
  CHECK(isnan(class_mean_cosine(x, classes, 2, 2, 3, &arena)));
  arena_free(&arena);
}

int main(int argc, char **argv) {
  RUN(digits_are_all_different);
  RUN(permutations_are_of_all_pixels);
  RUN(examples_are_permuted_pictures);
  RUN(forgetting_by_hand);
  RUN(class_means_by_hand);
  return check_end();
}
