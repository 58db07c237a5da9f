// See tokenizer.h.
#include "trainer/data/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "trainer/data/sentencepiece_face.h"
#include "trainer/data/token_file.h"

_Static_assert(TOKENIZER_NO_END == TOKEN_FILE_NO_END, "as token files write it");
enum { BYTES_END = 256, BYTES_VOCABULARY = 257 };

void token_buffer_add(struct token_buffer *buffer, uint32_t token, uint16_t length) {
  if (buffer->count == buffer->room) {
    buffer->room = buffer->room ? buffer->room * 2 : 4096;
    buffer->tokens = memory_grow(buffer->tokens, buffer->room * sizeof *buffer->tokens);
    buffer->lengths = memory_grow(buffer->lengths, buffer->room * sizeof *buffer->lengths);
  }
  buffer->tokens[buffer->count] = token;
  buffer->lengths[buffer->count++] = length;
}

void token_buffer_free(struct token_buffer *buffer) {
  free(buffer->tokens);
  free(buffer->lengths);
  *buffer = (struct token_buffer){0};
}

static void name_digest(struct tokenizer *tokenizer) {
  struct digest digest = digest_string(tokenizer->name);
  snprintf(tokenizer->digest, sizeof tokenizer->digest, "%s", digest.hex);
}

struct tokenizer tokenizer_bytes(void) {
  struct tokenizer tokenizer = {
      .kind = TOKENIZER_BYTES, .name = "bytes", .vocabulary = BYTES_VOCABULARY, .end_token = BYTES_END};
  name_digest(&tokenizer);
  return tokenizer;
}

struct tokenizer tokenizer_numbers(int width, int64_t vocabulary) {
  struct tokenizer tokenizer = {.kind = TOKENIZER_NUMBERS, .vocabulary = vocabulary, .end_token = TOKEN_FILE_NO_END};
  snprintf(tokenizer.name, sizeof tokenizer.name, "uint%d", 8 * width);
  name_digest(&tokenizer);
  return tokenizer;
}

bool tokenizer_needs_sentencepiece(struct error *error) {
  return sentencepiece_present() ||
         error_set(error, EXIT_ENVIRONMENT,
                   "isoloss was built without sentencepiece: install libsentencepiece-dev and call ./setup, or use "
                   "corpus.tokenizer: bytes") ||
         error_about(error, "corpus.tokenizer", NULL);
}

bool tokenizer_load(struct tokenizer *tokenizer, const void *model, size_t length, bool exact, const char *where,
                    struct error *error) {
  char message[500] = "";
  *tokenizer = (struct tokenizer){.kind = TOKENIZER_SENTENCEPIECE, .exact = exact};
  if (!tokenizer_needs_sentencepiece(error)) return false;
  tokenizer->model = sentencepiece_load(model, length, message, sizeof message);
  if (!tokenizer->model)
    return error_set(error, EXIT_USAGE_ERROR, "%s is not a sentencepiece model: %s", where, message);
  snprintf(tokenizer->name, sizeof tokenizer->name, exact ? TOKENIZER_TRAINED : TOKENIZER_FOREIGN);
  struct digest digest = digest_bytes(model, length);
  snprintf(tokenizer->digest, sizeof tokenizer->digest, "%s", digest.hex);
  tokenizer->vocabulary = sentencepiece_vocabulary(tokenizer->model);
  int32_t end = sentencepiece_end_id(tokenizer->model);
  tokenizer->end_token = end >= 0 ? (uint64_t)end : TOKEN_FILE_NO_END;
  text_append(&tokenizer->model_bytes, model, length);
  for (int byte = 0; exact && byte < 256; byte++)
    if (sentencepiece_byte_id(tokenizer->model, byte) < 0)
      return error_set(error, EXIT_ENVIRONMENT, "%s has no token for byte %d", where, byte);
  return true;
}

void tokenizer_free(struct tokenizer *tokenizer) {
  if (tokenizer->model) sentencepiece_free(tokenizer->model);
  text_free(&tokenizer->model_bytes);
  *tokenizer = (struct tokenizer){0};
}

static void add_token(void *context, int32_t id, size_t bytes) {
  // A piece that covers more than 65,535 bytes can only come of a model that drops most of a text.
  token_buffer_add(context, (uint32_t)id, bytes > UINT16_MAX ? UINT16_MAX : (uint16_t)bytes);
}

