// Interrupted runs end like uninterrupted ones, in every bit: SIGKILL at random moments, SIGTERM, --steps, damaged
// checkpoints, a full disk. Argument: the path of isoloss-train.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/trainer/make_run.h"
#include "tests/trainer/process.h"
#include "trainer/checkpoint.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/safetensors.h"

static const char *program;
static char folder[] = "/tmp/isoloss-interruption-XXXXXX";
static struct arena arena;
static char *uninterrupted;  // log of the run below, without times

static char *const small_run[] = {"corpus.source=markov2",    "corpus.markov2_vocabulary=32",
                                  "model.layers=2",           "model.width=32",
                                  "model.kv_heads=1",         "model.context=16",
                                  "train.batch_tokens=128",   "train.accumulation=2",
                                  "train.steps=150",          "train.checkpoint_steps=10",
                                  "train.keep_checkpoints=2", "train.evals=6",
                                  "train.eval_tokens=256",    "train.final_eval_tokens=4096",
                                  "train.log_steps=1",        "corpus.markov2_exponent=1.5"};
enum { PAIRS = sizeof small_run / sizeof small_run[0] };

static char *file_of(const char *run, const char *name) { return arena_format(&arena, "%s/%s/%s", folder, run, name); }

static void make(const char *run, int count, char *const *pairs) {
  struct error error = {0};
  char *path = file_of(run, "");
  folder_remove(path, &error);
  if (!CHECK(make_run(path, count, pairs, &error))) printf("# %s\n", error.text);
}

static pid_t start(const char *run, int64_t limit, char *option, char *value) {
  char *config = file_of(run, "config.json");
  char *arguments[] = {option ? option : config, value, config, NULL};
  if (!option) arguments[1] = NULL;
  return process_start(program, file_of(run, "log.txt"), limit, arguments);
}

static int finish(const char *run) { return process_wait(start(run, 0, NULL, NULL)); }

static const char *output(const char *run) {
  struct error error = {0};
  char *text = file_read(&arena, file_of(run, "log.txt"), NULL, &error);
  return text ? text : "";
}

static void same_as(const char *run, const char *want) {
  struct error error = {0};
  char *log = log_without_times(&arena, file_of(run, "events.jsonl"), &error);
  if (CHECK(log && want && strcmp(log, want) == 0)) return;
  // The first line that differs.
  const char *a = want ? want : "", *b = log ? log : "";
  size_t at = 0, line = 0;
  while (a[at] && a[at] == b[at])
    if (a[at++] == '\n') line = at;
  printf("# want %.*s\n# got  %.*s\n", (int)strcspn(a + line, "\n"), a + line, (int)strcspn(b + line, "\n"), b + line);
}

static void same_as_uninterrupted(const char *run) { same_as(run, uninterrupted); }

static void a_run_to_compare_with(void) {
  struct error error = {0};
  make("whole", PAIRS, small_run);
  CHECK(finish("whole") == EXIT_DONE);
  uninterrupted = log_without_times(&arena, file_of("whole", "events.jsonl"), &error);
  CHECK(uninterrupted != NULL && log_count(file_of("whole", "events.jsonl"), "step") == 150);
  CHECK(log_count(file_of("whole", "events.jsonl"), "eval") == 6);
  CHECK(log_count(file_of("whole", "events.jsonl"), "checkpoint") == 15);
  CHECK(log_count(file_of("whole", "events.jsonl"), "done") == 1);
  CHECK(file_exists(file_of("whole", "checkpoints/step-150")) && file_exists(file_of("whole", "checkpoints/step-140")));
  CHECK(!file_exists(file_of("whole", "checkpoints/step-130")));
}

static void same_bits_twice(void) {
  make("again", PAIRS, small_run);
  CHECK(finish("again") == EXIT_DONE);
  same_as_uninterrupted("again");
  // A finished run is left alone.
  struct stat before, after;
  stat(file_of("again", "events.jsonl"), &before);
  CHECK(finish("again") == EXIT_DONE && strstr(output("again"), "nothing to do"));
  stat(file_of("again", "events.jsonl"), &after);
  CHECK(before.st_size == after.st_size && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec);
}

