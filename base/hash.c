// Thin face over libxxhash; see hash.h.
#include "base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/arena.h"
#include "base/file.h"

struct hasher {
  XXH3_state_t *state;
};

struct hasher *hasher_new(void) {
  struct hasher *hasher = memory_get(sizeof *hasher);
  hasher->state = XXH3_createState();
  XXH3_128bits_reset(hasher->state);
  return hasher;
}

void hasher_add(struct hasher *hasher, const void *bytes, size_t length) {
  XXH3_128bits_update(hasher->state, bytes, length);
}

static struct digest to_hex(XXH128_hash_t hash) {
  struct digest digest;
  snprintf(digest.hex, sizeof digest.hex, "%016llx%016llx", (unsigned long long)hash.high64,
           (unsigned long long)hash.low64);
  return digest;
}

struct digest hasher_end(struct hasher *hasher) {
  struct digest digest = to_hex(XXH3_128bits_digest(hasher->state));
  XXH3_freeState(hasher->state);
  free(hasher);
  return digest;
}

struct digest digest_bytes(const void *bytes, size_t length) {
  return to_hex(XXH3_128bits(bytes, length));
}

struct digest digest_string(const char *text) {
  return digest_bytes(text, strlen(text));
}

bool digest_file(const char *path, struct digest *digest, struct error *error) {
  int file = file_open(path, NULL, error);
  if (file < 0) return false;
  struct hasher *hasher = hasher_new();
  static const size_t chunk = 1 << 16;
  char *buffer = memory_get(chunk);
  ssize_t got;
  while ((got = read(file, buffer, chunk)) > 0 || (got < 0 && errno == EINTR))
    if (got > 0) hasher_add(hasher, buffer, (size_t)got);
  bool fine = got == 0;
  free(buffer);
  *digest = hasher_end(hasher);
  close(file);
  return fine || error_set_errno(error, EXIT_ENVIRONMENT, "cannot read %s", path);
}

uint64_t hash64(const void *bytes, size_t length, uint64_t seed) { return XXH3_64bits_withSeed(bytes, length, seed); }
