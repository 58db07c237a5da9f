// Runs that cannot be, and runs that diverge: exit codes, messages, and what is in the log. Argument: the path of
// isoloss-train.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/trainer/make_run.h"
#include "tests/trainer/process.h"

static const char *program;
static char folder[] = "/tmp/isoloss-refusals-XXXXXX";
static struct arena arena;
static char *config, *log_path, *output_path;

static char *const tiny_run[] = {"corpus.source=markov2", "corpus.markov2_vocabulary=32",
                                 "model.layers=1",        "model.width=16",
                                 "model.context=8",       "train.batch_tokens=32",
                                 "train.steps=20",        "train.final_eval_tokens=64",
                                 "train.evals=0",         "train.log_steps=1"};
enum { PAIRS = sizeof tiny_run / sizeof tiny_run[0] };

static void make(char *extra) {
  struct error error = {0};
  char *pairs[PAIRS + 1];
  memcpy(pairs, tiny_run, sizeof tiny_run);
  pairs[PAIRS] = extra;
  folder_remove(folder, &error);
  if (!CHECK(make_run(folder, PAIRS + (extra != NULL), pairs, &error))) printf("# %s\n", error.text);
}

static const char *output(void) {
  struct error error = {0};
  char *text = file_read(&arena, output_path, NULL, &error);
  return text ? text : "";
}

static void ends(int code, const char *says, char *const arguments[]) {
  int got = process_run(program, output_path, 0, arguments);
  if (!CHECK(got == code) || !CHECK(strstr(output(), says) != NULL))
    printf("# exit %d, wanted %d and '%s': %s\n", got, code, says, output());
}

static void ends_on_config(int code, const char *says) {
  char *arguments[] = {config, NULL};
  ends(code, says, arguments);
}

