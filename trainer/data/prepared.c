// A prepared corpus: two token files, a manifest and, for sentencepiece, the model, in one folder. Its windows, their
// order, and everything else of struct corpus_ops.
#include "trainer/data/prepared.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/data/permutation.h"
#include "trainer/data/source.h"
#include "trainer/data/token_file.h"
#include "trainer/data/tokenizer.h"

struct prepared {
  struct token_file train, validation;
  struct arena arena;  // paths
  const char *train_path, *validation_path;
  struct tokenizer tokenizer;
};

void prepared_digest(const struct token_file_header *train, const struct token_file_header *validation,
                     char digest[40]) {
  struct text text = {0};
  text_format(&text, "isoloss corpus %d\n%s\n%s\n%llu\n%s\n%s\n", TOKEN_FILE_VERSION, train->tokenizer,
              train->tokenizer_digest, (unsigned long long)train->vocabulary, train->content_digest,
              validation->content_digest);
  struct digest hash = digest_string(text_string(&text));
  snprintf(digest, 40, "%s", hash.hex);
  text_free(&text);
}

// ---- Windows ----

// Training windows of an epoch: as many as fit wherever the cut between them is moved to; at least one when there is
// room for one at all.
static int64_t train_windows(const struct prepared *source, int64_t context) {
  int64_t tokens = (int64_t)source->train.header->tokens;
  if (tokens < context + 1) return 0;
  int64_t windows = tokens / context - 1;
  return windows < 1 ? 1 : windows;
}

static int64_t prepared_validation_windows(const struct corpus *corpus, int64_t context) {
  const struct prepared *source = corpus->state;
  int64_t tokens = (int64_t)source->validation.header->tokens;
  return tokens < 1 ? 0 : (tokens - 1) / context;
}

// Where the windows of an epoch start, in tokens: offset + permuted * context.
struct epoch_order {
  int64_t epoch, offset;
  struct permutation windows;
};

static struct epoch_order order_of_epoch(const struct prepared *source, uint64_t seed, int64_t epoch, int64_t context) {
  int64_t windows = train_windows(source, context);
  int64_t spare = (int64_t)source->train.header->tokens - 1 - windows * context;  // at least 0
  uint32_t words[4];
  random_words(seed, RANDOM_STREAM_BATCH, (uint64_t)epoch, 0, words);
  return (struct epoch_order){
      .epoch = epoch,
      .offset = (int64_t)random_below(seed, RANDOM_STREAM_BATCH, (uint64_t)epoch, 1, (uint64_t)spare + 1),
      .windows = permutation((uint64_t)words[0] << 32 | words[1], (uint64_t)windows)};
}

// The validation windows in their fixed order.
static struct permutation validation_order(const struct corpus *corpus, int64_t context) {
  return permutation(0x76616C6964617465u, (uint64_t)prepared_validation_windows(corpus, context));
}

// One window: context + 1 tokens from `start`.
static bool read_window(const struct token_file *file, const char *path, int64_t start, int64_t context,
                        int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  uint32_t largest = 0;
  for (int64_t i = 0; i < context; i++) {
    uint32_t token = token_at(file, (uint64_t)(start + i)), next = token_at(file, (uint64_t)(start + i + 1));
    largest |= token >= file->header->vocabulary;
    largest |= next >= file->header->vocabulary;
    inputs[i] = (int32_t)token;
    targets[i] = (int32_t)next;
  }
  for (int64_t i = 0; mask && i < context; i++) mask[i] = file->mask ? file->mask[start + 1 + i] : 1;
  if (largest)
    return error_set(error, EXIT_ENVIRONMENT,
                     "%s holds a token outside its vocabulary of %llu near token %lld: the file is damaged; remove its "
                     "folder and run isoloss data prepare",
                     path, (unsigned long long)file->header->vocabulary, (long long)start);
  return true;
}

static bool prepared_check_context(const struct corpus *corpus, int64_t context, struct error *error) {
  const struct prepared *source = corpus->state;
  if (train_windows(source, context) < 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the corpus has %llu training tokens, too few for one window of model.context %lld + 1",
                     (unsigned long long)source->train.header->tokens, (long long)context) ||
           error_about(error, "model.context", NULL);
  if (prepared_validation_windows(corpus, context) < 1)
    return error_set(error, EXIT_USAGE_ERROR,
                     "the validation split has %llu tokens, too few for one window of model.context %lld + 1: a larger "
                     "corpus.validation_fraction or more text is needed",
                     (unsigned long long)source->validation.header->tokens, (long long)context) ||
           error_about(error, "model.context", "corpus.validation_fraction", NULL);
  return true;
}

