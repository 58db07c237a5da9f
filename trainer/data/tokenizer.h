// Tokenizers: text to token ids and back.
//   bytes          a token a byte, 256 the end of a document
//   sentencepiece  a model trained on the corpus (BPE with byte fallback), or an existing .model file
//   numbers        files of tokens: nothing to encode
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

// Names of sentencepiece tokenizers in token files.
#define TOKENIZER_TRAINED "sentencepiece"
#define TOKENIZER_FOREIGN "sentencepiece-model"

#define TOKENIZER_NO_END UINT64_MAX  // no token ends documents

enum tokenizer_kind { TOKENIZER_BYTES, TOKENIZER_SENTENCEPIECE, TOKENIZER_NUMBERS };

struct tokenizer {
  enum tokenizer_kind kind;
  char name[128];   // as in token files' headers
  char digest[40];  // of the model; of the name for the others
  int64_t vocabulary;
  uint64_t end_token;         // TOKENIZER_NO_END when documents are not marked
  bool exact;                 // a model trained here: nothing is normalised, decoding gives the text back
  struct piece_model *model;  // owned
  struct text model_bytes;    // sentencepiece: the model as stored
};

// A document's tokens as they are encoded; all zeroes is empty and ready. `lengths` are bytes of text a token stands
// for.
struct token_buffer {
  uint32_t *tokens;
  uint16_t *lengths;
  size_t count, room;
};
void token_buffer_add(struct token_buffer *buffer, uint32_t token, uint16_t length);
void token_buffer_free(struct token_buffer *buffer);

struct tokenizer tokenizer_bytes(void);
// Files of tokens with a stated vocabulary; `width` 2 or 4.
struct tokenizer tokenizer_numbers(int width, int64_t vocabulary);
// False with an error (EXIT_ENVIRONMENT) where this build has no sentencepiece.
bool tokenizer_needs_sentencepiece(struct error *error);
// From the bytes of a sentencepiece model. `exact` is for models trained here (tokenizer_train): text is cut at line
// ends and other bytes that the model writes byte by byte anyway, so that decoding gives the text back exactly; a
// foreign model sees whole documents, with whatever normalisation it brings.
bool tokenizer_load(struct tokenizer *tokenizer, const void *model, size_t length, bool exact, const char *where,
                    struct error *error);
void tokenizer_free(struct tokenizer *tokenizer);

// Appends the tokens of one document, the end token included. Text that is not UTF-8 is an error for sentencepiece. May
// be called by several threads at once with buffers of their own.
bool tokenizer_encode(const struct tokenizer *tokenizer, const char *bytes, size_t length, struct token_buffer *buffer,
                      struct error *error);
// Appends the text of the tokens; an end token becomes two line ends.
bool tokenizer_decode(const struct tokenizer *tokenizer, const int32_t *tokens, int64_t count, struct text *out,
                      struct error *error);
