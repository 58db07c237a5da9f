// XXH3-128 digests (libxxhash) as 32 hexadecimal characters: run identity, corpus digests, checksums.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { DIGEST_LENGTH = 32 };
struct digest {
  char hex[DIGEST_LENGTH + 1];
};

struct hasher;  // streaming state
struct hasher *hasher_new(void);
void hasher_add(struct hasher *hasher, const void *bytes, size_t length);
struct digest hasher_end(struct hasher *hasher);  // frees the hasher

struct digest digest_bytes(const void *bytes, size_t length);
struct digest digest_string(const char *text);
bool digest_file(const char *path, struct digest *digest, struct error *error);
uint64_t hash64(const void *bytes, size_t length, uint64_t seed);  // XXH3-64, for tables and keyed splits
