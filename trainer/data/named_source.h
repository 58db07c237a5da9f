// Named text sources: built by the Python program that ships with isoloss (trainer/corpora/build_corpus.py) into the
// cache.
#pragma once
#include "trainer/data/corpus.h"

struct named_source {
  char *text_path, *bounds_path;
  char *description;  // source.json as it is
};

// The source's text, built when it is not there (or `refresh`). Errors are EXIT_ENVIRONMENT with what to do.
bool named_source_get(const char *name, bool refresh, corpus_progress *progress, void *context, struct arena *arena,
                      struct named_source *source, struct error *error);
