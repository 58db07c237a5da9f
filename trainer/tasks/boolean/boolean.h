// Task `boolean`: a planted formula is learnt by a network with one hidden layer, whose neurons may then be split
// (Fixed Parameter Expansion, arXiv 2510.04500), and read back from the signs of its weights (arXiv 2504.08842).
#pragma once
#include "trainer/tasks/network.h"
#include "trainer/tasks/task.h"

struct boolean {
  int64_t clauses, literals, variables, hidden, alpha, steps, batch, test_samples;
  double negated, lr, weight_decay;
  const char *encoding, *others, *expand, *control, *optimizer;
};

// The inputs: `variables`, or where that is auto as many as the clauses' literals.
int64_t boolean_variables(const struct boolean *settings);

// ---- formula.c ----

// An or of clauses, each an and of literals. Clauses share no variable while there are enough of them.
struct formula {
  int64_t clauses, literals, variables;
  int32_t *variable;  // [clauses][literals]
  uint8_t *wanted;    // the same: what the variable has to be
  bool plus_minus;    // inputs -1 and 1, else 0 and 1
  bool broken;        // of a true example the other clauses are broken, else as they come
  uint64_t seed;
};
enum { MOST_VARIABLES = 4096 };
struct formula formula_plant(const struct boolean *settings, uint64_t seed, struct arena *arena);
// Examples of block `step` of a stream: half of them true, in turn. x [rows, variables], truth [rows].
void formula_examples(const struct formula *formula, uint32_t stream, uint64_t step, int64_t rows, float *x,
                      int32_t *truth);

// ---- expand.c ----

// W [neurons, inputs], biases [neurons] and output weights [neurons] of a hidden layer. 0 where a weight is held at 0.
struct layer {
  int64_t neurons, inputs;
  float *weights, *biases, *outputs;
};
// Fixed Parameter Expansion: each neuron becomes `alpha` children, which share its inputs out among them and have its
// bias and output weight; then of all weights the smallest are set to 0 until as many are left as there were. `rule`:
// random; clause (those of a clause stay together); gram (those whose columns of W are alike). In the arena.
struct layer layer_expand(const struct layer *dense, const struct formula *formula, const char *rule, int64_t alpha,
                          uint64_t seed, struct arena *arena);
int64_t layer_weights(const struct layer *layer);  // that are not 0, biases apart

// ---- measures.c ----

struct channels {
  double feature_capacity;  // mean over inputs i of (w_i w_i)^2 / sum_j (w_i w_j)^2, w_i a column of W
  double neuron_cosine;     // mean over pairs of neurons of the cosine of their rows, magnitudes
  double code_within,
      code_between;  // mean cosine of two columns, of one clause and of two, signs of literals taken off
  double sign_within, sign_between;  // the same of the columns' signs alone
  double sign_p;                     // permutation test: how often shuffled clauses have as large a difference
  double decoded_signs;    // share of pairs of inputs of one clause whose literals' signs, equal or not, are read right
  double decoded_clauses;  // share of clauses that are read back whole
  double decoded_pairs;    // share of pairs of inputs of one clause that are read back as that
};
struct channels channels_measure(const struct layer *layer, const struct formula *formula, uint64_t seed,
                                 struct arena *arena);
