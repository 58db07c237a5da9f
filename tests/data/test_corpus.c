// Prepared corpora: splits, digests, windows, epochs, errors, all on small files made here.
#include <glob.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/philox.h"
#include "tests/check.h"
#include "tests/data/scratch.h"
#include "trainer/data/corpus.h"
#include "trainer/data/sentencepiece_face.h"

static struct arena arena;

// Files text-0.txt ... of words; `first` and `count` say which. Each is a document of its own.
static void write_texts(const char *prefix, int first, int count) {
  for (int i = first; i < first + count; i++) {
    struct text text = {0};
    for (uint64_t j = 0; j < 200; j++) {
      uint64_t word = random_below(11, RANDOM_STREAM_MONTE_CARLO, (uint64_t)i, j, 5000);
      text_format(&text, "w%llu%s", (unsigned long long)word, j % 9 == 8 ? "\n" : " ");
    }
    scratch_write(arena_format(&arena, "%s-%03d.txt", prefix, i), text.bytes, text.length);
    text_free(&text);
  }
}

static struct run_config files_config(const char *pattern) {
  struct run_config config;
  config_default(&config);
  config.corpus.source = "files";
  config.corpus.files = scratch_path(&arena, pattern);
  config.corpus.validation_fraction = 0.1;
  config.model.context = 32;
  return config;
}

static struct corpus_location prepare(const struct run_config *config) {
  struct corpus_location location;
  struct error error = {0};
  if (!CHECK(corpus_prepare(config, false, NULL, NULL, &arena, &location, &error))) {
    printf("Bail out! %s\n", error.text);
    scratch_end();
    exit(1);
  }
  return location;
}

static struct corpus *prepare_and_open(const struct run_config *config) {
  struct error error = {0};
  struct corpus_location location = prepare(config);
  struct corpus *corpus = corpus_open(location.path, location.digest, config, &error);
  if (!CHECK(corpus != NULL)) {
    printf("Bail out! %s\n", error.text);
    exit(1);
  }
  return corpus;
}

// The message of a preparation that must fail with this code.
static const char *refusal(const struct run_config *config, enum exit_code code) {
  static struct error error;
  struct corpus_location location;
  error = (struct error){0};
  CHECK(!corpus_prepare(config, false, NULL, NULL, &arena, &location, &error));
  CHECK(error.code == code);
  return error.text;
}

static void finds_and_prepares(void) {
  write_texts("a", 0, 100);
  struct run_config config = files_config("a-*.txt");
  struct corpus_location location;
  struct corpus_facts facts;
  struct error error = {0};
  CHECK(corpus_find(&config, &arena, &location, &error) && !location.prepared);
  CHECK(corpus_facts_find(&config, &facts, NULL, &arena, &error) && !facts.known);
  struct corpus_location made = prepare(&config);
  CHECK(made.prepared && strlen(made.digest) == DIGEST_LENGTH);
  CHECK(corpus_find(&config, &arena, &location, &error) && location.prepared);
  CHECK_TEXT(location.digest, made.digest);
  CHECK_TEXT(location.path, made.path);
  CHECK(corpus_facts_find(&config, &facts, NULL, &arena, &error) && facts.known);
  CHECK_TEXT(facts.digest, made.digest);
  CHECK(facts.vocabulary == 257 && facts.targets_per_token == 1 && isnan(facts.irreducible_loss));
  CHECK(facts.bytes_per_token > 0.99 && facts.bytes_per_token < 1);  // only the end tokens stand for nothing
  struct corpus *corpus = corpus_open(location.path, NULL, NULL, &error);
  CHECK(corpus && corpus_verify(corpus, &error) && !corpus_has_mask(corpus));
  CHECK(strstr(corpus_manifest(corpus), "a-007.txt") != NULL);
  corpus_close(corpus);
  CHECK(!corpus_open(location.path, "0123", NULL, &error) && strstr(error.text, "digest"));
}

// The validation split's text, window by window (all of it but the last few tokens).
static struct text all_validation_text(const struct corpus *corpus) {
  struct text text = {0};
  struct error error = {0};
  int64_t context = 24, windows = corpus_validation_windows(corpus, context);
  int32_t *inputs = memory_get((size_t)(windows * context) * 4), *targets = memory_get((size_t)(windows * context) * 4);
  CHECK(corpus_validation(corpus, 0, windows, context, inputs, targets, NULL, &error));
  CHECK(corpus_decode(corpus, inputs, windows * context, &text, &error));
  free(inputs);
  free(targets);
  return text;
}

