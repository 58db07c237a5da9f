// Comparisons of two groups of runs, as a spec's `comparisons` and `isoloss compare` ask for them. What the words mean
// is in runner/fits/paired.h.
#pragma once
#include <stddef.h>

// MATCH_COLUMN: a result of a task, which has a column's name in place of a word.
enum paired_match { MATCH_ENDS, MATCH_LOSS, MATCH_FLOPS, MATCH_TOKENS, MATCH_SECONDS, MATCHES, MATCH_COLUMN = MATCHES };
extern const char *const paired_match_names[];  // by enum paired_match, NULL for MATCH_ENDS; ends with NULL
enum paired_along { ALONG_CURVES, ALONG_LADDERS };
extern const char *const paired_along_names[];  // ends with NULL

struct node;

// One entry of `comparisons`: two selections of the experiment's runs.
struct spec_comparison {
  const struct node *node;
  const char *name;       // given, or "A | B" of the conditions
  const char *wheres[2];  // conditions over the runs, of A and of B; `where` of the entry is in both
  const char *const *ignored;
  size_t ignored_count;
  enum paired_match match;
  enum paired_along along;
  enum paired_match measure;  // at matched loss
  // MATCH_COLUMN: what is matched and what is compared.
  const char *match_column, *measure_column;
};
