// Token files: what is written is read back; what is damaged is refused with a reason and never crashes.
#include <sys/mman.h>

#include "base/philox.h"
#include "tests/check.h"
#include "tests/data/scratch.h"
#include "trainer/data/token_file.h"

enum { TOKENS = 1000 };

static void write_file(const char *path, uint32_t width, bool extras) {
  struct error error = {0};
  struct token_file_header header = {.width = width,
                                     .has_lengths = extras,
                                     .has_mask = extras,
                                     .vocabulary = 1000,
                                     .end_token = 999,
                                     .tokenizer = "test",
                                     .tokenizer_digest = "abc"};
  struct token_writer *writer = token_writer_new(path, &header, &error);
  uint32_t tokens[TOKENS];
  uint16_t lengths[TOKENS];
  uint8_t mask[TOKENS];
  for (uint32_t i = 0; i < TOKENS; i++) {
    tokens[i] = i * 7 % 1000;
    lengths[i] = (uint16_t)(i % 5);
    mask[i] = i % 3 == 0;
  }
  // An odd number of tokens first: the sections behind must still be aligned.
  CHECK(token_writer_add(writer, tokens, 333, lengths, mask, 500, &error));
  CHECK(token_writer_add(writer, tokens + 333, TOKENS - 333, lengths + 333, mask + 333, 700, &error));
  CHECK(token_writer_add(writer, tokens, 0, lengths, mask, 0, &error));
  CHECK(token_writer_end(writer, &header, &error));
  CHECK(header.tokens == TOKENS && header.documents == 3);
}

static void round_trip(void) {
  for (uint32_t width = 2; width <= 4; width += 2)
    for (int extras = 0; extras < 2; extras++) {
      struct arena arena = {0};
      struct error error = {0};
      struct token_file file;
      char *path = scratch_path(&arena, "round.tokens");
      write_file(path, width, extras);
      if (!CHECK(token_file_open(&file, path, &error))) {
        printf("# %s\n", error.text);
        arena_free(&arena);
        return;
      }
      CHECK(token_file_verify(&file, path, &error));
      CHECK(file.header->tokens == TOKENS && file.header->text_bytes == 1200);
      CHECK(file.header->targets == (extras ? 334 : TOKENS));
      CHECK_NEAR(file.header->bytes_per_token, 1.2, 1e-15);
      CHECK_TEXT(file.header->tokenizer, "test");
      CHECK((file.lengths != NULL) == extras && (file.mask != NULL) == extras);
      for (uint64_t i = 0; i < TOKENS; i++) {
        CHECK(token_at(&file, i) == i * 7 % 1000);
        if (extras) CHECK(file.lengths[i] == i % 5 && file.mask[i] == (i % 3 == 0));
      }
      CHECK(file.bounds[0] == 333 && file.bounds[1] == TOKENS && file.bounds[2] == TOKENS);
      token_file_close(&file);
      arena_free(&arena);
    }
}

// Opens a file with these bytes (in memory); the verdict, and the reason.
static bool accepts(const char *bytes, size_t length, char reason[2000]) {
  struct error error = {0};
  struct token_file file;
  char path[64];
  int memory = memfd_create("tokens", 0);
  CHECK(write(memory, bytes, length) == (ssize_t)length);
  snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
  bool fine = token_file_open(&file, path, &error);
  if (fine) {
    fine = token_file_verify(&file, path, &error);
    token_file_close(&file);
  }
  close(memory);
  snprintf(reason, 2000, "%s", error.text);
  CHECK(fine || error.code == EXIT_ENVIRONMENT);
  return fine;
}

static void refuses(void) {
  struct arena arena = {0};
  struct error error = {0};
  char reason[2000];
  char *path = scratch_path(&arena, "whole.tokens");
  write_file(path, 2, true);
  size_t length;
  char *bytes = file_read(&arena, path, &length, &error);
  CHECK(accepts(bytes, length, reason));
  CHECK(!accepts(bytes, 0, reason) && strstr(reason, "empty"));
  CHECK(!accepts(bytes, 100, reason) && strstr(reason, "too short"));
  CHECK(!accepts(bytes, TOKEN_FILE_HEADER, reason) && strstr(reason, "truncated"));
  CHECK(!accepts(bytes, length - 1, reason) && strstr(reason, "truncated"));
  char *longer = arena_alloc(&arena, length + 1);
  memcpy(longer, bytes, length);
  CHECK(!accepts(longer, length + 1, reason) && strstr(reason, "longer"));
  longer[0] = 'X';
  CHECK(!accepts(longer, length, reason) && strstr(reason, "not a token file"));
  memcpy(longer, bytes, length);
  longer[8] = 9;
  CHECK(!accepts(longer, length, reason) && strstr(reason, "version 9"));
  memcpy(longer, bytes, length);
  longer[200] ^= 1;
  CHECK(!accepts(longer, length, reason) && strstr(reason, "header's checksum"));
  memcpy(longer, bytes, length);
  longer[TOKEN_FILE_HEADER + 17] ^= 1;
  CHECK(!accepts(longer, length, reason) && strstr(reason, "content's checksum"));
  struct token_file file;
  CHECK(!token_file_open(&file, scratch, &error) && strstr(error.text, "is a folder: a file is needed"));
  error = (struct error){0};
  CHECK(!token_file_open(&file, scratch_path(&arena, "nothing"), &error) && strstr(error.text, "No such file"));
  arena_free(&arena);
}

// Random damage to the header, its checksum made right again: refused, or harmless.
static void survives_damage(void) {
  struct arena arena = {0};
  struct error error = {0};
  char reason[2000];
  char *path = scratch_path(&arena, "whole.tokens");
  write_file(path, 2, true);
  size_t length;
  char *bytes = file_read(&arena, path, &length, &error);
  char *damaged = arena_alloc(&arena, length);
  for (uint64_t trial = 0; trial < 3000; trial++) {
    memcpy(damaged, bytes, length);
    int changes = 1 + (int)random_below(1, RANDOM_STREAM_MONTE_CARLO, trial, 0, 6);
    for (int i = 0; i < changes; i++) {
      // The fields are in the first 300 bytes.
      uint64_t place = random_below(2, RANDOM_STREAM_MONTE_CARLO, trial, (uint64_t)i, 300);
      damaged[place] = (char)random_below(3, RANDOM_STREAM_MONTE_CARLO, trial, (uint64_t)i, 256);
      if (random_below(4, RANDOM_STREAM_MONTE_CARLO, trial, (uint64_t)i, 2)) damaged[place] = (char)(i ? 0xFF : 0);
    }
    struct token_file_header *header = (void *)damaged;
    header->checksum = hash64(header, offsetof(struct token_file_header, checksum), 0);
    size_t kept = trial % 4 == 0 ? (size_t)random_below(5, RANDOM_STREAM_MONTE_CARLO, trial, 0, length) : length;
    accepts(damaged, kept, reason);  // any verdict; no crash
  }
  CHECK(accepts(bytes, length, reason));
  arena_free(&arena);
}

int main(int argc, char **argv) {
  scratch_begin();
  RUN(round_trip);
  RUN(refuses);
  RUN(survives_damage);
  scratch_end();
  return check_end();
}
