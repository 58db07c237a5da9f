// Task boolean: examples are what they are said to be, splits keep what they promise, measures of layers worked out by
// hand.
#include "tests/check.h"
#include "trainer/tasks/boolean/boolean.h"

static struct boolean settings_of(int64_t clauses, int64_t literals, int64_t variables, const char *encoding,
                                  const char *others, double negated) {
  return (struct boolean){.clauses = clauses,
                          .literals = literals,
                          .variables = variables,
                          .negated = negated,
                          .encoding = encoding,
                          .others = others};
}

static int64_t clauses_that_hold(const struct formula *f, const float *x) {
  int64_t count = 0;
  for (int64_t c = 0; c < f->clauses; c++) {
    bool all = true;
    for (int64_t i = c * f->literals; i < (c + 1) * f->literals; i++) all &= (x[f->variable[i]] > 0.5f) == f->wanted[i];
    count += all;
  }
  return count;
}

static void examples_are_true_and_false_in_turn(void) {
  enum { ROWS = 400 };
  static float x[ROWS * 16];
  int32_t truth[ROWS];
  struct arena arena = {0};
  // Disjoint clauses; clauses that share variables; zeros; others as they come.
  const struct boolean cases[] = {settings_of(4, 4, 16, "plus_minus", "broken", 0),
                                  settings_of(8, 2, 10, "zero_one", "broken", 0.5),
                                  settings_of(4, 4, 16, "plus_minus", "free", 0.5)};
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    struct formula f = formula_plant(&cases[k], 3 + k, &arena);
    int64_t several = 0, ones = 0;
    formula_examples(&f, 50, 7, ROWS, x, truth);
    for (int64_t r = 0; r < ROWS; r++) {
      int64_t holding = clauses_that_hold(&f, x + r * f.variables);
      CHECK(truth[r] == r % 2 && (holding > 0) == truth[r]);
      several += holding > 1;
      for (int64_t v = 0; v < f.variables; v++) {
        float value = x[r * f.variables + v];
        CHECK(value == 1 || value == (k == 1 ? 0 : -1));
        ones += value == 1;
      }
    }
    if (k == 0) CHECK(several == 0);
    if (k == 2) CHECK(several > 0);
    CHECK(ones > ROWS * f.variables / 3 && ones < ROWS * f.variables * 2 / 3);
    static float again[ROWS * 16];
    formula_examples(&f, 50, 7, ROWS, again, truth);
    CHECK(memcmp(x, again, (size_t)(ROWS * f.variables) * sizeof *x) == 0);
  }
  arena_free(&arena);
}

static void splits_keep_the_number_of_weights(void) {
  static const char *const rules[] = {"random", "clause", "gram"};
  struct arena arena = {0};
  struct boolean b = settings_of(4, 3, 12, "plus_minus", "broken", 0);
  struct formula f = formula_plant(&b, 1, &arena);
  float weights[5 * 12], biases[5], outputs[5];
  for (int i = 0; i < 5 * 12; i++) weights[i] = (float)random_uniform(9, RANDOM_STREAM_NOISE, 0, (uint64_t)i) + 0.01f;
  for (int i = 0; i < 5; i++) biases[i] = (float)i, outputs[i] = 2 + (float)i;  // larger: none of them is pruned
  struct layer dense = {5, 12, weights, biases, outputs};
  for (int rule = 0; rule < 3; rule++)
    for (int64_t alpha = 2; alpha <= 4; alpha += 2) {
      struct layer wide = layer_expand(&dense, &f, rules[rule], alpha, 5, &arena);
      CHECK(wide.neurons == 5 * alpha && layer_weights(&wide) == layer_weights(&dense));
      for (int64_t j = 0; j < wide.neurons; j++) {
        CHECK(wide.biases[j] == biases[j / alpha] && wide.outputs[j] == outputs[j / alpha]);
        for (int64_t i = 0; i < 12; i++) {
          int64_t holders = 0;  // of the children that have this input: at most one, with its parent's weight
          for (int64_t child = 0; child < alpha; child++)
            holders += wide.weights[(j / alpha * alpha + child) * 12 + i] != 0;
          CHECK(holders <= 1);
          float w = wide.weights[j * 12 + i];
          CHECK(w == 0 || w == weights[j / alpha * 12 + i]);
        }
        // By clause: a child has all inputs of a clause or none, but for pruned ones, which are the smallest.
        for (int64_t c = 0; rule == 1 && alpha == 2 && c < 4; c++) {
          int64_t here = 0, elsewhere = 0;
          for (int64_t l = 0; l < 3; l++) {
            int64_t v = f.variable[c * 3 + l];
            here += wide.weights[j * 12 + v] != 0;
            elsewhere += wide.weights[(j ^ 1) * 12 + v] != 0;
          }
          CHECK(here == 0 || elsewhere == 0);
        }
      }
    }
  arena_free(&arena);
}

