// See search.h.
#include "trainer/compress/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_MOVES = 3, ATTEMPTS = 32, DRAWS = 1 << 12 };

bool search_check(const struct search *s, struct error *error) {
  if (s->offspring < 1 || s->round_count < 1)
    return error_set(error, EXIT_USAGE_ERROR, "a search takes at least one offspring and one round");
  for (int i = 0; i < s->round_count; i++) {
    const struct search_round *round = &s->rounds[i], *before = i ? round - 1 : NULL;
    if (round->tokens < 1 || (before && round->tokens < before->tokens))
      return error_set(error, EXIT_USAGE_ERROR, "the tokens of a search's rounds grow from one to the next");
    if (round->kept < 1 || round->kept > (before ? before->kept : s->offspring))
      return error_set(error, EXIT_USAGE_ERROR, "round %d of a search keeps %d of %d", i + 1, round->kept,
                       before ? before->kept : s->offspring);
  }
  return s->rounds[s->round_count - 1].kept == 1 ||
         error_set(error, EXIT_USAGE_ERROR, "the last round of a search keeps one");
}

bool search_start(const struct search_space *space, const int64_t *units, int groups, int *choice,
                  struct error *error) {
  memset(choice, 0, (size_t)space->layers * sizeof *choice);
  for (int g = 0; g < groups; g++) {
    int64_t left = units[g], given = 1;
    while (left > 0 && given > 0) {  // a level for each layer that has room, again and again
      given = 0;
      for (int l = 0; l < space->layers && left > 0; l++) {
        if (space->group[l] != g || choice[l] + 1 >= space->levels[l]) continue;
        choice[l]++;
        left--;
        given++;
      }
    }
    if (left > 0 || units[g] < 0)
      return error_set(error, EXIT_USAGE_ERROR, "the layers of one size hold %lld units, not %lld",
                       (long long)(units[g] - left), (long long)units[g]);
  }
  return true;
}

// ---- mutation ----

// Numbers of one mutation, in order.
struct draws {
  uint64_t seed, step, index;
};

static uint64_t draw(struct draws *d, uint64_t below) {
  return (uint64_t)(random_uniform(d->seed, RANDOM_STREAM_NOISE, d->step, d->index++) * (double)below);
}

static bool can_give(const struct search_space *space, const int *choice, int l) {
  (void)space;
  return choice[l] > 0;
}

static bool can_take(const struct search_space *space, const int *choice, int l) {
  return choice[l] + 1 < space->levels[l];
}

// The pairs of another layer of its group that can take what layer `from` gives.
static int64_t takers(const struct search_space *space, const int *choice, int from) {
  int64_t count = 0;
  for (int l = 0; l < space->layers; l++)
    count += l != from && space->group[l] == space->group[from] && can_take(space, choice, l);
  return count;
}

static void move(const struct search_space *space, struct draws *d, int *choice) {
  int64_t pairs = 0;
  for (int l = 0; l < space->layers; l++) pairs += can_give(space, choice, l) ? takers(space, choice, l) : 0;
  if (!pairs) return;
  int64_t at = (int64_t)draw(d, (uint64_t)pairs);
  for (int from = 0; from < space->layers; from++) {
    int64_t here = can_give(space, choice, from) ? takers(space, choice, from) : 0;
    if (at >= here) {
      at -= here;
      continue;
    }
    for (int to = 0; to < space->layers; to++) {
      if (to == from || space->group[to] != space->group[from] || !can_take(space, choice, to) || at-- > 0) continue;
      choice[from]--;
      choice[to]++;
      return;
    }
  }
}

void search_mutate(const struct search_space *space, uint64_t seed, int64_t generation, int64_t child,
                   const int *parent, int *offspring) {
  struct draws d = {seed, (uint64_t)generation, (uint64_t)child * DRAWS};
  size_t bytes = (size_t)space->layers * sizeof *parent;
  for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
    uint64_t a = 1 + draw(&d, MOST_MOVES), b = 1 + draw(&d, MOST_MOVES), moves = a < b ? a : b;
    memcpy(offspring, parent, bytes);
    for (uint64_t i = 0; i < moves; i++) move(space, &d, offspring);
    if (memcmp(offspring, parent, bytes) != 0) return;
  }
}

// ---- selection ----

struct candidate {
  double worth;
  int number;  // of the offspring; -1: the parent
};

// The best first; the parent before an offspring as good, then the earlier one. What has no number is worst.
static int best_first(const void *a, const void *b) {
  const struct candidate *x = a, *y = b;
  double p = isnan(x->worth) ? INFINITY : x->worth, q = isnan(y->worth) ? INFINITY : y->worth;
  if (p != q) return p < q ? -1 : 1;
  return (x->number > y->number) - (x->number < y->number);
}

