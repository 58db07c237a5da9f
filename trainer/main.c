// isoloss-train: the built-in trainer's command line.
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/options.h"
#include "base/signals.h"
#include "base/terminal.h"
#include "base/version.h"
#include "trainer/trainer.h"

static volatile sig_atomic_t stop_asked;

// The second Ctrl-C ends the program at once. Two signals within a second are one: a scheduler sends its signal to
// every process of a job, and the one that started us passes on what it got.
static void ask_to_stop(int number) {
  static volatile sig_atomic_t asked_at;  // seconds, of a clock that is never set back
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (stop_asked && now.tv_sec > asked_at + 1) {
    signal(number, SIG_DFL);
    raise(number);  // delivered as we return
  }
  if (!stop_asked) asked_at = (sig_atomic_t)now.tv_sec;
  stop_asked = number;
}

static int fail(const struct error *error) { return error_print("isoloss-train", error); }

static int print_text(struct text *text) {
  bool fine = fputs(text_string(text), stdout) >= 0 && fflush(stdout) == 0;
  struct error error = {0};
  text_free(text);
  if (fine) return EXIT_DONE;
  error_set_errno(&error, EXIT_ENVIRONMENT, "cannot write the result");
  return fail(&error);
}

static void evaluation_json(const struct saved_evaluation *result, struct text *text) {
  struct json_writer json = json_writer(text, true);
  json_object_begin(&json);
  json_key_number(&json, "loss", result->on_text.loss);
  json_key_number(&json, "bits_per_byte", result->on_text.bits_per_byte);
  json_key_number(&json, "oracle_loss", result->on_text.oracle_loss);
  json_key_integer(&json, "eval_tokens", result->on_text.tokens);
  json_key_integer(&json, "eval_targets", result->on_text.targets);
  if (*result->tokenizer) {
    json_key_string(&json, "tokenizer", result->tokenizer_same ? "same" : "not known");
    json_key_string(&json, "tokenizer_why", result->tokenizer);
  }
  for (int i = 0; i < result->suite_count; i++) {
    const struct suite_evaluation *suite = &result->suites[i];
    json_key(&json, suite->name);
    json_object_begin(&json);
    json_key_number(&json, "accuracy", suite->accuracy);
    json_key_number(&json, "standard_error", suite->standard_error);
    json_key_number(&json, "chance", suite->chance);
    json_key_integer(&json, "answers", suite->answers);
    json_object_end(&json);
  }
  json_object_end(&json);
}

static void evaluation_words(const struct saved_evaluation *result, struct text *text) {
  const struct evaluation *on = &result->on_text;
  char number[32];
  number_shortest(on->loss, number);
  text_format(text, "loss %s", number);
  if (isfinite(on->bits_per_byte)) text_format(text, ", %.4f bits per byte", on->bits_per_byte);
  if (isfinite(on->oracle_loss)) text_format(text, ", the source's own %.6f", on->oracle_loss);
  text_format(text, ", on %lld validation tokens (%lld targets)\n", (long long)on->tokens, (long long)on->targets);
  if (result->tokenizer_same) text_format(text, "tokenizer compared: %s\n", result->tokenizer);
  for (int i = 0; i < result->suite_count; i++) {
    const struct suite_evaluation *suite = &result->suites[i];
    text_format(text, "%s: %.4f of %lld answers right, standard error %.4f, chance %.4f\n", suite->name,
                suite->accuracy, (long long)suite->answers, suite->standard_error, suite->chance);
  }
}

static int evaluate(const struct evaluate_options *options, bool as_json) {
  struct saved_evaluation result;
  struct error error = {0};
  struct text text = {0};
  if (!trainer_evaluate(options, &result, &error)) return fail(&error);
  if (as_json)
    evaluation_json(&result, &text);
  else
    evaluation_words(&result, &text);
  return print_text(&text);
}

static int generate(const char *checkpoint, const char *config, const struct generate_options *options) {
  struct text text = {0};
  struct error error = {0};
  if (!trainer_generate(config, checkpoint, options, &text, &error)) return fail(&error);
  text_char(&text, '\n');
  return print_text(&text);
}

