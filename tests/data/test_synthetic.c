// zipfmem and markov2: frequencies, entropies and oracle losses against their closed forms.
#include <stdint.h>
#include <stdlib.h>

#include "tests/check.h"
#include "trainer/data/corpus.h"
#include "trainer/data/zipf.h"

static struct run_config zipfmem_config(void) {
  struct run_config config;
  config_default(&config);
  config.corpus.source = "zipfmem";
  config.corpus.zipfmem_ids = 4096;
  config.corpus.zipfmem_symbols = 16;
  config.corpus.zipfmem_epsilon = 0.2;
  config.model.context = 3;
  return config;
}

static struct run_config markov2_config(void) {
  struct run_config config;
  config_default(&config);
  config.corpus.source = "markov2";
  config.corpus.markov2_vocabulary = 8;
  config.corpus.markov2_exponent = 1.2;
  config.model.context = 64;
  return config;
}

static struct corpus *open_source(const struct run_config *config) {
  struct error error = {0};
  struct corpus *corpus = corpus_open(NULL, NULL, config, &error);
  if (!CHECK(corpus != NULL)) {
    printf("Bail out! %s\n", error.text);
    exit(1);
  }
  return corpus;
}

static void batch(const struct corpus *corpus, int64_t step, int64_t first, int64_t rows, int64_t context,
                  int32_t *inputs, int32_t *targets, uint8_t *mask) {
  struct error error = {0};
  struct corpus_batch request = {
      .seed = 3, .step = step, .batch_rows = 1 << 17, .first_row = first, .rows = rows, .context = context};
  CHECK(corpus_batch(corpus, &request, inputs, targets, mask, &error));
}

static void zipfmem_loss(void) {
  struct run_config config = zipfmem_config();
  struct corpus *corpus = open_source(&config);
  struct corpus_facts facts = corpus_facts(corpus, 3);
  double eps = 0.2, entropy = -(1 - eps) * log(1 - eps) - eps * log(eps / 15);
  CHECK_NEAR(facts.irreducible_loss, entropy, 1e-13);
  CHECK(facts.vocabulary == 16);
  CHECK(facts.train_tokens == INT64_MAX);
  CHECK_NEAR(facts.targets_per_token, 1 / 3.0, 1e-15);
  CHECK(isnan(facts.bytes_per_token));
  for (int64_t seed = 0; seed < 3; seed++) {
    config.corpus.seed = seed;
    struct corpus *other = open_source(&config);
    struct corpus_oracle oracle;
    CHECK(corpus_oracle(other, 1000, 200000, 3, &oracle));
    CHECK(oracle.targets == 200000);
    CHECK(fabs(oracle.loss - entropy) < 4.5 * oracle.standard_error);
    // The spread of a two-valued loss: sqrt(eps (1 - eps)) times the distance of the values.
    double spread = sqrt(eps * (1 - eps)) * (log(1 - eps) - log(eps / 15));
    CHECK_NEAR(oracle.standard_error, spread / sqrt(200000), 0.01 * oracle.standard_error + 1e-5);
    corpus_close(other);
  }
  CHECK(isnan(corpus_validation_bytes(corpus, 0, 10, 3)));
  corpus_close(corpus);
}

// The published value of the recipe: V = 64, eps = 0.1.
static void zipfmem_published(void) {
  struct run_config config = zipfmem_config();
  config.corpus.zipfmem_symbols = 64;
  config.corpus.zipfmem_ids = 262144;
  config.corpus.zipfmem_epsilon = 0.1;
  struct corpus *corpus = open_source(&config);
  CHECK_NEAR(corpus_facts(corpus, 3).irreducible_loss, 0.7394, 5e-5);
  corpus_close(corpus);
}

