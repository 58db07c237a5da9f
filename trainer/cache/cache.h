// A cache of keys and values: what a model keeps of the tokens that it has read, so that new ones go forward alone.
// Keys and values stay as they are, or those of older tokens are stored in few bits (codec.h, predictor.h) and read
// back. Evaluation and generation take this one path.
//
// Tokens come in pieces; a token sees those before it as the cache has them. After every `stream` tokens what is older
// than `keep_recent` tokens is stored, once and for good, but for the first `keep_first`: so what comes out does not
// depend on the pieces.
#pragma once
#include "trainer/cache/predictor.h"
#include "trainer/model.h"

struct cache_keeping {
  int64_t first, recent, stream;
};

struct kv_cache {
  struct model *model;
  const struct cache_code *code;  // NULL: nothing is stored in another form
  struct cache_keeping keep;
  bool records;             // host copies of all keys and values are kept (cache_recorded)
  int64_t most;             // sequences that there is room for
  int64_t sequences;        // of now
  int64_t length;           // tokens of each that have been read
  int64_t compressed;       // [keep.first, compressed) are stored
  struct cache_sums *sums;  // [layers, CACHED_KINDS] of all that was stored since it was made; NULL without a code

  void *keys, *values;  // device: [layers][sequences, kv_heads, context, head_dim], keys rotated
  float *made;          // [layers, CACHED_KINDS][sequences, context, width]: as the model made them, not rotated
  float *rope;          // [context, head_dim], the model's
  float *work;          // of storing
  float *gathered;      // of qkv: [rows, (heads + 2 kv_heads) head_dim]
  int32_t *tokens;      // [rows] of a piece
  void *final_x;        // device: [rows, width] of a whole passage
  struct error error;   // of what came while the model was at work
  struct model_attention attention;
  struct model_passage passage;
};

// For at most `sequences` sequences of up to model.context tokens. `code` (NULL: none) and its memory stay the
// caller's. NULL and an error where the device has no attention over a cache, the format of the model represents
// activations (whose scales may be of a whole window), or memory is short. Memory: 2 layers context kv_heads head_dim
// values a sequence on the device, and on the host the same in float32 with a code or where it records.
struct kv_cache *cache_make(struct model *model, int64_t sequences, const struct cache_code *code,
                            const struct cache_keeping *keep, bool records, struct error *error);
void cache_free(struct kv_cache *cache);  // NULL is fine; the model no longer goes through it
// Why there can be no cache of this model on its device: false and an error.
bool cache_possible(const struct model *model, struct error *error);

// Forgets all tokens; the next are of so many sequences.
void cache_clear(struct kv_cache *cache, int64_t sequences);
// The next `count` tokens of each sequence, tokens [sequences, count], up to the final norm: x [sequences, count,
// width] (host). There is room for them (cache->length + count is at most the context), and sequences * count is at
// most model->evaluation_rows. False with an error.
bool cache_read_tokens(struct kv_cache *cache, int64_t count, const int32_t *tokens, float *x, struct error *error);
// Forgets the tokens from `length` on, of a cache without a code.
void cache_cut(struct kv_cache *cache, int64_t length);
// Where a layer's keys and values are, [sequences, kv_heads, context, head_dim] on the device.
const void *cache_keys(const struct kv_cache *cache, int64_t layer);
const void *cache_values(const struct kv_cache *cache, int64_t layer);
// From now on the model's forward passes and evaluations go through the cache, window by window, as if each came token
// after token. Ends with cache_free.
void cache_attach(struct kv_cache *cache);
// A layer's keys (not rotated) or values of a sequence as the model made them: [context, width], the first
// cache->length rows are there. Of a cache with a code, or one that records.
float *cache_recorded(const struct kv_cache *cache, int64_t layer, enum cached kind, int64_t sequence);
