// Search for how much each layer is compressed while the total stays exactly what it is: EvoPress (arXiv 2410.14649), a
// (1 + lambda) search whose mutations take a level from one layer and give it to another of the same size. Pure: what a
// choice is worth is asked of the caller, for instance the KL divergence of the model that it makes.
//
// The state between generations is a choice and its worth, and a generation depends on nothing but these, its number
// and the seed: a search that was stopped after any generation continues to the same bits.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

// Layers with levels 0 .. levels[l] - 1; a level more takes one unit more of the budget (bits, kept weights, the layer
// itself). Layers of one group are of one size, so that units are worth the same and may move between them.
struct search_space {
  int layers;
  const int *levels, *group;  // [layers]
};

// Survivors go from one round to the next, in which each is judged on more tokens; the parent takes part in the last
// one. `kept` of the last round is 1.
struct search_round {
  int64_t tokens;
  int kept;
};

// How bad a choice is on the tokens of a round, less is better: false with an error. It must not depend on the order in
// which it is asked.
typedef bool search_worth(void *context, const int *choice, const struct search_round *round, double *worth,
                          struct error *error);

struct search {
  const struct search_space *space;
  int offspring;  // lambda
  const struct search_round *rounds;
  int round_count;
  uint64_t seed;
  search_worth *worth;
  void *context;
};

// Checks what a search is made of: at least one offspring and round, tokens that grow, survivors that do not, a last
// round that keeps one. False with an error.
bool search_check(const struct search *search, struct error *error);

// The choice whose layers have levels as alike as can be and `units` in all of a group's layers together, for each
// group 0 .. groups - 1: the first layers get what is left over. False with an error where the layers cannot hold so
// many.
bool search_start(const struct search_space *space, const int64_t *units, int groups, int *choice, struct error *error);
// Moves min(U{1..3}, U{1..3}) levels, each from a layer that has one to another of its group that has room, every such
// pair as likely. The offspring is another choice than the parent's unless there is no other.
void search_mutate(const struct search_space *space, uint64_t seed, int64_t generation, int64_t child,
                   const int *parent, int *offspring);
// One generation from `choice` [layers], which becomes the best of the last round: the parent unless an offspring is
// better. *worth: of the choice in the last round's tokens; on the way in the parent's there, NAN where it is not
// known. *asked counts evaluations.
bool search_generation(const struct search *search, int64_t generation, int *choice, double *worth, int64_t *asked,
                       struct error *error);

// The best choice with the same units in each group as `choice`, by trying all, on the last round's tokens; among
// equals the first in the order of the levels. False with an error of the worth, or where there are more than `most`
// choices.
bool search_exhaustive(const struct search *search, int64_t most, int *choice, double *worth, int64_t *asked,
                       struct error *error);

// Spearman's rank correlation of x and y [count], with mean ranks of equals; NAN where either has no spread.
double rank_correlation(const double *x, const double *y, int count);
