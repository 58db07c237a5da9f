// The manifest of a prepared corpus: what it was made of, for people and for `isoloss data`. The tokens' digests in it
// repeat the token files' headers, which are what counts.
#pragma once
#include "trainer/data/documents.h"
#include "trainer/data/request.h"
#include "trainer/data/token_file.h"

struct manifest {
  const char *digest;
  const struct corpus_request *request;
  const struct documents *documents;
  const struct tokenizer *tokenizer;
  const struct token_file_header *train, *validation;
  const char *source_description;  // JSON of a named source, or NULL
};
// Appends the manifest as JSON. For the user's files each one's digest is computed here.
void manifest_write(const struct manifest *manifest, struct text *out);
