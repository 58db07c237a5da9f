// isoloss export: a run's model as a folder that other programs load, which the trainer writes; an experiment as a
// file.
#include <stdio.h>

#include "runner/commands.h"
#include "runner/execute/experiment_export.h"
#include "runner/execute/saved.h"
#include "runner/execute/trainer_call.h"

// *is: the name is an experiment's, and what to do with it is done.
static bool export_experiment(const char *name, const char *path, bool masters, bool *is, struct error *error) {
  *is = false;
  if (!store_exists_home()) return true;
  struct store *store = store_open_home(STORE_READ, error);
  bool fine = store && store_experiment_exists(store, name, is, error);
  size_t runs = 0, done = 0;
  if (fine && *is && (masters || !experiment_file(path)))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     masters ? "export: --masters is for a run's model; '%s' is an experiment"
                             : "export: '%s' is an experiment: give it --to a file that ends in .db, .csv or .jsonl",
                     name);
  else if (fine && *is)
    fine = experiment_export(store, name, path, &runs, &done, error);
  store_close(store);
  if (fine && *is) printf("%s\n", path);
  if (fine && *is && done < runs) fprintf(stderr, "%zu of its %zu runs are not done\n", runs - done, runs);
  return fine;
}

void command_export(struct command_line *line) {
  const char *folder = NULL;
  bool masters = false;
  const struct option options[] = {
      {"to", 0, OPTION_TEXT, &folder, "PATH", "the folder or file to make; it must not be there yet"},
      {"masters", 0, OPTION_FLAG, &masters, NULL, "the master weights, before the format represents them"},
      {0}};
  const struct command_usage usage = {
      "isoloss export RUN|FOLDER --to FOLDER [--masters]\n"
      "       isoloss export EXPERIMENT --to FILE.db|FILE.csv|FILE.jsonl",
      "RUN is the beginning of a run's id, at least 4 characters; FOLDER a run's, or one of its checkpoints. Writes the\n"
      "model that the run evaluated as a folder of Hugging Face's: weights as its format represents them, config.json,\n"
      "generation_config.json, the tokenizer. Of a format that represents activations too, that part is left out: other\n"
      "programs then find another loss, and the command says so. isoloss evaluate and isoloss generate take the folder.\n\n"
      "An EXPERIMENT of the store becomes one file: its runs with all their columns (.csv, .jsonl), or a store of its own\n"
      "(.db) that has its curves, fits and claims too.",
      1, 1, "one run or experiment"};
  struct saved_model saved;
  if (!command_begin(line, &usage, options)) return;
  if (!folder) {
    error_set(&line->error, EXIT_USAGE_ERROR, "export: --to PATH is needed");
    return;
  }
  bool experiment;
  if (!export_experiment(line->arguments[0], folder, masters, &experiment, &line->error) || experiment) return;
  if (!saved_model_find(line->arguments[0], &line->arena, &saved, &line->error)) return;
  const char *arguments[] = {"--export", folder, "--from", saved.weights, saved.config, masters ? "--masters" : NULL,
                             NULL};
  if (trainer_call(arguments, &line->arena, &line->code, &line->error) && line->code == EXIT_DONE)
    printf("%s\n", folder);
}
