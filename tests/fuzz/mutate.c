// Drives a fuzz target without libFuzzer: every seed file as it is, then mutations of the seeds (bytes flipped, pieces
// removed, repeated, moved between seeds, words of the language put in), keyed by Philox so that each run is the same.
//
//   fuzz_NAME_seeds MUTATIONS WORDS SEED_FILE_OR_FOLDER...      WORDS: a file of one word a line, or "-"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/base.h"
#include "tests/fuzz/fuzz.h"

enum { MOST_FILES = 1000, LONGEST = 16384 };

struct piece {
  const char *bytes;
  size_t length;
};

static struct arena arena;
static struct piece seeds[MOST_FILES], words[MOST_FILES];
static size_t seed_count, word_count;
static struct { uint32_t state, mutation; } chance;

static uint32_t below(uint32_t limit) {
  uint32_t out[4];
  philox4x32((uint32_t[4]){chance.mutation, 0, 0, chance.state++}, 7, out);
  return limit ? out[0] % limit : 0;
}

static void add_file(const char *path) {
  struct error error = {0};
  size_t length;
  char *bytes = file_read(&arena, path, &length, &error);
  if (bytes && seed_count < MOST_FILES) seeds[seed_count++] = (struct piece){bytes, length};
}

static int by_name(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// What else is in a folder (the errors that a spec is expected to give) is no input of a target.
static bool is_seed(const char *name) {
  static const char *const endings[] = {".yaml", ".csv", ".json", ".txt"};
  for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
    if (ends_with(name, endings[i])) return true;
  return false;
}

static void add_path(const char *path) {
  struct stat status;
  if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
    add_file(path);
    return;
  }
  char *names[MOST_FILES];
  size_t count = 0;
  DIR *folder = opendir(path);
  for (struct dirent *entry; folder && (entry = readdir(folder)) && count < MOST_FILES;)
    if (is_seed(entry->d_name)) names[count++] = path_join(&arena, path, entry->d_name);
  if (folder) closedir(folder);
  qsort(names, count, sizeof *names, by_name);
  for (size_t i = 0; i < count; i++) add_file(names[i]);
}

static void replace(struct text *text, size_t at, size_t removed, const char *bytes, size_t length) {
  struct text after = {0};
  text_append(&after, text->bytes + at + removed, text->length - at - removed);
  text->length = at;
  text->bytes[at] = '\0';
  text_append(text, bytes, length);
  text_append(text, after.bytes, after.length);
  text_free(&after);
}

static void mutate(struct text *text) {
  size_t at = below((uint32_t)text->length + 1), rest = text->length - at;
  size_t piece = below(40) < rest ? below(40) : rest;
  if (piece > rest) piece = rest;
  switch (below(8)) {
    case 0: {  // a bit
      if (rest) text->bytes[at] = (char)(text->bytes[at] ^ (1 << below(8)));
      break;
    }
    case 1:  // a byte of YAML's own
      replace(text, at, rest ? below(2) : 0, &"[]{}:,-?&*!|>'\"#%@\n\t \\<"[below(24)], 1);
      break;
    case 2:  // a piece out
      replace(text, at, piece, "", 0);
      break;
    case 3: {  // a piece twice
      char *copy = arena_copy(&arena, text->bytes + at, piece);
      replace(text, at, 0, copy, piece);
      break;
    }
    case 4: {  // a piece of another seed
      const struct piece *other = &seeds[below((uint32_t)seed_count)];
      size_t from = below((uint32_t)other->length + 1), length = below(200);
      if (length > other->length - from) length = other->length - from;
      replace(text, at, piece, other->bytes + from, length);
      break;
    }
    case 5: {  // a number at the edge of something
      static const char *const numbers[] = {
          "0",    "-1",         "1e308", "1e-308", "nan", "inf", "9223372036854775807",
          "1e18", "4294967296", "0.1",   "auto",   "-0",  "1e6"};
      const char *number = numbers[below(sizeof numbers / sizeof *numbers)];
      replace(text, at, piece < 4 ? piece : 4, number, strlen(number));
      break;
    }
    default:  // a word
      if (word_count) {
        const struct piece *word = &words[below((uint32_t)word_count)];
        replace(text, at, piece < 8 ? piece : 8, word->bytes, word->length);
      }
  }
  if (text->length > LONGEST) replace(text, LONGEST, text->length - LONGEST, "", 0);
}

int main(int argc, char **argv) {
  int64_t mutations;
  struct error error = {0};
  if (argc < 4 || !integer_parse(argv[1], &mutations)) {
    fprintf(stderr, "usage: %s MUTATIONS WORDS SEED...\n", argv[0]);
    return 2;
  }
  char *list = strcmp(argv[2], "-") == 0 ? NULL : file_read(&arena, argv[2], NULL, &error);
  for (char *save, *word = list ? strtok_r(list, "\n", &save) : NULL; word && word_count < MOST_FILES;
       word = strtok_r(NULL, "\n", &save))
    words[word_count++] = (struct piece){word, strlen(word)};
  for (int i = 3; i < argc; i++) add_path(argv[i]);
  if (!seed_count) {
    fprintf(stderr, "%s: no seeds\n", argv[0]);
    return 1;
  }
  for (size_t i = 0; i < seed_count; i++) LLVMFuzzerTestOneInput((const uint8_t *)seeds[i].bytes, seeds[i].length);
  printf("ok 1 - %zu seeds\n", seed_count);
  struct text text = {0};
  for (int64_t i = 0; i < mutations; i++) {
    chance.mutation = (uint32_t)i;
    chance.state = 0;
    const struct piece *seed = &seeds[below((uint32_t)seed_count)];
    text_clear(&text);
    text_append(&text, seed->bytes, seed->length);
    for (uint32_t n = 1 + below(6); n--;) mutate(&text);
    LLVMFuzzerTestOneInput((const uint8_t *)text.bytes, text.length);
  }
  printf("ok 2 - %lld mutations\n1..2\n", (long long)mutations);
  text_free(&text);
  arena_free(&arena);
  return 0;
}
