// Tokenizers: text comes back exactly; training is deterministic; existing models are taken as they are.
#include <stdint.h>

#include "base/philox.h"
#include "tests/check.h"
#include "tests/data/scratch.h"
#include "trainer/data/corpus.h"
#include "trainer/data/sentencepiece_face.h"
#include "trainer/data/tokenizer.h"
#include "trainer/data/tokenizer_training.h"

static struct arena arena;

// One of 2000 made-up words, the first ones more often.
static void add_word(struct text *text, uint64_t seed, uint64_t line, uint64_t index) {
  static const char *const special[] = {"über", "naïve", "x=3;", "{Gaud}", "42", "--", "\t", "日本", "(see", "end."};
  static const char *const syllables[] = {"ba", "ke", "lo", "mi", "nu", "sha", "tre", "pon", "ing", "er"};
  double u = random_uniform(seed, RANDOM_STREAM_MONTE_CARLO, line, 2 * index);
  int word = (int)(2000 * u * u);
  if (word % 7 == 0) {
    text_add(text, special[word / 7 % 10]);
    return;
  }
  for (int rest = word; rest > 0; rest /= 10) text_add(text, syllables[rest % 10]);
}

// Lines of such words, some indented, some empty, some with spaces at the end.
static void sample_text(struct text *text, uint64_t seed, int lines) {
  for (int i = 0; i < lines; i++) {
    int count = (int)random_below(seed, RANDOM_STREAM_MONTE_CARLO, (uint64_t)i, 1, 12);
    if (i % 5 == 0) text_add(text, "    ");
    for (int j = 0; j < count; j++) {
      add_word(text, seed, (uint64_t)i, (uint64_t)j + 1);
      text_add(text, j + 1 < count ? " " : i % 7 ? "" : "  ");
    }
    text_char(text, '\n');
  }
}

static bool train(struct tokenizer *tokenizer, struct documents *documents, int64_t vocabulary, struct error *error) {
  for (int i = 0; i < 40; i++) {
    struct text text = {0};
    sample_text(&text, (uint64_t)i, 60);
    scratch_write(arena_format(&arena, "t-%02d.txt", i), text.bytes, text.length);
    text_free(&text);
  }
  char *paths[40];
  for (int i = 0; i < 40; i++) paths[i] = scratch_path(&arena, arena_format(&arena, "t-%02d.txt", i));
  return documents_of_files(documents, paths, 40, 0.1, error) && documents_split(documents, 0.1, error) &&
         tokenizer_train(tokenizer, documents, vocabulary, error);
}

static struct tokenizer trained(int64_t vocabulary) {
  struct tokenizer tokenizer;
  struct documents documents = {0};
  struct error error = {0};
  if (!CHECK(train(&tokenizer, &documents, vocabulary, &error))) {
    printf("Bail out! %s\n", error.text);
    exit(1);
  }
  documents_free(&documents);
  return tokenizer;
}

// Encodes and decodes; lengths of the tokens add up to the text.
static bool comes_back(const struct tokenizer *tokenizer, const char *bytes, size_t length) {
  struct token_buffer buffer = {0};
  struct text back = {0};
  struct error error = {0};
  bool fine = tokenizer_encode(tokenizer, bytes, length, &buffer, &error);
  if (!fine) printf("# %s\n", error.text);
  size_t covered = 0;
  for (size_t i = 0; i < buffer.count; i++) covered += buffer.lengths[i];
  // Without the end token.
  fine = fine && buffer.count >= 1 && buffer.tokens[buffer.count - 1] == tokenizer->end_token &&
         tokenizer_decode(tokenizer, (int32_t *)buffer.tokens, (int64_t)buffer.count - 1, &back, &error);
  fine = fine && covered == length && back.length == length && memcmp(text_string(&back), bytes, length) == 0;
  token_buffer_free(&buffer);
  text_free(&back);
  return fine;
}

static void bytes_come_back(void) {
  struct tokenizer tokenizer = tokenizer_bytes();
  char all[256];
  for (int i = 0; i < 256; i++) all[i] = (char)i;
  CHECK(comes_back(&tokenizer, all, sizeof all));
  CHECK(tokenizer.vocabulary == 257 && tokenizer.end_token == 256);
}

