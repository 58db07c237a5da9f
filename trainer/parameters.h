// The table of a model's parameters: every tensor of a Llama-type decoder by its Hugging Face name, with its place in
// the one allocation that holds them all. Gradients and both moments are laid out alike.
//
// Order in memory: embedding, all norms, the matrices of block after block (query, key, value stacked; output; gate, up
// stacked; down), the head. So the stacked matrices that the kernels want are plain ranges, weight decay applies to one
// range, and what must be cleared before gradients are summed (embedding and norms) is one range. Every tensor has a
// multiple of 16 elements (the width is one), so all of them are aligned to 64 bytes without padding; to 32 where the
// matrices' master weights are bfloat16 (parameter_bytes).
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "kernels/ops.h"
#include "trainer/config.h"

#define SCALES_ENDING ".format_scales"  // of the names of learned scales
struct parameter_tensor {
  const char *name;       // "model.layers.0.self_attn.q_proj.weight"
  int64_t rows, columns;  // [rows, columns] = [outputs, inputs], row-major; a vector has columns 0
  int64_t offset, count;  // in elements
  uint32_t number;        // keys the initial values: embedding 0, then block by block, final norm, head
  double init_std;        // N(0, init_std^2); of a vector (norms, scales) 0, and all are `fill`
  double fill;
};

// Offsets of one block's tensors, in elements.
struct layer_offsets {
  int64_t attention_norm, mlp_norm;
  int64_t qkv;      // [(heads + 2 kv_heads) head_dim, width]
  int64_t output;   // [width, heads head_dim]
  int64_t gate_up;  // [2 mlp_width, width]
  int64_t down;     // [width, mlp_width]
  int64_t scales;   // a format's learned ones: LEARNED_SCALES for each of the four matrices; -1: none
};

struct parameter_table {
  struct parameter_tensor *tensors;  // in the order of memory
  int tensor_count;
  struct layer_offsets *layers;
  int64_t embedding, final_norm, head;  // offsets; a tied head is the embedding
  int64_t norms_end;                    // [0, norms_end): embedding, norms, learned scales
  int64_t matrices_end;  // [norms_end, matrices_end): the blocks' matrices, which weight decay applies to
  int64_t count;         // of all elements
};

// Bytes from the first parameter to the one at `offset`, when those from norms_end on are of type `master`.
int64_t parameter_bytes(const struct parameter_table *table, enum dtype master, int64_t offset);
// Built in the arena from a resolved configuration. The residual output projections (attention output, MLP down) start
// at init_std / sqrt(2 layers), as GPT-2 and QuEST have it; everything else at init_std.
struct parameter_table parameter_table(struct arena *arena, const struct run_config *resolved);