static bool prepared_batch(const struct corpus *corpus, const struct corpus_batch *request, int32_t *inputs,
                           int32_t *targets, uint8_t *mask, struct error *error) {
  const struct prepared *source = corpus->state;
  int64_t windows = train_windows(source, request->context), context = request->context;
  struct epoch_order order = {.epoch = -1};
  for (int64_t i = 0; i < request->rows; i++) {
    // Wide arithmetic: a long run's window number must not wrap.
    __int128 number = (__int128)request->step * request->batch_rows + request->first_row + i;
    int64_t epoch = (int64_t)(number / windows);
    if (epoch != order.epoch) order = order_of_epoch(source, request->seed, epoch, context);
    int64_t window = (int64_t)permute(&order.windows, (uint64_t)(number % windows));
    if (!read_window(&source->train, source->train_path, order.offset + window * context, context, inputs + i * context,
                     targets + i * context, mask ? mask + i * context : NULL, error))
      return false;
  }
  return true;
}

static int64_t prepared_epoch(const struct corpus *corpus, int64_t step, int64_t batch_rows, int64_t context) {
  int64_t windows = train_windows(corpus->state, context);
  return windows < 1 ? 0 : (int64_t)((__int128)step * batch_rows / windows);
}

static bool prepared_validation(const struct corpus *corpus, int64_t first_window, int64_t windows, int64_t context,
                                int32_t *inputs, int32_t *targets, uint8_t *mask, struct error *error) {
  const struct prepared *source = corpus->state;
  struct permutation order = validation_order(corpus, context);
  for (int64_t i = 0; i < windows; i++) {
    int64_t window = (int64_t)permute(&order, (uint64_t)(first_window + i));
    if (!read_window(&source->validation, source->validation_path, window * context, context, inputs + i * context,
                     targets + i * context, mask ? mask + i * context : NULL, error))
      return false;
  }
  return true;
}

static double prepared_validation_bytes(const struct corpus *corpus, int64_t first_window, int64_t windows,
                                        int64_t context) {
  const struct prepared *source = corpus->state;
  const struct token_file *file = &source->validation;
  if (source->tokenizer.kind == TOKENIZER_NUMBERS) return NAN;
  struct permutation order = validation_order(corpus, context);
  int64_t bytes = 0;
  for (int64_t i = 0; i < windows; i++) {
    int64_t start = (int64_t)permute(&order, (uint64_t)(first_window + i)) * context + 1;
    for (int64_t j = start; j < start + context; j++) {
      if (file->mask && !file->mask[j]) continue;
      bytes += file->lengths ? file->lengths[j] : token_at(file, (uint64_t)j) != file->header->end_token;
    }
  }
  return (double)bytes;
}

static void prepared_facts(const struct corpus *corpus, int64_t context, struct corpus_facts *facts) {
  const struct prepared *source = corpus->state;
  facts->train_tokens = train_windows(source, context) * context;
  facts->bytes_per_token =
      source->tokenizer.kind == TOKENIZER_NUMBERS ? (double)NAN : source->validation.header->bytes_per_token;
  facts->validation_documents = (int64_t)source->validation.header->documents;
  const struct token_file_header *header = source->train.header;
  if (header->has_mask && header->tokens) facts->targets_per_token = (double)header->targets / (double)header->tokens;
}

// ---- Opening and the rest ----

static bool prepared_decode(const struct corpus *corpus, const int32_t *tokens, int64_t count, struct text *out,
                            struct error *error) {
  const struct prepared *source = corpus->state;
  if (source->tokenizer.kind == TOKENIZER_NUMBERS) return decode_numbers(tokens, count, out);
  return tokenizer_decode(&source->tokenizer, tokens, count, out, error);
}

