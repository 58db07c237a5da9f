// What preparing and opening a corpus share. Private to trainer/data.
#pragma once
#include "trainer/data/token_file.h"

// The digest that stands for a prepared corpus in run identity: of the tokenizer and of both splits' contents, nothing
// else, so that the same text and tokenizer give the same digest wherever they came from.
void prepared_digest(const struct token_file_header *train, const struct token_file_header *validation,
                     char digest[40]);
