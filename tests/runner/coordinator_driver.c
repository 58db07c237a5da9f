// A coordinator to test with: coordinator_driver HOME RUNS [options] -- COMMAND... coordinates runs that differ in
// their seed (--seeds A: from A on), of a tiny model, trained by the command. Prints the outcome as one line of JSON,
// with the processor time that it and its workers took.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "runner/execute/coordinator.h"
#include "runner/execute/mps.h"

struct tiny {
  int64_t first_seed, steps;
  double memory;  // bytes of a run; NAN: not known
};

static void describe(void *context, size_t i, struct coordinator_run *run) {
  const struct tiny *tiny = context;
  struct run_config *config = &run->file.config;
  struct corpus_facts facts = {.known = true,
                               .digest = "0123",
                               .vocabulary = 257,
                               .train_tokens = 1000000,
                               .validation_tokens = 10000,
                               .bytes_per_token = 1,
                               .targets_per_token = 1,
                               .irreducible_loss = NAN};
  struct error error = {0};
  config_default(config);
  config->model.layers = 1;
  config->model.width = 16;
  config->model.context = 16;
  config->train.batch_tokens = 16;
  config->train.steps = tiny->steps;
  config->seed = tiny->first_seed + (int64_t)i;
  if (!config_resolve(config, &facts, "float32", &error)) {
    fprintf(stderr, "%s\n", error.text);
    exit(EXIT_USAGE_ERROR);
  }
  struct digest id = config_identity(config, facts.digest, "train", "");
  memcpy(run->file.id, id.hex, sizeof id.hex);
  snprintf(run->file.corpus_digest, sizeof run->file.corpus_digest, "%s", facts.digest);
  run->file.corpus_path = "";
  run->record = (struct run_record){
      .stage = "train", .trainer = "[]", .corpus = facts, .quantities = config_quantities(config, &facts)};
  run->seconds = NAN;
  // Seeds from 100 on are four times as large.
  run->memory = tiny->memory * (config->seed >= 100 ? 4 : 1);
  snprintf(run->label, sizeof run->label, "seed %lld", (long long)config->seed);
}

static double processor_seconds(int whose) {
  struct rusage usage;
  getrusage(whose, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

int main(int argc, char **argv) {
  struct tiny tiny = {.first_seed = 0, .steps = 20, .memory = NAN};
  struct experiment_record experiment = {.name = "driven", .spec_path = "none", .spec_text = "", .about = NULL};
  struct coordinator_options options = {.experiment = &experiment, .retries = 2};
  const char *gpus = NULL, *gpu_memory = NULL;
  bool with_mps = false;
  struct mps mps = {{0}};
  if (argc < 3) return EXIT_USAGE_ERROR;
  options.home = argv[1];
  struct coordinator_set set = {.count = strtoul(argv[2], NULL, 10), .context = &tiny, .describe = describe};
  for (int i = 3; i < argc; i++) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--") == 0) {
      options.command = (const char *const *)(argv + i + 1);
      options.command_count = (size_t)(argc - i - 1);
      break;
    }
    if (strcmp(argv[i], "--fail-fast") == 0)
      options.fail_fast = true;
    else if (strcmp(argv[i], "--keep-going") == 0)
      options.keep_going = true;
    else if (strcmp(argv[i], "--retry-failed") == 0)
      options.retry_failed = true;
    else if (strcmp(argv[i], "--quiet") == 0)
      options.quiet = true;
    else if (strcmp(argv[i], "--jobs") == 0)
      options.jobs = strtol(value, NULL, 10), i++;
    else if (strcmp(argv[i], "--time-limit") == 0)
      options.time_limit = strtod(value, NULL), i++;
    else if (strcmp(argv[i], "--stall-limit") == 0)
      options.stall_limit = strtod(value, NULL), i++;
    else if (strcmp(argv[i], "--retry-stalled") == 0)
      options.retry_stalled = true;
    else if (strcmp(argv[i], "--retries") == 0)
      options.retries = strtol(value, NULL, 10), i++;
    else if (strcmp(argv[i], "--seeds") == 0)
      tiny.first_seed = strtol(value, NULL, 10), i++;
    else if (strcmp(argv[i], "--steps") == 0)
      tiny.steps = strtol(value, NULL, 10), i++;
    else if (strcmp(argv[i], "--memory") == 0)
      tiny.memory = strtod(value, NULL), i++;
    else if (strcmp(argv[i], "--memory-limit") == 0)
      options.memory = strtod(value, NULL), i++;
    else if (strcmp(argv[i], "--gpus") == 0)
      gpus = value, i++;
    else if (strcmp(argv[i], "--gpu-memory") == 0)
      gpu_memory = value, i++;
    else if (strcmp(argv[i], "--per-gpu") == 0)
      options.per_gpu = strtol(value, NULL, 10), i++;
    else if (strcmp(argv[i], "--mps") == 0)
      with_mps = true;
    else if (strcmp(argv[i], "--experiment") == 0)
      experiment.name = value, i++;
    else
      return EXIT_USAGE_ERROR;
  }
  struct coordinator_outcome outcome = {0};
  struct error error = {0};
  struct arena arena = {0};
  enum exit_code code = EXIT_DONE;
  if (gpus && !gpu_list_read(&arena, gpus, gpu_memory, getenv("CUDA_VISIBLE_DEVICES"), &options.gpus, &error))
    code = error.code;
  if (code == EXIT_DONE && with_mps && !mps_begin(&mps, &options.gpus, options.home, &error)) code = error.code;
  if (code == EXIT_DONE) code = coordinator_execute(&set, &options, &outcome, &error);
  mps_end(&mps);
  if (error.code) fprintf(stderr, "error: %s\n", error.text);
  printf(
      "{\"total\":%zu,\"already\":%zu,\"done\":%zu,\"diverged\":%zu,\"failed\":%zu,\"killed\":%zu,\"pending\":%zu,"
      "\"interrupted\":%s,\"seconds\":%.6f,\"workers_seconds\":%.6f}\n",
      outcome.total, outcome.already, outcome.done, outcome.diverged, outcome.failed, outcome.killed, outcome.pending,
      outcome.interrupted ? "true" : "false", processor_seconds(RUSAGE_SELF), processor_seconds(RUSAGE_CHILDREN));
  arena_free(&arena);
  return code;
}
