// Writing token files; see token_file.h.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trainer/data/token_file.h"

struct token_writer {
  FILE *file;
  char *path;
  struct token_file_header header;
  struct hasher *tokens_hash;  // of the tokens, going on with the later sections at the end
  struct text bounds, lengths, mask;
  uint16_t *narrow;  // room for one document's tokens
  size_t narrow_room;
};

struct token_writer *token_writer_new(const char *path, const struct token_file_header *header, struct error *error) {
  struct token_writer *writer = memory_get(sizeof *writer);
  writer->path = strdup(path);
  writer->header = *header;
  memcpy(writer->header.magic, "isoloss\x1a", 8);
  writer->header.version = TOKEN_FILE_VERSION;
  writer->header.header_size = TOKEN_FILE_HEADER;
  writer->header.tokens = writer->header.documents = writer->header.text_bytes = writer->header.targets = 0;
  writer->tokens_hash = hasher_new();
  writer->file = fopen(path, "wbe");
  struct token_file_header blank = {0};
  if (!writer->file || fwrite(&blank, sizeof blank, 1, writer->file) != 1) {
    error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
    token_writer_drop(writer);
    return NULL;
  }
  return writer;
}

void token_writer_drop(struct token_writer *writer) {
  if (!writer) return;
  if (writer->file) fclose(writer->file);
  if (writer->tokens_hash) hasher_end(writer->tokens_hash);
  text_free(&writer->bounds);
  text_free(&writer->lengths);
  text_free(&writer->mask);
  free(writer->narrow);
  free(writer->path);
  free(writer);
}

bool token_writer_add(struct token_writer *writer, const uint32_t *tokens, size_t count, const uint16_t *lengths,
                      const uint8_t *mask, uint64_t text_bytes, struct error *error) {
  struct token_file_header *header = &writer->header;
  const void *bytes = tokens;
  if (header->width == 2) {
    if (writer->narrow_room < count) {
      writer->narrow_room = count + count / 2;
      writer->narrow = memory_grow(writer->narrow, writer->narrow_room * sizeof *writer->narrow);
    }
    for (size_t i = 0; i < count; i++) writer->narrow[i] = (uint16_t)tokens[i];
    bytes = writer->narrow;
  }
  if (count && fwrite(bytes, header->width, count, writer->file) != count)
    return error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", writer->path);
  hasher_add(writer->tokens_hash, bytes, count * header->width);
  header->tokens += count;
  header->documents++;
  header->text_bytes += text_bytes;
  text_append(&writer->bounds, &header->tokens, 8);
  if (header->has_lengths) text_append(&writer->lengths, lengths, 2 * count);
  if (header->has_mask) text_append(&writer->mask, mask, count);
  for (size_t i = 0; i < count; i++) header->targets += mask && header->has_mask ? mask[i] : 1;
  return true;
}

static bool write_section(struct token_writer *writer, const struct text *section) {
  hasher_add(writer->tokens_hash, section->bytes, section->length);
  return section->length == 0 || fwrite(section->bytes, section->length, 1, writer->file) == 1;
}

bool token_writer_end(struct token_writer *writer, struct token_file_header *header, struct error *error) {
  if (!writer) return false;
  struct token_file_header *own = &writer->header;
  static const char zeros[8] = {0};
  size_t gap = (size_t)((8 - own->tokens * own->width % 8) % 8);
  bool fine = (gap == 0 || fwrite(zeros, gap, 1, writer->file) == 1) && write_section(writer, &writer->bounds) &&
              write_section(writer, &writer->lengths) && write_section(writer, &writer->mask);
  struct digest digest = hasher_end(writer->tokens_hash);
  writer->tokens_hash = NULL;
  snprintf(own->content_digest, sizeof own->content_digest, "%s", digest.hex);
  own->bytes_per_token = own->text_bytes && own->tokens ? (double)own->text_bytes / (double)own->tokens : (double)NAN;
  own->checksum = hash64(own, offsetof(struct token_file_header, checksum), 0);
  fine = fine && fseek(writer->file, 0, SEEK_SET) == 0 && fwrite(own, sizeof *own, 1, writer->file) == 1 &&
         fflush(writer->file) == 0 && fsync(fileno(writer->file)) == 0;
  int why = errno;
  fine = fclose(writer->file) == 0 && fine;
  writer->file = NULL;
  errno = errno ? errno : why;
  if (!fine) error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", writer->path);
  if (header) *header = *own;
  token_writer_drop(writer);
  return fine;
}
