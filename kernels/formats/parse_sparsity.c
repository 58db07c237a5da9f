// Sparsity from text: sparse(0.5,journey), random-sparse(0.5), 2:4, paired-4:8, with their options. See
// docs/formats.md.
#include <math.h>
#include <stdio.h>

#include "kernels/formats/parse.h"

static bool unknown_option(struct piece word, struct error *error) {
  static const char *const known[] = {"tensor", "row",     "global",  "monotone", "dynamic", "forward",
                                      "rms",    "b-rms",   "a-b-rms", "pass",     "trust",   "constant",
                                      "cubic",  "journey", "every",   "compute",  "steps"};
  char name[64];
  snprintf(name, sizeof name, "%.*s", (int)word.length, word.start);
  error_set(error, EXIT_USAGE_ERROR, "'%s' is no option of sparsity", name);
  error_hint(error, nearest_name(name, known, sizeof known / sizeof known[0]), NULL);
  return error_add(error,
                   " (there are: tensor, row, global; monotone, dynamic; forward, rms(P), b-rms(P), a-b-rms(A), "
                   "pass, trust; constant, cubic(START,END), journey(START,END), every(N), compute, steps)");
}

// How gradients pass; `value` is the number in brackets, NAN without one.
static bool backward_option(struct piece option, enum sparsity_backward backward, double value,
                            struct sparsity *sparsity, struct error *error) {
  bool share = backward == SPARSE_BAND_SHARE;
  sparsity->backward = backward;
  if (backward != SPARSE_RMS && backward != SPARSE_BAND && !share) return true;
  sparsity->backward_parameter = value;
  if (share) return (value >= 0 && value <= 1) || piece_error(error, option, "takes a number from 0 to 1");
  return (value > 0 && value < 0.5) || piece_error(error, option, "takes a number between 0 and 0.5");
}

static bool schedule_option(struct piece option, bool journey, struct piece arguments, struct sparsity *sparsity,
                            struct error *error) {
  sparsity->schedule = journey ? SCHEDULE_JOURNEY : SCHEDULE_CUBIC;
  if (journey) {
    // As published: one threshold for all layers, and what is pruned stays so.
    sparsity->scope = SCOPE_GLOBAL;
    sparsity->monotone = true;
  } else {
    sparsity->of_steps = true;
  }
  if (!arguments.start) return true;
  struct piece start = {0}, end = {0};
  piece_next(&arguments, ',', &start);
  if (!piece_next(&arguments, ',', &end) || arguments.start || !piece_number(start, &sparsity->start) ||
      !piece_number(end, &sparsity->end) || sparsity->start < 0 || sparsity->end > 1 || sparsity->start > sparsity->end)
    return piece_error(error, option, "takes the fractions at which pruning begins and ends, as (0.25,0.75)");
  return true;
}

static bool sparsity_option(struct piece option, struct sparsity *sparsity, struct error *error) {
  struct piece word, arguments;
  if (!piece_call(option, &word, &arguments)) return piece_error(error, option, "a bracket is missing");
  double value = NAN;
  if (!arguments.start || !piece_number(arguments, &value)) value = NAN;
  int scope = piece_word(word, WORDS(sparsity_scope_words)), backward = piece_word(word, WORDS(sparse_backward_words));
  if (backward >= 0) return backward_option(option, (enum sparsity_backward)backward, value, sparsity, error);
  if (piece_is(word, "journey") || piece_is(word, "cubic"))
    return schedule_option(option, piece_is(word, "journey"), arguments, sparsity, error);
  if (scope >= 0) {
    sparsity->scope = (enum sparsity_scope)scope;
  } else if (piece_is(word, "monotone") || piece_is(word, "dynamic")) {
    sparsity->monotone = piece_is(word, "monotone");
  } else if (piece_is(word, "compute") || piece_is(word, "steps")) {
    sparsity->of_steps = piece_is(word, "steps");
  } else if (piece_is(word, "constant")) {
    sparsity->schedule = SCHEDULE_CONSTANT;
  } else if (piece_is(word, "every")) {
    if (!(value >= 1 && value <= 1e9) || value != floor(value))
      return piece_error(error, option, "takes a number of steps");
    sparsity->every = (int)value;
  } else {
    return unknown_option(word, error);
  }
  return true;
}

static bool sparsity_options(struct piece options, struct sparsity *sparsity, struct error *error) {
  struct piece option;
  while (piece_next(&options, ',', &option))
    if (!sparsity_option(option, sparsity, error)) return false;
  return true;
}

struct sparsity sparsity_plain(enum sparsity_kind kind, double amount, int n, int m) {
  bool pattern = kind == SPARSITY_N_M || kind == SPARSITY_PAIRED;
  return (struct sparsity){.kind = kind,
                           .amount = amount,
                           .n = n,
                           .m = m,
                           .scope = pattern ? SCOPE_ROW : SCOPE_TENSOR,
                           .monotone = kind == SPARSITY_RANDOM,
                           .backward = kind == SPARSITY_PAIRED ? SPARSE_TRUST : SPARSE_FORWARD,
                           .start = 0.25,
                           .end = 0.75,
                           .every = 100};
}

bool sparsity_parse(struct piece term, struct sparsity *sparsity, bool *known, struct error *error) {
  struct piece word, arguments;
  *known = false;
  if (!piece_call(term, &word, &arguments)) return piece_error(error, term, "a bracket is missing");
  bool random = piece_is(word, "random-sparse");
  if (random || piece_is(word, "sparse")) {
    *known = true;
    struct piece amount = {0};
    double share = 0;
    if (!piece_next(&arguments, ',', &amount) || !piece_number(amount, &share))
      return piece_error(error, term, "takes the share of zeroes first, as sparse(0.5)");
    if (share < 0 || share >= 1) return piece_error(error, term, "the share of zeroes must be at least 0 and below 1");
    *sparsity = sparsity_plain(random ? SPARSITY_RANDOM : SPARSITY_TOP, share, 0, 0);
    return sparsity_options(arguments, sparsity, error);
  }
  struct piece rest = word;
  bool paired = piece_take(&rest, "paired-");
  int n, m;
  if (!piece_take_number(&rest, &n) || !piece_take(&rest, ":") || !piece_take_number(&rest, &m) || rest.length)
    return true;
  *known = true;
  if (n < 1 || m < 2 || m > 64)
    return piece_error(error, term, "keeps N of every M values, N at least 1 and M from 2 to 64");
  if (n > m) return piece_error(error, term, "cannot keep more values than there are: N is at most M");
  if (paired && (n % 2 || m % 2)) return piece_error(error, term, "pairs need even numbers");
  *sparsity = sparsity_plain(paired ? SPARSITY_PAIRED : SPARSITY_N_M, 0, n, m);
  if (!sparsity_options(arguments, sparsity, error)) return false;
  if (sparsity->schedule != SCHEDULE_CONSTANT || sparsity->scope != SCOPE_ROW)
    return piece_error(error, term, "a pattern of N:M has neither a schedule nor a scope");
  if (sparsity->backward != SPARSE_FORWARD && sparsity->backward != SPARSE_PASS && sparsity->backward != SPARSE_TRUST)
    return piece_error(error, term, "gradients of a pattern of N:M go by forward, pass or trust");
  return true;
}
