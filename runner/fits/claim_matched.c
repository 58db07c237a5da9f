// Claims with match_on: two groups of runs compared at equal loss or compute, as isoloss compare does (paired.h).
#include "runner/fits/claim_matched.h"

#include <math.h>

#include "runner/fits/paired.h"

// Two-sided: as sure as the other claims, which hold in 97.5 % of trials.
static const double surely = 0.05;

static void say(const struct paired *paired, struct text *detail) {
  const struct paired_request *request = &paired->request;
  bool loss = request->match != MATCH_LOSS;
  struct arena scratch = {0};
  if (loss)
    text_format(detail, "right less left: %+.4f%s", paired->mean, measure_behind(&paired->compared, &scratch));
  else
    text_format(detail, "the right needs %+.1f %% of the left's %s", 100 * expm1(paired->mean),
                paired_match_names[request->measure]);
  arena_free(&scratch);
  text_format(detail, ", mean over %zu %s", paired->units, request->along == ALONG_LADDERS ? "ladders" : "pairs");
  if (isfinite(paired->low) && loss)
    text_format(detail, " (95 %% interval %+.4f to %+.4f)", paired->low, paired->high);
  else if (isfinite(paired->low))
    text_format(detail, " (95 %% interval %+.1f %% to %+.1f %%)", 100 * expm1(paired->low), 100 * expm1(paired->high));
  if (paired->alike) text_format(detail, " (%s)", paired->alike);
  if (isfinite(paired->p))
    text_format(detail, "; p = %.2g, two-sided, by %s", paired->p, paired->p_method);
  else
    text_format(detail, "; p: %s", paired->p_method);
  if (paired->outside) text_format(detail, "; %zu left out that would be extrapolations", paired->outside);
  if (paired->no_curve)
    text_format(detail, "; %zu pair%s left out without a curve", paired->no_curve, paired->no_curve == 1 ? "" : "s");
}

const char *claim_matched_judge(const struct spec_claim *claim, const char *experiment, struct store *store,
                                struct text *detail) {
  struct paired paired;
  struct paired_request request = paired_request_of(claim->matched, experiment);
  struct error trouble = {0};
  const char *outcome = "undecided";
  enum expression_kind kind = claim->expression->root->kind;
  bool less = kind == EXPRESSION_LESS || kind == EXPRESSION_LESS_EQUAL;
  if (paired_find(&paired, store, &request, &trouble)) {
    say(&paired, detail);
    if (paired.p <= surely) outcome = (paired.mean > 0) == less ? "held" : "not held";
  } else {
    text_add(detail, trouble.text);
  }
  paired_free(&paired);
  return outcome;
}