static int train(const char *config, int64_t stop_after) {
  struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  // The last two are what batch systems warn by before they end a job.
  static const int stops[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
  for (size_t i = 0; i < sizeof stops / sizeof *stops; i++) signal_handle(stops[i], &action);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is reported as the failed write that it is
  struct trainer_options options = {.config_path = config, .stop_after = stop_after, .stop_asked = &stop_asked};
  struct error error = {0};
  enum exit_code code = trainer_run(&options, &error);
  return error.code != EXIT_DONE ? fail(&error) : (int)code;
}

struct trainer_arguments {
  const char *generate, *export, *gradients;  // the modes, with evaluation.weights
  const char *from;
  struct evaluate_options evaluation;
  struct generate_options text;
  int64_t steps, seed;
  bool json, masters, version;
};

static bool check(const struct trainer_arguments *a, int configs, struct error *error) {
  if (a->steps != AUTO_INTEGER && a->steps < 1)
    return error_set(error, EXIT_USAGE_ERROR, "--steps takes a number of at least 1, not '%lld'", (long long)a->steps);
  bool steps = a->steps != AUTO_INTEGER, text = a->text.prompt || a->seed;
  int modes =
      steps + (a->evaluation.weights != NULL) + (a->generate != NULL) + (a->export != NULL) + (a->gradients != NULL);
  const struct evaluate_options *of = &a->evaluation;
  bool folder = of->weights && of->corpus_folder && configs == 0;  // a model without a run
  bool evaluation = a->json || of->corpus_folder || of->tokens || of->context || of->suite_tokens || of->suite_symbols;
  if ((configs != 1 && !folder) || modes > 1 || (evaluation && !of->weights) || (of->context && !folder) ||
      (text && !a->generate) || (a->masters && !a->export) || (a->from && !a->gradients && !a->export) ||
      (a->export && !a->from))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "one CONFIG.json is needed, but for --evaluate with --corpus of a folder in Hugging Face's layout; --json, --corpus, "
        "--eval-tokens, --suite-tokens and --suite-symbols go with --evaluate, --context with such a folder, --prompt and --seed with "
        "--generate, --from with --dump-gradients and --export (which needs it), --masters with --export, "
        "--steps with training");
  if (of->tokens < 0 || of->context < 0 || of->suite_tokens < 0 ||
      (of->suite_symbols && (of->suite_symbols < 2 || of->suite_symbols > 36)))
    return error_set(
        error, EXIT_USAGE_ERROR,
        "--eval-tokens, --context and --suite-tokens take numbers of at least 0, --suite-symbols of 2 to 36");
  if (a->text.count < 1 || a->text.top < 0 || !(a->text.temperature >= 0) || a->seed < 0)
    return error_set(error, EXIT_USAGE_ERROR,
                     "--tokens takes a number of at least 1; --top-k, --temperature and --seed of at least 0");
  return true;
}

static int run(struct trainer_arguments *a, const char *config) {
  struct error error = {0};
  if (a->gradients) return trainer_dump_gradients(config, a->from, a->gradients, &error) ? EXIT_DONE : fail(&error);
  if (a->export) return trainer_export(config, a->from, a->export, a->masters, &error) ? EXIT_DONE : fail(&error);
  a->evaluation.config_path = config;
  if (a->evaluation.weights) return evaluate(&a->evaluation, a->json);
  a->text.seed = (uint64_t)a->seed;
  if (a->generate) return generate(a->generate, config, &a->text);
  return train(config, a->steps == AUTO_INTEGER ? 0 : a->steps);
}

