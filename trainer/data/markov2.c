// markov2: an order-2 Markov source. After symbols (a, b) the next one is permuted(a, b)[rank] with rank ~ Zipf(s), a
// keyed permutation of the alphabet for every pair. Every row has the same probabilities in another order, so the
// irreducible loss is H(Zipf_s) exactly, whatever the stationary distribution. A window is a record of its own that
// starts with two uniform symbols; its first target, which a model cannot know the row of, does not count.
#include <math.h>
#include <stdlib.h>

#include "trainer/data/permutation.h"
#include "trainer/data/source.h"
#include "trainer/data/zipf.h"

static const int64_t validation_tokens = 1 << 22;
enum { LONGEST_CONTEXT = 1 << 16 };

struct markov2 {
  struct zipf zipf;
  int64_t symbols;
  uint64_t seed, key;
};

static void markov2_close(struct corpus *corpus) {
  struct markov2 *source = corpus->state;
  zipf_free(&source->zipf);
  free(source);
}

static bool context_fits(int64_t context, struct error *error) {
  if (context >= 2 && context <= LONGEST_CONTEXT) return true;
  return error_set(error, EXIT_USAGE_ERROR,
                   "model.context must be from 2 to %d for a markov2 source, not %lld: two symbols determine the next "
                   "one's row",
                   LONGEST_CONTEXT, (long long)context) ||
         error_about(error, "model.context", NULL);
}

bool markov2_check(const struct run_config *config, struct error *error) {
  return context_fits(config->model.context, error);
}

static bool markov2_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  return context_fits(context, error);
}

struct walk {
  uint64_t seed;
  enum random_stream stream;
  uint64_t step, window;
  int64_t before, last;  // the two latest symbols
  int64_t position;
};

// The next symbol of the window; *rank (may be NULL) gets its rank in its row, or -1 for the two free ones.
static int64_t walk_on(const struct markov2 *source, struct walk *walk, int64_t *rank) {
  // 2^17 draws a window are more than the longest context needs.
  double u = random_uniform(walk->seed, walk->stream, walk->step, walk->window << 17 | (uint64_t)walk->position);
  int64_t symbol, drawn = -1;
  if (walk->position < 2) {
    symbol = (int64_t)(u * (double)source->symbols);
  } else {
    drawn = zipf_rank(&source->zipf, u);
    uint64_t row = (uint64_t)(walk->before * source->symbols + walk->last);
    struct permutation order = permutation(mix64(row + source->key), (uint64_t)source->symbols);
    symbol = (int64_t)permute(&order, (uint64_t)drawn);
  }
  walk->before = walk->last;
  walk->last = symbol;
  walk->position++;
  if (rank) *rank = drawn;
  return symbol;
}

static void write_window(const struct markov2 *source, struct walk walk, int64_t context, int32_t *inputs,
                         int32_t *targets, uint8_t *mask) {
  inputs[0] = (int32_t)walk_on(source, &walk, NULL);
  for (int64_t i = 0; i < context; i++) {
    targets[i] = (int32_t)walk_on(source, &walk, NULL);
    if (i + 1 < context) inputs[i + 1] = targets[i];
    if (mask) mask[i] = i > 0;
  }
}

static bool markov2_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                          int32_t *targets, uint8_t *mask, struct error *error) {
  for (int64_t i = 0; i < request->rows; i++) {
    struct walk walk = {.seed = request->seed,
                        .stream = RANDOM_STREAM_SYNTHETIC,
                        .step = (uint64_t)request->step,
                        .window = (uint64_t)(request->first_row + i)};
    int64_t at = i * request->context;
    write_window(corpus->state, walk, request->context, inputs + at, targets + at, mask ? mask + at : NULL);
  }
  return true;
}

static int64_t markov2_validation_windows(const struct corpus *corpus, int64_t context) {
  return validation_tokens / context;
}

static struct walk validation_walk(const struct markov2 *source, int64_t window) {
  return (struct walk){.seed = source->seed, .stream = RANDOM_STREAM_VALIDATION, .window = (uint64_t)window};
}

static bool markov2_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                               int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  const struct markov2 *source = corpus->state;
  for (int64_t i = 0; i < windows; i++)
    write_window(source, validation_walk(source, first_window + i), context, inputs + i * context,
                 targets + i * context, mask ? mask + i * context : NULL);
  return true;
}

static void markov2_oracle(const struct corpus *corpus, int64_t window, int64_t context, double *sum, double *squares,
                           int64_t *targets) {
  const struct markov2 *source = corpus->state;
  struct walk walk = validation_walk(source, window);
  for (int64_t i = 0; i <= context; i++) {
    int64_t rank;
    walk_on(source, &walk, &rank);
    if (rank < 0) continue;
    double loss = -zipf_log_probability(&source->zipf, rank);
    *sum += loss;
    *squares += loss * loss;
    *targets += 1;
  }
}

static void markov2_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct markov2 *source = corpus->state;
  facts->irreducible_loss = source->zipf.entropy;
  facts->targets_per_token = (double)(context - 1) / (double)context;
}

static bool markov2_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                           struct error *error) {
  return decode_numbers(tokens, count, out);
}

static const struct corpus_ops markov2_ops = {.close = markov2_close,
                                              .check_context = markov2_check_context,
                                              .validation_windows = markov2_validation_windows,
                                              .batch = markov2_batch,
                                              .validation = markov2_validation,
                                              .facts = markov2_facts,
                                              .decode = markov2_decode,
                                              .oracle = markov2_oracle};

bool markov2_open(struct corpus *corpus, const struct run_config *config, struct error *error) {
  struct markov2 *source = memory_get(sizeof *source);
  corpus->ops = &markov2_ops;
  corpus->state = source;
  source->symbols = config->corpus.markov2_vocabulary;
  source->seed = (uint64_t)config->corpus.seed;
  source->key = hash64("markov2 rows", 12, source->seed);
  source->zipf = zipf_new(source->symbols, config->corpus.markov2_exponent);
  corpus->vocabulary = source->symbols;
  corpus->has_mask = true;
  struct json_writer json = json_writer(&corpus->manifest, true);
  json_object_begin(&json);
  json_key_string(&json, "corpus", "markov2");
  json_key_integer(&json, "version", 1);
  json_key_integer(&json, "vocabulary", source->symbols);
  json_key_number(&json, "exponent", config->corpus.markov2_exponent);
  json_key_integer(&json, "seed", config->corpus.seed);
  // The loss below is left out of the digest: its last bits depend on the mathematics library.
  synthetic_digest(corpus);
  json_key_number(&json, "irreducible_loss", source->zipf.entropy);
  json_object_end(&json);
  return true;
}
