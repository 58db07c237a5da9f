// One cache of keys and values that several workers write to and all read (Hogwild! Inference, Rodionov et al. 2025,
// arXiv 2504.06261): a common beginning, and a block of tokens for each worker. Every worker sees, in this order, the
// common tokens, the other workers' blocks and its own; all take a step together, after which each sees what the others
// have just written.
//
// A block's keys are rotated once, by their places in the block. Where a worker sees the block begin at an offset c,
// its queries are rotated by so much less, since scores hang on distances alone:
//   <R(a) q, R(b + c) k> = <R(a - c) q, R(b) k>
#pragma once
#include "trainer/cache/cache.h"

struct shared_cache {
  struct kv_cache *common;    // of one sequence, the caller's; its tokens come first
  int64_t workers, capacity;  // tokens that a block has room for
  int64_t length;             // of each block
  void *keys, *values;        // device: [layers][workers][kv_heads, capacity, head_dim]
  float *tables;              // device: [1 + workers + 1][workers, head_dim]: of queries by block, of the new keys
  float *rows;                // the same, host
  struct model_attention attention;
};

// NULL and an error where memory is short, or common tokens and all blocks are more than the model's context.
struct shared_cache *shared_cache_make(struct kv_cache *common, int64_t workers, int64_t capacity, struct error *error);
void shared_cache_free(struct shared_cache *cache);   // NULL is fine
void shared_cache_clear(struct shared_cache *cache);  // forgets the blocks, not the common tokens
// Where a worker sees the tokens of a block begin, when all blocks have `length` tokens: block -1 is the common one.
int64_t shared_cache_offset(const struct shared_cache *cache, int64_t worker, int64_t block, int64_t length);
// One token of each worker, up to the final norm: x [workers, width] (host). There is room for it. False with an error.
bool shared_cache_step(struct shared_cache *cache, const int32_t *tokens, float *x, struct error *error);

// <R(a) q, R(b) k> in double precision, of a head's vectors: what the identity above is held to.
double rotated_score(const double *q, const double *k, int64_t head_dim, double theta, int64_t a, int64_t b);
