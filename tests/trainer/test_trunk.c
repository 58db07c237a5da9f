// Shared trunks: a run that begins from another's checkpoint ends as if it had been trained alone, in every bit of its
// log and its checkpoint; killed, too; and it trains alone where the trunk cannot be used. Argument: isoloss-train.
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/trainer/make_run.h"
#include "tests/trainer/process.h"
#include "trainer/checkpoint.h"
#include "trainer/trunk.h"

static const char *program;
static char folder[] = "/tmp/isoloss-trunk-XXXXXX";
static struct arena arena;

static char *const settings[] = {"corpus.source=markov2",
                                 "corpus.markov2_vocabulary=32",
                                 "model.layers=2",
                                 "model.width=32",
                                 "model.context=16",
                                 "train.batch_tokens=128",
                                 "train.checkpoint_steps=25",
                                 "train.keep_checkpoints=2",
                                 "train.evals=6",
                                 "train.eval_tokens=256",
                                 "train.log_steps=7",
                                 "train.final_eval_tokens=1024",
                                 "train.warmup_steps=10",
                                 "train.schedule=wsd",
                                 "train.cooldown_fraction=0.2"};
enum { SETTINGS = sizeof settings / sizeof *settings };

static char *place(const char *home, const char *run, const char *name) {
  return arena_format(&arena, "%s/%s/%s/%s", folder, home, run, name);
}

// A run of these steps and further settings in HOME/ID. The file is returned, to be written again with a trunk.
static struct run_file make(const char *home, int64_t steps, const char *first, const char *second) {
  struct error error = {0};
  struct run_file file = {0};
  char *pairs[SETTINGS + 4], *made = arena_format(&arena, "%s/made", folder);
  int count = SETTINGS;
  memcpy(pairs, settings, sizeof settings);
  pairs[count++] = arena_format(&arena, "train.steps=%lld", (long long)steps);
  if (first) pairs[count++] = arena_string(&arena, first);
  size_t more = 0;
  const char **others = second ? text_split(&arena, second, ";", &more) : NULL;
  for (size_t i = 0; i < more; i++) pairs[count++] = arena_string(&arena, others[i]);
  CHECK(make_run(made, count, pairs, &error) &&
        run_file_read(&arena, path_join(&arena, made, "config.json"), &file, &error));
  CHECK(folder_make(arena_format(&arena, "%s/%s", folder, home), &error));
  folder_remove(arena_format(&arena, "%s/%s/%s", folder, home, file.id), &error);
  return file;
}

static void put(const char *home, const struct run_file *file) {
  struct error error = {0};
  struct text text = {0};
  run_file_write(file, &text);
  if (!CHECK(folder_make(place(home, file->id, ""), &error) &&
             file_write_atomic(place(home, file->id, "config.json"), text.bytes, text.length, &error)))
    printf("# %s\n", error.text);
  text_free(&text);
}

static pid_t start(const char *home, const struct run_file *file) {
  char *arguments[] = {place(home, file->id, "config.json"), NULL};
  return process_start(program, place(home, file->id, "log.txt"), 0, arguments);
}

static void finish(const char *home, const struct run_file *file) {
  put(home, file);
  CHECK(process_wait(start(home, file)) == EXIT_DONE);
}

static bool says(const char *home, const struct run_file *file, const char *what) {
  struct error error = {0};
  char *text = file_read(&arena, place(home, file->id, "log.txt"), NULL, &error);
  if (text && strstr(text, what)) return true;
  printf("# %s\n", text ? text : "no log");
  return false;
}

