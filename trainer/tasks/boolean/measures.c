// What the weights of a hidden layer say of the formula. See boolean.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/tasks/boolean/boolean.h"

enum { STREAM_SHUFFLES = 36, SHUFFLES = 999 };

static double sign_of(double value) { return (value > 0) - (value < 0); }

// Cosines of all pairs of columns of W [neurons, inputs], of their signs alone with `signs`; 0 with a column of zeros.
static double *cosines(const struct layer *l, bool signs, struct arena *arena) {
  size_t n = (size_t)l->inputs;
  double *all = arena_array(arena, n * n, sizeof *all);
  for (int64_t j = 0; j < l->neurons; j++) {
    const float *row = l->weights + (size_t)j * n;
    for (size_t a = 0; a < n; a++)
      for (size_t b = 0; b < n; b++)
        all[a * n + b] += signs ? sign_of(row[a]) * sign_of(row[b]) : (double)row[a] * (double)row[b];
  }
  double *norms = arena_array(arena, n, sizeof *norms);
  for (size_t a = 0; a < n; a++) norms[a] = sqrt(all[a * n + a]);
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++) all[a * n + b] = norms[a] * norms[b] > 0 ? all[a * n + b] / norms[a] / norms[b] : 0;
  return all;
}

static double feature_capacity(const struct layer *l) {
  int64_t n = l->inputs, counted = 0;
  double sum = 0;
  for (int64_t a = 0; a < n; a++) {
    double own = 0, all = 0;
    for (int64_t b = 0; b < n; b++) {
      double dot = 0;
      for (int64_t j = 0; j < l->neurons; j++) dot += (double)l->weights[j * n + a] * (double)l->weights[j * n + b];
      all += dot * dot;
      if (a == b) own = dot * dot;
    }
    if (!(all > 0)) continue;
    sum += own / all;
    counted++;
  }
  return counted ? sum / (double)counted : NAN;
}

static double neuron_cosine(const struct layer *l) {
  int64_t n = l->inputs, pairs = 0;
  double sum = 0;
  for (int64_t i = 0; i < l->neurons; i++)
    for (int64_t j = 0; j < i; j++) {
      double dot = 0, a = 0, b = 0;
      for (int64_t k = 0; k < n; k++) {
        double x = l->weights[i * n + k], y = l->weights[j * n + k];
        dot += x * y;
        a += x * x;
        b += y * y;
      }
      if (!(a * b > 0)) continue;
      sum += fabs(dot) / sqrt(a * b);
      pairs++;
    }
  return pairs ? sum / (double)pairs : NAN;
}

// ---- within and between clauses ----

// The formula's variables, each once, and which pairs of their places are of one clause.
struct pairs {
  int32_t *used;  // [count]
  int64_t count, same;
  int32_t (*same_pairs)[2];  // [same] places in `used`
};

static struct pairs pairs_of(const struct formula *f, struct arena *arena) {
  struct pairs p = {0};
  size_t n = (size_t)f->variables, clause_pairs = (size_t)(f->clauses * f->literals * (f->literals - 1) / 2);
  int32_t *place = arena_array(arena, n, sizeof *place);
  uint8_t *seen = NULL;
  p.used = arena_array(arena, n, sizeof *p.used);
  memset(place, 0xff, n * sizeof *place);
  for (int64_t i = 0; i < f->clauses * f->literals; i++) {
    if (place[f->variable[i]] >= 0) continue;
    place[f->variable[i]] = (int32_t)p.count;
    p.used[p.count++] = f->variable[i];
  }
  seen = arena_array(arena, (size_t)(p.count * p.count), 1);
  p.same_pairs = arena_array(arena, clause_pairs + 1, sizeof *p.same_pairs);
  for (int64_t c = 0; c < f->clauses; c++)
    for (int64_t i = 0; i < f->literals; i++)
      for (int64_t j = 0; j < i; j++) {
        int32_t a = place[f->variable[c * f->literals + i]], b = place[f->variable[c * f->literals + j]];
        if (seen[a * p.count + b]) continue;
        seen[a * p.count + b] = seen[b * p.count + a] = 1;
        p.same_pairs[p.same][0] = a;
        p.same_pairs[p.same++][1] = b;
      }
  return p;
}

// The means of a symmetric matrix [variables, variables] over the pairs of one clause and over all others; variables
// are taken in the order `used`.
static void contrast(const struct pairs *p, const int32_t *used, const double *matrix, int64_t variables, double total,
                     double *within, double *between) {
  double sum = 0, all = (double)p->count * (double)(p->count - 1) / 2;
  for (int64_t i = 0; i < p->same; i++)
    sum += matrix[used[p->same_pairs[i][0]] * variables + used[p->same_pairs[i][1]]];
  *within = p->same ? sum / (double)p->same : NAN;
  *between = all > (double)p->same ? (total - sum) / (all - (double)p->same) : NAN;
}

static double total_of(const struct pairs *p, const double *matrix, int64_t variables) {
  double sum = 0;
  for (int64_t a = 0; a < p->count; a++)
    for (int64_t b = 0; b < a; b++) sum += matrix[p->used[a] * variables + p->used[b]];
  return sum;
}

