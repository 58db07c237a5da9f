// Fuzz target: any text as search.rounds. It is refused with a message about the field, or read into rounds that a
// search takes or refuses with one.
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/stages/search_space.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  char *text = fuzz_text(bytes, length);
  struct arena arena = {0};
  struct error error = {0};
  struct search_round *rounds;
  int count;
  if (!search_rounds_read(text, &arena, &rounds, &count, &error)) {
    if (error.code != EXIT_USAGE_ERROR || !error.about[0] || strcmp(error.about[0], "search.rounds") != 0) abort();
  } else {
    for (int i = 0; i < count; i++)
      if (rounds[i].tokens < 0 || rounds[i].kept < 0) abort();
    struct search search = {.offspring = 16, .rounds = rounds, .round_count = count};
    if (search_check(&search, &error)) {
      if (count < 1 || rounds[count - 1].kept != 1) abort();
    } else if (error.code != EXIT_USAGE_ERROR || !*error.text) {
      abort();
    }
  }
  arena_free(&arena);
  free(text);
  return 0;
}
