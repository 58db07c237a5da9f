// What the corpus cache holds, for `isoloss data`.
#pragma once
#include "trainer/data/corpus.h"

struct data_entry {
  const char *digest, *path, *source, *tokenizer, *prepared;
  int64_t vocabulary, train_tokens, validation_tokens, documents, text_bytes;
  double size;  // bytes on disk
};

// All prepared corpora, newest first; *entries is owned by the arena. Folders that cannot be read are passed over.
size_t data_cache_list(struct arena *arena, struct data_entry **entries);
// The folder of the corpus whose digest begins with `which` (at least 4 characters), or of `which` itself when it is a
// prepared corpus's folder; NULL when there is none. Several: an error.
const char *data_cache_find(struct arena *arena, const char *which, struct error *error);
double data_folder_size(const char *path);  // bytes of all files below; 0 when it is not there
// `wanted`, or the nearest shorter context that fits the corpus.
int64_t data_context(const struct corpus *corpus, int64_t wanted);
