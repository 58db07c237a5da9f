// Three small tasks that ask for what is known exactly: copying a string, going on as before (induction), adding modulo
// a number. A window is records of one task, one after the other; only their answers count as targets. With S symbols:
//
//   copy       C x1 ... xS = x1 ... xS             symbols drawn independently; S answers
//   induction  I x1 ... xS = q1 y1 ... qS yS       x in random order, each symbol once; every q is one of x1 ...
//   x(S-1),
//                                                  drawn independently; its answer y is what followed it in x
//   sums       M a b = (a + b) mod S               one answer
//
// trainer/data/suite_source.c makes a corpus of them, trainer/data/mixed.c puts them into a text.
#pragma once
#include "base/philox.h"
#include "trainer/data/corpus.h"

enum suite { SUITE_COPY, SUITE_INDUCTION, SUITE_SUMS, SUITE_COUNT };
extern const char *const suite_names[SUITE_COUNT];

enum { SUITE_LEAST_SYMBOLS = 2, SUITE_MOST_SYMBOLS = 36, SUITE_EXTRA_TOKENS = 4 };

// The tokens that stand for symbols, for "=", and for the tasks' first letters.
struct suite_alphabet {
  int64_t count;  // S
  int32_t symbols[SUITE_MOST_SYMBOLS], answer, marks[SUITE_COUNT];
};

// Tokens [first, first + S + SUITE_EXTRA_TOKENS) in the order above.
struct suite_alphabet suite_alphabet_from(int64_t symbols, int64_t first);
// Those of a corpus: of the source of suites its own, of text in bytes the characters 0-9a-z, =, C, I, M; elsewhere the
// last ones of the vocabulary, whatever they stand for there. False where the vocabulary is too small.
bool suite_alphabet_of(const struct corpus *corpus, int64_t symbols, struct suite_alphabet *alphabet,
                       struct error *error);
// The same question for a vocabulary alone, and whether a window holds a record. `symbols_field` is what the error is
// about.
bool suite_fits(int64_t symbols, int64_t vocabulary, int64_t context, const char *symbols_field, struct error *error);

// Where a window's random numbers come from: 2^17 of them, of which the first is free for others.
struct suite_window {
  uint64_t seed;
  enum random_stream stream;
  uint64_t step, window;
};
// A uniform number in [0, 1) that depends on the window alone: the free one.
double suite_chosen(const struct suite_window *window);
// Which task a window of a mixture is: each as often.
enum suite suite_drawn(const struct suite_window *window);
// Fills a window: inputs and targets [context], mask (may be NULL) 1 where the target is an answer.
void suite_write(const struct suite_alphabet *alphabet, enum suite suite, const struct suite_window *window,
                 int64_t context, int32_t *inputs, int32_t *targets, uint8_t *mask);
// Answers among the targets of a window: the same for all windows of the task.
int64_t suite_answers(enum suite suite, int64_t symbols, int64_t context);
// Their share of the tokens, over the tasks.
double suite_targets_per_token(int64_t symbols, int64_t context);
// The share of answers that the best guess gets right which does not read what the record says: 1 / S; of induction,
// where the answer is another symbol than the one asked for, 1 / (S - 1).
double suite_chance(enum suite suite, int64_t symbols);

// Answers of a task: sums over windows, whose answers depend on each other.
struct suite_score {
  int64_t windows, answers, right;
  double squares;  // sum over windows of right^2; every window has as many answers
};
void suite_score_add(struct suite_score *score, int64_t answers, int64_t right);
double suite_accuracy(const struct suite_score *score);
// Standard error of that mean, over windows: sqrt(sum (r - mean r)^2 / (n (n - 1))) / answers a window; NAN of one
// window.
double suite_standard_error(const struct suite_score *score);
// How far above chance, in standard errors: in the larger of the one above and that of as many guesses,
// sqrt(c (1 - c) / answers).
double suite_above_chance(const struct suite_score *score, double chance);