static size_t count_of(const struct text *text, const char *what) {
  size_t count = 0;
  for (const char *at = text_string(text); (at = strstr(at, what)); at += strlen(what)) count++;
  return count;
}

// Every document is wholly in one split, and adding documents moves none of the old ones.
static void split_is_stable(void) {
  for (int i = 0; i < 120; i++) {
    struct text text = {0};
    for (int j = 0; j < 8; j++) text_format(&text, "[%05d]\n", i);
    scratch_write(arena_format(&arena, "s-%03d.txt", i), text.bytes, text.length);
    text_free(&text);
  }
  struct run_config few = files_config("s-0[0-4]?.txt"), many = files_config("s-*.txt");
  struct corpus *small = prepare_and_open(&few), *large = prepare_and_open(&many);
  struct text small_text = all_validation_text(small), large_text = all_validation_text(large);
  int held_small = 0, held_large = 0;
  for (int i = 0; i < 120; i++) {
    // Windows cut lines, but of a document's 8 lines some stay whole.
    bool in_small = count_of(&small_text, arena_format(&arena, "%05d]", i)) > 0;
    bool in_large = count_of(&large_text, arena_format(&arena, "%05d]", i)) > 0;
    if (i < 50) CHECK(in_small == in_large);
    if (i >= 50) CHECK(!in_small);
    held_small += in_small;
    held_large += in_large;
  }
  CHECK(held_small >= 1 && held_small < 20);
  CHECK(held_large > held_small && held_large < 36);
  text_free(&small_text);
  text_free(&large_text);
  corpus_close(small);
  corpus_close(large);
}

// The digest is that of content and tokenizer: not of names, times or order; every other change shows.
static void digest_is_content(void) {
  write_texts("d", 0, 30);
  struct run_config config = files_config("d-*.txt");
  char first[40];
  snprintf(first, sizeof first, "%s", prepare(&config).digest);
  // The same texts under other names, in another order.
  for (int i = 0; i < 30; i++) {
    size_t length;
    struct error error = {0};
    char *bytes = file_read(&arena, scratch_path(&arena, arena_format(&arena, "d-%03d.txt", i)), &length, &error);
    scratch_write(arena_format(&arena, "e-%03d.txt", 30 - i), bytes, length);
  }
  struct run_config renamed = files_config("e-*.txt");
  CHECK_TEXT(prepare(&renamed).digest, first);
  renamed.corpus.validation_fraction = 0.4;
  CHECK(strcmp(prepare(&renamed).digest, first) != 0);
  config.corpus.files = scratch_path(&arena, "d-0[012]?.txt");  // the same files
  CHECK_TEXT(prepare(&config).digest, first);
  config.corpus.files = scratch_path(&arena, "d-0[01]?.txt");
  CHECK(strcmp(prepare(&config).digest, first) != 0);
  config = files_config("d-*.txt");
  if (sentencepiece_present()) {
    config.corpus.tokenizer = "sentencepiece";
    config.corpus.vocabulary = 300;
    CHECK(strcmp(prepare(&config).digest, first) != 0);
  }
  // A byte changed in place, the size kept.
  struct error error = {0};
  size_t length;
  char *bytes = file_read(&arena, scratch_path(&arena, "d-003.txt"), &length, &error);
  bytes[10] ^= 1;
  scratch_write("d-003.txt", bytes, length);
  config = files_config("d-*.txt");
  CHECK(strcmp(prepare(&config).digest, first) != 0);
}

