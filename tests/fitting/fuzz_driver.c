// Runs a fuzz target over its seeds and deterministic mutations of them, where there is no libFuzzer: a crash, an abort
// or a sanitizer's report is the failure.
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "tests/fitting/fuzz.h"

enum { ROUNDS = 20000 };

static void mutate(struct text *text, uint64_t round) {
  static const char letters[] = "()[]+-*/^%<>=!&|?:,.'\"\n\r aeNDx019fz\x80\xff\\";
  uint64_t changes = 1 + random_below(5, 1, round, 0, 6);
  for (uint64_t c = 0; c < changes && text->length; c++) {
    uint64_t at = random_below(5, 2, round, c, text->length), end = random_below(5, 3, round, c, text->length);
    char letter = letters[random_below(5, 4, round, c, sizeof letters - 1)];
    switch (random_below(5, 5, round, c, 5)) {
      case 0:
        text->bytes[at] = letter;
        break;
      case 1:  // leaves out
        memmove(text->bytes + at, text->bytes + at + 1, text->length - at);
        text->length--;
        break;
      case 2:  // puts in
        text_char(text, ' ');
        memmove(text->bytes + at + 1, text->bytes + at, text->length - at - 1);
        text->bytes[at] = letter;
        break;
      case 3:  // repeats a part
        if (at < end && end - at < 200) {
          struct text part = {0};
          text_append(&part, text->bytes + at, end - at);
          text_append(text, part.bytes, part.length);
          text_free(&part);
        }
        break;
      default:  // cuts
        if (at > 4) {
          text->length = at;
          text->bytes[at] = '\0';
        }
        break;
    }
  }
}

int main(void) {
  size_t seeds = 0;
  while (fuzz_seeds[seeds]) seeds++;
  struct text text = {0};
  for (uint64_t round = 0; round < ROUNDS; round++) {
    const char *seed = fuzz_seeds[round % seeds];
    text_clear(&text);
    text_add(&text, seed);
    if (round >= seeds) mutate(&text, round);
    LLVMFuzzerTestOneInput((const uint8_t *)text_string(&text), text.length);
  }
  text_free(&text);
  printf("ok 1 - %d inputs\n1..1\n", ROUNDS);
  return 0;
}
