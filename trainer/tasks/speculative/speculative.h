// Task `speculative`: how many tokens does one verification step accept, when the drafter may propose a tree of P
// prefixes and knows the next-token laws (arXiv 2512.11718)? Laws are drawn at random, or a small language model's that
// the run trains.
#pragma once
#include "trainer/config.h"
#include "trainer/tasks/task.h"

struct speculative {
  const char *source;  // "synthetic", "model", "checkpoint"
  const char *checkpoint, *digest;
  int64_t model_parameters, model_tokens;
  int64_t nodes, trees, vocabulary, laws;
  double temper_low, temper_high;
  int64_t width, layers, context, batch, steps;
  double exponent, lr;
};
enum { SPECULATIVE_CANDIDATES = 1 << 26 };  // nodes times vocabulary, at most

// The training of source `model`, resolved: a language model of the trainer's own on the source markov2. False with an
// error that is about the task's fields.
bool speculative_model(const struct speculative *settings, int64_t seed, int64_t threads, struct run_config *config,
                       struct error *error);

// ---- laws.c ----

// A next-token law: the Gamma(1) weights of its tokens, each to the power `temper`, which is drawn evenly between the
// settings' two: over their sum. The law number `index` of `tree`. p [vocabulary].
void law_draw(const struct speculative *settings, uint64_t seed, uint64_t tree, uint64_t index, double *p);

// Means over laws: mu = E[-sum p ln p], in nats, and mu2 = E[sum p (ln p)^2].
struct law_moments {
  double mu, mu2;
  int64_t laws;
};
void law_add(struct law_moments *sums, const double *p, int64_t vocabulary);  // to sums; law_means makes means of them
void law_means(struct law_moments *sums);
// Expected accepted tokens of the best tree of P nodes, laws independent: the renewal asymptotics
//   ln(P mu) / mu + mu2 / (2 mu^2) - 1,
// since the prefixes of probability above q number 1 / (mu q) on average, as q falls, and P of them are wanted.
double law_renewal(const struct law_moments *moments, double nodes);
// The leading term of the published upper bound, (mu + mu2) ln P / mu^2 (arXiv 2512.11718; its O(1) is not known).
double law_bound(const struct law_moments *moments, double nodes);

// ---- tree.c ----

struct draft_node {
  double probability;  // of the prefix
  int64_t parent;
  int32_t token;
};
// The P likeliest prefixes: grown node by node from the likeliest candidates, each node's children being candidates as
// soon as its law is known. nodes[0] is the root, the text so far, which is no draft.
struct draft_tree {
  int64_t vocabulary, most, count;  // nodes, the root apart: at most, and now
  struct draft_node *nodes, *heap;  // [most + 1]; candidates, the likeliest first
  int64_t candidates;
  double accepted;  // expected accepted tokens: the sum of the nodes' probabilities
};
struct draft_tree draft_tree_make(int64_t nodes, int64_t vocabulary, struct arena *arena);
void draft_tree_begin(struct draft_tree *tree);  // the root alone again
// The law of what follows the newest node: p [vocabulary].
void draft_tree_law(struct draft_tree *tree, const double *p);
// The likeliest candidate becomes the newest node. False where the tree is full. After draft_tree_law of the newest
// one.
bool draft_tree_grow(struct draft_tree *tree);
// The tokens of a node's path from the root, at most `room` of them, the last ones; returns how many. The nearest to
// the root first.
int64_t draft_tree_path(const struct draft_tree *tree, int64_t node, int64_t room, int32_t *tokens);
