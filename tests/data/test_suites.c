// The suites: records hold what suites.h says, chance levels and standard errors against brute force, a share of them
// in a text.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/check.h"
#include "trainer/data/source.h"
#include "trainer/data/suites.h"

enum { CONTEXT = 37 };

struct window {
  int32_t inputs[CONTEXT], targets[CONTEXT];
  uint8_t mask[CONTEXT];
};

static void make(const struct suite_alphabet *alphabet, enum suite suite, uint64_t index, struct window *window) {
  struct suite_window from = {.seed = 5, .stream = RANDOM_STREAM_VALIDATION, .window = index};
  memset(window, 77, sizeof *window);
  suite_write(alphabet, suite, &from, CONTEXT, window->inputs, window->targets, window->mask);
}

// The answer at this place, worked out from what stands before it in the record; -1: no answer is due.
static int32_t worked_out(const struct window *w, enum suite suite, int64_t at, int64_t symbols) {
  int64_t begin = at;
  while (w->inputs[begin] <= symbols) begin--;  // back to the task's letter, the largest of tokens
  int64_t answer = begin + 1;
  while (answer <= at && w->inputs[answer] != symbols) answer++;
  if (answer > at) return -1;
  int64_t given = at - answer;
  if (suite == SUITE_COPY) return given < symbols ? w->inputs[begin + 1 + given] : -1;
  if (suite == SUITE_SUMS) return given == 0 ? (int32_t)((w->inputs[begin + 1] + w->inputs[begin + 2]) % symbols) : -1;
  if (given % 2 == 0) return -1;  // the next one asked for
  for (int64_t i = begin + 1; i + 1 < answer; i++)
    if (w->inputs[i] == w->inputs[at]) return w->inputs[i + 1];
  return -2;
}

static void answers_follow(void) {
  for (int64_t symbols = 2; symbols <= 9; symbols++)
    for (int suite = 0; suite < SUITE_COUNT; suite++) {
      struct suite_alphabet alphabet = suite_alphabet_from(symbols, 0);
      for (uint64_t index = 0; index < 50; index++) {
        struct window w;
        int64_t answers = 0, wrong = 0;
        make(&alphabet, (enum suite)suite, index, &w);
        for (int64_t i = 0; i < CONTEXT; i++) {
          int32_t due = worked_out(&w, (enum suite)suite, i, symbols);
          wrong += due == -2 || w.mask[i] != (due >= 0) || (due >= 0 && w.targets[i] != due);
          wrong += i + 1 < CONTEXT && w.targets[i] != w.inputs[i + 1];
          answers += w.mask[i];
        }
        CHECK(wrong == 0);
        CHECK(answers == suite_answers((enum suite)suite, symbols, CONTEXT));
      }
    }
}

// The best guess that knows only the token before the answer (which of induction is what was asked for), by counting.
static void chance_is_the_best_blind_guess(void) {
  enum { WINDOWS = 20000, SYMBOLS = 5, TOKENS = SYMBOLS + SUITE_EXTRA_TOKENS };
  struct suite_alphabet alphabet = suite_alphabet_from(SYMBOLS, 0);
  for (int suite = 0; suite < SUITE_COUNT; suite++) {
    int64_t seen[TOKENS][TOKENS] = {{0}}, answers = 0, best = 0;
    for (uint64_t index = 0; index < WINDOWS; index++) {
      struct window w;
      make(&alphabet, (enum suite)suite, index, &w);
      for (int64_t i = 0; i < CONTEXT; i++)
        if (w.mask[i]) seen[suite == SUITE_INDUCTION ? w.inputs[i] : 0][w.targets[i]]++;
    }
    for (int a = 0; a < TOKENS; a++) {
      int64_t most = 0;
      for (int b = 0; b < TOKENS; b++) {
        answers += seen[a][b];
        if (seen[a][b] > most) most = seen[a][b];
      }
      best += most;
    }
    double chance = suite_chance((enum suite)suite, SYMBOLS);
    // The best of counts lies above their mean by a few of their deviations.
    CHECK_NEAR((double)best / (double)answers, chance, 0.015);
    CHECK((double)best / (double)answers >= chance);
  }
}

