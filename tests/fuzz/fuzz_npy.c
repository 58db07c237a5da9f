// Fuzz target: any bytes as a file of tokens, with or without NumPy's header, of two and of four bytes a token. It is
// refused with a message, or it falls into documents that lie inside the file and hold whole tokens. An input whose
// first line is the header of a .npy file is tried with magic, version and length put in front.
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/data/documents.h"

static void look(const struct documents *documents, int width) {
  size_t total = 0;
  for (size_t i = 0; i < documents->count; i++) {
    const struct document_piece *piece = &documents->items[i];
    const struct mapped_file *file = &documents->files[piece->file];
    if (piece->file >= documents->file_count || piece->length == 0 || piece->length % (size_t)width) abort();
    if (piece->bytes < file->bytes || piece->bytes + piece->length > file->bytes + file->size) abort();
    for (size_t k = 0; k < piece->length; k += (size_t)width) {
      uint32_t token = 0;
      memcpy(&token, piece->bytes + k, (size_t)width);
      total += token;
    }
  }
  if (total == SIZE_MAX) abort();  // never: reads every token
}

static void try_bytes(const void *bytes, size_t size) {
  char *paths[] = {(char *)fuzz_file(bytes, size)};
  for (int width = 2; width <= 4; width += 2) {
    struct documents documents = {0};
    struct error error = {0};
    bool mask;
    if (documents_of_tokens(&documents, paths, 1, width, &mask, &error)) {
      look(&documents, width);
      if (documents_split(&documents, 0.1, &error)) {
        if (documents.validation_count < 1 || documents.validation_count >= documents.count) abort();
        look(&documents, width);
      } else if (!error.code || documents.count > 1) {
        abort();
      }
    } else if (error.code != EXIT_USAGE_ERROR || !*error.text) {
      abort();
    }
    documents_free(&documents);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  const uint8_t *end = memchr(bytes, '\n', length);
  try_bytes(bytes, length);
  if (!end) return 0;
  for (uint8_t version = 1; version <= 2; version++) {
    uint32_t header = (uint32_t)(end - bytes + 1);
    struct text whole = {0};
    text_append(&whole, "\x93NUMPY", 6);
    text_append(&whole, (char[]){(char)version, 0}, 2);
    text_append(&whole, &header, version == 1 ? 2 : 4);
    text_append(&whole, bytes, length);
    try_bytes(whole.bytes, whole.length);
    text_free(&whole);
  }
  return 0;
}