// The share of shuffles of the variables, the planted order counted as one, with a difference at least as large.
static double permutation_test(const struct pairs *p, const double *matrix, int64_t variables, double total,
                               double difference, uint64_t seed, struct arena *arena) {
  int32_t *used = arena_array(arena, (size_t)p->count, sizeof *used);
  double within, between;
  int as_large = 1;
  if (!isfinite(difference)) return NAN;
  memcpy(used, p->used, (size_t)p->count * sizeof *used);
  for (int s = 0; s < SHUFFLES; s++) {
    for (int64_t i = p->count - 1; i > 0; i--) {
      uint64_t other = random_below(seed, STREAM_SHUFFLES, (uint64_t)s, (uint64_t)i, (uint64_t)i + 1);
      int32_t variable = used[i];
      used[i] = used[other];
      used[other] = variable;
    }
    contrast(p, used, matrix, variables, total, &within, &between);
    as_large += within - between >= difference;
  }
  return (double)as_large / (SHUFFLES + 1);
}

// ---- reading the formula back ----

// Groups of `literals` variables: the two most alike that are left, then whatever is most like the group.
static void read_clauses(const struct formula *f, const struct pairs *p, const double *codes, int32_t *group) {
  int64_t n = f->variables;
  for (int64_t a = 0; a < p->count; a++) group[a] = -1;
  for (int32_t g = 0; g < f->clauses; g++) {
    double best = -INFINITY;
    int64_t first = -1, second = -1;
    for (int64_t a = 0; a < p->count; a++)
      for (int64_t b = 0; b < a; b++) {
        double alike = codes[p->used[a] * n + p->used[b]];
        if (group[a] >= 0 || group[b] >= 0 || alike <= best) continue;
        best = alike;
        first = a;
        second = b;
      }
    if (first < 0) break;
    group[first] = group[second] = g;
    for (int64_t size = 2; size < f->literals; size++) {
      int64_t next = -1;
      best = -INFINITY;
      for (int64_t a = 0; a < p->count; a++) {
        double alike = 0;
        if (group[a] >= 0) continue;
        for (int64_t b = 0; b < p->count; b++)
          if (group[b] == g) alike += codes[p->used[a] * n + p->used[b]];
        if (alike <= best) continue;
        best = alike;
        next = a;
      }
      if (next < 0) break;
      group[next] = g;
    }
  }
}

// Columns of one clause point the same way, or opposite ones where one of the two literals is negated: `turned` are the
// planted signs.
static void decode(const struct formula *f, const struct pairs *p, const double *signs, const double *turned,
                   struct channels *c, struct arena *arena) {
  size_t n = (size_t)f->variables, right = 0, pairs = 0, whole = 0;
  double *codes = arena_array(arena, n * n, sizeof *codes);
  int32_t *group = arena_array(arena, n, sizeof *group), *place = arena_array(arena, n, sizeof *place);
  c->decoded_signs = c->decoded_pairs = c->decoded_clauses = NAN;
  if (f->literals < 2) return;
  for (size_t i = 0; i < n * n; i++) codes[i] = fabs(signs[i]);
  for (int64_t a = 0; a < p->count; a++) place[p->used[a]] = (int32_t)a;
  read_clauses(f, p, codes, group);
  for (int64_t i = 0; i < p->same; i++) {
    int32_t a = group[p->same_pairs[i][0]], b = group[p->same_pairs[i][1]];
    int32_t u = p->used[p->same_pairs[i][0]], v = p->used[p->same_pairs[i][1]];
    pairs += a >= 0 && a == b;
    right += sign_of(signs[u * f->variables + v]) == turned[u] * turned[v];
  }
  for (int64_t k = 0; k < f->clauses; k++) {
    int32_t g = group[place[f->variable[k * f->literals]]];
    bool all = g >= 0;
    for (int64_t i = 1; i < f->literals; i++) all &= group[place[f->variable[k * f->literals + i]]] == g;
    whole += all;
  }
  c->decoded_signs = (double)right / (double)p->same;
  c->decoded_pairs = (double)pairs / (double)p->same;
  c->decoded_clauses = (double)whole / (double)f->clauses;
}

struct channels channels_measure(const struct layer *l, const struct formula *f, uint64_t seed, struct arena *arena) {
  struct channels c = {.feature_capacity = feature_capacity(l), .neuron_cosine = neuron_cosine(l)};
  int64_t n = f->variables;
  struct pairs p = pairs_of(f, arena);
  double *sizes = cosines(l, false, arena), *signs = cosines(l, true, arena);
  // A negated literal's column points the other way.
  double *turned = arena_array(arena, (size_t)n, sizeof *turned);
  for (int64_t i = f->clauses * f->literals; i-- > 0;) turned[f->variable[i]] = f->wanted[i] ? 1 : -1;
  decode(f, &p, signs, turned, &c, arena);
  for (int64_t a = 0; a < n; a++)
    for (int64_t b = 0; b < n; b++) {
      sizes[a * n + b] *= turned[a] * turned[b];
      signs[a * n + b] *= turned[a] * turned[b];
    }
  contrast(&p, p.used, sizes, n, total_of(&p, sizes, n), &c.code_within, &c.code_between);
  double total = total_of(&p, signs, n);
  contrast(&p, p.used, signs, n, total, &c.sign_within, &c.sign_between);
  c.sign_p = permutation_test(&p, signs, n, total, c.sign_within - c.sign_between, seed, arena);
  return c;
}
