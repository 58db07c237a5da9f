// What the corpus cache holds.
#pragma once
#include "trainer/data/corpus.h"

struct corpus_entry {
  const char *digest, *path, *source, *tokenizer, *prepared;
  int64_t vocabulary, train_tokens, validation_tokens, documents, text_bytes;
  double size;               // bytes on disk
  const char *const *parts;  // of a mixture: the digests of what it is made of
  size_t part_count;
};

// All prepared corpora, newest first; *entries is owned by the arena. Folders that cannot be read are passed over.
size_t corpus_cache_list(struct arena *arena, struct corpus_entry **entries);
// The folder of the corpus whose digest begins with `which` (at least 4 characters), or of `which` itself when it is a
// prepared corpus's folder; NULL when it is neither. NULL with an error when there is no such digest or several.
const char *corpus_cache_find(struct arena *arena, const char *which, struct error *error);
double corpus_folder_size(const char *path);  // bytes of all files below; 0 when it is not there
