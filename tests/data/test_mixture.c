// Mixtures: what corpus.mixture may say, exact shares, windows that come once, batches as functions of (seed, step),
// digests that follow from shares and parts, folders in the cache.
#include <stdlib.h>
#include <string.h>

#include "scratch.h"
#include "tests/check.h"
#include "trainer/data/mixture.h"

enum { CONTEXT = 8 };

static struct run_config config_of(const char *mixture) {
  struct run_config config;
  config_default(&config);
  config.model.context = CONTEXT;
  config.corpus.mixture = mixture;
  config.corpus.markov2_vocabulary = 64;
  return config;
}

static void weights_become_thousandths(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct mixture_parts parts;
  CHECK(mixture_read("gcide + kjv + 2 english", &arena, &parts, &error) && parts.count == 3);
  CHECK(parts.items[0].share == 250 && parts.items[1].share == 250 && parts.items[2].share == 500);
  CHECK(mixture_read("1 a + 1 b + 1 c", &arena, &parts, &error));
  CHECK(parts.items[0].share == 334 && parts.items[1].share == 333 && parts.items[2].share == 333);
  CHECK(mixture_read("0.3 markov2:17", &arena, &parts, &error) && parts.count == 1);
  CHECK(parts.items[0].share == MIXTURE_BLOCK && parts.items[0].seed == 17);
  CHECK_TEXT(parts.items[0].source, "markov2");
  CHECK_TEXT(parts.items[0].name, "markov2:17");
  static const char *const wrong[] = {"",     "-1 gcide + kjv", "0 gcide + kjv",  "gcide + gcide",
                                      "a + ", "1 a + 0.0001 b", "inf gcide + kjv"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct error why = {0};
    bool read = mixture_read(wrong[i], &arena, &parts, &why);
    CHECK(!read && why.code == EXIT_USAGE_ERROR && strcmp(why.about[0], "corpus.mixture") == 0);
  }
  arena_free(&arena);
}

static void what_does_not_go_together_is_refused(void) {
  static const char *const wrong[] = {"gcide + markov2", "suites + gcide", "nothing", "markov2 + zipfmem"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    struct run_config config = config_of(wrong[i]);
    struct error error = {0};
    struct corpus *corpus = corpus_check(&config, NULL, &error) ? corpus_open(NULL, NULL, &config, &error) : NULL;
    CHECK(!corpus && error.code == EXIT_USAGE_ERROR);
    corpus_close(corpus);
  }
  struct run_config config = config_of("gcide + kjv");
  struct error error = {0};
  config.corpus.tokenizer = "sentencepiece";
  CHECK(!corpus_check(&config, NULL, &error) && strcmp(error.about[0], "corpus.tokenizer") == 0);
  config = config_of("gcide + kjv");
  config.corpus.files = "a.txt";
  error = (struct error){0};
  CHECK(!corpus_check(&config, NULL, &error) && strstr(error.text, "in no part"));
}

struct window {
  int32_t inputs[CONTEXT], targets[CONTEXT];
};

static bool same(const struct window *a, const struct window *b) { return memcmp(a, b, sizeof *a) == 0; }

static void a_batch_is_a_function_of_seed_and_step(void) {
  enum { ROWS = 20, STEPS = 100 };  // two blocks
  struct run_config config = config_of("0.6 markov2:1 + 0.301 markov2:2 + 0.099 markov2:3");
  struct error error = {0};
  struct corpus *corpus = corpus_open(NULL, NULL, &config, &error);
  if (!CHECK(corpus != NULL)) return;
  CHECK(corpus_part_count(corpus) == 3 && corpus_vocabulary(corpus) == 64);
  CHECK_TEXT(corpus_part(corpus, 1).name, "markov2:2");
  CHECK_NEAR(corpus_part(corpus, 1).share, 0.301, 1e-12);
  int64_t of_part[3] = {0}, differ = 0, other_seed = 0;
  static struct window seen[ROWS * STEPS];
  for (int64_t step = 0; step < STEPS; step++) {
    int32_t inputs[ROWS * CONTEXT], targets[ROWS * CONTEXT];
    struct corpus_batch all = {.seed = 4, .step = step, .batch_rows = ROWS, .rows = ROWS, .context = CONTEXT};
    CHECK(corpus_batch(corpus, &all, inputs, targets, NULL, &error));
    for (int64_t row = 0; row < ROWS; row++) {
      struct window alone, *whole = &seen[step * ROWS + row];
      struct corpus_batch one = {
          .seed = 4, .step = step, .batch_rows = ROWS, .first_row = row, .rows = 1, .context = CONTEXT};
      memcpy(whole->inputs, inputs + row * CONTEXT, sizeof whole->inputs);
      memcpy(whole->targets, targets + row * CONTEXT, sizeof whole->targets);
      CHECK(corpus_batch(corpus, &one, alone.inputs, alone.targets, NULL, &error));
      differ += !same(&alone, whole);
      of_part[corpus_batch_part(corpus, &all, row)]++;
      one.seed = 5;
      other_seed += corpus_batch_part(corpus, &one, 0) != corpus_batch_part(corpus, &all, row);
    }
  }
  CHECK(differ == 0 && other_seed > 0);
  CHECK(of_part[0] == 1200 && of_part[1] == 602 && of_part[2] == 198);
  // The windows of a part are those that a training on it alone would have, each once: records of 64 symbols and 8
  // places are hardly ever equal by chance.
  int64_t twice = 0;
  for (int64_t i = 0; i < ROWS * STEPS; i++)
    for (int64_t j = 0; j < i; j++) twice += same(&seen[i], &seen[j]);
  CHECK(twice <= 3);
  corpus_close(corpus);
}