int main(int argc, char **argv) {
  struct trainer_arguments a = {.steps = AUTO_INTEGER, .text = {.count = 256, .temperature = 1}};
  const struct option options[] = {
      {"steps", 0, OPTION_INTEGER, &a.steps, "N", "stop once N steps of the run are done, as a signal would"},
      {"evaluate", 0, OPTION_TEXT, &a.evaluation.weights, "CHECKPOINT",
       "only compute the final loss, with the weights of this checkpoint folder"},
      {"json", 0, OPTION_FLAG, &a.json, NULL, "print the evaluation as JSON"},
      {"corpus", 0, OPTION_TEXT, &a.evaluation.corpus_folder, "FOLDER",
       "... on another prepared corpus of the same tokenizer"},
      {"eval-tokens", 0, OPTION_INTEGER, &a.evaluation.tokens, "N", "... on so many validation tokens"},
      {"context", 0, OPTION_INTEGER, &a.evaluation.context, "N", "... in windows of so many, of a model without a run"},
      {"suite-tokens", 0, OPTION_INTEGER, &a.evaluation.suite_tokens, "N", "... and on so many of each suite"},
      {"suite-symbols", 0, OPTION_INTEGER, &a.evaluation.suite_symbols, "S", "... with so many symbols"},
      {"generate", 0, OPTION_TEXT, &a.generate, "CHECKPOINT", "only write text with the weights of this folder"},
      {"prompt", 0, OPTION_TEXT, &a.text.prompt, "TEXT", "... that continues this one"},
      {"tokens", 0, OPTION_INTEGER, &a.text.count, "N", "... of at most so many tokens (256)"},
      {"temperature", 0, OPTION_NUMBER, &a.text.temperature, "T",
       "... drawn at this temperature (1; 0: the likeliest)"},
      {"top-k", 0, OPTION_INTEGER, &a.text.top, "K", "... among the K likeliest tokens (0: all)"},
      {"seed", 0, OPTION_INTEGER, &a.seed, "N", "... with this seed (0)"},
      {"export", 0, OPTION_TEXT, &a.export, "FOLDER",
       "only write the model of --from for other programs: weights as the run evaluates them, Hugging Face's files"},
      {"masters", 0, OPTION_FLAG, &a.masters, NULL, "... with the master weights instead"},
      {"dump-gradients", 0, OPTION_TEXT, &a.gradients, "FOLDER",
       "only write weights, first batch, its loss and gradients (safetensors, Hugging Face's names)"},
      {"from", 0, OPTION_TEXT, &a.from, "CHECKPOINT",
       "the checkpoint folder whose weights are written (without it, --dump-gradients takes the initial ones)"},
      {"version", 0, OPTION_FLAG, &a.version, NULL, "the version"},
      {0}};
  const struct help help = {
      "train one run",
      "isoloss-train [--steps N] CONFIG.json\n"
      "       isoloss-train --evaluate CHECKPOINT [--corpus FOLDER] [--eval-tokens N] [--suite-tokens N [--suite-symbols S]] [--json]\n"
      "                     CONFIG.json\n"
      "       isoloss-train --evaluate FOLDER --corpus FOLDER [--context N] [--json]\n"
      "       isoloss-train --generate CHECKPOINT [--prompt TEXT] [--tokens N] [--temperature T] [--top-k K] [--seed N]\n"
      "                     CONFIG.json\n"
      "       isoloss-train --export FOLDER --from CHECKPOINT [--masters] CONFIG.json\n"
      "       isoloss-train --dump-gradients FOLDER [--from CHECKPOINT] CONFIG.json",
      "CONFIG.json is the run's configuration, as isoloss writes it into the run's folder; events and checkpoints go into\n"
      "that folder. A run that was interrupted resumes from its newest good checkpoint, with the same losses to the last\n"
      "bit. SIGINT, SIGTERM, SIGUSR1 and SIGUSR2 finish the step, write a\n"
      "checkpoint and leave.\n\n"
      "Exit codes: 0 the run has its end (done or diverged), 1 stopped on request, 2 bad usage or configuration,\n"
      "3 environment (missing corpus or device, full disk, another worker at the run).",
      options};
  struct arena arena = {0};
  struct arguments given;
  struct error error = {0};
  int code = EXIT_DONE;
  if (!options_parse(options, "isoloss-train", argc, argv, &arena, &given, &error))
    code = fail(&error);
  else if (given.help)
    help_print(&help, stdout);
  else if (a.version)
    puts("isoloss-train " ISOLOSS_VERSION);
  else
    code = check(&a, given.count, &error) ? run(&a, given.count ? given.items[0] : NULL) : fail(&error);
  arena_free(&arena);
  return code;
}
