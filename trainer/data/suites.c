// See suites.h.
#include "trainer/data/suites.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/tokenizer.h"

const char *const suite_names[SUITE_COUNT] = {"copy", "induction", "sums"};

enum { DRAW_BITS = 17 };  // a window of the longest context draws less often than 2^17 times

// ---- tokens ----

struct suite_alphabet suite_alphabet_from(int64_t symbols, int64_t first) {
  struct suite_alphabet alphabet = {.count = symbols};
  for (int64_t i = 0; i < symbols; i++) alphabet.symbols[i] = (int32_t)(first + i);
  alphabet.answer = (int32_t)(first + symbols);
  for (int i = 0; i < SUITE_COUNT; i++) alphabet.marks[i] = (int32_t)(first + symbols + 1 + i);
  return alphabet;
}

static struct suite_alphabet characters(int64_t symbols) {
  static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz", marks[] = "CIM";
  struct suite_alphabet alphabet = {.count = symbols, .answer = '='};
  for (int64_t i = 0; i < symbols; i++) alphabet.symbols[i] = digits[i];
  for (int i = 0; i < SUITE_COUNT; i++) alphabet.marks[i] = marks[i];
  return alphabet;
}

bool suite_alphabet_of(const struct corpus *corpus, int64_t symbols, struct suite_alphabet *alphabet,
                       struct error *error) {
  const struct tokenizer *tokenizer = corpus_tokenizer(corpus);
  int64_t first = corpus_vocabulary(corpus) - symbols - SUITE_EXTRA_TOKENS;
  if (tokenizer && tokenizer->kind == TOKENIZER_BYTES) {
    *alphabet = characters(symbols);
    return true;
  }
  if (first < 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%" PRId64 " symbols and %d other tokens are more than the %" PRId64 " of the corpus", symbols,
                     SUITE_EXTRA_TOKENS, corpus_vocabulary(corpus));
  *alphabet = suite_alphabet_from(symbols, first);
  return true;
}

bool suite_fits(int64_t symbols, int64_t vocabulary, int64_t context, const char *symbols_field, struct error *error) {
  if (symbols + SUITE_EXTRA_TOKENS > vocabulary)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s %" PRId64 " and the %d other tokens are more than the vocabulary of %" PRId64, symbols_field,
                     symbols, SUITE_EXTRA_TOKENS, vocabulary) ||
           error_about(error, symbols_field, NULL);
  if (context < 2 * symbols + 2)
    return error_set(error, EXIT_USAGE_ERROR,
                     "model.context %" PRId64 " is shorter than a record of the suites: with %s %" PRId64
                     " it takes %" PRId64 " tokens",
                     context, symbols_field, symbols, 2 * symbols + 2) ||
           error_about(error, symbols_field, "model.context", NULL);
  return true;
}

// ---- records ----

struct writer {
  const struct suite_alphabet *alphabet;
  struct suite_window window;
  uint64_t drawn;
  int64_t position, context;
  int32_t *inputs, *targets;
  uint8_t *mask;
  int64_t answers;
};

static double draw(const struct suite_window *w, uint64_t index) {
  return random_uniform(w->seed, w->stream, w->step, w->window << DRAW_BITS | index);
}

double suite_chosen(const struct suite_window *window) { return draw(window, 0); }

enum suite suite_drawn(const struct suite_window *window) { return (enum suite)(draw(window, 1) * SUITE_COUNT); }

static int64_t below(struct writer *w, int64_t count) {
  return (int64_t)(draw(&w->window, 2 + w->drawn++) * (double)count);
}

static bool full(const struct writer *w) { return w->position > w->context; }

static void put(struct writer *w, int32_t token, bool answer) {
  if (full(w)) return;
  if (w->inputs && w->position < w->context) w->inputs[w->position] = token;
  if (w->inputs && w->position > 0) w->targets[w->position - 1] = token;
  if (w->mask && w->position > 0) w->mask[w->position - 1] = answer;
  w->answers += answer;
  w->position++;
}