// The log without what it says for others.
static char *log_of(const char *home, const struct run_file *file) {
  struct error error = {0};
  char *log = log_without_times(&arena, place(home, file->id, "events.jsonl"), &error);
  struct text kept = {0};
  for (char *save, *line = log ? strtok_r(log, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
    if (!strstr(line, "branch_eval")) text_format(&kept, "%s\n", line);
  char *copy = arena_string(&arena, text_string(&kept));
  text_free(&kept);
  return copy;
}

// Weights, and the moments behind the header of the state, which holds times.
static bool same_checkpoints(const struct run_file *file) {
  struct error error = {0};
  const char *name = checkpoint_name(&arena, file->config.train.steps);
  bool same = true;
  for (int i = 0; i < 2; i++) {
    size_t sizes[2], skip = i ? 160 : 0;
    char *bytes[2];
    static const char *const names[] = {"model.safetensors", "state.bin"}, *const homes[] = {"alone", "shared"};
    for (int h = 0; h < 2; h++)
      bytes[h] = file_read(&arena, path_join(&arena, place(homes[h], file->id, name), names[i]), &sizes[h], &error);
    same = same && bytes[0] && bytes[1] && sizes[0] == sizes[1] && sizes[0] > skip &&
           memcmp(bytes[0] + skip, bytes[1] + skip, sizes[0] - skip) == 0;
  }
  return same;
}

static void same_as_alone(const struct run_file *file) {
  const char *want = log_of("alone", file), *got = log_of("shared", file);
  size_t at = 0, line = 0;
  CHECK(strlen(want) > 1000);
  while (want[at] && want[at] == got[at])
    if (want[at++] == '\n') line = at;
  if (!CHECK(strcmp(want, got) == 0))
    printf("# want %.*s\n# got  %.*s\n", (int)strcspn(want + line, "\n"), want + line, (int)strcspn(got + line, "\n"),
           got + line);
  CHECK(same_checkpoints(file));
}

static int64_t steps_after(const struct run_file *file) { return trunk_steps(&file->config, TRUNK_ANY_LENGTH); }

static struct run_file trunk, branches[7];
enum { BRANCHES = sizeof branches / sizeof *branches };

// Where a branch begins from the trunk: those of its length and schedule part with it later than others.
static int64_t branch_step(const struct run_file *file) {
  struct digest keys[] = {trunk_key(&trunk.config, trunk.corpus_digest, TRUNK_SAME_LENGTH),
                          trunk_key(&file->config, file->corpus_digest, TRUNK_SAME_LENGTH)};
  return strcmp(keys[0].hex, keys[1].hex) == 0 ? trunk_steps(&file->config, TRUNK_SAME_LENGTH) : steps_after(file);
}

static void named(struct run_file *file) {
  struct run_branch *items = arena_array(&arena, BRANCHES, sizeof *items);
  for (int i = 0; i < BRANCHES; i++) {
    memcpy(items[i].id, branches[i].id, sizeof items[i].id);
    items[i].step = branch_step(&branches[i]);
    items[i].steps = branches[i].config.train.steps;
  }
  file->branches = items;
  file->branch_count = BRANCHES;
}

static void runs_alone(void) {
  trunk = make("alone", 400, NULL, NULL);
  branches[0] = make("alone", 180, NULL, NULL);
  branches[1] = make("alone", 100, NULL, NULL);
  branches[2] = make("alone", 190, "train.schedule=constant", NULL);
  branches[3] = make("alone", 400, "train.cooldown_fraction=0.5", NULL);
  // Within the trunk's cooldown, from its weights there; of another length; and what averages in place of a cooldown.
  branches[4] = make("alone", 400, "format=w4a4 after 0.9", NULL);
  branches[5] = make("alone", 180, "format=lsq-w3a3 after 0.5", NULL);
  branches[6] = make("alone", 190, "train.schedule=constant", "train.average_checkpoints=4;train.average_every=10");
  CHECK(branch_step(&branches[4]) == 360 && branch_step(&branches[5]) == 90 && branch_step(&branches[6]) == 159);
  CHECK(steps_after(&trunk) == 320 && steps_after(&branches[0]) == 144 && steps_after(&branches[1]) == 80);
  CHECK(steps_after(&branches[2]) == 189 && steps_after(&branches[3]) == 200);
  finish("alone", &trunk);
  for (int i = 0; i < BRANCHES; i++) finish("alone", &branches[i]);
}

static void branches_are_the_same_as_alone(void) {
  struct error error = {0};
  CHECK(folder_make(arena_format(&arena, "%s/shared", folder), &error));
  named(&trunk);
  finish("shared", &trunk);
  same_as_alone(&trunk);
  CHECK(log_count(place("shared", trunk.id, "events.jsonl"), "branch_eval") > 10);
  for (int i = 0; i < BRANCHES; i++) {
    int64_t step = branch_step(&branches[i]);
    CHECK(file_exists(place("shared", trunk.id, checkpoint_name(&arena, step))));
    memcpy(branches[i].trunk, trunk.id, sizeof trunk.id);
    finish("shared", &branches[i]);
    CHECK(says("shared", &branches[i], arena_format(&arena, "begins from step %lld of run", (long long)step)));
    same_as_alone(&branches[i]);
    char *log = file_read(&arena, place("shared", branches[i].id, "events.jsonl"), NULL, &error);
    CHECK(log && strstr(log, arena_format(&arena, "\"resumed_from\":%lld,\"trunk\":\"%s\",\"trunk_step\":%lld",
                                          (long long)step, trunk.id, (long long)step)));
    CHECK(log_count(place("shared", branches[i].id, "events.jsonl"), "start") == 2);
  }
}

static void kill_at_random_moments(struct run_file *file, int wanted) {
  struct error error = {0};
  uint64_t seed = (uint64_t)time(NULL);
  int kills = 0, ends = 0;
  folder_remove(place("shared", file->id, ""), &error);
  put("shared", file);
  for (uint64_t attempt = 0; kills < wanted && attempt < 120; attempt++) {
    pid_t process = start("shared", file);
    nanosleep(&(struct timespec){.tv_nsec = (long)(random_uniform(seed, 1, 0, attempt) * 150e6)}, NULL);
    kill(process, SIGKILL);
    int code = process_wait(process);
    kills += code == -SIGKILL;
    if (!CHECK(code == -SIGKILL || code == EXIT_DONE)) printf("# exit %d\n", code);
    if (code != EXIT_DONE) continue;
    same_as_alone(file);
    folder_remove(place("shared", file->id, ""), &error);
    put("shared", file);
    ends++;
  }
  CHECK(kills == wanted);
  printf("# %d kills, %d times to the end\n", kills, ends);
  finish("shared", file);
  same_as_alone(file);
}

// One with a cooldown of its own, one whose format begins on the way, one that averages.
static void killed_at_random_moments(void) {
  kill_at_random_moments(&branches[3], 8);
  kill_at_random_moments(&branches[5], 6);
  kill_at_random_moments(&branches[6], 6);
}

// With its own checkpoint the branch needs the trunk no more.
static void goes_on_without_its_trunk(void) {
  struct error error = {0};
  struct run_file *file = &branches[1];
  folder_remove(place("shared", file->id, ""), &error);
  put("shared", file);
  char *arguments[] = {"--steps", "90", place("shared", file->id, "config.json"), NULL};
  CHECK(process_wait(process_start(program, place("shared", file->id, "log.txt"), 0, arguments)) == EXIT_RUNS_FAILED);
  char *aside = arena_format(&arena, "%s/aside", folder), *there = place("shared", trunk.id, "");
  there[strlen(there) - 1] = '\0';
  CHECK(rename(there, aside) == 0);
  CHECK(process_wait(start("shared", file)) == EXIT_DONE);
  CHECK(rename(aside, there) == 0);
  same_as_alone(file);
}

static void trains_alone(const struct run_file *file, const char *why) {
  struct error error = {0};
  folder_remove(place("shared", file->id, ""), &error);
  finish("shared", file);
  CHECK(says("shared", file, "the trunk is not used: ") && says("shared", file, why));
  CHECK(log_count(place("shared", file->id, "events.jsonl"), "start") == 1);
  same_as_alone(file);
}

static void trunks_that_cannot_be_used(void) {
  struct error error = {0};
  char *state = place("shared", trunk.id, "checkpoints/step-80/state.bin");
  int file = open(state, O_WRONLY);
  CHECK(file >= 0 && pwrite(file, "x", 1, 500) == 1);
  close(file);
  trains_alone(&branches[1], "state.bin is damaged");
  folder_remove(place("shared", trunk.id, "checkpoints/step-80"), &error);
  trains_alone(&branches[1], "step-80");
  // A log that somebody changed.
  char *events = place("shared", trunk.id, "events.jsonl");
  size_t length;
  char *log = file_read(&arena, events, &length, &error), *line = strstr(log, "{\"event\":\"step\",\"step\":7,");
  CHECK(line && (line[10] = 'x') && file_write_atomic(events, log, length, &error));
  trains_alone(&branches[0], "20 steps and");
  // Another rate is another run from the first step on.
  struct run_file other = make("alone", 100, "train.lr=1e-2", NULL);
  finish("alone", &other);
  memcpy(other.trunk, trunk.id, sizeof trunk.id);
  trains_alone(&other, "trains otherwise");
}

static void what_shares(void) {
  struct run_file plain = make("alone", 100, NULL, NULL), cosine = make("alone", 100, "train.schedule=cosine", NULL);
  struct run_file wide = make("alone", 100, "train.evals=5", NULL), seed = make("alone", 100, "seed=1", NULL);
  struct run_file pruned = make("alone", 100, "format=top-0.5", "train.warmup_steps=0");
  struct run_file warm = make("alone", 100, "train.warmup_steps=11", NULL);
  struct run_file longer = make("alone", 1000, NULL, NULL), cut = make("alone", 10, NULL, NULL);
  struct run_file all = make("alone", 100, "train.cooldown_fraction=1", NULL);
  struct run_file none = make("alone", 100, "train.cooldown_fraction=0", NULL);
  const struct run_file *files[] = {&plain, &cosine, &wide, &seed, &pruned, &warm, &longer};
  struct digest keys[7];
  for (int i = 0; i < 7; i++) keys[i] = trunk_key(&files[i]->config, files[i]->corpus_digest, TRUNK_ANY_LENGTH);
  CHECK(steps_after(&cosine) == 0 && strstr(trunk_hindrance(&cosine.config, TRUNK_ANY_LENGTH), "from the start on"));
  CHECK(trunk_hindrance(&plain.config, TRUNK_ANY_LENGTH) == NULL && steps_after(&plain) == 80);
  CHECK(steps_after(&cut) == 0);  // its warm-up is cut short
  CHECK(steps_after(&all) == 0 && steps_after(&none) == 99);
  for (int i = 2; i < 6; i++) CHECK(strcmp(keys[0].hex, keys[i].hex) != 0);
  CHECK(strcmp(keys[0].hex, keys[6].hex) == 0);
  struct digest a = trunk_key(&plain.config, plain.corpus_digest, TRUNK_BY_SHARE),
                b = trunk_key(&warm.config, warm.corpus_digest, TRUNK_BY_SHARE);
  CHECK(strcmp(a.hex, b.hex) == 0);
  // Any schedule where the length is the same, too.
  struct run_file late = make("alone", 100, "train.schedule=cosine", "format=2:4 after 0.75");
  struct run_file averaged =
      make("alone", 100, "train.schedule=cosine", "train.average_checkpoints=3;train.average_every=5");
  struct digest same[] = {trunk_key(&cosine.config, cosine.corpus_digest, TRUNK_SAME_LENGTH),
                          trunk_key(&late.config, late.corpus_digest, TRUNK_SAME_LENGTH),
                          trunk_key(&averaged.config, averaged.corpus_digest, TRUNK_SAME_LENGTH),
                          trunk_key(&plain.config, plain.corpus_digest, TRUNK_SAME_LENGTH)};
  CHECK(strcmp(same[0].hex, same[1].hex) == 0 && strcmp(same[0].hex, same[2].hex) == 0);
  CHECK(strcmp(same[0].hex, same[3].hex) != 0);
  CHECK(trunk_steps(&cosine.config, TRUNK_SAME_LENGTH) == 99 && trunk_steps(&late.config, TRUNK_SAME_LENGTH) == 75);
  CHECK(trunk_steps(&averaged.config, TRUNK_SAME_LENGTH) == 89);
}

int main(int argc, char **argv) {
  struct error error = {0};
  if (argc < 2) return EXIT_USAGE_ERROR;
  program = argv[1];
  if (!mkdtemp(folder)) return EXIT_ENVIRONMENT;
  RUN(what_shares);
  RUN(runs_alone);
  RUN(branches_are_the_same_as_alone);
  RUN(killed_at_random_moments);
  RUN(goes_on_without_its_trunk);
  RUN(trunks_that_cannot_be_used);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
