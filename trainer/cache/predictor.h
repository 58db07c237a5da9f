// What one layer's keys and values say of the next one's (AQUA-KV, Shutova et al. 2025, arXiv 2501.19392): keys before
// their rotation, all heads of a token side by side, from the keys of the layer below; values from this layer's keys
// and the values of the layer below; both as they are read back from the cache. Linear maps with a constant, by ridge
// regression, fitted layer after layer, so that each sees the errors of those before it.
#pragma once
#include "base/base.h"
#include "trainer/cache/codec.h"

enum cached { CACHED_KEYS, CACHED_VALUES, CACHED_KINDS };

// y = x W + constant, x [inputs], y [outputs].
struct linear_map {
  int64_t inputs, outputs;
  float *weights;   // [inputs, outputs]
  float *constant;  // [outputs]
};
// The map of least squares from rows of x to rows of y, with `damping` times the mean of the diagonal added to the
// centred inputs' second moments: (X^T X + d I) W = X^T Y, solved in double precision by LAPACK. The constant is not
// damped: it is what the means leave. x is in two parts side by side, x [rows, inputs] and more [rows, more_inputs],
// or NULL and 0. False with an error where values are not finite or the system is singular. Memory is the arena's;
// working memory 8 bytes an entry of the second moments.
bool linear_map_fit(struct linear_map *map, int64_t rows, const float *x, int64_t inputs, const float *more,
                    int64_t more_inputs, const float *y, int64_t outputs, double damping, struct arena *arena,
                    struct error *error);
// y [rows, outputs] of x in the same two parts; `more` NULL where the map was fitted without.
void linear_map_apply(const struct linear_map *map, int64_t rows, const float *x, const float *more, float *y);

// How the cache of a model stores its keys and values: a codec of each layer's, and maps from what is stored already.
struct cache_code {
  int64_t layers, width;  // width: kv_heads head_dim
  bool predicts;
  struct cache_codec **codecs;  // [layers, CACHED_KINDS]
  struct linear_map *maps;      // [layers, CACHED_KINDS], of layer 0 nothing; NULL: none are fitted
  double *bits;                 // [layers, CACHED_KINDS]: stored, a value
};
// Codecs of `bits` for all layers; where `predicts`, layer 0 has `first_bits`, and maps are to be fitted.
bool cache_code_make(struct cache_code *code, int64_t layers, int64_t width, int bits, bool predicts, int first_bits,
                     uint64_t seed, struct arena *arena, struct error *error);
// Fits the maps on `rows` tokens: of[layer * CACHED_KINDS + kind] is [rows, width], as the model makes them; what is
// read back of them overwrites them. Working memory: 4 arrays as large as one of these.
bool cache_code_fit(struct cache_code *code, int64_t rows, float *const *of, double damping, struct arena *arena,
                    struct error *error);

// Sums over the values of a layer's keys or values that were stored.
struct cache_sums {
  int64_t count;
  double energy;       // of squares
  double error;        // squared, of what is read back
  double plain_error;  // squared, of the same code without prediction
  double unexplained;  // squared, of the prediction alone
};
// Stores `rows` tokens of one layer and reads them back. `keys`, `values` [rows, width] are the layer's; `below` are
// the keys and values of the layer below as read back, of layer 0 whatever. The results go to read_back (no overlap
// with the others), and to sums[CACHED_KINDS], which may be NULL. scratch: 2 rows width floats.
void cache_code_store(const struct cache_code *code, int64_t layer, int64_t rows, const float *const of[CACHED_KINDS],
                      const float *const below[CACHED_KINDS], float *const read_back[CACHED_KINDS], float *scratch,
                      struct cache_sums *sums);