// Windows, reproducible and in any slice.
static void batches_slice(void) {
  struct run_config config = files_config("a-*.txt");
  struct corpus *corpus = prepare_and_open(&config);
  enum { ROWS = 24, CONTEXT = 32 };
  int32_t inputs[ROWS * CONTEXT], targets[ROWS * CONTEXT], part[ROWS * CONTEXT], next[ROWS * CONTEXT];
  uint8_t mask[ROWS * CONTEXT];
  struct error error = {0};
  struct corpus_batch request = {.seed = 1, .step = 77, .batch_rows = ROWS, .rows = ROWS, .context = CONTEXT};
  CHECK(corpus_batch(corpus, &request, inputs, targets, mask, &error));
  for (int i = 0; i < ROWS; i++)
    for (int j = 0; j < CONTEXT; j++) {
      int at = i * CONTEXT + j;
      CHECK(mask[at] == 1 && inputs[at] >= 0 && inputs[at] < 257);
      if (j + 1 < CONTEXT) CHECK(targets[at] == inputs[at + 1]);
    }
  for (int first = ROWS - 1; first >= 0; first -= 5) {
    request.first_row = first;
    request.rows = ROWS - first < 7 ? ROWS - first : 7;
    size_t size = (size_t)(request.rows * CONTEXT) * 4;
    CHECK(corpus_batch(corpus, &request, part, next, NULL, &error));
    CHECK(memcmp(part, inputs + first * CONTEXT, size) == 0 && memcmp(next, targets + first * CONTEXT, size) == 0);
  }
  request.first_row = ROWS;
  request.rows = 1;
  CHECK(!corpus_batch(corpus, &request, part, next, NULL, &error));
  error = (struct error){0};
  request = (struct corpus_batch){.seed = 2, .step = 77, .batch_rows = ROWS, .rows = ROWS, .context = CONTEXT};
  CHECK(corpus_batch(corpus, &request, part, next, NULL, &error));
  CHECK(memcmp(part, inputs, sizeof inputs) != 0);
  // A context of one token, and one that the text does not hold.
  request.context = 1;
  CHECK(corpus_batch(corpus, &request, part, next, NULL, &error));
  request.context = 10000000;
  CHECK(!corpus_batch(corpus, &request, part, next, NULL, &error) && strstr(error.text, "too few"));
  corpus_close(corpus);
}

// A file of tokens that counts 0, 1, 2, ... shows which place every window came from.
static void epochs_are_permutations(void) {
  enum { COUNT = 50000, CONTEXT = 16 };
  static uint16_t tokens[COUNT];
  for (int i = 0; i < COUNT; i++) tokens[i] = (uint16_t)i;
  scratch_write("count.u16", tokens, sizeof tokens);
  struct run_config config = files_config("count.u16");
  config.corpus.tokenizer = "uint16";
  config.corpus.vocabulary = 65536;
  struct corpus *corpus = prepare_and_open(&config);
  int64_t epoch_windows = corpus_facts(corpus, CONTEXT).train_tokens / CONTEXT;
  CHECK(epoch_windows > 1000);
  static uint8_t seen[65536];
  static int32_t inputs[COUNT + CONTEXT], targets[COUNT + CONTEXT];
  struct error error = {0};
  int same_place = 0;
  for (int64_t epoch = 0; epoch < 3; epoch++) {
    memset(seen, 0, sizeof seen);
    struct corpus_batch request = {
        .seed = 5, .step = epoch, .batch_rows = epoch_windows, .rows = epoch_windows, .context = CONTEXT};
    static int32_t before[COUNT + CONTEXT];
    memcpy(before, inputs, sizeof before);
    CHECK(corpus_batch(corpus, &request, inputs, targets, NULL, &error));
    CHECK(corpus_epoch(corpus, epoch, epoch_windows, CONTEXT) == epoch);
    for (int64_t i = 0; i < epoch_windows * CONTEXT; i++) {
      if (!CHECK(!seen[inputs[i]])) break;  // nothing twice within an epoch
      seen[inputs[i]] = 1;
    }
    for (int64_t i = 0; i < epoch_windows; i++) same_place += epoch && inputs[i * CONTEXT] == before[i * CONTEXT];
  }
  CHECK(same_place < 10);  // each epoch has its own order
  // An epoch ends in the middle of a batch: rows before and after belong to different permutations, none is lost.
  int64_t rows = epoch_windows / 3 + 1;
  memset(seen, 0, sizeof seen);
  int64_t total = 0;
  for (int64_t step = 0; step * rows < epoch_windows; step++) {
    struct corpus_batch request = {.seed = 6, .step = step, .batch_rows = rows, .rows = rows, .context = CONTEXT};
    CHECK(corpus_batch(corpus, &request, inputs, targets, NULL, &error));
    for (int64_t i = 0; i < rows && step * rows + i < epoch_windows; i++)
      for (int64_t j = 0; j < CONTEXT; j++, total++) {
        CHECK(!seen[inputs[i * CONTEXT + j]]);
        seen[inputs[i * CONTEXT + j]] = 1;
      }
  }
  CHECK(total == epoch_windows * CONTEXT);
  // Validation: each window once, its tokens not among the training ones; no bytes are known of numbers.
  int64_t windows = corpus_validation_windows(corpus, CONTEXT);
  CHECK(corpus_validation(corpus, 0, windows, CONTEXT, inputs, targets, NULL, &error));
  for (int64_t i = 0; i < windows * CONTEXT; i++) {
    CHECK(!seen[inputs[i]]);
    seen[inputs[i]] = 1;
  }
  CHECK(isnan(corpus_validation_bytes(corpus, 0, windows, CONTEXT)));
  struct corpus_oracle oracle;
  CHECK(!corpus_oracle(corpus, 0, 1, CONTEXT, &oracle));
  corpus_close(corpus);
}