bool search_generation(const struct search *s, int64_t generation, int *choice, double *worth, int64_t *asked,
                       struct error *error) {
  const int layers = s->space->layers;
  const struct search_round *last = &s->rounds[s->round_count - 1];
  int *children = memory_get((size_t)s->offspring * (size_t)layers * sizeof *children), count = s->offspring;
  struct candidate *all = memory_get((size_t)(s->offspring + 1) * sizeof *all);
  bool fine = true;
  for (int i = 0; i < s->offspring; i++) {
    search_mutate(s->space, s->seed, generation, i, choice, children + (size_t)i * (size_t)layers);
    all[i].number = i;
  }
  for (const struct search_round *round = s->rounds; round <= last && fine; round++) {
    if (round == last) all[count++] = (struct candidate){*worth, -1};
    for (int i = 0; i < count && fine; i++) {
      bool parent = all[i].number < 0;
      if (parent && !isnan(*worth)) continue;  // known from the generation before
      const int *asks = parent ? choice : children + (size_t)all[i].number * (size_t)layers;
      fine = s->worth(s->context, asks, round, &all[i].worth, error);
      ++*asked;
    }
    qsort(all, (size_t)count, sizeof *all, best_first);
    if (count > round->kept) count = round->kept;
  }
  if (fine) {
    *worth = all[0].worth;
    if (all[0].number >= 0)
      memcpy(choice, children + (size_t)all[0].number * (size_t)layers, (size_t)layers * sizeof *choice);
  }
  free(all);
  free(children);
  return fine;
}

// ---- all choices ----

struct trial {
  const struct search *search;
  int64_t most, *asked, *left;  // units that each group still has to give out, by group of the first layer
  int *now, *best;
  double worth;
  bool any;
};

static bool try_from(struct trial *t, int layer, struct error *error) {
  const struct search_space *space = t->search->space;
  if (layer == space->layers) {
    double worth;
    for (int l = 0; l < space->layers; l++)
      if (t->left[space->group[l]]) return true;
    if (++*t->asked > t->most)
      return error_set(error, EXIT_USAGE_ERROR, "there are more than %lld choices to try", (long long)t->most);
    const struct search_round *last = &t->search->rounds[t->search->round_count - 1];
    if (!t->search->worth(t->search->context, t->now, last, &worth, error)) return false;
    if (t->any && !(worth < t->worth)) return true;
    t->any = true;
    t->worth = worth;
    memcpy(t->best, t->now, (size_t)space->layers * sizeof *t->now);
    return true;
  }
  int64_t *left = &t->left[space->group[layer]], room = 0;
  for (int l = layer + 1; l < space->layers; l++)
    if (space->group[l] == space->group[layer]) room += space->levels[l] - 1;
  for (int level = 0; level < space->levels[layer] && level <= *left; level++) {
    if (*left - level > room) continue;  // those behind cannot hold the rest
    t->now[layer] = level;
    *left -= level;
    bool fine = try_from(t, layer + 1, error);
    *left += level;
    if (!fine) return false;
  }
  return true;
}

bool search_exhaustive(const struct search *s, int64_t most, int *choice, double *worth, int64_t *asked,
                       struct error *error) {
  const struct search_space *space = s->space;
  int groups = 0;
  for (int l = 0; l < space->layers; l++)
    if (space->group[l] >= groups) groups = space->group[l] + 1;
  struct trial t = {.search = s, .most = most, .asked = asked, .best = choice};
  t.left = memory_get((size_t)groups * sizeof *t.left);
  t.now = memory_get((size_t)space->layers * sizeof *t.now);
  memset(t.left, 0, (size_t)groups * sizeof *t.left);
  for (int l = 0; l < space->layers; l++) t.left[space->group[l]] += choice[l];
  bool fine = try_from(&t, 0, error);
  if (fine) *worth = t.worth;
  free(t.left);
  free(t.now);
  return fine;
}

// ---- ranks ----

struct ranked {
  double value;
  int at;
};

static int rising(const void *a, const void *b) {
  const struct ranked *x = a, *y = b;
  if (x->value != y->value) return x->value < y->value ? -1 : 1;
  return (x->at > y->at) - (x->at < y->at);
}

static void ranks(const double *x, int count, double *out) {
  struct ranked *sorted = memory_get((size_t)count * sizeof *sorted);
  for (int i = 0; i < count; i++) sorted[i] = (struct ranked){x[i], i};
  qsort(sorted, (size_t)count, sizeof *sorted, rising);
  for (int i = 0, j; i < count; i = j) {
    for (j = i; j < count && sorted[j].value == sorted[i].value;) j++;
    for (int k = i; k < j; k++) out[sorted[k].at] = (i + j - 1) / 2.0;
  }
  free(sorted);
}

double rank_correlation(const double *x, const double *y, int count) {
  double *p = memory_get((size_t)count * sizeof *p), *q = memory_get((size_t)count * sizeof *q);
  double mean = (count - 1) / 2.0, xy = 0, xx = 0, yy = 0;
  ranks(x, count, p);
  ranks(y, count, q);
  for (int i = 0; i < count; i++) {
    xy += (p[i] - mean) * (q[i] - mean);
    xx += (p[i] - mean) * (p[i] - mean);
    yy += (q[i] - mean) * (q[i] - mean);
  }
  free(p);
  free(q);
  return xx > 0 && yy > 0 ? xy / sqrt(xx * yy) : NAN;
}