// Replaces text in the configuration file.
static void edit(const char *from, const char *to) {
  struct error error = {0};
  char *text = file_read(&arena, config, NULL, &error), *at = text ? strstr(text, from) : NULL;
  if (!CHECK(at != NULL)) return;
  char *changed = arena_format(&arena, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
  CHECK(file_write_atomic(config, changed, strlen(changed), &error));
}

static void command_line(void) {
  make(NULL);
  ends(EXIT_USAGE_ERROR, "one CONFIG.json is needed", (char *[]){NULL});
  ends(EXIT_USAGE_ERROR, "one CONFIG.json is needed", (char *[]){config, config, NULL});
  ends(EXIT_USAGE_ERROR, "did you mean --steps?", (char *[]){"--stepps", "3", config, NULL});
  ends(EXIT_USAGE_ERROR, "isoloss-train --help", (char *[]){"--nothing-of-the-kind", config, NULL});
  ends(EXIT_USAGE_ERROR, "--steps needs a whole number, not 'zero'", (char *[]){"--steps", "zero", config, NULL});
  ends(EXIT_USAGE_ERROR, "at least 1", (char *[]){"--steps=0", config, NULL});
  ends(EXIT_USAGE_ERROR, "--evaluate needs CHECKPOINT", (char *[]){config, "--evaluate", NULL});
  ends(EXIT_USAGE_ERROR, "--json, --corpus, --eval-tokens, --suite-tokens and --suite-symbols go with",
       (char *[]){"--json", config, NULL});
  ends(EXIT_DONE, "usage: isoloss-train", (char *[]){"--help", NULL});
  ends(EXIT_DONE, "isoloss-train ", (char *[]){"--version", NULL});
  CHECK(!file_exists(log_path));
}

static void configurations(void) {
  struct error error = {0};
  make(NULL);
  ends(EXIT_USAGE_ERROR, "/nothing.json", (char *[]){arena_format(&arena, "%s/nothing.json", folder), NULL});
  CHECK(file_write_atomic(config, "{\"isoloss_trainer\":", 19, &error));
  ends_on_config(EXIT_USAGE_ERROR, "config.json:1:");
  make(NULL);
  edit("\"model.width\"", "\"model.wdith\"");
  ends_on_config(EXIT_USAGE_ERROR, "did you mean 'model.width'?");
  CHECK(!file_exists(log_path));  // what is no run's configuration gets no log beside it
  make(NULL);
  edit("\"train.batch_tokens\": 32", "\"train.batch_tokens\": 33");
  ends_on_config(EXIT_USAGE_ERROR, "not a multiple of model.context");
  CHECK(log_count(log_path, "failed") == 1);
  make(NULL);
  edit("\"train.tokens\": 640", "\"train.tokens\": 641");
  ends_on_config(EXIT_USAGE_ERROR, "train.steps * train.batch_tokens");
  make(NULL);
  edit("\"train.steps\": 20", "\"train.steps\": \"auto\"");
  ends_on_config(EXIT_USAGE_ERROR, "not resolved");
  make(NULL);
  edit("\"model.vocabulary\": 32", "\"model.vocabulary\": 31");
  ends_on_config(EXIT_USAGE_ERROR, "model.vocabulary 31 is smaller");
  make("model.device=cuda:99");
  ends_on_config(EXIT_ENVIRONMENT, "model.device 'cuda:99'");
}

static void corpora(void) {
  make(NULL);
  edit("\"digest\": \"", "\"digest\": \"0");
  ends_on_config(EXIT_USAGE_ERROR, "digest");
  CHECK(log_count(log_path, "failed") == 1 && log_count(log_path, "start") == 0);
  make(NULL);
  edit("\"path\": \"\"", "\"path\": \"/nowhere/at/all\"");
  ends_on_config(EXIT_ENVIRONMENT, "/nowhere/at/all");
}

static void another_worker(void) {
  make(NULL);
  int file = open(log_path, O_RDWR | O_CREAT, 0666);
  CHECK(flock(file, LOCK_EX) == 0);
  ends_on_config(EXIT_ENVIRONMENT, "another worker");
  close(file);
  ends_on_config(EXIT_DONE, "");
}

static void diverges(void) {
  make("train.lr=100");
  // Decay by 1 - 100 * 10 a step: the weights leave the range of float32 within the run.
  edit("\"train.weight_decay\": 0.1", "\"train.weight_decay\": 10");
  edit("\"train.schedule\": \"cosine\"", "\"train.schedule\": \"constant\"");
  ends_on_config(EXIT_DONE, "");
  CHECK(log_count(log_path, "diverged") == 1 && log_count(log_path, "done") == 0);
  ends_on_config(EXIT_DONE, "nothing to do");
  CHECK(log_count(log_path, "diverged") == 1);
  struct error error = {0};
  char *log = file_read(&arena, log_path, NULL, &error);
  CHECK(log && strstr(log, "not finite") && strstr(log, "\"loss\":null"));
}

static void evaluations(void) {
  make(NULL);
  ends_on_config(EXIT_DONE, "");
  char *checkpoint = arena_format(&arena, "%s/checkpoints/step-20", folder);
  ends(EXIT_DONE, "loss ", (char *[]){"--evaluate", checkpoint, config, NULL});
  ends(EXIT_ENVIRONMENT, "step-209", (char *[]){"--evaluate", arena_format(&arena, "%s9", checkpoint), config, NULL});
  edit("\"model.mlp_width\": 64", "\"model.mlp_width\": 96");
  ends(EXIT_USAGE_ERROR, "model's shape", (char *[]){"--evaluate", checkpoint, config, NULL});
}

int main(int argc, char **argv) {
  struct error error = {0};
  if (argc != 2 || !mkdtemp(folder)) return 1;
  program = argv[1];
  config = arena_format(&arena, "%s/config.json", folder);
  log_path = arena_format(&arena, "%s/events.jsonl", folder);
  output_path = arena_format(&arena, "%s.txt", folder);
  RUN(command_line);
  RUN(configurations);
  RUN(corpora);
  RUN(another_worker);
  RUN(diverges);
  RUN(evaluations);
  folder_remove(folder, &error);
  unlink(output_path);
  arena_free(&arena);
  return check_end();
}