// A longer run than the others, so that it takes many kills to the end.
static void killed_at_random_moments(void) {
  struct error error = {0};
  char *pairs[PAIRS + 2];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.steps=1500";
  pairs[PAIRS + 1] = "train.checkpoint_steps=20";
  make("long", PAIRS + 2, pairs);
  CHECK(finish("long") == EXIT_DONE);
  char *want = log_without_times(&arena, file_of("long", "events.jsonl"), &error);

  int kills = 0, ends = 0, deepest = 0;
  uint64_t seed = (uint64_t)time(NULL);
  make("killed", PAIRS + 2, pairs);
  for (uint64_t attempt = 0; kills < 20 && attempt < 200; attempt++) {
    pid_t process = start("killed", 0, NULL, NULL);
    // From before the first line of the log to many checkpoints later.
    nanosleep(&(struct timespec){.tv_nsec = (long)(random_uniform(seed, 1004, 0, attempt) * 250e6)}, NULL);
    kill(process, SIGKILL);
    int code = process_wait(process);
    kills += code == -SIGKILL;
    int starts = log_count(file_of("killed", "events.jsonl"), "start");
    if (starts > deepest) deepest = starts;
    if (!CHECK(code == -SIGKILL || code == EXIT_DONE)) printf("# exit %d: %s\n", code, output("killed"));
    if (code == EXIT_DONE) {
      same_as("killed", want);
      make("killed", PAIRS + 2, pairs);
      ends++;
    }
  }
  CHECK(kills == 20);
  CHECK(finish("killed") == EXIT_DONE);
  printf("# %d kills, %d times to the end, up to %d starts in one log\n", kills, ends + 1, deepest);
  same_as("killed", want);
}

