// The modules that a search gives levels to, and the levels: from a resolved configuration alone.
//
//   bits, sparsity    each matrix as Hugging Face has it, query, key, value, output, gate, up, down of every block;
//   those
//                     of one shape's size are a group. A level is a number of bits, or a step of sparsity
//   drop, structure   the attention and the MLP of every block; the attentions are one group, the MLPs another. A level
//                     is a key and value head with its query heads, or a part of the columns; in drop the whole half
#pragma once
#include "trainer/compress/compress.h"
#include "trainer/compress/search.h"
#include "trainer/layout.h"
#include "trainer/search_budget.h"

enum { MODULE_PIECES = 4, MODULE_LEVELS = 1025 };

// What stands together in the parameters.
struct module_piece {
  enum model_matrix matrix;
  int64_t row, rows, inputs;  // of the matrix, its rows [row, row + rows)
};

struct search_module {
  int64_t layer;     // block, from 0
  const char *name;  // "self_attn.q_proj", "mlp"
  int part;          // of the module in its block, from 0
  struct module_piece pieces[MODULE_PIECES];
  int piece_count;
  int64_t count;  // weights of all pieces
  int group;
};

struct layer_space {
  enum search_space_kind kind;
  int count, groups, per_block;
  struct search_module *modules;  // [count], block by block
  int *levels, *group;            // [count]
  int64_t *units;                 // [groups], what the budget gives each group
  struct search_space space;      // over levels and group
};

// All in the arena. False with an error about the fields at fault: a budget that is missing, or that no levels have.
bool layer_space_make(const struct run_config *config, struct arena *arena, struct layer_space *space,
                      struct error *error);
// Of bits and sparsity: what brings the module's matrix to a level; texts in the arena. False with an error about the
// stage's fields.
bool layer_space_settings(const struct run_config *config, int level, struct arena *arena,
                          struct compress_settings *settings, struct error *error);
// The levels of a matrix: numbers of bits from search.least_bits on, or shares of zeroes, falling.
int layer_space_bits(const struct run_config *config, int level);
double layer_space_sparsity(const struct run_config *config, int level);
// How many choices have the budget's units, as a number: it may be beyond any integer.
double layer_space_choices(const struct layer_space *space);

// The rounds of search.rounds, "2048:4 16384:1". In the arena. False with an error about it.
bool search_rounds_read(const char *text, struct arena *arena, struct search_round **rounds, int *count,
                        struct error *error);