static void masks_travel(void) {
  enum { COUNT = 40000, CONTEXT = 16 };
  static uint32_t tokens[COUNT];
  static uint8_t counts[COUNT];
  for (int i = 0; i < COUNT; i++) {
    tokens[i] = (uint32_t)i;
    counts[i] = i % 3 == 0;
  }
  scratch_write("masked.u32", tokens, sizeof tokens);
  scratch_write("masked.u32.mask", counts, sizeof counts);
  struct run_config config = files_config("masked.u32*");
  config.corpus.tokenizer = "uint32";
  config.corpus.vocabulary = 100000;
  struct corpus *corpus = prepare_and_open(&config);
  CHECK(corpus_has_mask(corpus));
  CHECK_NEAR(corpus_facts(corpus, CONTEXT).targets_per_token, 1 / 3.0, 1e-3);
  int32_t inputs[8 * CONTEXT], targets[8 * CONTEXT];
  uint8_t mask[8 * CONTEXT];
  struct error error = {0};
  struct corpus_batch request = {.seed = 5, .batch_rows = 8, .rows = 8, .context = CONTEXT};
  CHECK(corpus_batch(corpus, &request, inputs, targets, mask, &error));
  for (int i = 0; i < 8 * CONTEXT; i++) CHECK(mask[i] == (targets[i] % 3 == 0));
  CHECK(corpus_validation(corpus, 0, 8, CONTEXT, inputs, targets, mask, &error));
  for (int i = 0; i < 8 * CONTEXT; i++) CHECK(mask[i] == (targets[i] % 3 == 0));
  corpus_close(corpus);
  counts[5] = 2;
  scratch_write("masked.u32.mask", counts, sizeof counts);
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "byte 5 is 2"));
  scratch_write("masked.u32.mask", counts, 100);
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "a byte a token"));
}

static void reads_npy(void) {
  // Format 1: magic, version, length of the header that follows, the header, padded to 128 bytes in all.
  static char file[128 + 2 * 40000];
  memset(file, ' ', 128);
  memcpy(file, "\x93NUMPY\x01\x00\x76\x00", 10);
  const char *header = "{'descr': '<u2', 'fortran_order': False, 'shape': (40000,), }";
  memcpy(file + 10, header, strlen(header));
  for (int i = 0; i < 40000; i++) {
    uint16_t token = (uint16_t)(i % 500);
    memcpy(file + 128 + 2 * i, &token, 2);
  }
  scratch_write("array.npy", file, sizeof file);
  struct run_config config = files_config("array.npy");
  config.corpus.tokenizer = "uint16";
  config.corpus.vocabulary = 500;
  struct corpus *corpus = prepare_and_open(&config);
  CHECK(strstr(corpus_manifest(corpus), "\"vocabulary\": 500"));
  corpus_close(corpus);
  config.corpus.vocabulary = 499;
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "outside corpus.vocabulary 499"));
  config.corpus.vocabulary = 500;
  config.corpus.tokenizer = "uint32";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "uint32 with one axis"));
  config.corpus.tokenizer = "uint16";
  scratch_write("array.npy", file, sizeof file - 20000);  // cut off, with a header that tells of more
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "says 40000 numbers, and 30000 follow it"));
  scratch_write("array.npy", file, sizeof file - 1);
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "79999 bytes follow its .npy header"));
  file[6] = 9;
  scratch_write("array.npy", file, sizeof file);
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "version 9 of the .npy format"));
  file[0] = 'x';
  scratch_write("array.npy", file, sizeof file);
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "no .npy header"));
}

