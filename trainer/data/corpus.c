// The common part of every corpus; see corpus.h. What differs is behind struct corpus_ops.
#include "trainer/data/corpus.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/mixture.h"
#include "trainer/data/request.h"
#include "trainer/data/source.h"

struct corpus *corpus_open(const char *path, const char *digest, const struct run_config *config, struct error *error) {
  struct corpus *corpus = memory_get(sizeof *corpus);
  bool fine;
  if (path && *path) {
    fine = (mixture_is_folder(path) ? mixture_open_folder(corpus, path, error) : prepared_open(corpus, path, error)) &&
           (!config || !(config->corpus.suites_share > 0) || mixed_wrap(corpus, config, error));
  } else if (!config) {
    fine = error_set(error, EXIT_USAGE_ERROR, "a corpus needs a folder or a configuration");
  } else {
    struct corpus_request request;
    fine = request_of(&request, config, error);
    if (fine && request.kind == CORPUS_ZIPFMEM)
      fine = zipfmem_open(corpus, config, error);
    else if (fine && request.kind == CORPUS_MARKOV2)
      fine = markov2_open(corpus, config, error);
    else if (fine && request.kind == CORPUS_SUITES)
      fine = suites_open(corpus, config, error);
    else if (fine && request.kind == CORPUS_MIXTURE && request.synthetic)
      fine = mixture_open_synthetic(corpus, config, error);
    else if (fine)
      fine = error_set(error, EXIT_USAGE_ERROR,
                       "corpus.source %s is text and must be prepared first (isoloss data prepare)", request.name) ||
             error_about(error, "corpus.source", NULL);
  }
  if (fine && digest && strcmp(digest, corpus->digest) != 0)
    fine = error_set(error, EXIT_USAGE_ERROR, "corpus %s%shas digest %s, but %s was asked for: plan the run again",
                     path ? path : "", path && *path ? " " : "", corpus->digest, digest);
  if (!fine) {
    corpus_close(corpus);
    return NULL;
  }
  return corpus;
}

void corpus_close(struct corpus *corpus) {
  if (!corpus) return;
  if (corpus->ops) corpus->ops->close(corpus);
  text_free(&corpus->manifest);
  free(corpus);
}

const char *corpus_digest(const struct corpus *corpus) { return corpus->digest; }
int64_t corpus_vocabulary(const struct corpus *corpus) { return corpus->vocabulary; }
const struct tokenizer *corpus_tokenizer(const struct corpus *corpus) {
  return corpus->ops->tokenizer ? corpus->ops->tokenizer(corpus) : NULL;
}
bool corpus_has_mask(const struct corpus *corpus) { return corpus->has_mask; }
const char *corpus_manifest(const struct corpus *corpus) { return text_string(&corpus->manifest); }

struct corpus_facts corpus_facts(const struct corpus *corpus, int64_t context) {
  struct corpus_facts facts = {.known = true,
                               .vocabulary = corpus->vocabulary,
                               .train_tokens = INT64_MAX,
                               .validation_documents = -1,
                               .bytes_per_token = NAN,
                               .targets_per_token = 1,
                               .irreducible_loss = NAN};
  snprintf(facts.digest, sizeof facts.digest, "%s", corpus->digest);
  facts.validation_tokens = corpus_validation_windows(corpus, context) * context;
  corpus->ops->facts(corpus, context, &facts);
  return facts;
}

bool corpus_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  if (context < 1)
    return error_set(error, EXIT_USAGE_ERROR, "model.context must be at least 1") ||
           error_about(error, "model.context", NULL);
  return corpus->ops->check_context(corpus, context, error);
}

bool corpus_check_targets(const struct corpus *corpus, struct error *error) {
  return !corpus->ops->check_targets || corpus->ops->check_targets(corpus, error);
}

static bool range_fits(int64_t first, int64_t count, int64_t total) {
  return first >= 0 && count >= 0 && count <= total && first <= total - count;
}

