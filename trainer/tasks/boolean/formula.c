// Planted formulas and their examples. See boolean.h.
#include <string.h>

#include "trainer/tasks/boolean/boolean.h"

enum { STREAM_FORMULA = 33, STREAM_LITERALS = 34 };

struct formula formula_plant(const struct boolean *b, uint64_t seed, struct arena *arena) {
  struct formula f = {.clauses = b->clauses,
                      .literals = b->literals,
                      .variables = boolean_variables(b),
                      .plus_minus = strcmp(b->encoding, "plus_minus") == 0,
                      .broken = strcmp(b->others, "broken") == 0,
                      .seed = seed};
  int64_t all = f.clauses * f.literals;
  f.variable = arena_array(arena, (size_t)all, sizeof *f.variable);
  f.wanted = arena_array(arena, (size_t)all, 1);
  int32_t *deck = arena_array(arena, (size_t)f.variables, sizeof *deck);
  for (int64_t v = 0; v < f.variables; v++) deck[v] = (int32_t)v;
  // Dealt from a shuffled deck, which is shuffled anew where it has too few cards left for a clause.
  int64_t next = f.variables, shuffles = 0;
  for (int64_t c = 0; c < f.clauses; c++) {
    if (f.variables - next < f.literals) {
      for (int64_t v = f.variables - 1; v > 0; v--) {
        uint64_t other = random_below(seed, STREAM_FORMULA, (uint64_t)shuffles, (uint64_t)v, (uint64_t)v + 1);
        int32_t card = deck[v];
        deck[v] = deck[other];
        deck[other] = card;
      }
      shuffles++;
      next = 0;
    }
    for (int64_t l = 0; l < f.literals; l++) {
      int64_t i = c * f.literals + l;
      f.variable[i] = deck[next++];
      f.wanted[i] = random_uniform(seed, STREAM_LITERALS, 0, (uint64_t)i) >= b->negated;
    }
  }
  return f;
}

static bool holds(const struct formula *f, int64_t clause, const uint8_t *bits) {
  for (int64_t i = clause * f->literals; i < (clause + 1) * f->literals; i++)
    if (bits[f->variable[i]] != f->wanted[i]) return false;
  return true;
}

// Draws of one example: words of Philox, one after the other.
struct draws {
  uint64_t seed, step, index;
  uint32_t stream, words[4];
  int used;
};
static uint32_t draw(struct draws *d) {
  if (d->used == 4) {
    random_words(d->seed, d->stream, d->step, d->index++, d->words);
    d->used = 0;
  }
  return d->words[d->used++];
}
static int64_t below(struct draws *d, int64_t bound) { return (int64_t)((uint64_t)draw(d) * (uint64_t)bound >> 32); }

// Breaks the clauses that hold by a literal of each, until none does (one may make another hold where they share
// variables). False when they do not come to an end.
static bool break_all(const struct formula *f, struct draws *d, uint8_t *bits) {
  for (int pass = 0; pass < 32; pass++) {
    bool any = false;
    for (int64_t c = 0; c < f->clauses; c++) {
      if (!holds(f, c, bits)) continue;
      bits[f->variable[c * f->literals + below(d, f->literals)]] ^= 1;
      any = true;
    }
    if (!any) return true;
  }
  return false;
}

void formula_examples(const struct formula *f, uint32_t stream, uint64_t step, int64_t rows, float *x, int32_t *truth) {
  uint8_t bits[MOST_VARIABLES];
  float low = f->plus_minus ? -1 : 0;
  for (int64_t r = 0; r < rows; r++) {
    struct draws d = {.seed = f->seed, .step = step, .index = (uint64_t)r << 32, .stream = stream, .used = 4};
    bool is_true = r % 2, settled = false;
    while (!settled) {
      uint32_t word = 0;
      for (int64_t v = 0; v < f->variables; v++, word >>= 1) {
        if (v % 32 == 0) word = draw(&d);
        bits[v] = word & 1;
      }
      settled = (is_true && !f->broken) || break_all(f, &d, bits);
    }
    int64_t clause = below(&d, f->clauses) * f->literals;
    for (int64_t i = clause; is_true && i < clause + f->literals; i++) bits[f->variable[i]] = f->wanted[i];
    for (int64_t v = 0; v < f->variables; v++) x[r * f->variables + v] = bits[v] ? 1 : low;
    truth[r] = is_true;
  }
}
