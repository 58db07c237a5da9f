// A run trained once more, in a home of its own, and compared with what the store has of it.
#pragma once
#include "base/base.h"
#include "results/store.h"

enum { REPRODUCE_NOTES = 16 };

// A result of the run in the store and of the one trained now; NAN: that one has none.
struct reproduced_number {
  const char *column;
  double before, now;
};

// What came out. Texts are in the arena.
struct reproduction {
  struct arena arena;
  const char *id;
  size_t chain;                  // runs that were trained for it, itself included
  size_t points, same;           // of its curves that both have; those whose loss is the same to the last bit
  size_t only_before, only_now;  // points that one of them has alone
  double loss_before, loss_now;  // NAN: none
  double largest;                // difference of the losses of two points; 0 where all are the same
  const char *first_kind;        // of the first point that differs; NULL: none
  int64_t first_step;
  double first_before, first_now;
  bool diverged_before, diverged_now;
  struct reproduced_number *results;  // of its other results, those that differ
  size_t result_count, results_same;  // ... and how many are the same
  // Times, rates, memory and energy of the machine, which no two runs share and which are not compared.
  struct reproduced_number *measured;
  size_t measured_count;
  struct {
    const char *column, *before, *now;
  } circumstances[REPRODUCE_NOTES];  // device, instruction set, library, threads, trainer, ...: those that differ
  size_t circumstance_count;
};
// True when every loss and result is there both times and the same to the last bit, and there is one at all.
bool reproduction_same(const struct reproduction *reproduction);

// Trains the run (a full id) and what it follows anew into `home`, from the config.json in the runs' folders, and
// compares. False with an error when that cannot be: the folder is gone, the corpus is another, it was stopped.
bool reproduce_run(const char *id, const char *home, bool quiet, struct reproduction *reproduction,
                   struct error *error);
void reproduction_free(struct reproduction *reproduction);
