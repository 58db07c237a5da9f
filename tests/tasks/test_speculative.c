// Task speculative: trees against enumeration and against drawn texts, moments against closed forms, and tokens per
// step against the renewal formula and the published bound from 16 to 16384 nodes.
#include <stdlib.h>

#include "tests/check.h"
#include "trainer/tasks/speculative/speculative.h"

static int descending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x < y) - (x > y);
}

// One law everywhere: the P likeliest of all prefixes of up to 8 tokens.
static void trees_are_the_likeliest_prefixes(void) {
  const double law[] = {0.6, 0.3, 0.1};
  double all[9840], *level = all, accepted = 0;
  size_t total = 0, width = 1;
  struct arena arena = {0};
  for (int depth = 0; depth < 8; depth++) {
    double *next = all + total;
    for (size_t i = 0; i < width; i++)
      for (int v = 0; v < 3; v++) next[i * 3 + (size_t)v] = (depth ? level[i] : 1) * law[v];
    level = next;
    width *= 3;
    total += width;
  }
  CHECK(total == 9840);
  qsort(all, total, sizeof *all, descending);
  struct draft_tree tree = draft_tree_make(100, 3, &arena);
  for (int n = 0; n < 100; n++) {
    draft_tree_law(&tree, law);
    CHECK(draft_tree_grow(&tree));
    accepted += all[n];
    CHECK_NEAR(tree.nodes[n + 1].probability, all[n], 1e-15);
    CHECK_NEAR(tree.accepted, accepted, 1e-12);
  }
  CHECK(!draft_tree_grow(&tree));
  int32_t path[8];
  double product = 1;
  int64_t length = draft_tree_path(&tree, 100, 8, path);
  for (int64_t i = 0; i < length; i++) product *= law[path[i]];
  CHECK_NEAR(product, tree.nodes[100].probability, 1e-15);
  if (length > 1) {  // a short room has the path's end
    int32_t last = path[length - 1];
    CHECK(draft_tree_path(&tree, 100, 1, path) == 1 && path[0] == last);
  }
  arena_free(&arena);
}

// What is accepted of texts drawn by the laws: their tokens as long as they are in the tree.
static void accepted_is_what_drawn_texts_accept(void) {
  enum { NODES = 60, DRAWS = 40000 };
  struct speculative s = {.vocabulary = 5, .temper_low = 1, .temper_high = 4};
  struct arena arena = {0};
  struct draft_tree tree = draft_tree_make(NODES, s.vocabulary, &arena);
  double laws[NODES + 1][5], sum = 0, squares = 0;
  for (int n = 0; n <= NODES; n++) {
    law_draw(&s, 3, 0, (uint64_t)n, laws[n]);
    if (n == NODES) break;
    draft_tree_law(&tree, laws[n]);
    draft_tree_grow(&tree);
  }
  for (uint64_t d = 0; d < DRAWS; d++) {
    int64_t at = 0, steps = 0;
    for (bool inside = true; inside;) {
      double u = random_uniform(8, 90, d, (uint64_t)steps);
      int32_t token = 0;
      for (; token < 4 && u >= laws[at][token]; token++) u -= laws[at][token];
      inside = false;
      for (int64_t n = 1; n <= tree.count && !inside; n++) {
        if (tree.nodes[n].parent != at || tree.nodes[n].token != token) continue;
        at = n;
        inside = true;
      }
      steps += inside;
    }
    sum += (double)steps;
    squares += (double)(steps * steps);
  }
  double mean = sum / DRAWS, error = sqrt((squares / DRAWS - mean * mean) / DRAWS);
  CHECK(fabs(mean - tree.accepted) < 4 * error);
  arena_free(&arena);
}