// Length of what must be written byte by byte at `at`: a line end (the model never saw one), a NUL, or U+2581, which is
// how the library writes a space. 0 when the library may have it.
static size_t literal_length(const char *at, const char *end) {
  if (*at == '\n' || *at == '\0') return 1;
  return end - at >= 3 && memcmp(at, "\xE2\x96\x81", 3) == 0 ? 3 : 0;
}

static bool encode_exact(const struct tokenizer *tokenizer, const char *bytes, size_t length,
                         struct token_buffer *buffer, char *message, size_t room) {
  const char *at = bytes, *end = bytes + length;
  while (at < end) {
    size_t literal = literal_length(at, end);
    if (literal) {
      for (size_t i = 0; i < literal; i++)
        token_buffer_add(buffer, (uint32_t)sentencepiece_byte_id(tokenizer->model, (unsigned char)at[i]), 1);
      at += literal;
      continue;
    }
    const char *stop = at;
    while (stop < end && !literal_length(stop, end)) stop++;
    if (!sentencepiece_encode(tokenizer->model, at, (size_t)(stop - at), true, add_token, buffer, message, room))
      return false;
    at = stop;
  }
  return true;
}

bool tokenizer_encode(const struct tokenizer *tokenizer, const char *bytes, size_t length, struct token_buffer *buffer,
                      struct error *error) {
  char message[500] = "";
  bool fine = true;
  if (tokenizer->kind == TOKENIZER_BYTES) {
    for (size_t i = 0; i < length; i++) token_buffer_add(buffer, (unsigned char)bytes[i], 1);
  } else if (tokenizer->kind == TOKENIZER_SENTENCEPIECE) {
    size_t valid = utf8_valid_prefix(bytes, length);
    if (valid < length)
      return error_set(error, EXIT_USAGE_ERROR,
                       "byte %zu is not UTF-8, which sentencepiece needs: convert the text, or use corpus.tokenizer: "
                       "bytes",
                       valid) ||
             error_about(error, "corpus.tokenizer", NULL);
    fine = tokenizer->exact ? encode_exact(tokenizer, bytes, length, buffer, message, sizeof message)
                            : sentencepiece_encode(tokenizer->model, bytes, length, false, add_token, buffer, message,
                                                   sizeof message);
  } else {
    fine = error_set(error, EXIT_USAGE_ERROR, "files of tokens are not encoded");
  }
  if (!fine) return error_set(error, EXIT_ENVIRONMENT, "sentencepiece cannot encode: %s", message);
  if (tokenizer->end_token != TOKEN_FILE_NO_END) token_buffer_add(buffer, (uint32_t)tokenizer->end_token, 0);
  return true;
}

static void add_text(void *context, const char *text, size_t length) { text_append(context, text, length); }

bool tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *tokens, int64_t count, struct text *out,
                      struct error *error) {
  char message[500] = "";
  for (int64_t i = 0; i < count; i++) {
    if (tokens[i] < 0 || tokens[i] >= tokenizer->vocabulary)
      return error_set(error, EXIT_USAGE_ERROR, "token %d is outside the vocabulary of %lld", tokens[i],
                       (long long)tokenizer->vocabulary);
    if ((uint64_t)tokens[i] == tokenizer->end_token) {
      text_add(out, "\n\n");
    } else if (tokenizer->kind == TOKENIZER_BYTES) {
      text_char(out, (char)tokens[i]);
    } else if (tokenizer->exact) {
      const char *piece = "";
      int32_t length = sentencepiece_piece(tokenizer->model, tokens[i], &piece);
      text_append(out, piece, (size_t)length);
    } else {
      // A foreign model's pieces depend on each other (leading spaces): a document at a time.
      int64_t stop = i;
      while (stop < count && (uint64_t)tokens[stop] != tokenizer->end_token && tokens[stop] >= 0 &&
             tokens[stop] < tokenizer->vocabulary)
        stop++;
      if (!sentencepiece_decode(tokenizer->model, tokens + i, (size_t)(stop - i), add_text, out, message,
                                sizeof message))
        return error_set(error, EXIT_ENVIRONMENT, "sentencepiece cannot decode: %s", message);
      i = stop - 1;
    }
  }
  return true;
}
