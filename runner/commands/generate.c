// isoloss generate: text from a model on disk.
#include "runner/commands.h"
#include "runner/execute/saved.h"
#include "runner/execute/trainer_call.h"
#include "trainer/config.h"

void command_generate(struct command_line *line) {
  const char *prompt = NULL;
  int64_t tokens = 256, top = 0, seed = 0;
  double temperature = 1;
  const struct option options[] = {
      {"prompt", 0, OPTION_TEXT, &prompt, "TEXT", "what the text continues (the beginning of a document)"},
      {"tokens", 0, OPTION_INTEGER, &tokens, "N", "tokens at most (256); the end of a document ends it before"},
      {"temperature", 0, OPTION_NUMBER, &temperature, "T", "of the draws (1); 0 takes the likeliest token"},
      {"top-k", 0, OPTION_INTEGER, &top, "K", "draw among the K likeliest tokens (0: all)"},
      {"seed", 0, OPTION_INTEGER, &seed, "N", "of the draws (0)"},
      {0}};
  const struct command_usage usage = {
      "isoloss generate RUN|FOLDER [--prompt TEXT] [--tokens N] [--temperature T] [--top-k K] [--seed N]",
      "RUN is the beginning of a run's id, at least 4 characters; FOLDER a run's, one of its checkpoints, or an export.\n"
      "Prints what the model writes. Up to model.context tokens are read once each; behind that it sees the last\n"
      "model.context ones, and computes all of them for each token. So it does from the start with a format of\n"
      "activations: one scale for a whole tensor is then of the unused part of the context, too.",
      1, 1, "one run or folder"};
  struct saved_model saved;
  if (!command_begin(line, &usage, options) ||
      !saved_model_find(line->arguments[0], &line->arena, &saved, &line->error))
    return;
  struct arena *arena = &line->arena;
  const char *arguments[16] = {"--generate",
                               saved.weights,
                               arena_format(arena, "--tokens=%lld", (long long)tokens),
                               arena_format(arena, "--temperature=%.17g", temperature),
                               arena_format(arena, "--top-k=%lld", (long long)top),
                               arena_format(arena, "--seed=%lld", (long long)seed)};
  size_t count = 6;
  if (prompt) arguments[count++] = arena_format(arena, "--prompt=%s", prompt);
  arguments[count] = saved.config;
  trainer_call(arguments, arena, &line->code, &line->error);
}
