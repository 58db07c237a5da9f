// Tokenizing documents into a token file.
#pragma once
#include "trainer/data/corpus.h"
#include "trainer/data/documents.h"
#include "trainer/data/token_file.h"
#include "trainer/data/tokenizer.h"

struct split_job {
  const struct documents *documents;
  size_t first, count;  // the documents to write
  const struct tokenizer *tokenizer;
  int width;      // bytes of a token in its file; for files of tokens also in the documents
  bool has_mask;  // the documents carry masks
  bool lengths;   // keep every token's bytes (sentencepiece's validation split)
  corpus_progress *progress;
  void *context;
  const char *what;  // for the progress
};

// Writes the documents' tokens to a new file at `path`, on as many threads as there are cores where encoding is slow.
// Errors: text that the tokenizer cannot take, tokens outside the vocabulary (with file and place), disk.
bool split_write(const struct split_job *job, const char *path, struct token_file_header *header, struct error *error);
