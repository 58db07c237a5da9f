// Which library a trial takes, and that it is found once: with kernels that only count how often they are asked.
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/base.h"
#include "kernels/cpu/gemm_trial.h"
#include "tests/check.h"

static struct arena arena;
static char *folder;
static int *asked, *askers;  // shared with children: calls, and processes that made any
static pid_t asker;          // this process, once it has called

// Leaves the result as it was: faster than anything, and wrong.
static void count_only(const struct bfloat16_block *block) {
  __atomic_add_fetch(asked, 1, __ATOMIC_RELAXED);
  if (asker == getpid()) return;
  asker = getpid();
  __atomic_add_fetch(askers, 1, __ATOMIC_RELAXED);
}
static const struct bfloat16_kernel wrong = {.name = "counts-only", .rows = 12, .stretch = 512, .multiply = count_only};

static bool is(struct gemm_choice choice, bool nt, bool nn, bool tn) {
  return choice.right == (nt || nn || tn) && choice.own[GEMM_NT] == nt && choice.own[GEMM_NN] == nn &&
         choice.own[GEMM_TN] == tn;
}

// A new cache folder, and what trials say on standard error in a file there.
static void fresh(const char *name) {
  struct error error = {0};
  char *cache = path_join(&arena, folder, name);
  CHECK(folder_make(cache, &error));
  setenv("XDG_CACHE_HOME", cache, 1);
  *asked = *askers = 0;
}
static struct gemm_choice trial(const struct bfloat16_kernel *kernel, const char **said) {
  struct error error = {0};
  char *path = path_join(&arena, folder, "said");
  fflush(stderr);
  int before = dup(2);
  CHECK(freopen(path, "w", stderr) != NULL);
  struct gemm_choice choice = gemm_trial(kernel);
  fflush(stderr);
  dup2(before, 2);
  close(before);
  *said = file_read(&arena, path, NULL, &error);
  return choice;
}
// The one file that trials of this kernel make.
static char *kept(void) {
  struct error error = {0};
  char *list = path_join(&arena, folder, "list");
  char *command = arena_format(&arena, "ls \"$XDG_CACHE_HOME\"/isoloss/cpu/*.products > %s 2>/dev/null", list);
  if (system(command) != 0) return NULL;
  char *path = file_read(&arena, list, NULL, &error);
  path[strcspn(path, "\n")] = '\0';
  return path;
}

static void what_is_wrong_is_not_used(void) {
  const char *said;
  fresh("wrong");
  CHECK(is(trial(&wrong, &said), false, false, false));
  CHECK(*asked > 0);
  CHECK(strstr(said, "the counts-only products do not agree with oneDNN's on this CPU and are not used"));
  CHECK(strstr(kept(), "counts-only.products"));
  // And is known from then on.
  *asked = 0;
  CHECK(is(trial(&wrong, &said), false, false, false));
  CHECK(*asked == 0 && !*said);
}

static void what_is_kept_counts(void) {
  struct error error = {0};
  const char *said;
  fresh("kept");
  trial(&wrong, &said);
  char *path = kept(), *bare = "NT own NN onednn TN own right ";
  char *line = arena_format(&arena, "%s%016llx\n", bare, (unsigned long long)hash64(bare, strlen(bare), 0));
  CHECK(file_write_atomic(path, line, strlen(line), &error));
  *asked = 0;
  CHECK(is(trial(&wrong, &said), true, false, true));
  CHECK(*asked == 0);
  // Damaged: cut, changed, lengthened, emptied. It is measured again, and what was found stands there.
  char *damaged[] = {arena_copy(&arena, line, strlen(line) - 3), arena_format(&arena, "NT own NN own%s", line + 16),
                     arena_format(&arena, "%s%s", line, line), ""};
  for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
    CHECK(file_write_atomic(path, damaged[i], strlen(damaged[i]), &error));
    *asked = 0;
    CHECK(is(trial(&wrong, &said), false, false, false));
    CHECK(*asked > 0);
    CHECK(strncmp(file_read(&arena, path, NULL, &error), "NT onednn NN onednn TN onednn wrong ", 36) == 0);
  }
}

static void not_wanted(void) {
  const char *said;
  fresh("off");
  setenv("ISOLOSS_TRIALS", "off", 1);
  CHECK(is(trial(&wrong, &said), false, false, false));
  CHECK(*asked == 0 && !*said && !kept());
  unsetenv("ISOLOSS_TRIALS");
}

static void nowhere_to_keep_it(void) {
  const char *said;
  fresh("nowhere");
  setenv("XDG_CACHE_HOME", "/dev/null/cache", 1);
  CHECK(is(trial(&wrong, &said), false, false, false));
  CHECK(*asked == 0);
  CHECK(strstr(said, "bfloat16 products are oneDNN's, unmeasured: ") && strstr(said, "/dev/null/cache"));
}

// Of four processes one measures.
static void started_together(void) {
  fresh("together");
  for (int i = 0; i < 4; i++)
    if (fork() == 0) {
      if (!freopen("/dev/null", "w", stderr)) _exit(1);
      _exit(is(gemm_trial(&wrong), false, false, false) ? 0 : 1);
    }
  int status, fine = 0;
  while (wait(&status) > 0) fine += WIFEXITED(status) && WEXITSTATUS(status) == 0;
  CHECK(fine == 4);
  CHECK(*asked > 0 && *askers == 1);
}

// Through the seam, with this CPU's own kernel: products are right whatever was chosen, and the choice is told.
static void of_this_cpu(void) {
  struct error error = {0};
  fresh("this");
  struct text first = {0}, second = {0};
  for (int time = 0; time < 2; time++) {
    struct gemm_context *context = gemm_open(GEMM_TRIAL, 1, &error);
    CHECK(context != NULL);
    gemm_choices(context, time ? &second : &first);
    gemm_close(context);
  }
  printf("# chosen: %s\n", text_string(&first));
  CHECK_TEXT(text_string(&first), text_string(&second));
  CHECK((first.length > 0) == (gemm_library_own() != GEMM_ONEDNN));
  CHECK((kept() != NULL) == (gemm_library_own() != GEMM_ONEDNN));
  text_free(&first);
  text_free(&second);
}

int main(void) {
  struct error error = {0};
  char template[] = "/tmp/isoloss-trial-XXXXXX";
  folder = mkdtemp(template);
  asked = mmap(NULL, 2 * sizeof *asked, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (!folder || asked == MAP_FAILED) return 1;
  askers = asked + 1;
  struct gemm_context *onednn = gemm_open(GEMM_ONEDNN, 1, &error);
  bool multiplies = onednn && gemm_dtype_supported(onednn, DTYPE_BFLOAT16);
  gemm_close(onednn);
  if (multiplies) {
    RUN(what_is_wrong_is_not_used);
    RUN(what_is_kept_counts);
    RUN(not_wanted);
    RUN(started_together);
  } else {
    check_skip("trials", "oneDNN has no bfloat16 products on this CPU");
  }
  RUN(nowhere_to_keep_it);
  RUN(of_this_cpu);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
