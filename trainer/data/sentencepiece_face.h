// A small C face of the sentencepiece C++ library (Kudo & Richardson 2018). No exception and no message of the library
// passes through it. Functions return false with a text in `message` (of `room` bytes).
#pragma once
#ifdef __cplusplus
extern "C" {
#endif
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether this build has the library; without it nothing can be loaded or trained (sentencepiece_absent.c).
bool sentencepiece_present(void);

struct piece_model;

// A model from its serialized bytes; NULL when they are none. Freed by sentencepiece_free.
struct piece_model *sentencepiece_load(const void *model, size_t length, char *message, size_t room);
void sentencepiece_free(struct piece_model *model);

int32_t sentencepiece_vocabulary(const struct piece_model *model);
int32_t sentencepiece_end_id(const struct piece_model *model);             // of </s>, or -1
int32_t sentencepiece_byte_id(const struct piece_model *model, int byte);  // of <0xNN>, or -1
// Bytes of text that a piece stands for when nothing is normalised (▁ is one space), and those bytes: *text points into
// the model. Control and unknown pieces have none.
int32_t sentencepiece_piece(const struct piece_model *model, int32_t id, const char **text);

// Receives the tokens of a text one by one, each with the number of bytes of the text that it covers.
typedef void sentencepiece_token(void *context, int32_t id, size_t bytes);
// `exact`: the model normalises nothing, so that lengths follow from the pieces (faster); otherwise the library says
// which part of the text each piece covers.
bool sentencepiece_encode(const struct piece_model *model, const char *text, size_t length, bool exact,
                          sentencepiece_token *token, void *context, char *message, size_t room);
// Receives a text, once.
typedef void sentencepiece_text(void *context, const char *text, size_t length);
bool sentencepiece_decode(const struct piece_model *model, const int32_t *ids, size_t count, sentencepiece_text *result,
                          void *context, char *message, size_t room);

struct sentencepiece_line {
  const char *text;
  size_t length;
};
// Trains a BPE model with byte fallback, </s> as id 1 and no normalisation on the lines, on one thread: the same lines
// give the same bytes. The serialized model goes to `result`.
bool sentencepiece_train(const struct sentencepiece_line *lines, size_t count, int64_t vocabulary,
                         sentencepiece_text *result, void *context, char *message, size_t room);
#ifdef __cplusplus
}
#endif