// Guesses that are right together within a window: the spread of the accuracy over repeated draws is the standard
// error that one draw tells.
static void standard_errors_are_those_of_repeated_draws(void) {
  enum { REPEATS = 2000, WINDOWS = 60, ANSWERS = 12 };
  double sum = 0, squares = 0, told = 0;
  for (int r = 0; r < REPEATS; r++) {
    struct suite_score score = {0};
    double direct = 0, mean = 0;
    int64_t counts[WINDOWS];
    for (int w = 0; w < WINDOWS; w++) {
      double skill = random_uniform(1, RANDOM_STREAM_NOISE, (uint64_t)r, (uint64_t)w * 16) < 0.3 ? 0.95 : 0.2;
      counts[w] = 0;
      for (int a = 0; a < ANSWERS; a++)
        counts[w] += random_uniform(1, RANDOM_STREAM_NOISE, (uint64_t)r, (uint64_t)(w * 16 + 1 + a)) < skill;
      suite_score_add(&score, ANSWERS, counts[w]);
      mean += (double)counts[w] / ANSWERS / WINDOWS;
    }
    for (int w = 0; w < WINDOWS; w++) direct += pow((double)counts[w] / ANSWERS - mean, 2);
    CHECK_NEAR(suite_accuracy(&score), mean, 1e-12);
    CHECK_NEAR(suite_standard_error(&score), sqrt(direct / (WINDOWS - 1) / WINDOWS), 1e-12);
    sum += mean;
    squares += mean * mean;
    told += suite_standard_error(&score);
  }
  double spread = sqrt(squares / REPEATS - pow(sum / REPEATS, 2));
  CHECK_NEAR(told / REPEATS, spread, 0.06 * spread);
  // Answers taken as independent would tell half of it.
  double p = sum / REPEATS;
  CHECK(sqrt(p * (1 - p) / (WINDOWS * ANSWERS)) < 0.6 * spread);
}

static void chance_needs_many_answers(void) {
  struct suite_score two = {0}, one = {0};
  suite_score_add(&one, 1, 1);
  CHECK(isnan(suite_standard_error(&one)));
  CHECK_NEAR(suite_above_chance(&one, 0.25), 0.75 / sqrt(0.25 * 0.75), 1e-12);  // all right, and still no sign of it
  for (int i = 0; i < 2; i++) suite_score_add(&two, 10, 10);
  CHECK(suite_standard_error(&two) == 0);
  CHECK_NEAR(suite_above_chance(&two, 0.25), 0.75 / sqrt(0.25 * 0.75 / 20), 1e-12);
}

static struct run_config suites_config(void) {
  struct run_config config;
  config_default(&config);
  config.corpus.source = "suites";
  config.model.context = CONTEXT;
  return config;
}

static void source(void) {
  struct run_config config = suites_config();
  struct error error = {0};
  struct corpus *corpus = corpus_open(NULL, NULL, &config, &error);
  if (!CHECK(corpus != NULL)) return;
  enum { ROWS = 300 };
  static int32_t inputs[ROWS * CONTEXT], targets[ROWS * CONTEXT], again[CONTEXT], more[CONTEXT];
  static uint8_t mask[ROWS * CONTEXT], last[CONTEXT];
  struct corpus_batch all = {.seed = 3, .step = 4, .batch_rows = ROWS, .rows = ROWS, .context = CONTEXT}, part = all;
  CHECK(corpus_batch(corpus, &all, inputs, targets, mask, &error));
  part.first_row = 123;
  part.rows = 1;
  CHECK(corpus_batch(corpus, &part, again, more, last, &error));
  CHECK(memcmp(again, inputs + 123 * CONTEXT, sizeof again) == 0);
  CHECK(memcmp(last, mask + 123 * CONTEXT, sizeof last) == 0);
  int64_t tasks[SUITE_COUNT] = {0};
  double answers = 0;
  for (int64_t i = 0; i < ROWS; i++) tasks[inputs[i * CONTEXT] - 5]++;
  for (int64_t i = 0; i < ROWS * CONTEXT; i++) answers += mask[i];
  for (int i = 0; i < SUITE_COUNT; i++) CHECK(tasks[i] > 70 && tasks[i] < 130);
  struct corpus_facts facts = corpus_facts(corpus, CONTEXT);
  CHECK(facts.vocabulary == 8 && facts.irreducible_loss == 0);
  CHECK_NEAR(facts.targets_per_token, answers / (ROWS * CONTEXT), 0.02);
  struct corpus_oracle oracle;
  CHECK(corpus_oracle(corpus, 0, 10, CONTEXT, &oracle) && oracle.loss == 0 && oracle.targets > 0);
  config.corpus.seed = 1;
  struct corpus *other = corpus_open(NULL, NULL, &config, &error);
  CHECK(other && strcmp(corpus_digest(other), corpus_digest(corpus)) != 0);
  corpus_close(other);
  corpus_close(corpus);
}

static void refused(void) {
  struct run_config config = suites_config();
  struct error error = {0};
  config.model.context = 9;
  CHECK(!corpus_check(&config, NULL, &error) && strstr(error.text, "takes 10 tokens"));
  config = suites_config();
  config.corpus.suites_share = 0.5;
  error = (struct error){0};
  CHECK(!corpus_check(&config, NULL, &error) && strstr(error.text, "is no text"));
}

int main(int argc, char **argv) {
  RUN(answers_follow);
  RUN(chance_is_the_best_blind_guess);
  RUN(standard_errors_are_those_of_repeated_draws);
  RUN(chance_needs_many_answers);
  RUN(source);
  RUN(refused);
  return check_end();
}