static bool prepared_check_targets(const struct corpus *corpus, struct error *error) {
  const struct prepared *source = corpus->state;
  const struct token_file *const files[] = {&source->train, &source->validation};
  for (int i = 0; i < 2; i++)
    if (files[i]->header->has_mask && files[i]->header->targets == 0)
      return error_set(error, EXIT_USAGE_ERROR, "the mask leaves no target in the %s split: there is nothing to %s",
                       i ? "validation" : "training", i ? "evaluate on" : "train on") ||
             error_about(error, "corpus.files", NULL);
  return true;
}

static const struct tokenizer *prepared_tokenizer(const struct corpus *corpus) {
  const struct prepared *source = corpus->state;
  return &source->tokenizer;
}

static bool prepared_verify(const struct corpus *corpus, struct error *error) {
  const struct prepared *source = corpus->state;
  return token_file_verify(&source->train, source->train_path, error) &&
         token_file_verify(&source->validation, source->validation_path, error);
}

static void prepared_close(struct corpus *corpus) {
  struct prepared *source = corpus->state;
  token_file_close(&source->train);
  token_file_close(&source->validation);
  tokenizer_free(&source->tokenizer);
  arena_free(&source->arena);
  free(source);
}

static const struct corpus_ops prepared_ops = {.close = prepared_close,
                                               .check_context = prepared_check_context,
                                               .validation_windows = prepared_validation_windows,
                                               .batch = prepared_batch,
                                               .validation = prepared_validation,
                                               .facts = prepared_facts,
                                               .decode = prepared_decode,
                                               .validation_bytes = prepared_validation_bytes,
                                               .epoch = prepared_epoch,
                                               .tokenizer = prepared_tokenizer,
                                               .check_targets = prepared_check_targets,
                                               .verify = prepared_verify};

// The tokenizer that the header names; a sentencepiece model lies next to the tokens.
static bool open_tokenizer(struct prepared *source, const char *path, struct error *error) {
  const struct token_file_header *header = source->train.header;
  if (starts_with(header->tokenizer, "sentencepiece")) {
    size_t length;
    const char *model_path = path_join(&source->arena, path, "tokenizer.model");
    const char *model = file_read(&source->arena, model_path, &length, error);
    if (!model || !tokenizer_load(&source->tokenizer, model, length, strcmp(header->tokenizer, TOKENIZER_TRAINED) == 0,
                                  model_path, error))
      return false;
    if (strcmp(source->tokenizer.digest, header->tokenizer_digest) != 0)
      return error_set(error, EXIT_ENVIRONMENT,
                       "%s is not the model that the tokens were made with: remove the folder and run isoloss data "
                       "prepare",
                       model_path);
    return true;
  }
  source->tokenizer = strcmp(header->tokenizer, "bytes") == 0
                          ? tokenizer_bytes()
                          : tokenizer_numbers((int)header->width, (int64_t)header->vocabulary);
  return true;
}

bool prepared_open(struct corpus *corpus, const char *path, struct error *error) {
  struct prepared *source = memory_get(sizeof *source);
  corpus->ops = &prepared_ops;
  corpus->state = source;
  source->train_path = path_join(&source->arena, path, "train.tokens");
  source->validation_path = path_join(&source->arena, path, "validation.tokens");
  if (!file_exists(path))
    return error_set(error, EXIT_ENVIRONMENT, "corpus folder %s is not there: isoloss data prepare makes it", path);
  if (!token_file_open(&source->train, source->train_path, error) ||
      !token_file_open(&source->validation, source->validation_path, error))
    return false;
  const struct token_file_header *train = source->train.header, *validation = source->validation.header;
  if (train->vocabulary != validation->vocabulary || train->width != validation->width ||
      train->end_token != validation->end_token || train->has_mask != validation->has_mask ||
      strcmp(train->tokenizer, validation->tokenizer) != 0 ||
      strcmp(train->tokenizer_digest, validation->tokenizer_digest) != 0)
    return error_set(error, EXIT_ENVIRONMENT,
                     "%s: train.tokens and validation.tokens belong to different corpora: remove the folder and run "
                     "isoloss data prepare",
                     path);
  prepared_digest(train, validation, corpus->digest);
  corpus->vocabulary = (int64_t)train->vocabulary;
  corpus->has_mask = train->has_mask;
  size_t length;
  const char *manifest = file_read(&source->arena, path_join(&source->arena, path, "manifest.json"), &length, error);
  if (!manifest) return false;
  text_append(&corpus->manifest, manifest, length);
  return open_tokenizer(source, path, error);
}
