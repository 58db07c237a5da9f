// Fuzz target: any bytes as the token file of a prepared corpus, and a small valid one changed as the input says, line
// by line: OFFSET WIDTH VALUE (WIDTH bytes from OFFSET on become VALUE), or "size BYTES" (cut, or filled with zeros).
// The checksums are then made right again, so that what stands behind them is reached. Each is refused with a message,
// or every token, bound, length and mask can be read.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/data/token_file.h"

enum { MOST_SIZE = 1 << 16 };

static void look(const struct token_file *file, const char *path) {
  const struct token_file_header *header = file->header;
  struct error error = {0};
  uint64_t sum = 0, last = 0;
  bool sound = token_file_verify(file, path, &error);
  if (!sound && (!error.code || !*error.text)) abort();
  for (uint64_t i = 0; i < header->tokens; i++) {
    uint32_t token = token_at(file, i);
    if (sound && token >= header->vocabulary) abort();
    sum += token + (file->lengths ? file->lengths[i] : 0) + (file->mask ? file->mask[i] : 0);
  }
  for (uint64_t i = 0; i < header->documents; i++) {
    uint64_t bound = file->bounds[i];
    if (sound && (bound < last || bound > header->tokens)) abort();
    last = bound;
  }
  if (sum == UINT64_MAX) abort();  // never: reads every byte
}

static void try_bytes(const void *bytes, size_t size) {
  struct token_file file;
  struct error error = {0};
  const char *path = fuzz_file(bytes, size);
  if (token_file_open(&file, path, &error))
    look(&file, path);
  else if (error.code != EXIT_ENVIRONMENT || !*error.text || file.mapping)
    abort();
  token_file_close(&file);
}

// Two documents of four and three tokens with lengths and a mask.
static void make_valid(struct text *out) {
  static const uint32_t tokens[] = {5, 6, 7, 256, 9, 8, 256};
  static const uint16_t lengths[] = {1, 2, 3, 0, 1, 1, 0};
  static const uint8_t mask[] = {0, 1, 1, 1, 1, 0, 1};
  static char path[] = "/tmp/isoloss-fuzz-tokens-XXXXXX";
  struct token_file_header header = {.width = 2, .has_lengths = 1, .has_mask = 1, .vocabulary = 257, .end_token = 256};
  struct error error = {0};
  struct arena arena = {0};
  size_t length;
  int file = mkstemp(path);
  if (file < 0) abort();
  close(file);
  strcpy(header.tokenizer, "bytes");
  struct token_writer *writer = token_writer_new(path, &header, &error);
  if (!token_writer_add(writer, tokens, 4, lengths, mask, 6, &error) ||
      !token_writer_add(writer, tokens + 4, 3, lengths + 4, mask + 4, 2, &error) ||
      !token_writer_end(writer, NULL, &error))
    abort();
  char *bytes = file_read(&arena, path, &length, &error);
  unlink(path);
  text_append(out, bytes, length);
  arena_free(&arena);
}

static void resize(struct text *file, size_t size) {
  while (file->length < size) text_char(file, '\0');
  file->length = size;
}

static void change(struct text *file, const char *lines) {
  for (const char *line = lines; line && *line; line = strchr(line, '\n')) {
    if (*line == '\n') line++;
    size_t offset;
    unsigned width;
    uint64_t value;
    if (sscanf(line, "size %zu", &offset) == 1 && offset <= MOST_SIZE) resize(file, offset);
    if (sscanf(line, "%zu %u %" SCNu64, &offset, &width, &value) != 3) continue;
    if (width <= sizeof value && offset <= file->length && width <= file->length - offset)
      memcpy(file->bytes + offset, &value, width);
  }
}

// The header's checksum, and that of the sections as far as the header tells of such as the file can hold.
static void make_right(struct text *file) {
  struct token_file_header *header = (void *)file->bytes;
  if (file->length < TOKEN_FILE_HEADER) return;
  uint64_t room = file->length - TOKEN_FILE_HEADER, tokens = header->tokens, documents = header->documents;
  if (tokens <= room && documents <= room && header->width <= 4 && header->has_lengths <= 1 && header->has_mask <= 1) {
    const char *at = file->bytes + TOKEN_FILE_HEADER;
    uint64_t padded = (tokens * header->width + 7) / 8 * 8,
             others = 8 * documents + tokens * (2 * header->has_lengths + header->has_mask);
    if (padded + others <= room) {
      struct hasher *hasher = hasher_new();
      hasher_add(hasher, at, tokens * header->width);
      hasher_add(hasher, at + padded, others);
      struct digest digest = hasher_end(hasher);
      memcpy(header->content_digest, digest.hex, sizeof digest.hex);
    }
  }
  header->checksum = hash64(header, offsetof(struct token_file_header, checksum), 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  static struct text valid;
  struct text file = {0};
  char *lines = fuzz_text(bytes, length);
  if (!valid.length) make_valid(&valid);
  try_bytes(bytes, length);
  text_append(&file, valid.bytes, valid.length);
  change(&file, lines);
  try_bytes(file.bytes, file.length);
  make_right(&file);
  try_bytes(file.bytes, file.length);
  text_free(&file);
  free(lines);
  return 0;
}