static void put_symbol(struct writer *w, int64_t symbol, bool answer) { put(w, w->alphabet->symbols[symbol], answer); }

static void write_copy(struct writer *w) {
  int64_t count = w->alphabet->count, string[SUITE_MOST_SYMBOLS];
  for (int64_t i = 0; i < count; i++) put_symbol(w, string[i] = below(w, count), false);
  put(w, w->alphabet->answer, false);
  for (int64_t i = 0; i < count; i++) put_symbol(w, string[i], true);
}

static void write_induction(struct writer *w) {
  int64_t count = w->alphabet->count, order[SUITE_MOST_SYMBOLS];
  for (int64_t i = 0; i < count; i++) order[i] = i;
  for (int64_t i = count - 1; i > 0; i--) {
    int64_t other = below(w, i + 1), kept = order[i];
    order[i] = order[other];
    order[other] = kept;
  }
  for (int64_t i = 0; i < count; i++) put_symbol(w, order[i], false);
  put(w, w->alphabet->answer, false);
  for (int64_t i = 0; i < count && !full(w); i++) {
    int64_t asked = below(w, count - 1);
    put_symbol(w, order[asked], false);
    put_symbol(w, order[asked + 1], true);
  }
}

static void write_sum(struct writer *w) {
  int64_t count = w->alphabet->count, a = below(w, count), b = below(w, count);
  put_symbol(w, a, false);
  put_symbol(w, b, false);
  put(w, w->alphabet->answer, false);
  put_symbol(w, (a + b) % count, true);
}

static int64_t write_window(struct writer *w, enum suite suite) {
  static void (*const records[SUITE_COUNT])(struct writer *) = {write_copy, write_induction, write_sum};
  while (!full(w)) {
    put(w, w->alphabet->marks[suite], false);
    records[suite](w);
  }
  return w->answers;
}

void suite_write(const struct suite_alphabet *alphabet, enum suite suite, const struct suite_window *window,
                 int64_t context, int32_t *inputs, int32_t *targets, uint8_t *mask) {
  struct writer writer = {
      .alphabet = alphabet, .window = *window, .context = context, .inputs = inputs, .targets = targets, .mask = mask};
  write_window(&writer, suite);
}

int64_t suite_answers(enum suite suite, int64_t symbols, int64_t context) {
  struct suite_alphabet alphabet = suite_alphabet_from(symbols, 0);
  struct writer writer = {.alphabet = &alphabet, .context = context};
  return write_window(&writer, suite);
}

double suite_targets_per_token(int64_t symbols, int64_t context) {
  int64_t answers = 0;
  for (int i = 0; i < SUITE_COUNT; i++) answers += suite_answers((enum suite)i, symbols, context);
  return (double)answers / (double)(SUITE_COUNT * context);
}

// ---- scores ----

double suite_chance(enum suite suite, int64_t symbols) {
  return 1.0 / (double)(suite == SUITE_INDUCTION ? symbols - 1 : symbols);
}

void suite_score_add(struct suite_score *score, int64_t answers, int64_t right) {
  score->windows++;
  score->answers += answers;
  score->right += right;
  score->squares += (double)right * (double)right;
}

double suite_accuracy(const struct suite_score *score) { return (double)score->right / (double)score->answers; }

double suite_standard_error(const struct suite_score *score) {
  double n = (double)score->windows, mean = (double)score->right / n;
  if (score->windows < 2) return NAN;
  return sqrt(fmax(score->squares - n * mean * mean, 0) / (n * (n - 1))) * n / (double)score->answers;
}

double suite_above_chance(const struct suite_score *score, double chance) {
  double guesses = sqrt(chance * (1 - chance) / (double)score->answers);
  return (suite_accuracy(score) - chance) / fmax(guesses, suite_standard_error(score));
}