static void counts_bytes(void) {
  struct run_config config = files_config("a-*.txt");
  struct corpus *corpus = prepare_and_open(&config);
  struct error error = {0};
  int64_t windows = corpus_validation_windows(corpus, 32), ends = 0;
  int32_t *inputs = memory_get((size_t)(windows * 32) * 4), *targets = memory_get((size_t)(windows * 32) * 4);
  CHECK(corpus_validation(corpus, 0, windows, 32, inputs, targets, NULL, &error));
  for (int64_t i = 0; i < windows * 32; i++) ends += targets[i] == 256;
  CHECK(ends > 0);
  CHECK(corpus_validation_bytes(corpus, 0, windows, 32) == (double)(windows * 32 - ends));
  CHECK(corpus_validation_bytes(corpus, 0, 1, 32) + corpus_validation_bytes(corpus, 1, windows - 1, 32) ==
        corpus_validation_bytes(corpus, 0, windows, 32));
  free(inputs);
  free(targets);
  corpus_close(corpus);
}

// One file: documents between two empty lines when there are many, pieces when there are few; too little is refused.
static void documents_of_one_file(void) {
  struct text text = {0};
  for (int i = 0; i < 60; i++) text_format(&text, "document %d\n\nits second paragraph\n\n\n", i);
  scratch_write("parts.txt", text.bytes, text.length);
  struct run_config config = files_config("parts.txt");
  struct corpus *corpus = prepare_and_open(&config);
  CHECK(strstr(corpus_manifest(corpus), "between two empty lines"));
  corpus_close(corpus);
  text_clear(&text);
  for (int i = 0; i < 500; i++) text_format(&text, "line %d of a text without empty lines\n", i);
  scratch_write("one.txt", text.bytes, text.length);
  config = files_config("one.txt");
  corpus = prepare_and_open(&config);
  CHECK(strstr(corpus_manifest(corpus), "pieces cut at line ends"));
  corpus_close(corpus);
  text_clear(&text);
  for (int i = 0; i < 3000; i++) text_add(&text, "\xC3\xA4");  // no line end, no space: cut between characters
  scratch_write("solid.txt", text.bytes, text.length);
  config = files_config("solid.txt");
  corpus = prepare_and_open(&config);
  struct text validation = all_validation_text(corpus);
  CHECK(validation.length > 0);
  text_free(&validation);
  corpus_close(corpus);
  text_free(&text);
  scratch_write("tiny.txt", "short", 5);
  config = files_config("tiny.txt");
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "hold too little"));
  scratch_write("empty.txt", "", 0);
  config = files_config("empty.txt");
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "empty"));
}

static void refuses_bad_fields(void) {
  struct run_config config = files_config("nothing-*.txt");
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "nothing matches"));
  config.corpus.files = scratch;
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "is a folder"));
  config.corpus.files = "";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "names none"));
  config.corpus.source = "gcidee";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "did you mean 'gcide'?"));
  config = files_config("a-*.txt");
  config.corpus.source = "kjv";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "exclude each other"));
  config = files_config("a-*.txt");
  config.corpus.tokenizer = "byte";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "did you mean 'bytes'?"));
  config.corpus.tokenizer = "uint16";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "needs corpus.vocabulary"));
  config.corpus.vocabulary = 70000;
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "from 2 to 65536"));
  config.corpus.vocabulary = 1000;
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "uint16"));  // text is no tokens
  config.corpus.tokenizer = "bytes";
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "is 257"));
  config.corpus.tokenizer = "sentencepiece";
  config.corpus.vocabulary = 20;
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "from 260"));
  config.corpus.vocabulary = AUTO_INTEGER;
  config.corpus.tokenizer = scratch_path(&arena, "no.model");
  CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "no.model"));
  scratch_write("bad.model", "not a model", 11);
  config.corpus.tokenizer = scratch_path(&arena, "bad.model");
  if (sentencepiece_present()) CHECK(strstr(refusal(&config, EXIT_USAGE_ERROR), "not a sentencepiece model"));
}

