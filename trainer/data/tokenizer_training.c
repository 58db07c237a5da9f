// See tokenizer_training.h.
#include "trainer/data/tokenizer_training.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/data/sentencepiece_face.h"

enum { SAMPLE_BYTES = 8 << 20, LONGEST_LINE = 4096, RECIPE = 1 };

struct sample {
  struct sentencepiece_line *lines;
  size_t count, capacity, bytes;
};

static void add_line(struct sample *sample, const char *text, size_t length) {
  if (length == 0) return;
  if (sample->count == sample->capacity) {
    sample->capacity = sample->capacity ? 2 * sample->capacity : 1024;
    sample->lines = memory_grow(sample->lines, sample->capacity * sizeof *sample->lines);
  }
  sample->lines[sample->count++] = (struct sentencepiece_line){text, length};
  sample->bytes += length;
}

// Lines of a document; longer ones than the library likes are cut between characters.
static void add_document(struct sample *sample, const char *at, size_t length) {
  const char *end = at + length;
  while (at < end) {
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    if (!stop) stop = end;
    while (stop - at > LONGEST_LINE) {
      const char *cut = at + LONGEST_LINE;
      while (((unsigned char)*cut & 0xC0) == 0x80) cut--;
      add_line(sample, at, (size_t)(cut - at));
      at = cut;
    }
    add_line(sample, at, (size_t)(stop - at));
    at = stop + 1;
  }
}

static void keep_model(void *context, const char *bytes, size_t length) { text_append(context, bytes, length); }

// The library reports failures as conditions of its source; the ones a user can mend are said in our words.
static bool training_error(const char *message, int64_t vocabulary, size_t bytes, struct error *error) {
  if (strstr(message, "required_chars"))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "corpus.vocabulary %lld is too small for sentencepiece on this text: 256 bytes, two control tokens "
        "and every frequent character need a place",
        (long long)vocabulary);
  if (strstr(message, "too high") || strstr(message, "trainer_spec_.vocab_size()"))
    return error_set(error, EXIT_USAGE_ERROR,
                     "corpus.vocabulary %lld is too large for sentencepiece on %zu bytes of text: take a smaller one",
                     (long long)vocabulary, bytes) ||
           error_about(error, "corpus.vocabulary", NULL);
  return error_set(error, EXIT_USAGE_ERROR, "sentencepiece cannot be trained on this text: %s", message);
}

bool tokenizer_train(struct tokenizer *tokenizer, const struct documents *documents, int64_t vocabulary,
                     struct error *error) {
  if (!tokenizer_needs_sentencepiece(error)) return false;
  struct sample sample = {0};
  struct hasher *hasher = hasher_new();
  for (size_t i = documents->validation_count; i < documents->count && sample.bytes < SAMPLE_BYTES; i++) {
    const struct document_piece *piece = &documents->items[i];
    add_document(&sample, piece->bytes, piece->length);
    uint64_t length = piece->length;
    hasher_add(hasher, &length, sizeof length);
    hasher_add(hasher, piece->bytes, piece->length);
  }
  int64_t recipe[2] = {RECIPE, vocabulary};
  hasher_add(hasher, recipe, sizeof recipe);
  struct digest key = hasher_end(hasher);

  struct arena arena = {0};
  struct text model = {0};
  char message[500] = "";
  char *folder = path_join(&arena, isoloss_cache(&arena), "tokenizers");
  char *path = arena_format(&arena, "%s/%s.model", folder, key.hex);
  size_t length = 0;
  struct error unread = {0};
  const char *cached = file_exists(path) ? file_read(&arena, path, &length, &unread) : NULL;
  bool fine =
      cached && tokenizer_load(tokenizer, cached, length, true, path, &unread) && tokenizer->vocabulary == vocabulary;
  if (!fine) {
    if (cached) tokenizer_free(tokenizer);
    fine = sentencepiece_train(sample.lines, sample.count, vocabulary, keep_model, &model, message, sizeof message);
    if (!fine) training_error(message, vocabulary, sample.bytes, error);
    fine = fine && folder_make(folder, error) && file_write_atomic(path, model.bytes, model.length, error) &&
           tokenizer_load(tokenizer, model.bytes, model.length, true, path, error);
    if (fine && tokenizer->vocabulary != vocabulary)
      fine = error_set(error, EXIT_USAGE_ERROR,
                       "sentencepiece found only %lld pieces in this text, corpus.vocabulary asks for %lld",
                       (long long)tokenizer->vocabulary, (long long)vocabulary) ||
             error_about(error, "corpus.vocabulary", NULL);
  }
  free(sample.lines);
  text_free(&model);
  arena_free(&arena);
  return fine;
}
