// Fixed Parameter Expansion. See boolean.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/tasks/boolean/boolean.h"

enum { STREAM_SPLIT = 35 };

int64_t layer_weights(const struct layer *l) {
  int64_t count = 0;
  for (int64_t i = 0; i < l->neurons * l->inputs; i++) count += l->weights[i] != 0;
  for (int64_t j = 0; j < l->neurons; j++) count += l->outputs[j] != 0;
  return count;
}

static void shuffle(int32_t *items, int64_t count, uint64_t seed, uint64_t neuron) {
  for (int64_t i = count - 1; i > 0; i--) {
    uint64_t other = random_below(seed, STREAM_SPLIT, neuron, (uint64_t)i, (uint64_t)i + 1);
    int32_t item = items[i];
    items[i] = items[other];
    items[other] = item;
  }
}

// ---- which inputs stay together: an order of the inputs, which is cut in `alpha` even pieces ----

// Inputs clause by clause, clauses in a random order; those of no clause at the end. An input of several clauses goes
// with the first.
static void order_by_clause(const struct formula *f, uint64_t seed, uint64_t neuron, int32_t *order, int32_t *clauses,
                            uint8_t *taken) {
  int64_t count = 0;
  memset(taken, 0, (size_t)f->variables);
  for (int64_t c = 0; c < f->clauses; c++) clauses[c] = (int32_t)c;
  shuffle(clauses, f->clauses, seed, neuron);
  for (int64_t c = 0; c < f->clauses; c++)
    for (int64_t l = 0; l < f->literals; l++) {
      int32_t v = f->variable[clauses[c] * f->literals + l];
      if (!taken[v]) order[count++] = v;
      taken[v] = 1;
    }
  for (int32_t v = 0; v < f->variables; v++)
    if (!taken[v]) order[count++] = v;
}

struct likeness {
  double cosine;
  int32_t input;
};
static int by_likeness(const void *a, const void *b) {
  const struct likeness *x = a, *y = b;
  if (x->cosine != y->cosine) return x->cosine > y->cosine ? -1 : 1;
  return x->input - y->input;
}

// A random input that is left, then those left that are most like it: piece after piece.
static void order_by_gram(const double *cosines, int64_t inputs, int64_t alpha, uint64_t seed, uint64_t neuron,
                          int32_t *order, struct likeness *left) {
  int32_t *pool = order;  // what is left is behind what is placed
  for (int32_t i = 0; i < inputs; i++) pool[i] = i;
  shuffle(pool, inputs, seed, neuron);
  for (int64_t child = 0; child < alpha; child++) {
    int64_t from = child * inputs / alpha, count = inputs - from, first = pool[from];
    if (!count) break;
    for (int64_t i = 0; i < count; i++)
      left[i] = (struct likeness){pool[from + i] == first ? INFINITY : fabs(cosines[first * inputs + pool[from + i]]),
                                  pool[from + i]};
    qsort(left, (size_t)count, sizeof *left, by_likeness);
    int64_t taken = (child + 1) * inputs / alpha - from;
    for (int64_t i = 0; i < count; i++) pool[from + i] = left[i].input;
    shuffle(pool + from + taken, count - taken, seed, neuron + (uint64_t)(child + 1) * 0x10000);
  }
}

static double *column_cosines(const struct layer *l, struct arena *arena) {
  size_t n = (size_t)l->inputs;
  double *gram = arena_array(arena, n * n, sizeof *gram);
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++)
      for (int64_t j = 0; j < l->neurons; j++)
        gram[a * n + b] += (double)l->weights[(size_t)j * n + a] * (double)l->weights[(size_t)j * n + b];
  double *norms = arena_array(arena, n, sizeof *norms);
  for (size_t a = 0; a < n; a++) norms[a] = sqrt(gram[a * n + a]);
  for (size_t a = 0; a < n; a++)
    for (size_t b = 0; b < n; b++)
      if (norms[a] * norms[b] > 0) gram[a * n + b] /= norms[a] * norms[b];
  return gram;
}

// ---- splitting and pruning ----

static int by_value(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return x < y ? -1 : x > y;
}

// Sets the smallest magnitudes to 0 until `keep` weights are left; of equal ones the first.
static void prune(struct layer *l, int64_t keep, struct arena *arena) {
  int64_t in = l->neurons * l->inputs, count = 0, present = layer_weights(l);
  float *sizes = arena_array(arena, (size_t)(in + l->neurons), sizeof *sizes);
  float *const arrays[] = {l->weights, l->outputs};
  const int64_t lengths[] = {in, l->neurons};
  int64_t cut = present - keep;
  if (cut <= 0) return;
  for (int a = 0; a < 2; a++)
    for (int64_t i = 0; i < lengths[a]; i++)
      if (arrays[a][i] != 0) sizes[count++] = fabsf(arrays[a][i]);
  qsort(sizes, (size_t)count, sizeof *sizes, by_value);
  float largest = sizes[cut - 1];
  for (int pass = 0; pass < 2; pass++)  // below the last one, then those equal to it
    for (int a = 0; a < 2; a++)
      for (int64_t i = 0; i < lengths[a] && cut > 0; i++) {
        float size = fabsf(arrays[a][i]);
        if (size == 0 || (pass ? size != largest : size >= largest)) continue;
        arrays[a][i] = 0;
        cut--;
      }
}

struct layer layer_expand(const struct layer *dense, const struct formula *f, const char *rule, int64_t alpha,
                          uint64_t seed, struct arena *arena) {
  int64_t inputs = dense->inputs, keep = layer_weights(dense);
  struct layer l = {.neurons = dense->neurons * alpha, .inputs = inputs};
  l.weights = arena_array(arena, (size_t)(l.neurons * inputs), sizeof *l.weights);
  l.biases = arena_array(arena, (size_t)l.neurons, sizeof *l.biases);
  l.outputs = arena_array(arena, (size_t)l.neurons, sizeof *l.outputs);
  int32_t *order = arena_array(arena, (size_t)inputs, sizeof *order),
          *clauses = arena_array(arena, (size_t)f->clauses, sizeof *clauses);
  uint8_t *taken = arena_array(arena, (size_t)inputs, 1);
  struct likeness *left = arena_array(arena, (size_t)inputs, sizeof *left);
  const double *cosines = strcmp(rule, "gram") == 0 ? column_cosines(dense, arena) : NULL;
  for (int64_t j = 0; j < dense->neurons; j++) {
    if (cosines) {
      order_by_gram(cosines, inputs, alpha, seed, (uint64_t)j, order, left);
    } else if (strcmp(rule, "clause") == 0) {
      order_by_clause(f, seed, (uint64_t)j, order, clauses, taken);
    } else {
      for (int32_t i = 0; i < inputs; i++) order[i] = i;
      shuffle(order, inputs, seed, (uint64_t)j);
    }
    for (int64_t child = 0; child < alpha; child++) {
      int64_t to = j * alpha + child;
      for (int64_t i = child * inputs / alpha; i < (child + 1) * inputs / alpha; i++)
        l.weights[to * inputs + order[i]] = dense->weights[j * inputs + order[i]];
      l.biases[to] = dense->biases[j];
      l.outputs[to] = dense->outputs[j];
    }
  }
  prune(&l, keep, arena);
  return l;
}
