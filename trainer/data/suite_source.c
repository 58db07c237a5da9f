// suites: the tasks of suites.h as a corpus of their own. A window is a record of one task, drawn anew for each; only
// answers count. They follow from what is before them, so that the loss of a model that knows the tasks is 0.
#include <stdlib.h>

#include "trainer/data/source.h"
#include "trainer/data/suites.h"

static const int64_t validation_tokens = 1 << 22;

struct suite_source {
  struct suite_alphabet alphabet;
  uint64_t seed;
};

static void suites_close(struct corpus *corpus) { free(corpus->state); }

bool suites_check(const struct run_config *config, struct error *error) {
  int64_t symbols = config->corpus.suites_symbols;
  return suite_fits(symbols, symbols + SUITE_EXTRA_TOKENS, config->model.context, "corpus.suites_symbols", error);
}

static bool suites_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  const struct suite_source *source = corpus->state;
  return suite_fits(source->alphabet.count, corpus->vocabulary, context, "corpus.suites_symbols", error);
}

static void write_drawn(const struct suite_source *source, const struct suite_window *window, int64_t at,
                        int64_t context, int32_t *inputs, int32_t *targets, uint8_t *mask) {
  suite_write(&source->alphabet, suite_drawn(window), window, context, inputs + at, targets + at,
              mask ? mask + at : NULL);
}

static bool suites_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                         int32_t *targets, uint8_t *mask, struct error *error) {
  for (int64_t i = 0; i < request->rows; i++) {
    struct suite_window window = {.seed = request->seed,
                                  .stream = RANDOM_STREAM_SYNTHETIC,
                                  .step = (uint64_t)request->step,
                                  .window = (uint64_t)(request->first_row + i)};
    write_drawn(corpus->state, &window, i * request->context, request->context, inputs, targets, mask);
  }
  return true;
}

static int64_t suites_validation_windows(const struct corpus *corpus, int64_t context) {
  return validation_tokens / context;
}

static struct suite_window validation_window(const struct suite_source *source, int64_t window) {
  return (struct suite_window){.seed = source->seed, .stream = RANDOM_STREAM_VALIDATION, .window = (uint64_t)window};
}

static bool suites_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                              int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  const struct suite_source *source = corpus->state;
  for (int64_t i = 0; i < windows; i++) {
    struct suite_window window = validation_window(source, first_window + i);
    write_drawn(source, &window, i * context, context, inputs, targets, mask);
  }
  return true;
}

static void suites_oracle(const struct corpus *corpus, int64_t window, int64_t context, double *sum, double *squares,
                          int64_t *targets) {
  const struct suite_source *source = corpus->state;
  struct suite_window drawn = validation_window(source, window);
  *targets += suite_answers(suite_drawn(&drawn), source->alphabet.count, context);
}

static void suites_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct suite_source *source = corpus->state;
  facts->irreducible_loss = 0;
  facts->targets_per_token = suite_targets_per_token(source->alphabet.count, context);
}

// As text has them: S symbols are the tokens 0 to S - 1.
static bool suites_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                          struct error *error) {
  static const char others[] = "=CIM";
  int64_t symbols = corpus->vocabulary - SUITE_EXTRA_TOKENS;
  for (int64_t i = 0; i < count; i++)
    text_char(out, tokens[i] >= symbols ? others[tokens[i] - symbols]
                   : tokens[i] < 10     ? (char)('0' + tokens[i])
                                        : (char)('a' + tokens[i] - 10));
  return true;
}

static const struct corpus_ops suites_ops = {.close = suites_close,
                                             .check_context = suites_check_context,
                                             .validation_windows = suites_validation_windows,
                                             .batch = suites_batch,
                                             .validation = suites_validation,
                                             .facts = suites_facts,
                                             .decode = suites_decode,
                                             .oracle = suites_oracle};

bool suites_open(struct corpus *corpus, const struct run_config *config, struct error *error) {
  struct suite_source *source = memory_get(sizeof *source);
  corpus->ops = &suites_ops;
  corpus->state = source;
  source->alphabet = suite_alphabet_from(config->corpus.suites_symbols, 0);
  source->seed = (uint64_t)config->corpus.seed;
  corpus->vocabulary = source->alphabet.count + SUITE_EXTRA_TOKENS;
  corpus->has_mask = true;
  struct json_writer json = json_writer(&corpus->manifest, true);
  json_object_begin(&json);
  json_key_string(&json, "corpus", "suites");
  json_key_integer(&json, "version", 1);
  json_key_integer(&json, "symbols", source->alphabet.count);
  json_key_integer(&json, "seed", config->corpus.seed);
  synthetic_digest(corpus);
  json_object_end(&json);
  return true;
}