static void pieces_come_back(void) {
  struct tokenizer tokenizer = trained(500);
  CHECK(tokenizer.vocabulary == 500 && tokenizer.exact);
  struct text text = {0};
  sample_text(&text, 1234, 200);
  CHECK(comes_back(&tokenizer, text.bytes, text.length));
  struct token_buffer buffer = {0};
  struct error error = {0};
  CHECK(tokenizer_encode(&tokenizer, text.bytes, text.length, &buffer, &error));
  CHECK((double)text.length / (double)buffer.count > 2);  // it compresses
  token_buffer_free(&buffer);
  static const char *const hard[] = {"",
                                     " ",
                                     "   ",
                                     "\n",
                                     "\n\n\n",
                                     "a\nb",
                                     " lead",
                                     "trail ",
                                     "  two  inner ",
                                     "\t\ttab",
                                     "\r\n",
                                     "\xE2\x96\x81",
                                     "a \xE2\x96\x81 b",
                                     ("\xEF\xBB\xBF"
                                      "bom"),
                                     "\xF0\x9F\x98\x80",
                                     "e\xCC\x81",
                                     "<s></s><unk>",
                                     "<0x0A>",
                                     "\xEF\xBF\xBD",
                                     "\xE3\x80\x80wide",
                                     "\xC2\xA0nbsp"};
  for (size_t i = 0; i < sizeof hard / sizeof *hard; i++)
    if (!CHECK(comes_back(&tokenizer, hard[i], strlen(hard[i])))) printf("# case %zu: %s\n", i, hard[i]);
  CHECK(comes_back(&tokenizer, "nul\0inside", 10));
  text_free(&text);
  tokenizer_free(&tokenizer);
}

// Random UTF-8 of all planes.
static void random_text_comes_back(void) {
  struct tokenizer tokenizer = trained(400);
  for (uint64_t trial = 0; trial < 300; trial++) {
    struct text text = {0};
    uint64_t length = random_below(7, RANDOM_STREAM_MONTE_CARLO, trial, 0, 60);
    for (uint64_t i = 1; i <= length; i++) {
      static const uint32_t reach[] = {0x20, 0x80, 0x800, 0x10000, 0x110000};
      uint32_t code = (uint32_t)random_below(8, RANDOM_STREAM_MONTE_CARLO, trial, i, reach[trial % 5]);
      if (code >= 0xD800 && code < 0xE000) code = 0x2581;  // no surrogates; the library's space symbol instead
      if (code < 0x80) {
        text_char(&text, (char)code);
      } else if (code < 0x800) {
        text_char(&text, (char)(0xC0 | code >> 6));
        text_char(&text, (char)(0x80 | (code & 63)));
      } else if (code < 0x10000) {
        text_char(&text, (char)(0xE0 | code >> 12));
        text_char(&text, (char)(0x80 | (code >> 6 & 63)));
        text_char(&text, (char)(0x80 | (code & 63)));
      } else {
        text_char(&text, (char)(0xF0 | code >> 18));
        text_char(&text, (char)(0x80 | (code >> 12 & 63)));
        text_char(&text, (char)(0x80 | (code >> 6 & 63)));
        text_char(&text, (char)(0x80 | (code & 63)));
      }
    }
    bool fine = CHECK(comes_back(&tokenizer, text_string(&text), text.length));
    if (!fine) {
      printf("# trial %d:", (int)trial);
      for (size_t i = 0; i < text.length; i++) printf(" %02X", (unsigned char)text.bytes[i]);
      printf("\n");
    }
    text_free(&text);
    if (!fine) break;
  }
  tokenizer_free(&tokenizer);
}

static void training_is_deterministic(void) {
  struct tokenizer first = trained(450), cached = trained(450);
  CHECK_TEXT(first.digest, cached.digest);
  struct error error = {0};
  CHECK(folder_remove(scratch_path(&arena, "isoloss/tokenizers"), &error));
  struct tokenizer again = trained(450), other = trained(451);
  CHECK_TEXT(first.digest, again.digest);
  CHECK(strcmp(first.digest, other.digest) != 0);
  tokenizer_free(&first);
  tokenizer_free(&cached);
  tokenizer_free(&again);
  tokenizer_free(&other);
}

static void impossible_vocabularies(void) {
  static const int64_t sizes[] = {262, 60000};
  static const char *const reasons[] = {"too small", "too large"};
  for (int i = 0; i < 2; i++) {
    struct tokenizer tokenizer;
    struct documents documents = {0};
    struct error error = {0};
    CHECK(!train(&tokenizer, &documents, sizes[i], &error));
    CHECK(error.code == EXIT_USAGE_ERROR && strstr(error.text, reasons[i]));
    documents_free(&documents);
  }
}

// Training and encoding say nothing on the terminal: standard output may be a JSON document.
static void is_silent(void) {
  fflush(stdout);
  struct error error = {0};
  CHECK(folder_remove(scratch_path(&arena, "isoloss/tokenizers"), &error));
  int kept_out = dup(1), kept_error = dup(2);
  char *path = scratch_path(&arena, "chatter");
  FILE *chatter = fopen(path, "w");
  dup2(fileno(chatter), 1);
  dup2(fileno(chatter), 2);
  struct tokenizer tokenizer = trained(420);
  fflush(NULL);
  dup2(kept_out, 1);
  dup2(kept_error, 2);
  close(kept_out);
  close(kept_error);
  fclose(chatter);
  size_t length = 1;
  char *said = file_read(&arena, path, &length, &error);
  if (!CHECK(said && length == 0)) printf("# it said: %.300s\n", said);
  tokenizer_free(&tokenizer);
}

