// See sha256.h. The constants are, as the standard defines them, the first bits of roots of primes; a double has
// enough.
#include "base/sha256.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { BLOCK = 64, ROUNDS = 64, WORDS = 8 };

static uint32_t fraction(double root) { return (uint32_t)((root - floor(root)) * 4294967296.0); }

static void constants(uint32_t start[WORDS], uint32_t round[ROUNDS]) {
  int count = 0;
  for (int n = 2; count < ROUNDS; n++) {
    bool prime = true;
    for (int d = 2; d * d <= n; d++) prime &= n % d != 0;
    if (!prime) continue;
    if (count < WORDS) start[count] = fraction(sqrt(n));
    round[count++] = fraction(cbrt(n));
  }
}

static uint32_t turned(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void take_block(uint32_t state[WORDS], const uint32_t round[ROUNDS], const unsigned char *block) {
  uint32_t w[ROUNDS], s[WORDS];
  for (int i = 0; i < 16; i++)
    w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
           block[4 * i + 3];
  for (int i = 16; i < ROUNDS; i++) {
    uint32_t a = w[i - 15], b = w[i - 2];
    w[i] = w[i - 16] + (turned(a, 7) ^ turned(a, 18) ^ a >> 3) + w[i - 7] + (turned(b, 17) ^ turned(b, 19) ^ b >> 10);
  }
  memcpy(s, state, sizeof s);
  for (int i = 0; i < ROUNDS; i++) {
    uint32_t choice = (s[4] & s[5]) ^ (~s[4] & s[6]), majority = (s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]);
    uint32_t one = s[7] + (turned(s[4], 6) ^ turned(s[4], 11) ^ turned(s[4], 25)) + choice + round[i] + w[i];
    uint32_t two = (turned(s[0], 2) ^ turned(s[0], 13) ^ turned(s[0], 22)) + majority;
    memmove(s + 1, s, (WORDS - 1) * sizeof *s);
    s[4] += one;
    s[0] = one + two;
  }
  for (int i = 0; i < WORDS; i++) state[i] += s[i];
}

void sha256(const void *bytes, size_t length, unsigned char out[SHA256_BYTES]) {
  uint32_t state[WORDS], round[ROUNDS];
  constants(state, round);
  const unsigned char *at = bytes;
  size_t left = length;
  for (; left >= BLOCK; at += BLOCK, left -= BLOCK) take_block(state, round, at);
  // A one, zeros, and the length in bits fill the last block, or two.
  unsigned char last[2 * BLOCK] = {0};
  if (left) memcpy(last, at, left);
  last[left] = 0x80;
  size_t end = left < BLOCK - 8 ? BLOCK : 2 * BLOCK;
  for (int i = 0; i < 8; i++) last[end - 1 - (size_t)i] = (unsigned char)((uint64_t)length * 8 >> (8 * i));
  for (size_t i = 0; i < end; i += BLOCK) take_block(state, round, last + i);
  for (int i = 0; i < SHA256_BYTES; i++) out[i] = (unsigned char)(state[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_base64(const void *bytes, size_t length, char out[SHA256_BASE64]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  unsigned char digest[SHA256_BYTES + 1] = {0};  // two bytes and a zero are the last three
  sha256(bytes, length, digest);
  char *to = out;
  for (int i = 0; i < SHA256_BYTES + 1; i += 3) {
    unsigned three = (unsigned)digest[i] << 16 | (unsigned)digest[i + 1] << 8 | digest[i + 2];
    for (int k = 0; k < 4; k++) *to++ = letters[three >> (18 - 6 * k) & 63];
  }
  to[-1] = '=';
  *to = '\0';
}