// A run that came to its end before this process was given time to send the signal is made anew.
static void stopped_by_signals(void) {
  static const int kinds[] = {SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
  make("stopped", PAIRS, small_run);
  char *log = file_of("stopped", "events.jsonl");
  int stops = 0;
  for (int attempt = 0; stops < 4 && attempt < 100; attempt++) {
    pid_t process = start("stopped", 0, NULL, NULL);
    int before = log_count(log, "step");
    for (int wait = 0; wait < 6000 && log_count(log, "step") < before + 5; wait++)
      nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
    kill(process, SIGCONT);  // means nothing to one that is at work
    kill(process, kinds[stops]);
    int code = process_wait(process);
    if (!CHECK(code == EXIT_RUNS_FAILED || code == EXIT_DONE)) break;
    if (code == EXIT_DONE) {
      make("stopped", PAIRS, small_run);
    } else {
      stops++;
      CHECK(log_count(log, "stopped") == 1);
    }
  }
  CHECK(stops == 4);
  CHECK(finish("stopped") == EXIT_DONE);
  same_as_uninterrupted("stopped");
}

static void stopped_after_steps(void) {
  make("steps", PAIRS, small_run);
  CHECK(process_wait(start("steps", 0, "--steps", "37")) == EXIT_RUNS_FAILED);
  CHECK(log_count(file_of("steps", "events.jsonl"), "step") == 37);
  CHECK(file_exists(file_of("steps", "checkpoints/step-37")));
  CHECK(process_wait(start("steps", 0, "--steps", "60")) == EXIT_RUNS_FAILED);  // at a checkpoint of its own
  CHECK(finish("steps") == EXIT_DONE);
  same_as_uninterrupted("steps");
}

// Changes one byte in the middle, or cuts the file in half.
static void damage(const char *path, bool cut) {
  struct stat status;
  if (!CHECK(stat(path, &status) == 0)) return;
  int file = open(path, O_RDWR);
  char byte;
  if (cut) {
    CHECK(ftruncate(file, status.st_size / 2) == 0);
  } else {
    CHECK(pread(file, &byte, 1, status.st_size / 2) == 1);
    byte ^= 16;
    CHECK(pwrite(file, &byte, 1, status.st_size / 2) == 1);
  }
  close(file);
}

static void falls_back_from(const char *name, bool cut, const char *says) {
  make("damaged", PAIRS, small_run);
  CHECK(process_wait(start("damaged", 0, "--steps", "50")) == EXIT_RUNS_FAILED);
  damage(file_of("damaged", arena_format(&arena, "checkpoints/step-50/%s", name)), cut);
  CHECK(finish("damaged") == EXIT_DONE);
  if (!CHECK(strstr(output("damaged"), "checkpoint not used") && strstr(output("damaged"), says)))
    printf("# %s: %s\n", name, output("damaged"));
  struct error error = {0};
  char *log = file_read(&arena, file_of("damaged", "events.jsonl"), NULL, &error);
  CHECK(log && strstr(log, "\"resumed_from\":40"));
  same_as_uninterrupted("damaged");
}

static void damaged_checkpoints(void) {
  falls_back_from("model.safetensors", false, "model.safetensors is damaged");
  falls_back_from("state.bin", true, "state.bin is damaged");
  falls_back_from("config.json", false, "config.json is damaged");
  falls_back_from("checksums.xxh128", true, "no line for");
}

static void no_checkpoint_left(void) {
  make("bare", PAIRS, small_run);
  CHECK(process_wait(start("bare", 0, "--steps", "50")) == EXIT_RUNS_FAILED);
  damage(file_of("bare", "checkpoints/step-50/state.bin"), false);
  damage(file_of("bare", "checkpoints/step-40/state.bin"), false);
  CHECK(finish("bare") == EXIT_DONE);
  CHECK(strstr(output("bare"), "training from the start"));
  same_as_uninterrupted("bare");
  // A checkpoint without the log it was written with.
  make("bare", PAIRS, small_run);
  CHECK(process_wait(start("bare", 0, "--steps", "50")) == EXIT_RUNS_FAILED);
  CHECK(truncate(file_of("bare", "events.jsonl"), 100) == 0);
  CHECK(finish("bare") == EXIT_DONE);
  CHECK(strstr(output("bare"), "not the one it was written with"));
  same_as_uninterrupted("bare");
  // Checkpoints of another configuration.
  struct error error = {0};
  make("bare", PAIRS, small_run);
  CHECK(process_wait(start("bare", 0, "--steps", "50")) == EXIT_RUNS_FAILED);
  char *pairs[PAIRS + 1];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.lr=1e-3";
  CHECK(make_run(file_of("bare", ""), PAIRS + 1, pairs, &error));
  CHECK(finish("bare") == EXIT_DONE);
  CHECK(strstr(output("bare"), "another configuration"));
}

static void full_disk(void) {
  struct error error = {0};
  make("full", PAIRS, small_run);
  CHECK(process_wait(start("full", 0, "--steps", "25")) == EXIT_RUNS_FAILED);
  struct stat status;
  CHECK(stat(file_of("full", "checkpoints/step-25/model.safetensors"), &status) == 0);
  // The log fits, a checkpoint does not.
  CHECK(process_wait(start("full", status.st_size / 2, NULL, NULL)) == EXIT_ENVIRONMENT);
  CHECK(strstr(output("full"), "checkpoint of step 30"));
  CHECK(log_count(file_of("full", "events.jsonl"), "failed") == 1);
  if (!CHECK(checkpoint_verify(file_of("full", "checkpoints/step-25"), &error))) printf("# %s\n", error.text);
  CHECK(!file_exists(file_of("full", "checkpoints/step-30")));
  // Nothing fits.
  CHECK(process_wait(start("full", 64, NULL, NULL)) == EXIT_ENVIRONMENT);
  CHECK(strstr(output("full"), "cannot write the event log"));
  CHECK(checkpoint_verify(file_of("full", "checkpoints/step-25"), &error));
  CHECK(finish("full") == EXIT_DONE);
  same_as_uninterrupted("full");
}

// Moments in bfloat16 come back from a checkpoint in every bit, and so does the noise that they are rounded with.
static void narrow_state(void) {
  struct error error = {0};
  char *pairs[PAIRS + 2];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.optimizer_state=bfloat16";
  pairs[PAIRS + 1] = "train.steps=40";
  make("narrow", PAIRS + 2, pairs);
  CHECK(finish("narrow") == EXIT_DONE);
  char *whole = log_without_times(&arena, file_of("narrow", "events.jsonl"), &error);
  make("narrow-again", PAIRS + 2, pairs);
  CHECK(process_wait(start("narrow-again", 0, "--steps", "17")) == EXIT_RUNS_FAILED);
  CHECK(finish("narrow-again") == EXIT_DONE);
  same_as("narrow-again", whole);
  // Half the bytes of float32 moments.
  pairs[PAIRS] = "train.optimizer_state=float32";
  make("wide", PAIRS + 2, pairs);
  CHECK(finish("wide") == EXIT_DONE);
  struct stat narrow_file, wide_file;
  CHECK(stat(file_of("narrow", "checkpoints/step-40/state.bin"), &narrow_file) == 0 &&
        stat(file_of("wide", "checkpoints/step-40/state.bin"), &wide_file) == 0);
  int64_t half = (wide_file.st_size - 160) / 2 + 160;
  CHECK(narrow_file.st_size >= half && narrow_file.st_size < half + 2 * 64);
}

// Every optimizer: stopped and taken up again, with moments of either type, and the bytes of its state.
static void every_optimizer(void) {
  struct error error = {0};
  char *pairs[PAIRS + 4];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.steps=40";
  for (size_t i = 0; optimizers[i]; i++)
    for (int narrow = 0; narrow < 2; narrow++) {
      pairs[PAIRS + 1] = arena_format(&arena, "train.optimizer=%s", optimizers[i]->name);
      pairs[PAIRS + 2] = arena_format(&arena, "train.optimizer_state=%s", narrow ? "bfloat16" : "float32");
      pairs[PAIRS + 3] = strcmp(optimizers[i]->name, "sgd") == 0 ? "train.lr=0.3" : "train.lr=1e-3";
      make("optimizer", PAIRS + 4, pairs);
      CHECK(finish("optimizer") == EXIT_DONE);
      char *whole = log_without_times(&arena, file_of("optimizer", "events.jsonl"), &error);
      make("optimizer-again", PAIRS + 4, pairs);
      CHECK(process_wait(start("optimizer-again", 0, "--steps", "17")) == EXIT_RUNS_FAILED);
      CHECK(finish("optimizer-again") == EXIT_DONE);
      same_as("optimizer-again", whole);
      struct run_file file;
      struct stat state;
      CHECK(run_file_read(&arena, file_of("optimizer", "config.json"), &file, &error));
      CHECK(stat(file_of("optimizer", "checkpoints/step-40/state.bin"), &state) == 0 &&
            state.st_size == 160 + optimizer_state_bytes(&file.config));
    }
}

// Optimizers with formats of all kinds: quantized, with learned scales, in blocks, gradients too, sparse. One of each
// kind of optimizer goes through all of them, the others take turns.
static bool goes_through_all(const char *optimizer) {
  static const char *const names[] = {"adamw", "muon", "soap", "ldadam"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(optimizer, names[i]) == 0) return true;
  return false;
}

static void optimizers_with_formats(void) {
  static const char *const formats[] = {"w4a4", "lsq-w4a4", "mxfp4", "quartet2", "2:4"};
  struct error error = {0};
  char *pairs[PAIRS + 5];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.steps=12";
  pairs[PAIRS + 1] = "train.evals=0";
  for (size_t i = 0; optimizers[i]; i++)
    for (size_t format = 0; format < sizeof formats / sizeof *formats; format++) {
      if (!goes_through_all(optimizers[i]->name) && (i + format) % 5) continue;
      pairs[PAIRS + 2] = arena_format(&arena, "train.optimizer=%s", optimizers[i]->name);
      pairs[PAIRS + 3] = arena_format(&arena, "format=%s", formats[format]);
      pairs[PAIRS + 4] = strcmp(optimizers[i]->name, "sgd") == 0 ? "train.lr=0.1" : "train.lr=1e-3";
      make("format", PAIRS + 5, pairs);
      CHECK(finish("format") == EXIT_DONE);
      char *whole = log_without_times(&arena, file_of("format", "events.jsonl"), &error);
      CHECK(log_count(file_of("format", "events.jsonl"), "done") == 1);
      make("format-again", PAIRS + 5, pairs);
      CHECK(process_wait(start("format-again", 0, "--steps", "7")) == EXIT_RUNS_FAILED);
      CHECK(finish("format-again") == EXIT_DONE);
      same_as("format-again", whole);
    }
}

// Master weights in bfloat16 likewise; the checkpoint holds them as they are kept, and gives the final loss again.
static void narrow_masters(void) {
  struct error error = {0};
  char *pairs[PAIRS + 6];
  memcpy(pairs, small_run, sizeof small_run);
  pairs[PAIRS] = "train.optimizer_state=bfloat16";
  pairs[PAIRS + 1] = "train.steps=40";
  pairs[PAIRS + 2] = "train.master_weights=bfloat16";
  for (int tied = 0; tied < 2; tied++) {
    pairs[PAIRS + 3] = tied ? "model.tied_head=true" : "model.tied_head=false";
    pairs[PAIRS + 4] = tied ? "format=sparse(0.6,cubic(0.2,0.8),every(3),monotone)" : "format=none";
    pairs[PAIRS + 5] = "model.dtype=bfloat16";
    make("masters", PAIRS + 6, pairs);
    CHECK(finish("masters") == EXIT_DONE);
    char *whole = log_without_times(&arena, file_of("masters", "events.jsonl"), &error);
    make("masters-again", PAIRS + 6, pairs);
    CHECK(process_wait(start("masters-again", 0, "--steps", "17")) == EXIT_RUNS_FAILED);
    CHECK(finish("masters-again") == EXIT_DONE);
    same_as("masters-again", whole);
    struct safetensors_file file;
    if (!CHECK(safetensors_open(&arena, file_of("masters", "checkpoints/step-40/model.safetensors"), &file, &error)))
      continue;
    int64_t narrow = 0;
    for (int i = 0; i < file.count; i++) {
      bool matrix = file.tensors[i].dimensions == 2 && !strstr(file.tensors[i].name, "embed_tokens");
      CHECK_TEXT(file.tensors[i].dtype, matrix ? "BF16" : "F32");
      narrow += matrix;
    }
    CHECK(narrow == 2 * 7 + !tied);
    safetensors_close(&file);
    const struct evaluate_options options = {.config_path = file_of("masters", "config.json"),
                                             .weights = file_of("masters", "checkpoints/step-40")};
    struct saved_evaluation evaluation;
    CHECK(trainer_evaluate(&options, &evaluation, &error));
    // The log's numbers are the shortest that read back to the same.
    const char *last = strstr(whole, "\"event\":\"done\"");
    const char *logged = last ? strstr(last, "\"loss\":") : NULL;
    CHECK(logged && strtod(logged + 7, NULL) == evaluation.on_text.loss);
  }
}

int main(int argc, char **argv) {
  struct error error = {0};
  if (argc != 2 || !mkdtemp(folder)) return 1;
  program = argv[1];
  RUN(a_run_to_compare_with);
  RUN(same_bits_twice);
  RUN(killed_at_random_moments);
  RUN(stopped_by_signals);
  RUN(stopped_after_steps);
  RUN(damaged_checkpoints);
  RUN(no_checkpoint_left);
  RUN(full_disk);
  RUN(narrow_state);
  RUN(every_optimizer);
  RUN(optimizers_with_formats);
  RUN(narrow_masters);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