// With power 1 a law is Dirichlet(1, ..., 1): mu = H_V - 1, mu2 = mu^2 - 1 + sum over k up to V of 1 / k^2.
static void moments_are_those_of_dirichlet(void) {
  for (int64_t vocabulary = 2; vocabulary <= 32; vocabulary *= 4) {
    struct speculative s = {.vocabulary = vocabulary, .temper_low = 1, .temper_high = 1};
    struct law_moments m = {0};
    double p[32], mu = -1, squares = -1;
    for (int64_t k = 1; k <= vocabulary; k++) {
      mu += 1 / (double)k;
      squares += 1 / (double)(k * k);
    }
    for (uint64_t i = 0; i < 20000; i++) {
      law_draw(&s, 1, 0, i, p);
      law_add(&m, p, vocabulary);
    }
    law_means(&m);
    CHECK_NEAR(m.mu / mu, 1, 0.01);
    CHECK_NEAR(m.mu2 / (mu * mu + squares), 1, 0.015);
  }
}

// The certain law: everything is accepted, and the likeliest path is the tree.
static void a_certain_text_is_accepted_whole(void) {
  const double law[] = {0, 1, 0, 0};
  struct arena arena = {0};
  struct draft_tree tree = draft_tree_make(20, 4, &arena);
  for (int n = 0; n < 20; n++) {
    draft_tree_law(&tree, law);
    draft_tree_grow(&tree);
  }
  CHECK_NEAR(tree.accepted, 20, 0);
  arena_free(&arena);
}

// Means over trees at 16, 64, ..., 16384 nodes. Larger trees vary in what their first nodes draw: each level adds the
// mean of its own less the level before of the same trees, fewer of them as they grow.
enum { LEVELS = 6 };
static void accepted_by_level(const struct speculative *s, double accepted[LEVELS]) {
  static const int trees[LEVELS] = {3000, 800, 200, 48, 12, 4};
  double sums[LEVELS] = {0}, p[32];
  struct arena arena = {0};
  struct draft_tree tree = draft_tree_make(16 << 2 * (LEVELS - 1), s->vocabulary, &arena);
  for (int t = 0; t < trees[0]; t++) {
    int levels = 0;
    while (levels + 1 < LEVELS && t < trees[levels + 1]) levels++;
    double before = 0;
    draft_tree_begin(&tree);
    for (int level = 0; level <= levels; level++) {
      while (tree.count < 16 << 2 * level) {
        law_draw(s, 5, (uint64_t)t, (uint64_t)tree.count, p);
        draft_tree_law(&tree, p);
        draft_tree_grow(&tree);
      }
      sums[level] += tree.accepted - before;
      before = tree.accepted;
    }
  }
  for (int level = 0; level < LEVELS; level++)
    accepted[level] = sums[level] / trees[level] + (level ? accepted[level - 1] : 0);
  arena_free(&arena);
}

static void simulation_meets_the_renewal_formula(void) {
  static const struct { double low, high, mu; } regimes[] = {{1, 1, 3.058}, {3, 6, 1.363}, {6, 14, 0.613}};
  for (int r = 0; r < 3; r++) {
    struct speculative s = {.vocabulary = 32, .temper_low = regimes[r].low, .temper_high = regimes[r].high};
    struct law_moments m = {0};
    double p[32], accepted[LEVELS];
    for (uint64_t i = 0; i < 30000; i++) {
      law_draw(&s, 5, 1 << 30, i, p);
      law_add(&m, p, s.vocabulary);
    }
    law_means(&m);
    CHECK_NEAR(m.mu / regimes[r].mu, 1, 0.01);
    accepted_by_level(&s, accepted);
    for (int level = 0; level < LEVELS; level++) {
      double nodes = 16 << 2 * level, renewal = law_renewal(&m, nodes);
      // At 16 nodes of 3.06 nats a tree is little more than the root's children, fewer than there are tokens: 4.3 %
      // off.
      CHECK_NEAR(accepted[level] / renewal, 1, r == 0 && level == 0 ? 0.05 : 0.02);
      CHECK(accepted[level] < law_bound(&m, nodes));
    }
    double slope = (accepted[LEVELS - 1] - accepted[1]) / log(256);
    CHECK_NEAR(slope * m.mu, 1, 0.02);
  }
}

int main(int argc, char **argv) {
  RUN(trees_are_the_likeliest_prefixes);
  RUN(accepted_is_what_drawn_texts_accept);
  RUN(moments_are_those_of_dirichlet);
  RUN(a_certain_text_is_accepted_whole);
  RUN(simulation_meets_the_renewal_formula);
  return check_end();
}
