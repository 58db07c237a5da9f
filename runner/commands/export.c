// isoloss export: a run's model as a folder that other programs load. The trainer writes it.
#include "runner/commands.h"
#include "runner/execute/saved.h"
#include "runner/execute/trainer_call.h"

void command_export(struct command_line *line) {
  const char *folder = NULL;
  bool masters = false;
  const struct option options[] = {
      {"to", 0, OPTION_TEXT, &folder, "FOLDER", "the folder to make; it must not be there yet"},
      {"masters", 0, OPTION_FLAG, &masters, NULL, "the master weights, before the format represents them"},
      {0}};
  const struct command_usage usage = {
      "isoloss export RUN|FOLDER --to FOLDER [--masters]",
      "RUN is the beginning of a run's id, at least 4 characters; FOLDER a run's, or one of its checkpoints. Writes the\n"
      "model that the run evaluated as a folder of Hugging Face's: weights as its format represents them, config.json,\n"
      "generation_config.json, the tokenizer. Of a format that represents activations too, that part is left out: other\n"
      "programs then find another loss, and the command says so. isoloss evaluate and isoloss generate take the folder.",
      1, 1, "one run"};
  struct saved_model saved;
  if (!command_begin(line, &usage, options)) return;
  if (!folder) {
    error_set(&line->error, EXIT_USAGE_ERROR, "export: --to FOLDER is needed");
    return;
  }
  if (!saved_model_find(line->arguments[0], &line->arena, &saved, &line->error)) return;
  const char *arguments[] = {"--export", folder, "--from", saved.weights, saved.config, masters ? "--masters" : NULL,
                             NULL};
  if (trainer_call(arguments, &line->arena, &line->code, &line->error) && line->code == EXIT_DONE)
    printf("%s\n", folder);
}