static void validation_windows_are_each_part_s_first_ones(void) {
  struct run_config config = config_of("0.75 markov2:1 + 0.25 markov2:2"), own = config_of("");
  struct error error = {0};
  struct corpus *corpus = corpus_open(NULL, NULL, &config, &error), *parts[2];
  own.corpus.source = "markov2";
  for (int i = 0; i < 2; i++) {
    own.corpus.seed = i + 1;
    parts[i] = corpus_open(NULL, NULL, &own, &error);
  }
  int64_t next[2] = {0}, differ = 0;
  for (int64_t w = 0; w < 2500; w++) {
    struct window mixed, alone;
    int part = corpus_validation_part(corpus, w);
    CHECK(corpus_validation(corpus, w, 1, CONTEXT, mixed.inputs, mixed.targets, NULL, &error));
    CHECK(corpus_validation(parts[part], next[part]++, 1, CONTEXT, alone.inputs, alone.targets, NULL, &error));
    differ += !same(&mixed, &alone);
  }
  CHECK(differ == 0 && llabs(next[0] - 1875) < 60);
  // All of the larger share's windows, and no window twice.
  int64_t windows = corpus_validation_windows(corpus, CONTEXT), there = corpus_validation_windows(parts[0], CONTEXT);
  CHECK(llabs(windows - there * 4 / 3) < MIXTURE_BLOCK);
  corpus_close(corpus), corpus_close(parts[0]), corpus_close(parts[1]);
}

static void write_text(const char *name, char letter) {
  struct text text = {0};
  for (int i = 0; i < 400; i++) text_format(&text, "%c%d %c%c\n\n\n", letter, i * i, letter, letter + i % 3);
  scratch_write(name, text.bytes, text.length);
  text_free(&text);
}

static void files_are_parts_and_the_cache_holds_the_mixture(void) {
  struct arena arena = {0};
  struct error error = {0};
  struct corpus_location before, location, other;
  write_text("one.txt", 'a');
  write_text("two.txt", 'k');
  struct run_config config = config_of("0.8 one.txt + 0.2 two.txt");
  config.corpus.files =
      arena_format(&arena, "%s\n%s", scratch_path(&arena, "one.txt"), scratch_path(&arena, "two.txt"));
  config.corpus.validation_fraction = 0.2;
  CHECK(corpus_find(&config, &arena, &before, &error) && !before.prepared);
  CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error) && location.prepared);
  CHECK(corpus_find(&config, &arena, &before, &error) && before.prepared);
  CHECK_TEXT(before.digest, location.digest);
  CHECK(corpus_verify_once(location.path, location.digest, &error));
  struct corpus *corpus = corpus_open(location.path, location.digest, NULL, &error);
  if (!CHECK(corpus != NULL)) return;
  CHECK(corpus_part_count(corpus) == 2 && corpus_check_context(corpus, CONTEXT, &error));
  struct corpus_facts facts = corpus_facts(corpus, CONTEXT);
  CHECK(isnan(facts.irreducible_loss) && isfinite(facts.bytes_per_token) && facts.train_tokens < INT64_MAX);
  int64_t windows = corpus_validation_windows(corpus, CONTEXT);
  CHECK(corpus_validation_bytes(corpus, 0, windows, CONTEXT) > 0.7 * (double)(windows * CONTEXT));
  // Each text has letters of its own: what is of a part comes from its file.
  int64_t wrong = 0;
  for (int64_t step = 0; step < 200; step++) {
    struct window w;
    struct corpus_batch one = {.seed = 1, .step = step, .batch_rows = 1, .rows = 1, .context = CONTEXT};
    CHECK(corpus_batch(corpus, &one, w.inputs, w.targets, NULL, &error));
    int part = corpus_batch_part(corpus, &one, 0);
    for (int i = 0; i < CONTEXT; i++)
      if (w.inputs[i] >= 'a' && w.inputs[i] <= 'z') wrong += (w.inputs[i] >= 'k') != (part == 1);
  }
  CHECK(wrong == 0);
  corpus_close(corpus);
  // Another share is another corpus of the same parts; so is another text.
  config.corpus.mixture = "0.7 one.txt + 0.3 two.txt";
  CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &other, &error));
  CHECK(strcmp(other.digest, location.digest) != 0);
  // The names do not count: whole paths are the same corpus.
  config.corpus.mixture =
      arena_format(&arena, "0.8 %s + 0.2 %s", scratch_path(&arena, "one.txt"), scratch_path(&arena, "two.txt"));
  CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &other, &error));
  CHECK_TEXT(other.digest, location.digest);
  arena_free(&arena);
}

int main(void) {
  scratch_begin();
  RUN(weights_become_thousandths);
  RUN(what_does_not_go_together_is_refused);
  RUN(a_batch_is_a_function_of_seed_and_step);
  RUN(validation_windows_are_each_part_s_first_ones);
  RUN(files_are_parts_and_the_cache_holds_the_mixture);
  scratch_end();
  return check_end();
}