static void refuses_bad_utf8(void) {
  struct run_config config;
  config_default(&config);
  config.corpus.source = "files";
  config.corpus.files = scratch_path(&arena, "t-*.txt");
  config.corpus.tokenizer = "sentencepiece";
  config.corpus.vocabulary = 400;
  struct text text = {0};
  sample_text(&text, 5, 30);
  size_t place = text.length;
  text_add(&text, "\xFF\n");
  scratch_write("t-17.txt", text.bytes, text.length);
  struct error error = {0};
  struct corpus_location location;
  CHECK(!corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error));
  CHECK(error.code == EXIT_USAGE_ERROR && strstr(error.text, "t-17.txt"));
  CHECK(strstr(error.text, arena_format(&arena, "byte %zu is not UTF-8", place)));
  config.corpus.tokenizer = "bytes";
  config.corpus.vocabulary = AUTO_INTEGER;
  error = (struct error){0};
  CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error));  // bytes are fine
  text_free(&text);
}

// A model file given as it is: its vocabulary, its end token; validation bytes are those of the text.
static void takes_existing_models(void) {
  struct tokenizer tokenizer = trained(480);
  scratch_write("mine.model", tokenizer.model_bytes.bytes, tokenizer.model_bytes.length);
  struct run_config config;
  config_default(&config);
  config.corpus.source = "files";
  config.corpus.files = scratch_path(&arena, "t-*.txt");
  config.corpus.tokenizer = scratch_path(&arena, "mine.model");
  config.corpus.validation_fraction = 0.3;
  struct error error = {0};
  struct corpus_location location;
  CHECK(corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error));
  struct corpus *corpus = corpus_open(location.path, location.digest, &config, &error);
  if (!CHECK(corpus != NULL)) {
    printf("# %s\n", error.text);
    return;
  }
  CHECK(corpus_vocabulary(corpus) == 480);
  enum { CONTEXT = 16 };
  int64_t windows = corpus_validation_windows(corpus, CONTEXT);
  int32_t *inputs = memory_get((size_t)windows * CONTEXT * 4), *targets = memory_get((size_t)windows * CONTEXT * 4);
  CHECK(corpus_validation(corpus, 0, windows, CONTEXT, inputs, targets, NULL, &error));
  double bytes = 0;
  for (int64_t i = 0; i < windows * CONTEXT; i++) bytes += sentencepiece_piece(tokenizer.model, targets[i], NULL);
  CHECK(bytes > 1000);
  CHECK(corpus_validation_bytes(corpus, 0, windows, CONTEXT) == bytes);
  struct text text = {0};
  CHECK(corpus_decode(corpus, inputs, CONTEXT, &text, &error) && text.length > 0);
  int32_t outside = 480;
  CHECK(!corpus_decode(corpus, &outside, 1, &text, &error));
  text_free(&text);
  free(inputs);
  free(targets);
  corpus_close(corpus);
  config.corpus.vocabulary = 500;
  error = (struct error){0};
  CHECK(!corpus_prepare(&config, false, NULL, NULL, &arena, &location, &error) && strstr(error.text, "has 480 pieces"));
  tokenizer_free(&tokenizer);
}

// What a build without the library says of a corpus that needs it.
static void says_that_it_is_absent(void) {
  struct error error = {0};
  struct tokenizer tokenizer;
  struct documents none = {0};
  CHECK(!tokenizer_train(&tokenizer, &none, 400, &error) && error.code == EXIT_ENVIRONMENT);
  CHECK(strstr(error.text, "built without sentencepiece"));
  error = (struct error){0};
  CHECK(!tokenizer_load(&tokenizer, "model", 5, false, "a.model", &error) && error.code == EXIT_ENVIRONMENT);
  tokenizer_free(&tokenizer);
}

int main(int argc, char **argv) {
  scratch_begin();
  if (!sentencepiece_present()) {
    RUN(says_that_it_is_absent);
    check_skip("tokenizers", "this build has no sentencepiece");
    scratch_end();
    return check_end();
  }
  RUN(bytes_come_back);
  RUN(pieces_come_back);
  RUN(random_text_comes_back);
  RUN(training_is_deterministic);
  RUN(impossible_vocabularies);
  RUN(is_silent);
  RUN(refuses_bad_utf8);
  RUN(takes_existing_models);
  arena_free(&arena);
  scratch_end();
  return check_end();
}
