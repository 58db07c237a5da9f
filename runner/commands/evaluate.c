// isoloss evaluate: the loss of a model on disk, on its own corpus or on another one of the same tokenizer, and its
// accuracy on the suites.
#include <stdio.h>
#include <sys/stat.h>

#include "runner/commands.h"
#include "runner/execute/saved.h"
#include "runner/execute/trainer_call.h"
#include "trainer/data/cache.h"
#include "trainer/trainer.h"

// A model without a run of isoloss: Hugging Face's files alone.
static bool is_plain(const char *folder, struct arena *arena) {
  static const char *const ours[] = {EXPORT_RUN_FILE, "state.bin", "checkpoints"};
  struct stat status;
  if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) return false;
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (file_exists(path_join(arena, folder, ours[i]))) return false;
  return file_exists(path_join(arena, folder, "config.json"));
}

struct numbers {
  int64_t tokens, context, suite_tokens, suite_symbols;
};

static bool check(const struct numbers *n, const char *folder, bool plain, const char *corpus, struct error *error) {
  if (plain && !corpus)
    return error_set(error, EXIT_USAGE_ERROR,
                     "%s is a model without a run: say with --corpus what it is evaluated on (isoloss data list shows "
                     "what is prepared)",
                     folder);
  if (n->context && !plain)
    return error_set(error, EXIT_USAGE_ERROR, "--context is for models without a run: a run's context is its own");
  if (n->tokens < 0 || n->context < 0 || n->suite_tokens < 0)
    return error_set(error, EXIT_USAGE_ERROR, "--tokens, --context and --suite-tokens take numbers of at least 0");
  if (n->suite_symbols && (n->suite_symbols < 2 || n->suite_symbols > 36))
    return error_set(error, EXIT_USAGE_ERROR, "--suite-symbols takes a number from 2 to 36");
  return !n->suite_symbols || n->suite_tokens ||
         error_set(error, EXIT_USAGE_ERROR, "--suite-symbols goes with --suite-tokens");
}

// Calls isoloss-train on what was found; `corpus` is a folder or NULL.
static void call(struct command_line *line, const struct saved_model *saved, const char *corpus,
                 const struct numbers *n, bool as_json) {
  const struct {
    const char *name;
    int64_t value;
  } numbers[] = {{"--eval-tokens", n->tokens},
                 {"--context", n->context},
                 {"--suite-tokens", n->suite_tokens},
                 {"--suite-symbols", n->suite_symbols}};
  const char *arguments[16] = {"--evaluate", saved->weights};
  size_t count = 2;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    if (!numbers[i].value) continue;
    arguments[count++] = numbers[i].name;
    arguments[count++] = arena_format(&line->arena, "%lld", (long long)numbers[i].value);
  }
  if (as_json) arguments[count++] = "--json";
  if (corpus) {
    arguments[count++] = "--corpus";
    arguments[count++] = corpus;
  }
  if (saved->config) arguments[count++] = saved->config;
  trainer_call(arguments, &line->arena, &line->code, &line->error);
}

void command_evaluate(struct command_line *line) {
  const char *corpus = NULL;
  bool as_json = false;
  struct numbers n = {0};
  const struct option options[] = {
      {"corpus", 0, OPTION_TEXT, &corpus, "CORPUS",
       "the validation split of this prepared corpus (the beginning of its digest, or its folder), made with the same "
       "tokenizer"},
      {"tokens", 0, OPTION_INTEGER, &n.tokens, "N",
       "validation tokens (the run's train.final_eval_tokens, or 1048576)"},
      {"context", 0, OPTION_INTEGER, &n.context, "N", "of a model without a run: tokens of a window (its longest)"},
      {"suite-tokens", 0, OPTION_INTEGER, &n.suite_tokens, "N",
       "also the suites copy, induction and sums, on so many tokens of each"},
      {"suite-symbols", 0, OPTION_INTEGER, &n.suite_symbols, "S", "their symbols (the run's corpus.suites_symbols)"},
      {"json", 0, OPTION_FLAG, &as_json, NULL,
       "one JSON object: loss, bits_per_byte, oracle_loss, eval_tokens, eval_targets, tokenizer, and of each suite "
       "accuracy, standard_error, chance, answers"},
      {0}};
  const struct command_usage usage = {
      "isoloss evaluate RUN|FOLDER [--corpus CORPUS] [--tokens N] [--suite-tokens N] [--json]",
      "RUN is the beginning of a run's id, at least 4 characters; FOLDER a run's, one of its checkpoints, an export, or a\n"
      "Llama in Hugging Face's layout, which needs --corpus and whose tokenizer is compared with it.\n"
      "Computes the final loss again, on train.final_eval_tokens validation tokens: of a finished run, the logged number.",
      1, 1, "one run or folder"};
  if (!command_begin(line, &usage, options)) return;
  const char *name = line->arguments[0], *folder = NULL;
  struct saved_model saved = {.weights = name};
  bool plain = is_plain(name, &line->arena);
  if (!check(&n, name, plain, corpus, &line->error) ||
      (!plain && !saved_model_find(name, &line->arena, &saved, &line->error)))
    return;
  if (corpus && !(folder = corpus_cache_find(&line->arena, corpus, &line->error))) {
    if (!line->error.code)
      error_set(&line->error, EXIT_USAGE_ERROR, "--corpus: %s is no prepared corpus (isoloss data list shows them)",
                corpus);
    return;
  }
  call(line, &saved, folder, &n, as_json);
}
