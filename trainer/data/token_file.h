// Token files: the split of a prepared corpus as it lies on disk, memory-mapped for reading.
//
//   header      4096 bytes, little-endian, with a checksum of its own
//   tokens      width bytes each (2 or 4)
//   bounds      uint64: where each document ends, in tokens, its end token included
//   lengths     uint16 a token: bytes of text it stands for (only where the tokenizer's tokens differ in that)
//   mask        uint8 a token: 1 when it counts as a target (only where the source carries one)
//
// The header holds the content digest (XXH3-128 over the four sections in this order). Opening checks the header and
// the file's size; token_file_verify reads all.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

enum { TOKEN_FILE_VERSION = 1, TOKEN_FILE_HEADER = 4096 };
#define TOKEN_FILE_NO_END UINT64_MAX  // vocabulary without an end token

struct token_file_header {
  char magic[8];  // "isoloss\x1a"
  uint32_t version, header_size;
  uint32_t width;  // 2 or 4
  uint32_t has_lengths, has_mask, reserved;
  uint64_t vocabulary, end_token;  // TOKEN_FILE_NO_END when there is none
  uint64_t tokens, documents, text_bytes;
  uint64_t targets;        // tokens that count (all of them without a mask)
  double bytes_per_token;  // NaN when unknown
  char tokenizer[128];     // "bytes", "sentencepiece 4096", ...
  char tokenizer_digest[40];
  char content_digest[40];
  char padding[TOKEN_FILE_HEADER - 8 * 4 - 8 * 7 - 128 - 40 - 40 - 8];
  uint64_t checksum;  // XXH3-64 of all bytes before it
};

struct token_file {
  void *mapping;
  size_t size;
  const struct token_file_header *header;
  const uint16_t *narrow;  // tokens of width 2, else NULL
  const uint32_t *wide;    // tokens of width 4, else NULL
  const uint64_t *bounds;
  const uint16_t *lengths;  // or NULL
  const uint8_t *mask;      // or NULL
};

// Maps and checks a file. Errors (EXIT_ENVIRONMENT): cannot be read, no token file, another version, truncated,
// damaged.
bool token_file_open(struct token_file *file, const char *path, struct error *error);
void token_file_close(struct token_file *file);
// Reads everything: content digest, token range, ascending bounds.
bool token_file_verify(const struct token_file *file, const char *path, struct error *error);
static inline uint32_t token_at(const struct token_file *file, uint64_t index) {
  return file->narrow ? file->narrow[index] : file->wide[index];
}

// Writing: documents one after the other, then end.
struct token_writer;
// `header` gives width, has_lengths, has_mask, vocabulary, end_token and the tokenizer's texts.
struct token_writer *token_writer_new(const char *path, const struct token_file_header *header, struct error *error);
// Adds a document's tokens (with its end token, when there is one). lengths and mask as the header says, else NULL.
bool token_writer_add(struct token_writer *writer, const uint32_t *tokens, size_t count, const uint16_t *lengths,
                      const uint8_t *mask, uint64_t text_bytes, struct error *error);
// Writes the other sections and the header, syncs, closes and frees. On failure of any call the file is left as it is
// (the caller removes the folder). *header (may be NULL) gets the finished header. `writer` NULL is an error already
// reported.
bool token_writer_end(struct token_writer *writer, struct token_file_header *header, struct error *error);
void token_writer_drop(struct token_writer *writer);  // closes and frees without finishing
