// Reading token files; see token_file.h. token_writer.c writes them.
#include "trainer/data/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

_Static_assert(sizeof(struct token_file_header) == TOKEN_FILE_HEADER, "the header is one page");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "token files are little-endian");

static bool refuse(struct error *error, const char *path, const char *what) {
  return error_set(error, EXIT_ENVIRONMENT, "%s %s: remove its folder and run isoloss data prepare", path, what);
}

static bool terminated(const char *text, size_t room) { return memchr(text, '\0', room) != NULL; }

// Checks the header against the file's size; the sections follow each other without gaps.
static bool check_header(const struct token_file_header *header, uint64_t size, const char *path, struct error *error) {
  if (size < TOKEN_FILE_HEADER || memcmp(header->magic, "isoloss\x1a", 8) != 0)
    return refuse(error, path, size < TOKEN_FILE_HEADER ? "is too short for a token file" : "is not a token file");
  if (header->version != TOKEN_FILE_VERSION)
    return error_set(error, EXIT_ENVIRONMENT,
                     "%s has version %u of the token file format, this program reads version %d: prepare the corpus "
                     "again with isoloss data prepare",
                     path, header->version, TOKEN_FILE_VERSION);
  if (hash64(header, offsetof(struct token_file_header, checksum), 0) != header->checksum)
    return refuse(error, path, "is damaged (its header's checksum is wrong)");
  bool sane = header->header_size == TOKEN_FILE_HEADER && (header->width == 2 || header->width == 4) &&
              header->has_lengths <= 1 && header->has_mask <= 1 && header->vocabulary >= 1 &&
              header->vocabulary <= (header->width == 2 ? 1ull << 16 : 1ull << 31) &&
              (header->end_token < header->vocabulary || header->end_token == TOKEN_FILE_NO_END) &&
              header->tokens < 1ull << 56 && header->documents <= header->tokens && header->targets <= header->tokens &&
              terminated(header->tokenizer, sizeof header->tokenizer) &&
              terminated(header->tokenizer_digest, sizeof header->tokenizer_digest) &&
              terminated(header->content_digest, sizeof header->content_digest);
  if (!sane) return refuse(error, path, "is damaged (its header contradicts itself)");
  uint64_t bounds = TOKEN_FILE_HEADER + header->tokens * header->width;
  uint64_t want =
      (bounds + 7) / 8 * 8 + 8 * header->documents + header->tokens * (2 * header->has_lengths + header->has_mask);
  if (size < want) return refuse(error, path, "is truncated");
  if (size > want) return refuse(error, path, "is longer than its header says");
  return true;
}

bool token_file_open(struct token_file *file, const char *path, struct error *error) {
  *file = (struct token_file){0};
  int64_t length;
  int descriptor = file_open(path, &length, error);
  if (descriptor < 0) {
    error->code = EXIT_ENVIRONMENT;  // of the cache, not named by the user
    return false;
  }
  if (length == 0) {
    close(descriptor);
    return refuse(error, path, "is empty");
  }
  size_t size = (size_t)length;
  void *mapping = mmap(NULL, size, PROT_READ, MAP_SHARED, descriptor, 0);
  int why = errno;
  close(descriptor);
  errno = why;
  if (mapping == MAP_FAILED) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot map %s", path);
  const struct token_file_header *header = mapping;
  if (!check_header(header, size, path, error)) {
    munmap(mapping, size);
    return false;
  }
  const char *bytes = mapping;
  uint64_t at = TOKEN_FILE_HEADER;
  file->mapping = mapping;
  file->size = size;
  file->header = header;
  if (header->width == 2)
    file->narrow = (const void *)(bytes + at);
  else
    file->wide = (const void *)(bytes + at);
  at = (at + header->tokens * header->width + 7) / 8 * 8;
  file->bounds = (const void *)(bytes + at);
  at += 8 * header->documents;
  if (header->has_lengths) file->lengths = (const void *)(bytes + at);
  at += 2 * header->tokens * header->has_lengths;
  if (header->has_mask) file->mask = (const void *)(bytes + at);
  return true;
}

void token_file_close(struct token_file *file) {
  if (file->mapping) munmap(file->mapping, file->size);
  *file = (struct token_file){0};
}

bool token_file_verify(const struct token_file *file, const char *path, struct error *error) {
  const struct token_file_header *header = file->header;
  struct hasher *hasher = hasher_new();
  const char *bytes = file->mapping;
  uint64_t tokens_size = header->tokens * header->width;
  hasher_add(hasher, bytes + TOKEN_FILE_HEADER, tokens_size);
  hasher_add(hasher, file->bounds, 8 * header->documents);
  if (file->lengths) hasher_add(hasher, file->lengths, 2 * header->tokens);
  if (file->mask) hasher_add(hasher, file->mask, header->tokens);
  struct digest digest = hasher_end(hasher);
  if (strcmp(digest.hex, header->content_digest) != 0)
    return refuse(error, path, "is damaged (its content's checksum is wrong)");
  for (uint64_t i = 0; i < header->tokens; i++)
    if (token_at(file, i) >= header->vocabulary) return refuse(error, path, "holds a token outside its vocabulary");
  for (uint64_t i = 0; i < header->documents; i++)
    if (file->bounds[i] > header->tokens || (i > 0 && file->bounds[i] < file->bounds[i - 1]))
      return refuse(error, path, "holds document bounds out of order");
  return true;
}
