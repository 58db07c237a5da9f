// Text of a corpus for people.
#include <stdlib.h>
#include <string.h>

#include "trainer/data/corpus.h"
#include "trainer/data/tokenizer.h"

int64_t corpus_nearest_context(const struct corpus *corpus, int64_t wanted) {
  for (int64_t context = wanted; context > 1; context--) {
    struct error unfit = {0};
    if (corpus_check_context(corpus, context, &unfit)) return context;
  }
  return 1;
}

bool corpus_sample(const struct corpus *corpus, int64_t lines, struct text *out, struct error *error) {
  int64_t context = corpus_nearest_context(corpus, 1024);
  const struct tokenizer *tokenizer = corpus_tokenizer(corpus);
  bool records = corpus_has_mask(corpus) && (!tokenizer || tokenizer->kind == TOKENIZER_NUMBERS);
  int64_t windows = 2048 / context + 1, there = corpus_validation_windows(corpus, context);
  if (windows > there) windows = there;
  int32_t *inputs = memory_get((size_t)(windows * context) * sizeof *inputs);
  int32_t *targets = memory_get((size_t)(windows * context) * sizeof *targets);
  bool fine = corpus_validation(corpus, 0, windows, context, inputs, targets, NULL, error);
  for (int64_t i = 0; fine && i < windows; i++) {
    fine = corpus_decode(corpus, inputs + i * context, context, out, error);
    // Synthetic records stand alone: a line each, with their last target.
    struct text last = {0};
    if (fine && records) fine = corpus_decode(corpus, targets + (i + 1) * context - 1, 1, &last, error);
    if (last.length) text_format(out, " -> %s\n", text_string(&last));
    text_free(&last);
  }
  free(inputs);
  free(targets);
  const char *at = text_string(out);
  for (int64_t i = 0; i < lines && at; i++) {
    at = strchr(at, '\n');
    if (at) at++;
  }
  if (at && *at) out->bytes[out->length = (size_t)(at - out->bytes)] = '\0';
  // Text without line ends: no more than lines of 200 bytes would be, cut between characters.
  size_t most = (size_t)(lines > 0 ? lines : 0) * 200;
  if (out->length > most) out->bytes[out->length = utf8_valid_prefix(out->bytes, most)] = '\0';
  return fine;
}
