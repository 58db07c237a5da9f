// Rows of keys or values in few bits, as HIGGS has them (arXiv 2411.17525, without data): random signs and a Hadamard
// transform within groups, scaled by the group's root mean square, in 16 bits, and rounded two at a time to the nearest
// of 4^bits points that are best for Gaussian data (kernels/formats).
#pragma once
#include "base/base.h"

enum { CACHE_LEAST_BITS = 1, CACHE_MOST_BITS = 4, CACHE_LARGEST_GROUP = 1024 };

// Values that share a scale and a transform: the largest power of two up to CACHE_LARGEST_GROUP that divides the width.
int64_t cache_group(int64_t width);
// Stored bits a value: those of the points and a scale's 16 over the group.
double cache_codec_bits(int bits, int64_t width);

struct cache_codec;
// For rows of `width` (even); signs are keyed by `seed` and `number`. Memory is the arena's. NULL with an error when
// the width does not fit, or this CPU's level is not known.
struct cache_codec *cache_codec_make(int bits, int64_t width, uint64_t seed, uint64_t number, struct arena *arena,
                                     struct error *error);
// What rows [rows, width] are after they have been stored: to may be from.
void cache_codec_represent(const struct cache_codec *codec, int64_t rows, const float *from, float *to);
