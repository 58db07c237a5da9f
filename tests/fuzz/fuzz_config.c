// Fuzz target: any text as a run's config.json. It is refused with a reason, or it is written, read and written again
// as the same bytes; what its numbers make of a model is resolved, counted and identified without an overflow, or
// refused.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "trainer/config.h"

// Resolved, as the trainer does with a file that another program may have written.
static void resolve(const struct run_file *file, struct arena *arena) {
  struct run_config config = file->config;
  struct corpus_facts facts = {.irreducible_loss = NAN};
  struct error error = {0};
  config.train.tokens = AUTO_INTEGER;
  config.train.tokens_per_parameter = NAN;
  if (!config_parse_format(&config, arena, &error) || !config_resolve(&config, &facts, "float32", &error)) {
    if (!error.code || !*error.text) abort();
    return;
  }
  struct parameter_counts counts = config_parameters(&config);
  if (counts.non_embedding < 1 || counts.total < counts.non_embedding || counts.prunable > counts.non_embedding)
    abort();
  struct run_quantities quantities = config_quantities(&config, &facts);
  bool trained = !*config.from.path;  // else a folder's model: what is known of its training is as the file has it
  if (!trained) return;
  if (quantities.steps < 1 || quantities.tokens / quantities.steps != config.train.batch_tokens) abort();
  if (!(quantities.flops > 0) || !(quantities.active_parameters >= 0)) abort();
  if (!*config_identity(&config, file->corpus_digest, "train", "").hex) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct arena arena = {0};
  struct error error = {0};
  struct run_file first, second;
  if (run_file_read(&arena, fuzz_file(bytes, length), &first, &error)) {
    struct text once = {0}, twice = {0};
    run_file_write(&first, &once);
    if (!run_file_read(&arena, fuzz_file(once.bytes, once.length), &second, &error)) abort();
    run_file_write(&second, &twice);
    if (strcmp(text_string(&once), text_string(&twice)) != 0) abort();
    text_free(&once);
    text_free(&twice);
    resolve(&first, &arena);
  } else if (error.code != EXIT_USAGE_ERROR || !*error.text) {
    abort();
  }
  arena_free(&arena);
  return 0;
}