static void refuses_damage(void) {
  write_texts("r", 0, 30);
  struct run_config config = files_config("r-*.txt");
  struct corpus_location location = prepare(&config);
  struct error error = {0};
  size_t length;
  char *path = path_join(&arena, location.path, "train.tokens");
  char *bytes = file_read(&arena, path, &length, &error);
  // Truncated: not opened.
  CHECK(truncate(path, (off_t)length - 10) == 0);
  CHECK(!corpus_open(location.path, location.digest, &config, &error) && strstr(error.text, "truncated"));
  // Preparing sees that and makes it anew.
  error = (struct error){0};
  CHECK_TEXT(prepare(&config).digest, location.digest);
  struct corpus *mended = corpus_open(location.path, location.digest, &config, &error);
  CHECK(mended && corpus_verify(mended, &error));
  corpus_close(mended);
  // A token turned into one outside the vocabulary: opened, and found when it is met, not passed on.
  error = (struct error){0};
  for (size_t i = 4096; i < 4096 + 20000; i++) bytes[i] = (char)0xEE;
  CHECK(file_write_atomic(path, bytes, length, &error));
  struct corpus *corpus = corpus_open(location.path, location.digest, &config, &error);
  int32_t inputs[64 * 32], targets[64 * 32];
  struct corpus_batch request = {.batch_rows = 64, .rows = 64, .context = 32};
  CHECK(corpus && !corpus_batch(corpus, &request, inputs, targets, NULL, &error));
  CHECK(strstr(error.text, "outside its vocabulary"));
  error = (struct error){0};
  CHECK(!corpus_verify(corpus, &error) && strstr(error.text, "checksum"));
  corpus_close(corpus);
  // Preparing anew mends it.
  error = (struct error){0};
  struct corpus_location again;
  CHECK(corpus_prepare(&config, true, NULL, NULL, &arena, &again, &error));
  CHECK_TEXT(again.digest, location.digest);
  corpus = corpus_open(again.path, again.digest, &config, &error);
  CHECK(corpus && corpus_verify(corpus, &error));
  corpus_close(corpus);
}

// Several processes at once: each gets the same corpus, one builds.
static void builds_once(void) {
  write_texts("p", 0, 60);
  struct run_config config = files_config("p-*.txt");
  pid_t children[4];
  for (int i = 0; i < 4; i++) {
    children[i] = fork();
    if (children[i] == 0) {
      struct corpus_location location;
      struct error error = {0};
      bool fine = corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error);
      struct corpus *corpus = fine ? corpus_open(location.path, location.digest, &config, &error) : NULL;
      _exit(corpus && corpus_verify(corpus, &error) ? 0 : 1);
    }
  }
  for (int i = 0; i < 4; i++) {
    int status = 0;
    waitpid(children[i], &status, 0);
    CHECK(status == 0);
  }
}

// Killed at any moment, the next preparation succeeds and nothing half-made is taken for whole.
static void survives_kills(void) {
  write_texts("k", 0, 400);
  struct run_config config = files_config("k-*.txt");
  if (sentencepiece_present()) {
    config.corpus.tokenizer = "sentencepiece";
    config.corpus.vocabulary = 400;
  }
  for (int i = 0; i < 8; i++) {
    pid_t child = fork();
    if (child == 0) {
      struct corpus_location location;
      struct error error = {0};
      config.corpus.validation_fraction = 0.1 + 0.01 * i;  // another corpus each time
      corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error);
      _exit(0);
    }
    struct timespec wait = {.tv_nsec = 4000000 + 9000000L * i};
    nanosleep(&wait, NULL);
    kill(child, SIGKILL);
    int status;
    waitpid(child, &status, 0);
    config.corpus.validation_fraction = 0.1 + 0.01 * i;
    struct corpus *corpus = prepare_and_open(&config);
    struct error error = {0};
    CHECK(corpus_verify(corpus, &error));
    corpus_close(corpus);
  }
}

// A full disk (here: files may not grow): a clear error, nothing left, and the next attempt succeeds.
static void full_disk(void) {
  write_texts("f", 0, 100);
  struct run_config config = files_config("f-*.txt");
  struct rlimit before, tight;
  CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
  tight = before;
  tight.rlim_cur = 50000;
  signal(SIGXFSZ, SIG_IGN);
  fflush(stdout);
  CHECK(setrlimit(RLIMIT_FSIZE, &tight) == 0);
  const char *reason = refusal(&config, EXIT_ENVIRONMENT);
  CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(strstr(reason, "cannot write") && strstr(reason, "train.tokens"));
  glob_t found;
  CHECK(glob(scratch_path(&arena, "isoloss/corpora/.*.building"), 0, NULL, &found) == GLOB_NOMATCH);
  globfree(&found);
  prepare(&config);
}

int main(int argc, char **argv) {
  scratch_begin();
  RUN(finds_and_prepares);
  RUN(split_is_stable);
  RUN(digest_is_content);
  RUN(batches_slice);
  RUN(epochs_are_permutations);
  RUN(masks_travel);
  RUN(reads_npy);
  RUN(counts_bytes);
  RUN(documents_of_one_file);
  RUN(refuses_bad_fields);
  RUN(refuses_damage);
  RUN(builds_once);
  RUN(survives_kills);
  RUN(full_disk);
  arena_free(&arena);
  scratch_end();
  return check_end();
}
