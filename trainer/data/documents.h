// Documents: the pieces of text that are split and tokenized as wholes. They point into mapped files.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct mapped_file {
  const char *path;
  const char *bytes;
  size_t size;
};

struct document_piece {
  const char *bytes;
  size_t length;
  uint32_t file;        // index of its mapped file
  const uint8_t *mask;  // files of tokens with a mask: a byte a token; else NULL
  uint64_t split_hash;  // below fraction * 2^64: validation
  uint64_t order_hash;  // documents stand in the order of this hash, ties in the order they came
};

struct documents {
  struct mapped_file *files;
  size_t file_count;
  struct document_piece *items;
  size_t count, capacity;
  size_t validation_count;  // after documents_split: the first so many are validation
  uint64_t bytes;
  const char *rule;  // how documents were distinguished, for the manifest
  bool cut;          // into pieces, since there are few
  size_t whole;      // documents before they were cut
  struct arena arena;
};

// All of the user's text files: each a document, or, when there is one file only, the parts between two empty lines.
// Fewer than 20 documents, or so few that fewer than 5 can be expected in the validation split, are cut further at line
// ends, so that it holds about 20 pieces and is never one document by chance. `paths` are plain files.
bool documents_of_files(struct documents *documents, char *const *paths, size_t count, double validation_fraction,
                        struct error *error);
// Documents of one text file with a file of uint64 ends next to it (named sources).
bool documents_of_source(struct documents *documents, const char *text_path, const char *bounds_path,
                         struct error *error);
// Files of tokens (raw little-endian, or .npy of one axis), `width` bytes a token, in blocks that stand in for
// documents. FILE.mask next to a file holds a byte a token, 1 where it counts as a target; with it, *has_mask is set.
bool documents_of_tokens(struct documents *documents, char *const *paths, size_t count, int width, bool *has_mask,
                         struct error *error);
// Hashes, splits and orders: validation documents first, then training ones. The split of a document depends on its own
// bytes only. Both parts get at least one document; of documents that were cut, validation gets at least its
// share and two. An error when there are fewer than two.
bool documents_split(struct documents *documents, double validation_fraction, struct error *error);
void documents_free(struct documents *documents);