// Two clauses of two literals, one of them negated, whose columns are orthogonal codes.
static void codes_of_a_layer_by_hand(void) {
  struct arena arena = {0};
  int32_t variable[] = {0, 1, 2, 3};
  uint8_t wanted[] = {1, 0, 1, 1};
  struct formula f = {.clauses = 2, .literals = 2, .variables = 4, .variable = variable, .wanted = wanted};
  float weights[] = {1, -2, 0.5f, 0.5f, 1, -2, -0.5f, -0.5f}, biases[2] = {0}, outputs[] = {1, 1};
  struct layer l = {2, 4, weights, biases, outputs};
  struct channels c = channels_measure(&l, &f, 1, &arena);
  CHECK_NEAR(c.code_within, 1, 1e-12);
  CHECK_NEAR(c.code_between, 0, 1e-12);
  CHECK_NEAR(c.sign_within, 1, 1e-12);
  CHECK_NEAR(c.sign_between, 0, 1e-12);
  // Columns (1, 1), (-2, -2), (.5, -.5), (.5, -.5): own over all are 4/20, 64/80, 1/2, 1/2.
  CHECK_NEAR(c.feature_capacity, (0.2 + 0.8 + 0.5 + 0.5) / 4, 1e-12);
  // Rows (1, -2, .5, .5) and (1, -2, -.5, -.5): 4.5 / 5.5.
  CHECK_NEAR(c.neuron_cosine, 4.5 / 5.5, 1e-12);
  CHECK(c.decoded_clauses == 1 && c.decoded_pairs == 1 && c.decoded_signs == 1);
  // Of three ways to pair four inputs one is the planted one: a third of the shuffles are as good.
  CHECK(c.sign_p > 0.25 && c.sign_p < 0.42);
  weights[1] = 2, weights[5] = 2;  // as if the literal were not negated
  c = channels_measure(&l, &f, 1, &arena);
  CHECK_NEAR(c.code_within, 0, 1e-12);
  CHECK(c.decoded_clauses == 1 && c.decoded_signs == 0.5);
  arena_free(&arena);
}

static void random_weights_say_nothing(void) {
  struct arena arena = {0};
  struct boolean b = settings_of(8, 4, 32, "plus_minus", "broken", 0.5);
  float weights[16 * 32], biases[16] = {0}, outputs[16];
  double normals[2];
  int low = 0;
  for (int i = 0; i < 16; i++) outputs[i] = 1;
  for (uint64_t seed = 0; seed < 20; seed++) {
    struct formula f = formula_plant(&b, seed, &arena);
    for (int i = 0; i < 16 * 32; i++) {
      random_normal_pair(seed, RANDOM_STREAM_NOISE, 1, (uint64_t)i, normals);
      weights[i] = (float)normals[0];
    }
    struct layer l = {16, 32, weights, biases, outputs};
    struct channels c = channels_measure(&l, &f, seed, &arena);
    CHECK(fabs(c.sign_within) < 0.2 && fabs(c.sign_between) < 0.1 && c.decoded_pairs < 0.5);
    low += c.sign_p <= 0.1;
  }
  CHECK(low <= 6);  // of 20 at 0.1: more than 6 once in 400 times
  arena_free(&arena);
}

int main(int argc, char **argv) {
  RUN(examples_are_true_and_false_in_turn);
  RUN(splits_keep_the_number_of_weights);
  RUN(codes_of_a_layer_by_hand);
  RUN(random_weights_say_nothing);
  return check_end();
}
