// isoloss evaluate: the loss of a model on disk, on its own corpus or on another one of the same tokenizer.
#include "runner/commands.h"
#include "runner/execute/saved.h"
#include "runner/execute/trainer_call.h"
#include "trainer/data/cache.h"

void command_evaluate(struct command_line *line) {
  const char *corpus = NULL;
  bool as_json = false;
  const struct option options[] = {
      {"corpus", 0, OPTION_TEXT, &corpus, "CORPUS",
       "the validation split of this prepared corpus (the beginning of its digest, or its folder), made with the same "
       "tokenizer"},
      {"json", 0, OPTION_FLAG, &as_json, NULL, "one JSON object: loss, bits_per_byte, eval_tokens, eval_targets"},
      {0}};
  const struct command_usage usage = {
      "isoloss evaluate RUN|FOLDER [--corpus CORPUS] [--json]",
      "RUN is the beginning of a run's id, at least 4 characters; FOLDER a run's, one of its checkpoints, or an export.\n"
      "Computes the final loss again, on train.final_eval_tokens validation tokens: of a finished run, the logged number.",
      1, 1, "one run or folder"};
  struct saved_model saved;
  if (!command_begin(line, &usage, options) ||
      !saved_model_find(line->arguments[0], &line->arena, &saved, &line->error))
    return;
  const char *folder = NULL;
  if (corpus && !(folder = corpus_cache_find(&line->arena, corpus, &line->error))) {
    if (!line->error.code)
      error_set(&line->error, EXIT_USAGE_ERROR, "--corpus: %s is no prepared corpus (isoloss data list shows them)",
                corpus);
    return;
  }
  const char *arguments[7] = {"--evaluate", saved.weights, saved.config};
  size_t count = 3;
  if (as_json) arguments[count++] = "--json";
  if (folder) {
    arguments[count++] = "--corpus";
    arguments[count++] = folder;
  }
  trainer_call(arguments, &line->arena, &line->code, &line->error);
}
