// Draft trees. The expected number of accepted tokens of a tree is the sum over its nodes of their prefixes'
// probabilities, and a prefix is never likelier than its own beginning: so the P likeliest prefixes are a tree, and
// none of P nodes is better.
#include "trainer/tasks/speculative/speculative.h"

struct draft_tree draft_tree_make(int64_t nodes, int64_t vocabulary, struct arena *arena) {
  struct draft_tree t = {.vocabulary = vocabulary, .most = nodes};
  t.nodes = arena_array(arena, (size_t)nodes + 1, sizeof *t.nodes);
  t.heap = arena_array(arena, (size_t)((nodes + 1) * vocabulary), sizeof *t.heap);
  draft_tree_begin(&t);
  return t;
}

void draft_tree_begin(struct draft_tree *t) {
  t->count = t->candidates = 0;
  t->accepted = 0;
  t->nodes[0] = (struct draft_node){.probability = 1, .parent = -1, .token = -1};
}

// Of equal ones the one that came first, so that a tree is the same everywhere.
static bool before(const struct draft_node *a, const struct draft_node *b) {
  if (a->probability != b->probability) return a->probability > b->probability;
  return a->parent != b->parent ? a->parent < b->parent : a->token < b->token;
}

static void push(struct draft_tree *t, struct draft_node node) {
  int64_t at = t->candidates++;
  while (at > 0 && before(&node, &t->heap[(at - 1) / 2])) {
    t->heap[at] = t->heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  t->heap[at] = node;
}

static struct draft_node pop(struct draft_tree *t) {
  struct draft_node first = t->heap[0], last = t->heap[--t->candidates];
  int64_t at = 0;
  for (int64_t child = 1; child < t->candidates; child = 2 * at + 1) {
    if (child + 1 < t->candidates && before(&t->heap[child + 1], &t->heap[child])) child++;
    if (!before(&t->heap[child], &last)) break;
    t->heap[at] = t->heap[child];
    at = child;
  }
  t->heap[at] = last;
  return first;
}

void draft_tree_law(struct draft_tree *t, const double *p) {
  double prefix = t->nodes[t->count].probability;
  for (int64_t v = 0; v < t->vocabulary; v++) push(t, (struct draft_node){prefix * p[v], t->count, (int32_t)v});
}

bool draft_tree_grow(struct draft_tree *t) {
  if (t->count == t->most) return false;
  t->nodes[++t->count] = pop(t);
  t->accepted += t->nodes[t->count].probability;
  return true;
}

int64_t draft_tree_path(const struct draft_tree *t, int64_t node, int64_t room, int32_t *tokens) {
  int64_t length = 0;
  for (int64_t n = node; n > 0 && length < room; n = t->nodes[n].parent) length++;
  for (int64_t n = node, i = length; i > 0; n = t->nodes[n].parent) tokens[--i] = t->nodes[n].token;
  return length;
}