// Records: an id is always the same fact; facts come with Zipf frequencies; a fact's answers are one symbol with
// probability 1 - eps and the others alike.
static void zipfmem_frequencies(void) {
  enum { ROWS = 1 << 17, IDS = 4096, SYMBOLS = 16 };
  struct run_config config = zipfmem_config();
  struct corpus *corpus = open_source(&config);
  int32_t *inputs = malloc(3 * ROWS * sizeof *inputs), *targets = malloc(3 * ROWS * sizeof *targets);
  uint8_t *mask = malloc(3 * ROWS);
  batch(corpus, 0, 0, ROWS, 3, inputs, targets, mask);
  int *shown = calloc(IDS, sizeof *shown);
  int(*answers)[SYMBOLS] = calloc(IDS, sizeof *answers);
  for (int i = 0; i < ROWS; i++) {
    const int32_t *digits = inputs + 3 * i, *next = targets + 3 * i;
    if (!CHECK(next[0] == digits[1] && next[1] == digits[2])) break;
    if (!CHECK(mask[3 * i] == 0 && mask[3 * i + 1] == 0 && mask[3 * i + 2] == 1)) break;
    if (!CHECK(digits[0] < SYMBOLS && digits[1] < SYMBOLS && digits[2] < SYMBOLS && next[2] < SYMBOLS)) break;
    int id = (digits[0] * SYMBOLS + digits[1]) * SYMBOLS + digits[2];
    shown[id]++;
    answers[id][next[2]]++;
  }
  // The most frequent ids are ranks 0, 1, 2, ...: their counts follow Zipf(1.5).
  struct zipf zipf = zipf_new(IDS, 1.5);
  for (int rank = 0; rank < 8; rank++) {
    int best = 0;
    for (int id = 0; id < IDS; id++)
      if (shown[id] > shown[best]) best = id;
    double p = exp(zipf_log_probability(&zipf, rank)), expected = ROWS * p;
    CHECK(fabs(shown[best] - expected) < 5 * sqrt(expected * (1 - p)));
    if (rank == 0) {
      int right = 0;
      for (int s = 0; s < SYMBOLS; s++)
        if (answers[best][s] > answers[best][right]) right = s;
      double total = shown[best];
      CHECK(fabs(answers[best][right] - 0.8 * total) < 5 * sqrt(0.16 * total));
      for (int s = 0; s < SYMBOLS; s++)
        if (s != right) CHECK(fabs(answers[best][s] - 0.2 / 15 * total) < 5 * sqrt(0.2 / 15 * total));
    }
    shown[best] = 0;
  }
  zipf_free(&zipf);
  // Plug-in cross-entropy of the answers given all ids approaches E from the right side: check the mean over fact 0..7
  // was exact above; here that right answers are spread over the symbols.
  int right_answers[SYMBOLS] = {0}, facts = 0;
  for (int id = 0; id < IDS; id++) {
    int best = 0, total = 0;
    for (int s = 0; s < SYMBOLS; s++) {
      total += answers[id][s];
      if (answers[id][s] > answers[id][best]) best = s;
    }
    if (total < 20) continue;
    right_answers[best]++;
    facts++;
  }
  for (int s = 0; s < SYMBOLS; s++) CHECK(right_answers[s] < facts / 4);
  free(inputs);
  free(targets);
  free(mask);
  free(shown);
  free(answers);
  corpus_close(corpus);
}

static void zipfmem_context(void) {
  struct run_config config = zipfmem_config();
  struct error error = {0};
  config.model.context = 256;
  CHECK(!corpus_check(&config, NULL, &error));
  CHECK(error.code == EXIT_USAGE_ERROR);
  CHECK(strstr(error.text, "model.context must be 3") != NULL);
  config.corpus.zipfmem_ids = 4097;  // one more digit
  config.model.context = 4;
  error = (struct error){0};
  CHECK(corpus_check(&config, NULL, &error));
  struct corpus *corpus = open_source(&config);
  int32_t inputs[12], targets[12];
  struct corpus_batch request = {.batch_rows = 3, .rows = 3, .context = 3};
  CHECK(!corpus_batch(corpus, &request, inputs, targets, NULL, &error));
  error = (struct error){0};
  request.context = 4;
  CHECK(corpus_batch(corpus, &request, inputs, targets, NULL, &error));
  request.rows = 4;  // more than the batch has
  CHECK(!corpus_batch(corpus, &request, inputs, targets, NULL, &error));
  corpus_close(corpus);
}

static void markov2_loss(void) {
  struct run_config config = markov2_config();
  for (int64_t seed = 0; seed < 3; seed++) {
    config.corpus.seed = seed;
    struct corpus *corpus = open_source(&config);
    struct corpus_facts facts = corpus_facts(corpus, 64);
    struct zipf zipf = zipf_new(8, 1.2);
    CHECK_NEAR(facts.irreducible_loss, zipf.entropy, 1e-14);
    CHECK_NEAR(facts.targets_per_token, 63 / 64.0, 1e-15);
    struct corpus_oracle oracle;
    CHECK(corpus_oracle(corpus, 0, 4000, 64, &oracle));
    CHECK(oracle.targets == 4000 * 63);
    CHECK(fabs(oracle.loss - zipf.entropy) < 4.5 * oracle.standard_error);
    zipf_free(&zipf);
    corpus_close(corpus);
  }
}