bool corpus_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs, int32_t *targets,
                  uint8_t *mask, struct error *error) {
  if (!corpus_check_context(corpus, request->context, error)) return false;
  if (request->step < 0 || request->batch_rows < 1 ||
      !range_fits(request->first_row, request->rows, request->batch_rows))
    return error_set(error, EXIT_USAGE_ERROR, "rows %lld to %lld are not within step %lld's batch of %lld rows",
                     (long long)request->first_row, (long long)(request->first_row + request->rows),
                     (long long)request->step, (long long)request->batch_rows);
  return corpus->ops->batch(corpus, request, inputs, targets, mask, error);
}

int64_t corpus_validation_windows(const struct corpus *corpus, int64_t context) {
  return context < 1 ? 0 : corpus->ops->validation_windows(corpus, context);
}

static bool check_validation(const struct corpus *corpus, int64_t first, int64_t windows, int64_t context,
                             struct error *error) {
  if (!corpus_check_context(corpus, context, error)) return false;
  int64_t total = corpus_validation_windows(corpus, context);
  if (!range_fits(first, windows, total))
    return error_set(error, EXIT_USAGE_ERROR, "validation windows %lld to %lld are not within the %lld there are",
                     (long long)first, (long long)(first + windows), (long long)total);
  return true;
}

bool corpus_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                       int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  return check_validation(corpus, first_window, windows, context, error) &&
         corpus->ops->validation(corpus, first_window, windows, context, inputs, targets, mask, error);
}

double corpus_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context) {
  struct error error = {0};
  if (!corpus->ops->validation_bytes || !check_validation(corpus, first_window, windows, context, &error)) return NAN;
  return corpus->ops->validation_bytes(corpus, first_window, windows, context);
}

bool corpus_oracle(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                   struct corpus_oracle *oracle) {
  struct error error = {0};
  *oracle = (struct corpus_oracle){NAN, NAN, 0};
  if (!corpus->ops->oracle || windows < 1 || !check_validation(corpus, first_window, windows, context, &error))
    return false;
  double sum = 0, squares = 0;
  int64_t targets = 0;
  for (int64_t i = 0; i < windows; i++)
    corpus->ops->oracle(corpus, first_window + i, context, &sum, &squares, &targets);
  oracle->targets = targets;
  oracle->loss = sum / (double)targets;
  double variance = squares / (double)targets - oracle->loss * oracle->loss;
  oracle->standard_error = sqrt(fmax(variance, 0) / (double)targets);
  return true;
}

int64_t corpus_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context) {
  return corpus->ops->epoch ? corpus->ops->epoch(corpus, step, batch_rows, context) : 0;
}

int corpus_part_count(const struct corpus *corpus) {
  return corpus->ops->part_count ? corpus->ops->part_count(corpus) : 0;
}

struct corpus_part corpus_part(const struct corpus *corpus, int part) {
  return corpus->ops->part(corpus, part);
}

int corpus_batch_part(const struct corpus *corpus, const struct corpus_batch *request, int64_t row) {
  return corpus->ops->batch_part ? corpus->ops->batch_part(corpus, request, row) : 0;
}

int corpus_validation_part(const struct corpus *corpus, int64_t window) {
  return corpus->ops->validation_part ? corpus->ops->validation_part(corpus, window) : 0;
}

bool corpus_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                   struct error *error) {
  return corpus->ops->decode(corpus, tokens, count, out, error);
}

bool corpus_verify(const struct corpus *corpus, struct error *error) {
  return !corpus->ops->verify || corpus->ops->verify(corpus, error);
}

bool decode_numbers(const int32_t *tokens, int64_t count, struct text *out) {
  for (int64_t i = 0; i < count; i++) text_format(out, "%s%lld", i ? " " : "", (long long)tokens[i]);
  return true;
}

void synthetic_digest(struct corpus *corpus) {
  struct digest hash = digest_string(text_string(&corpus->manifest));
  snprintf(corpus->digest, sizeof corpus->digest, "%s", hash.hex);
}
