// A text of whose training windows a share gives way to windows of the suites (suites.h): which ones, and what they
// hold, follows from seed, step and row. The validation split is the text's alone, so that losses stay the text's.
#include <stdlib.h>

#include "trainer/data/source.h"
#include "trainer/data/suites.h"

struct mixed {
  struct corpus *text;
  double share;
  struct suite_alphabet alphabet;
};

static struct corpus *text_of(const struct corpus *corpus) { return ((struct mixed *)corpus->state)->text; }

static void mixed_close(struct corpus *corpus) {
  corpus_close(text_of(corpus));
  free(corpus->state);
}

static bool mixed_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  const struct mixed *mixed = corpus->state;
  return suite_fits(mixed->alphabet.count, corpus->vocabulary, context, "corpus.suites_symbols", error) &&
         corpus_check_context(mixed->text, context, error);
}

static int64_t mixed_validation_windows(const struct corpus *corpus, int64_t context) {
  return corpus_validation_windows(text_of(corpus), context);
}

static bool mixed_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                        int32_t *targets, uint8_t *mask, struct error *error) {
  const struct mixed *mixed = corpus->state;
  if (!corpus_batch(mixed->text, request, inputs, targets, mask, error)) return false;
  for (int64_t i = 0; i < request->rows; i++) {
    struct suite_window window = {.seed = request->seed,
                                  .stream = RANDOM_STREAM_SYNTHETIC,
                                  .step = (uint64_t)request->step,
                                  .window = (uint64_t)(request->first_row + i)};
    int64_t at = i * request->context;
    if (suite_chosen(&window) < mixed->share)
      suite_write(&mixed->alphabet, suite_drawn(&window), &window, request->context, inputs + at, targets + at,
                  mask ? mask + at : NULL);
  }
  return true;
}

static bool mixed_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                             int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  return corpus_validation(text_of(corpus), first_window, windows, context, inputs, targets, mask, error);
}

static void mixed_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct mixed *mixed = corpus->state;
  mixed->text->ops->facts(mixed->text, context, facts);
  facts->targets_per_token = (1 - mixed->share) * facts->targets_per_token +
                             mixed->share * suite_targets_per_token(mixed->alphabet.count, context);
}

static bool mixed_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                         struct error *error) {
  return corpus_decode(text_of(corpus), tokens, count, out, error);
}

static double mixed_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows,
                                     int64_t context) {
  return corpus_validation_bytes(text_of(corpus), first_window, windows, context);
}

static int64_t mixed_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context) {
  return corpus_epoch(text_of(corpus), step, batch_rows, context);
}

static bool mixed_check_targets(const struct corpus *corpus, struct error *error) {
  return corpus_check_targets(text_of(corpus), error);
}

static const struct tokenizer *mixed_tokenizer(const struct corpus *corpus) {
  return corpus_tokenizer(text_of(corpus));
}

static bool mixed_verify(const struct corpus *corpus, struct error *error) {
  return corpus_verify(text_of(corpus), error);
}

static int mixed_part_count(const struct corpus *corpus) { return corpus_part_count(text_of(corpus)); }

static struct corpus_part mixed_part(const struct corpus *corpus, int part) {
  return corpus_part(text_of(corpus), part);
}

static int mixed_batch_part(const struct corpus *corpus, const struct corpus_batch *request, int64_t row) {
  return corpus_batch_part(text_of(corpus), request, row);
}

static int mixed_validation_part(const struct corpus *corpus, int64_t window) {
  return corpus_validation_part(text_of(corpus), window);
}

static const struct corpus_ops mixed_ops = {.close = mixed_close,
                                            .check_context = mixed_check_context,
                                            .validation_windows = mixed_validation_windows,
                                            .batch = mixed_batch,
                                            .validation = mixed_validation,
                                            .facts = mixed_facts,
                                            .decode = mixed_decode,
                                            .validation_bytes = mixed_validation_bytes,
                                            .epoch = mixed_epoch,
                                            .check_targets = mixed_check_targets,
                                            .tokenizer = mixed_tokenizer,
                                            .verify = mixed_verify,
                                            .part_count = mixed_part_count,
                                            .part = mixed_part,
                                            .batch_part = mixed_batch_part,
                                            .validation_part = mixed_validation_part};

bool mixed_wrap(struct corpus *corpus, const struct run_config *config, struct error *error) {
  struct mixed *mixed = memory_get(sizeof *mixed);
  mixed->text = memory_get(sizeof *mixed->text);
  *mixed->text = *corpus;
  mixed->share = config->corpus.suites_share;
  *corpus = (struct corpus){.ops = &mixed_ops, .vocabulary = mixed->text->vocabulary, .has_mask = true, .state = mixed};
  if (!suite_alphabet_of(mixed->text, config->corpus.suites_symbols, &mixed->alphabet, error))
    return error_about(error, "corpus.suites_symbols", NULL);
  struct json_writer json = json_writer(&corpus->manifest, true);
  json_object_begin(&json);
  json_key_string(&json, "corpus", "text and suites");
  json_key_integer(&json, "version", 1);
  json_key_string(&json, "text_digest", mixed->text->digest);
  json_key_number(&json, "suites_share", mixed->share);
  json_key_integer(&json, "suites_symbols", mixed->alphabet.count);
  synthetic_digest(corpus);
  json_key(&json, "text");
  json_put_raw(&json, corpus_manifest(mixed->text));
  json_object_end(&json);
  return true;
}
