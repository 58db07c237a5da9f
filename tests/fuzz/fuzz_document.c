// Fuzz target: any text as the document of a fit. It is refused with a reason, or read into something whole that is
// written, read and written again as the same bytes.
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "tests/fuzz/fuzz.h"

static void write_document(const struct fit_result *result, struct text *text) {
  struct json_writer writer = json_writer(text, false);
  fit_result_json(result, &writer);
}

// What reports say of it.
static void say(const struct fit_result *result) {
  struct arena arena = {0};
  struct fit_remarks remarks[FIT_REMARKS];
  size_t count = fit_remarks(&arena, result, remarks);
  for (size_t i = 0; i < count; i++)
    for (size_t k = 0; k < remarks[i].count; k++)
      if (!remarks[i].items[k]) abort();
  for (size_t i = 0; i < result->coefficient_count; i++)
    if (!fit_coefficient_note(&arena, result, NULL, &result->coefficients[i])) abort();
  if (!fit_rows_sentence(&arena, result) || !fit_objective_sentence(&arena, result) ||
      !fit_starts_sentence(&arena, result))
    abort();
  arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  char *document = fuzz_text(bytes, length);
  struct fit_result first, second;
  struct error error = {0};
  if (fit_result_read(&first, document, &error)) {
    struct text once = {0}, twice = {0};
    write_document(&first, &once);
    say(&first);
    if (!fit_result_read(&second, text_string(&once), &error)) abort();
    write_document(&second, &twice);
    if (strcmp(text_string(&once), text_string(&twice)) != 0) abort();
    fit_result_free(&second);
    text_free(&once);
    text_free(&twice);
  } else if (!error.code || !*error.text) {
    abort();
  }
  fit_result_free(&first);
  free(document);
  return 0;
}