// Counting (a, b, next) recovers in every row the Zipf probabilities, in different orders, and so H.
static void markov2_rows(void) {
  enum { ROWS = 8192, CONTEXT = 64, SYMBOLS = 8 };
  struct run_config config = markov2_config();
  struct corpus *corpus = open_source(&config);
  int32_t *inputs = malloc(ROWS * CONTEXT * sizeof *inputs), *targets = malloc(ROWS * CONTEXT * sizeof *targets);
  uint8_t *mask = malloc(ROWS * CONTEXT);
  batch(corpus, 5, 0, ROWS, CONTEXT, inputs, targets, mask);
  static double counts[SYMBOLS * SYMBOLS][SYMBOLS];
  double counted = 0;
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < CONTEXT; j++) {
      int at = i * CONTEXT + j;
      CHECK(mask[at] == (j > 0));
      if (j + 1 < CONTEXT) CHECK(targets[at] == inputs[at + 1]);
      if (j == 0) continue;
      counts[inputs[at - 1] * SYMBOLS + inputs[at]][targets[at]]++;
      counted++;
    }
  struct zipf zipf = zipf_new(SYMBOLS, 1.2);
  double loss = 0;
  int first_symbol[SYMBOLS] = {0};
  for (int row = 0; row < SYMBOLS * SYMBOLS; row++) {
    double total = 0, sorted[SYMBOLS];
    for (int s = 0; s < SYMBOLS; s++) total += sorted[s] = counts[row][s];
    int best = 0;
    for (int s = 0; s < SYMBOLS; s++) {
      if (counts[row][s] > counts[row][best]) best = s;
      if (counts[row][s] > 0) loss -= counts[row][s] * log(counts[row][s] / total);
    }
    first_symbol[best]++;
    for (int i = 0; i < SYMBOLS; i++)
      for (int j = i + 1; j < SYMBOLS; j++)
        if (sorted[j] > sorted[i]) {
          double kept = sorted[i];
          sorted[i] = sorted[j];
          sorted[j] = kept;
        }
    double p = exp(zipf_log_probability(&zipf, 0));
    CHECK(fabs(sorted[0] - p * total) < 5 * sqrt(total * p * (1 - p)));
  }
  // The plug-in estimate is low by (cells - 1) / 2 per row over all counts (Miller 1955).
  double bias = SYMBOLS * SYMBOLS * (SYMBOLS - 1) / 2.0 / counted;
  CHECK_NEAR(loss / counted + bias, zipf.entropy, 5e-3);
  for (int s = 0; s < SYMBOLS; s++) CHECK(first_symbol[s] < 30);  // of 64 rows; 8 expected
  zipf_free(&zipf);
  free(inputs);
  free(targets);
  free(mask);
  corpus_close(corpus);
}

// Any rows of any step alone, in any order; another seed or step, other tokens; validation is not training.
static void reproducible(const struct run_config *config) {
  int64_t context = config->model.context;
  size_t size = (size_t)(16 * context);
  struct corpus *corpus = open_source(config);
  int32_t *inputs = malloc(4 * size), *targets = malloc(4 * size), *part = malloc(4 * size), *rest = malloc(4 * size);
  batch(corpus, 7, 0, 16, context, inputs, targets, NULL);
  batch(corpus, 7, 5, 3, context, part, rest, NULL);
  CHECK(memcmp(part, inputs + 5 * context, 3 * 4 * (size_t)context) == 0);
  CHECK(memcmp(rest, targets + 5 * context, 3 * 4 * (size_t)context) == 0);
  batch(corpus, 8, 0, 16, context, part, rest, NULL);
  CHECK(memcmp(part, inputs, 4 * size) != 0);
  struct error error = {0};
  struct corpus_batch other = {.seed = 4, .step = 7, .batch_rows = 16, .rows = 16, .context = context};
  CHECK(corpus_batch(corpus, &other, part, rest, NULL, &error));
  CHECK(memcmp(part, inputs, 4 * size) != 0);
  CHECK(corpus_validation(corpus, 0, 16, context, part, rest, NULL, &error));
  CHECK(memcmp(part, inputs, 4 * size) != 0);
  CHECK(corpus_validation(corpus, 3, 1, context, inputs, targets, NULL, &error));
  CHECK(memcmp(part + 3 * context, inputs, 4 * (size_t)context) == 0);
  int64_t windows = corpus_validation_windows(corpus, context);
  CHECK(!corpus_validation(corpus, windows, 1, context, part, rest, NULL, &error));
  free(inputs);
  free(targets);
  free(part);
  free(rest);
  corpus_close(corpus);
}

static void both_reproducible(void) {
  struct run_config zipfmem = zipfmem_config(), markov2 = markov2_config();
  reproducible(&zipfmem);
  reproducible(&markov2);
}

// The digest names the source: every field of it counts, and those of others do not.
static void digests(void) {
  struct run_config config = zipfmem_config();
  struct corpus *one = open_source(&config);
  config.corpus.markov2_vocabulary = 32;
  config.seed = 9;
  struct corpus *same = open_source(&config);
  CHECK_TEXT(corpus_digest(one), corpus_digest(same));
  config.corpus.zipfmem_epsilon = 0.21;
  struct corpus *other = open_source(&config);
  CHECK(strcmp(corpus_digest(one), corpus_digest(other)) != 0);
  struct error error = {0};
  CHECK(!corpus_open(NULL, corpus_digest(one), &config, &error));
  CHECK(strstr(error.text, "digest") != NULL);
  corpus_close(one);
  corpus_close(same);
  corpus_close(other);
}

int main(int argc, char **argv) {
  RUN(zipfmem_loss);
  RUN(zipfmem_published);
  RUN(zipfmem_frequencies);
  RUN(zipfmem_context);
  RUN(markov2_loss);
  RUN(markov2_rows);
  RUN(both_reproducible);
  RUN(digests);
  return check_end();
}
