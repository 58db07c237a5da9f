// isoloss-train: the built-in trainer's command line.
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"
#include "trainer/trainer.h"

static volatile sig_atomic_t stop_asked;

// The second Ctrl-C ends the program at once: the handler is taken back when it has run.
static void ask_to_stop(int signal) { stop_asked = signal; }

static const char help_text[] =
    "usage: isoloss-train [--steps N] CONFIG.json\n"
    "       isoloss-train --evaluate CHECKPOINT [--json] CONFIG.json\n"
    "       isoloss-train --dump-gradients FOLDER [--from CHECKPOINT] CONFIG.json\n\n"
    "Trains one run. CONFIG.json is the run's configuration, as isoloss writes it into the run's folder; events and\n"
    "checkpoints go into that folder. A run that was interrupted goes on from its newest good checkpoint, with the same\n"
    "losses to the last bit. SIGINT and SIGTERM finish the step, write a checkpoint and leave.\n\n"
    "      --steps N              stop once N steps of the run are done, as a signal would\n"
    "      --evaluate CHECKPOINT  only compute the final loss, with the weights of this checkpoint folder\n"
    "      --json                 print the evaluation as JSON\n"
    "      --dump-gradients FOLDER  only write weights, first batch, its loss and gradients, to compare with\n"
    "                             other implementations (safetensors, Hugging Face's names)\n"
    "      --from CHECKPOINT      with the weights of this checkpoint folder instead of the initial ones\n"
    "  -h, --help                 this text\n"
    "      --version              the version\n\n"
    "Exit codes: 0 the run has its end (done or diverged), 1 stopped on request, 2 bad usage or configuration,\n"
    "3 environment (missing corpus or device, full disk, another worker at the run).\n";

static int fail(const struct error *error) {
  fprintf(stderr, "isoloss-train: %s\n", error->text);
  return (int)error->code;
}

static int evaluate(const char *checkpoint, const char *config, bool as_json) {
  struct evaluation result;
  struct error error = {0};
  if (!trainer_evaluate(config, checkpoint, &result, &error)) return fail(&error);
  struct text text = {0};
  if (as_json) {
    struct json_writer json = json_writer(&text, true);
    json_object_begin(&json);
    json_key_number(&json, "loss", result.loss);
    json_key_number(&json, "bits_per_byte", result.bits_per_byte);
    json_key_number(&json, "oracle_loss", result.oracle_loss);
    json_key_integer(&json, "eval_tokens", result.tokens);
    json_key_integer(&json, "eval_targets", result.targets);
    json_object_end(&json);
  } else {
    char number[32];
    number_shortest(result.loss, number);
    text_format(&text, "loss %s", number);
    if (isfinite(result.bits_per_byte)) text_format(&text, ", %.4f bits per byte", result.bits_per_byte);
    if (isfinite(result.oracle_loss)) text_format(&text, ", the source's own %.6f", result.oracle_loss);
    text_format(&text, ", on %lld validation tokens (%lld targets)\n", (long long)result.tokens,
                (long long)result.targets);
  }
  bool fine = fputs(text_string(&text), stdout) >= 0 && fflush(stdout) == 0;
  text_free(&text);
  if (fine) return EXIT_DONE;
  error_set_errno(&error, EXIT_ENVIRONMENT, "cannot write the result");
  return fail(&error);
}

static int train(const char *config, int64_t stop_after) {
  struct sigaction action = {.sa_handler = ask_to_stop, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  signal(SIGXFSZ, SIG_IGN);  // a file size limit is reported as the failed write that it is
  struct trainer_options options = {.config_path = config, .stop_after = stop_after, .stop_asked = &stop_asked};
  struct error error = {0};
  enum exit_code code = trainer_run(&options, &error);
  return error.code != EXIT_DONE ? fail(&error) : (int)code;
}

int main(int argc, char **argv) {
  enum { STEPS = 256, EVALUATE, JSON, VERSION, DUMP_GRADIENTS, FROM };
  static const struct option options[] = {
      {"steps", required_argument, NULL, STEPS}, {"evaluate", required_argument, NULL, EVALUATE},
      {"json", no_argument, NULL, JSON},         {"help", no_argument, NULL, 'h'},
      {"version", no_argument, NULL, VERSION},   {"dump-gradients", required_argument, NULL, DUMP_GRADIENTS},
      {"from", required_argument, NULL, FROM},   {NULL, 0, NULL, 0}};
  int64_t stop_after = 0;
  const char *checkpoint = NULL, *gradients = NULL, *from = NULL;
  bool as_json = false;
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    switch (option) {
      case STEPS:
        if (!integer_parse(optarg, &stop_after) || stop_after < 1) {
          fprintf(stderr, "isoloss-train: --steps takes a number of at least 1, not '%s'\n", optarg);
          return EXIT_USAGE_ERROR;
        }
        break;
      case EVALUATE:
        checkpoint = optarg;
        break;
      case DUMP_GRADIENTS:
        gradients = optarg;
        break;
      case FROM:
        from = optarg;
        break;
      case JSON:
        as_json = true;
        break;
      case VERSION:
        puts("isoloss-train " ISOLOSS_VERSION);
        return EXIT_DONE;
      case 'h':
        fputs(help_text, stdout);
        return EXIT_DONE;
      default:
        fputs("isoloss-train: see isoloss-train --help\n", stderr);
        return EXIT_USAGE_ERROR;
    }
  }
  if (optind + 1 != argc || (as_json && !checkpoint) || (checkpoint && stop_after) || (from && !gradients) ||
      (gradients && (checkpoint || stop_after))) {
    fputs(
        "isoloss-train: one CONFIG.json is needed; --json goes with --evaluate, --from with --dump-gradients, --steps "
        "with training\n",
        stderr);
    return EXIT_USAGE_ERROR;
  }
  if (gradients) {
    struct error error = {0};
    return trainer_dump_gradients(argv[optind], from, gradients, &error) ? EXIT_DONE : fail(&error);
  }
  return checkpoint ? evaluate(checkpoint, argv[optind], as_json) : train(argv[optind], stop_after);
}
