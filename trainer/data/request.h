// What a configuration asks of the data: the corpus fields, checked, with files found. Private to trainer/data.
#pragma once
#include "trainer/data/corpus.h"
#include "trainer/data/tokenizer.h"

struct corpus_request {
  enum corpus_kind kind;
  const char *name;  // of the source: "gcide", ..., "files", "zipfmem", "markov2", "suites", or the mixture
  enum tokenizer_kind tokenizer;
  const char *model_path;  // an existing sentencepiece model, or NULL to train one
  int width;               // files of tokens: 2 or 4
  int64_t vocabulary;      // to train, or of files of tokens; 0 when it follows
  double validation_fraction;
  const char *patterns;  // corpus.files
  bool synthetic;        // a mixture of synthetic sources
  char **files;          // after request_find_files
  size_t file_count;
};

// The checks of corpus_check, without the disk.
bool request_of(struct corpus_request *request, const struct run_config *config, struct error *error);
// Expands the globs of a CORPUS_FILES request. Errors: a pattern that matches nothing, a folder.
bool request_find_files(struct corpus_request *request, struct arena *arena, struct error *error);
// A short name for all that determines the prepared corpus, as far as it can be known without reading the text: files
// by path, size and time of change.
bool request_key(const struct corpus_request *request, struct arena *arena, char key[40], struct error *error);
// The named text sources, ended by NULL.
extern const char *const corpus_names[];
