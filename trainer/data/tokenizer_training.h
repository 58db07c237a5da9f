// Training a sentencepiece vocabulary on a corpus.
#pragma once
#include "trainer/data/documents.h"
#include "trainer/data/tokenizer.h"

// Trains on lines of the training documents (in their hashed order, up to 8 MiB: a fair sample), or takes the model
// from the cache when the same sample and size were trained before. `documents` must be split and valid UTF-8.
bool tokenizer_train(struct tokenizer *tokenizer, const struct documents *documents, int64_t vocabulary,
                     struct error *error);
