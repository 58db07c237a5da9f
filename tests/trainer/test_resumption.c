// What goes on after a stop goes on with the same bits: learning rates of every schedule in warm-up and in decay, the
// order of the data in a second epoch, every kind of format, and what is left when the newest checkpoint is cut short.
// The log of a run has the rate and the loss of every step, so that equal logs are equal rates, batches and weights.
// Argument: the path of isoloss-train.
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kernels/formats/format.h"
#include "tests/check.h"
#include "tests/trainer/make_run.h"
#include "tests/trainer/process.h"

static const char *program;
static char folder[] = "/tmp/isoloss-resumption-XXXXXX";
static struct arena arena;

static const char tiny[] =
    "corpus.source=markov2 corpus.markov2_vocabulary=32 model.layers=1 model.width=32 model.kv_heads=1 "
    "model.context=24 train.batch_tokens=96 train.accumulation=2 train.evals=3 train.eval_tokens=96 "
    "train.final_eval_tokens=480 train.log_steps=1 train.keep_checkpoints=2";

static char *path_of(const char *run, const char *name) { return arena_format(&arena, "%s/%s/%s", folder, run, name); }

static void make(const char *run, const char *settings) {
  struct error error = {0};
  size_t count;
  const char **pairs = text_split(&arena, settings, ";", &count), **of_tiny, *all[64];
  size_t tinies;
  of_tiny = text_split(&arena, tiny, " ", &tinies);
  for (size_t i = 0; i < tinies; i++) all[i] = of_tiny[i];
  for (size_t i = 0; i < count; i++) all[tinies + i] = pairs[i];
  folder_remove(path_of(run, ""), &error);
  if (!CHECK(make_run(path_of(run, ""), (int)(tinies + count), (char *const *)all, &error)))
    printf("# %s: %s\n", settings, error.text);
}

// Until `steps` are done, or to the end ("").
static int go(const char *run, const char *steps) {
  char *config = path_of(run, "config.json");
  char *stop[] = {"--steps", arena_string(&arena, steps), config, NULL}, *on[] = {config, NULL};
  return process_wait(process_start(program, path_of(run, "log.txt"), 0, *steps ? stop : on));
}

static char *log_of(const char *run) {
  struct error error = {0};
  char *log = log_without_times(&arena, path_of(run, "events.jsonl"), &error);
  return log ? log : "";
}

// Stops a run after each of the steps (separated by spaces), and compares its log with that of one without stops.
static void check_stops(const char *settings, const char *stops) {
  size_t count;
  const char **steps = text_split(&arena, stops, " ", &count);
  make("whole", settings);
  CHECK(go("whole", "") == EXIT_DONE);
  make("parts", settings);
  for (size_t i = 0; i < count; i++) CHECK(go("parts", steps[i]) == EXIT_RUNS_FAILED);
  CHECK(go("parts", "") == EXIT_DONE);
  const char *want = log_of("whole"), *got = log_of("parts");
  if (CHECK(*want && strcmp(got, want) == 0)) return;
  size_t at = 0, line = 0;
  while (want[at] && want[at] == got[at])
    if (want[at++] == '\n') line = at;
  printf("# %s\n# want %.*s\n# got  %.*s\n", settings, (int)strcspn(want + line, "\n"), want + line,
         (int)strcspn(got + line, "\n"), got + line);
}

// 40 steps warm up for 8 and, with wsd, cool down for the last 16.
static void rates_after_a_stop(void) {
  static const char *const schedules[] = {"cosine", "linear", "constant", "wsd;train.cooldown_fraction=0.4"};
  for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
    check_stops(arena_format(&arena, "train.steps=40;train.warmup_steps=8;train.schedule=%s", schedules[i]),
                "3 8 20 31");
}

// Levels are fitted anew at each step, and draws are the step's.
static void exchanged_gradients_after_a_stop(void) {
  check_stops("train.steps=16;train.gradient_compression=layerwise", "3 11");
  check_stops("train.steps=12;train.gradient_compression=uniform;train.gradient_bucket=0", "5");
  check_stops("train.steps=12;train.first_moment=w(int4[absmax,group(16),stochastic]);train.second_moment=int8-g16",
              "5");
}

