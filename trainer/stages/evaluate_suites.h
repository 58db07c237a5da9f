// The suites of trainer/data/suites.h on two models: how many answers each gets right, and what of the first one's
// skill the second has kept.
#pragma once
#include "trainer/data/suites.h"
#include "trainer/stages/evaluate_rows.h"
#include "trainer/stages/work.h"

struct suite_results {
  bool asked;
  int64_t symbols;
  struct suite_score scores[2][SUITE_COUNT];  // of the uncompressed model, and of this one
};

// Answers both models give on evaluate.suite_tokens of each suite, the same windows for all runs. False with an error,
// or with work->stopped.
bool suites_measure(struct stage_work *work, struct two_models *two, struct suite_results *results,
                    struct error *error);

enum { SUITE_NUMBERS = 4 };      // of a suite: accuracy, its standard error, chance, recovery
enum { SUITE_LEAST_SKILL = 3 };  // standard errors above chance from which a recovery means something

// In percent: what is left of the uncompressed model's distance from chance, (this - chance) / (uncompressed - chance);
// NAN where that model is not above chance by SUITE_LEAST_SKILL standard errors.
double suite_recovery(const struct suite_score *uncompressed, const struct suite_score *compressed, double chance);
// Fills numbers[SUITE_COUNT * SUITE_NUMBERS] and returns how many (0: not asked); why recoveries are missing becomes
// the note of `done`.
size_t suites_tell(const struct suite_results *results, struct stage_work *work, struct stage_number *numbers);
// The same reasons as text: nothing where all recoveries are given. In the arena, or NULL.
const char *suites_reasons(const struct suite_results *results, struct arena *arena);
