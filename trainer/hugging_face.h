// The files next to the weights that make a folder a model of Hugging Face's: how text is generated, and the tokenizer.
#pragma once
#include "trainer/checkpoint_files.h"
#include "trainer/data/tokenizer.h"

// generation_config.json: sampled text of at most one context, until the end token (-1: none).
bool generation_config_write(const struct model *model, int64_t end_token, const char *path, struct error *error);
// tokenizer.json of bytes: a byte-level tokenizer of 256 bytes and the end token.
void bytes_tokenizer_text(int64_t end_token, struct text *out);
// What AutoTokenizer loads: for bytes a byte-level tokenizer.json of 257 entries, for sentencepiece the model. Nothing
// for files of tokens, whose tokenizer is not known.
bool tokenizer_files_write(const struct model *model, const struct tokenizer *tokenizer, const char *folder,
                           struct error *error);