static void data_in_a_second_epoch(void) {
  struct error error = {0};
  struct corpus_location location;
  struct run_config config;
  struct text text = {0};
  setenv("XDG_CACHE_HOME", path_of("cache", ""), 1);
  for (uint64_t i = 0; i < 900; i++)
    text_format(&text, "w%llu%s", (unsigned long long)random_below(11, 1000, 0, i, 500), i % 9 ? " " : "\n\n");
  CHECK(folder_make(path_of("text", ""), &error) &&
        file_write_atomic(path_of("text", "t.txt"), text.bytes, text.length, &error));
  text_free(&text);
  config_default(&config);
  config.corpus.source = "files";
  config.corpus.files = path_of("text", "t.txt");
  config.corpus.validation_fraction = 0.2;
  config.model.context = 24;
  if (!CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error))) printf("# %s\n", error.text);
  struct corpus *corpus = corpus_open(location.path, location.digest, &config, &error);
  if (!CHECK(corpus != NULL)) return;
  int64_t epoch = corpus_facts(corpus, 24).train_tokens / 96;  // steps
  corpus_close(corpus);
  CHECK(epoch >= 20 && epoch < 100);
  check_stops(arena_format(&arena, "corpus.source=files;corpus.files=%s;corpus.validation_fraction=0.2;train.steps=%d",
                           config.corpus.files, (int)(epoch * 3 / 2)),
              arena_format(&arena, "%d %d %d", (int)epoch - 2, (int)epoch + 1, (int)(epoch * 5 / 4)));
}

static void every_format(void) {
  static const char *const formats[] = {"w4a4",
                                        "lsq-w4a4",
                                        "w(nvfp4)a(nvfp4)g(nvfp4[stochastic])[requantize]",
                                        "w(int4)a(int4[stochastic])",
                                        "w(noise(0.01))a(noise(0.01))",
                                        "w(2:4+int4)a(int8)g(mxfp4)",
                                        "random-sparse(0.5)",
                                        "sparse(0.8,journey,every(1))",
                                        "sparse(0.6,cubic(0.2,0.8),every(3),monotone)"};
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
    check_stops(arena_format(&arena, "train.steps=12;format=%s", formats[i]), "5 8");
  for (const struct format_preset *preset = format_presets; preset->name; preset++)
    check_stops(arena_format(&arena, "train.steps=6;format=%s", preset->name), "3");
}

// Before the format begins, exactly then, and after; and while weights are averaged.
static void phases(void) {
  static const char *const settings[] = {
      "train.steps=10;format=w4a4 after 0.6",
      "train.steps=10;format=lsq-w4a4 after 0.6",
      "train.steps=10;format=w(2:4+int4)a(int8)g(mxfp4) after 0.6;train.optimizer=muon",
      "train.steps=10;format=sparse(0.6,cubic(0,0.8),every(1),monotone) after 0.6",
      "train.steps=10;format=w(int4)a(int4[stochastic]) after 0.6;model.tied_head=true;train.optimizer=normuon",
      "train.steps=10;train.average_checkpoints=3;train.average_every=2;train.schedule=constant",
      "train.steps=10;format=lsq-w3a3 after 0.3;train.average_checkpoints=2;train.average_every=5;train.optimizer=lion",
      "train.steps=10;model.dtype=bfloat16;train.master_weights=bfloat16;train.optimizer_state=bfloat16;format=w4 after "
      "0.6;train.average_checkpoints=2;train.average_every=2"};
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) check_stops(settings[i], "3 5 6 7 9");
}

static void cut_anywhere(void) {
  static const char *const names[] = {"model.safetensors", "state.bin", "config.json", "checksums.xxh128"};
  uint64_t seed = (uint64_t)time(NULL);
  make("whole", "train.steps=30;train.checkpoint_steps=10");
  CHECK(go("whole", "") == EXIT_DONE);
  const char *want = log_of("whole");
  for (uint64_t i = 0; i < 8; i++) {
    make("cut", "train.steps=30;train.checkpoint_steps=10");
    CHECK(go("cut", "25") == EXIT_RUNS_FAILED);
    char *path = path_of("cut", arena_format(&arena, "checkpoints/step-25/%s", names[i % 4]));
    struct stat status;
    if (!CHECK(stat(path, &status) == 0)) continue;
    off_t left = (off_t)random_below(seed, 1000, 0, i, (uint64_t)status.st_size);
    CHECK(truncate(path, left) == 0);
    CHECK(go("cut", "") == EXIT_DONE);
    struct error error = {0};
    char *said = file_read(&arena, path_of("cut", "log.txt"), NULL, &error);
    char *log = file_read(&arena, path_of("cut", "events.jsonl"), NULL, &error);
    if (!CHECK(said && strstr(said, "checkpoint not used") && log && strstr(log, "\"resumed_from\":20") &&
               strcmp(log_of("cut"), want) == 0))
      printf("# %s cut to %lld of %lld bytes: %s\n", names[i % 4], (long long)left, (long long)status.st_size, said);
  }
}

int main(int argc, char **argv) {
  struct error error = {0};
  if (argc != 2 || !mkdtemp(folder)) return 1;
  program = argv[1];
  RUN(rates_after_a_stop);
  RUN(exchanged_gradients_after_a_stop);
  RUN(data_in_a_second_epoch);
  RUN(every_format);
  RUN(phases);
  RUN(cut_anywhere);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
