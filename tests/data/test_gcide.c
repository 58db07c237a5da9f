// The real gcide corpus, end to end. Exit code 77 (skipped) where its package can neither be downloaded nor is cached.
#include <glob.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/check.h"
#include "trainer/data/corpus.h"

static struct run_config config;
static struct corpus_location location;

// Packages that the user's own cache holds are used: no second download.
static void borrow_package(struct arena *arena, const char *home) {
  struct error error = {0};
  glob_t found;
  char *folder = path_join(arena, isoloss_cache(arena), "packages");
  if (!home || !folder_make(folder, &error)) return;
  if (glob(arena_format(arena, "%s/.cache/isoloss/packages/dict-gcide_*.deb", home), 0, NULL, &found) != 0) return;
  const char *name = strrchr(found.gl_pathv[0], '/') + 1;
  // A link that is there already, or cannot be made, changes nothing: the package is downloaded.
  if (symlink(found.gl_pathv[0], path_join(arena, folder, name)) != 0) printf("# %s is here already\n", name);
  globfree(&found);
}

static void is_english_text(void) {
  struct error error = {0};
  struct corpus *corpus = corpus_open(location.path, location.digest, &config, &error);
  if (!CHECK(corpus != NULL)) {
    printf("# %s\n", error.text);
    return;
  }
  struct corpus_facts facts = corpus_facts(corpus, 256);
  CHECK(facts.train_tokens > 30000000 && facts.train_tokens < 60000000);
  CHECK(facts.validation_tokens > 200000 && facts.validation_tokens < 1000000);
  CHECK(corpus_verify(corpus, &error));
  // A batch of it: letters mostly, "e" the most frequent of them.
  enum { ROWS = 256, CONTEXT = 256 };
  static int32_t inputs[ROWS * CONTEXT], targets[ROWS * CONTEXT];
  struct corpus_batch request = {.batch_rows = ROWS, .rows = ROWS, .context = CONTEXT};
  CHECK(corpus_batch(corpus, &request, inputs, targets, NULL, &error));
  int count[257] = {0}, letters = 0, best = 'a';
  for (int i = 0; i < ROWS * CONTEXT; i++) count[inputs[i]]++;
  for (int c = 'a'; c <= 'z'; c++) {
    letters += count[c];
    if (count[c] > count[best]) best = c;
  }
  CHECK(best == 'e');
  CHECK(letters > ROWS * CONTEXT / 2);
  corpus_close(corpus);
}

int main(int argc, char **argv) {
  struct arena arena = {0};
  struct error error = {0};
  config_default(&config);
  borrow_package(&arena, getenv("HOME"));
  if (!corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error)) {
    printf("# %s\n", error.text);
    if (error.code == EXIT_ENVIRONMENT) return 77;
    return 1;
  }
  RUN(is_english_text);
  arena_free(&arena);
  return check_end();
}
