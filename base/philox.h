// Philox4x32-10, a counter-based random generator (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
// All randomness of isoloss is philox(seed, stream, step, index): any draw can be made alone, in any order, on any
// backend, with the same result.
#pragma once
#include <math.h>
#include <stdint.h>

// Streams: what a draw is for. Numbers are part of run identity: never renumber, only add.
enum random_stream {
  RANDOM_STREAM_INIT = 1,          // initial weights; step = tensor number
  RANDOM_STREAM_BATCH = 2,         // which windows of the corpus a step reads
  RANDOM_STREAM_SYNTHETIC = 3,     // synthetic sources' training tokens
  RANDOM_STREAM_VALIDATION = 4,    // synthetic sources' validation tokens
  RANDOM_STREAM_ROUNDING = 5,      // stochastic rounding
  RANDOM_STREAM_HADAMARD = 6,      // random signs
  RANDOM_STREAM_NOISE = 7,         // noise injection
  RANDOM_STREAM_BOOTSTRAP = 8,     // resampling in fits; step = resample
  RANDOM_STREAM_STARTS = 9,        // random starts of fits
  RANDOM_STREAM_MONTE_CARLO = 10,  // capacity measurements
  RANDOM_STREAM_PRUNING = 11,      // random pruning scores
  RANDOM_STREAM_OPTIMIZER = 12,    // stochastic rounding of the optimizer's state
  RANDOM_STREAM_MASTER = 14,       // stochastic rounding of master weights
  RANDOM_STREAM_TEXT = 15,         // generated text; step = tokens before. CHOICE's number, which fits alone draw from
  RANDOM_STREAM_SEED_NOISE = 13,   // noise added to losses; step = copy
  RANDOM_STREAM_CHOICE = 15,       // the choice from a grid; step = resample + 1, or 0
  RANDOM_STREAM_FEW = 16,          // errors of categories of few rows; step = resample
  RANDOM_STREAM_SENSITIVITY = 17,  // noise in one matrix, to see what it costs; step = matrix << 8 | its size's number
  RANDOM_STREAM_TOKENS = 18,       // tokens in place of a corpus; step = window
  RANDOM_STREAM_GRADIENT = 19,     // rounding of exchanged gradients; step = the optimizer's, index = worker's element
};

// The block function: four 32-bit words from a 128-bit counter and a 64-bit key.
static inline void philox4x32(uint32_t counter[4], uint64_t key, uint32_t out[4]) {
  uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
  uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
  for (int round = 0; round < 10; round++) {
    uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
    uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
    c1 = (uint32_t)p1;
    c3 = (uint32_t)p0;
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

// Four words for (seed, stream, step, index). step < 2^40 and stream < 2^24 share the upper counter half.
static inline void random_words(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, uint32_t out[4]) {
  uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)step,
                         (uint32_t)(step >> 32) << 24 | (stream & 0xFFFFFFu)};
  philox4x32(counter, seed, out);
}

// Uniform in [0, 1) with 53 bits.
static inline double random_uniform(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index) {
  uint32_t w[4];
  random_words(seed, stream, step, index, w);
  return (double)(((uint64_t)w[0] << 32 | w[1]) >> 11) * 0x1p-53;
}

// Uniform integer in [0, bound), bound > 0 (128-bit multiply; bias below 2^-64 * bound).
static inline uint64_t random_below(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, uint64_t bound) {
  uint32_t w[4];
  random_words(seed, stream, step, index, w);
  uint64_t word = (uint64_t)w[0] << 32 | w[1];
  return (uint64_t)((unsigned __int128)word * bound >> 64);
}

// Two independent standard normals (Box-Muller in double precision).
static inline void random_normal_pair(uint64_t seed, uint32_t stream, uint64_t step, uint64_t index, double out[2]) {
  uint32_t w[4];
  random_words(seed, stream, step, index, w);
  double u = ((double)(((uint64_t)w[0] << 32 | w[1]) >> 11) + 0.5) * 0x1p-53;
  double v = (double)(((uint64_t)w[2] << 32 | w[3]) >> 11) * 0x1p-53;
  double radius = sqrt(-2 * log(u)), angle = 6.283185307179586476925 * v;
  out[0] = radius * cos(angle);
  out[1] = radius * sin(angle);
}
