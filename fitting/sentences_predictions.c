// Sentences about predictions: how far outside the fitted ranges they lie, what these runs cannot tell, how far off
// the law was where it was tried beyond the rows it was fitted to. See sentences.h.
#include <math.h>
#include <string.h>

#include "fitting/sentences.h"

static const char *short_name(const char *column) {
  if (strcmp(column, "parameters") == 0) return "N";
  if (strcmp(column, "tokens") == 0) return "D";
  if (strcmp(column, "flops") == 0) return "C";
  return column;
}

static const char *digits(struct arena *arena, double value, int count) {
  char text[32];
  return arena_string(arena, number_digits(value, count, text));
}

static const char *times(struct arena *arena, double factor) {
  return digits(arena, factor, factor >= 100 ? 3 : factor < 1.1 ? 4 : 2);
}

static const char *range_words(struct arena *arena, const struct outside *o) {
  if (o->open) return arena_format(arena, "the one value of all fitted rows (%s)", digits(arena, o->low, 3));
  const char *range = o->low == o->high
                          ? digits(arena, o->low, 3)
                          : arena_format(arena, "%s .. %s", digits(arena, o->low, 3), digits(arena, o->high, 3));
  if (o->category) return arena_format(arena, "the range fitted for %s = %s (%s)", o->of, o->category, range);
  return arena_format(arena, "the fitted range (%s)", range);
}

const char *outside_sentence(struct arena *arena, const struct outside *outside) {
  const char *name = short_name(outside->column);
  if (outside->unseen) return arena_format(arena, "no fitted row has %s = %s", name, outside->unseen);
  return arena_format(arena, "%s = %s lies %s times outside %s", name, digits(arena, outside->value, 4),
                      times(arena, outside->factor), range_words(arena, outside));
}

const char *outside_mark(struct arena *arena, const struct outside *outside, size_t count) {
  const char *text = "";
  for (size_t i = 0; i < count; i++) {
    const struct outside *o = &outside[i];
    const char *one = o->unseen
                          ? arena_format(arena, "%s not seen", o->unseen)
                          : arena_format(arena, "%s %s times outside", short_name(o->column), times(arena, o->factor));
    text = arena_format(arena, "%s%s%s", text, *text ? ", " : "", one);
  }
  return text;
}

// The least change of the question, or of the runs, that would bring an answer.
static const char *nearer_words(struct arena *arena, const struct outside *o) {
  if (o->unseen) return arena_format(arena, "runs of %s", o->unseen);
  if (o->open) return arena_format(arena, "runs of several %s", short_name(o->column));
  bool above = o->value > o->high;
  const char *of = o->category ? arena_format(arena, " with %s = %s", o->of, o->category) : "";
  if (!(o->value > 0)) return arena_format(arena, "runs of %s nearer to it%s", short_name(o->column), of);
  return arena_format(arena, "runs of %s = %s or %s%s", short_name(o->column),
                      digits(arena, above ? o->value / 10 : o->value * 10, 2), above ? "more" : "less", of);
}

// The advice of the direction in which the coefficient can move, or NULL.
static const char *advice_of(const struct fit_result *result, const struct coefficient *coefficient) {
  for (size_t i = 0; result && i < result->direction_count; i++)
    if (strcmp(result->coefficients[result->directions[i].coefficient].name, coefficient->name) == 0 &&
        *result->directions[i].advice)
      return result->directions[i].advice;
  return NULL;
}

static const char *standing_of(const struct coefficient *c) {
  return c->note ? c->note : coefficient_status_name(c->status);
}

const char *hangs_on_sentence(struct arena *arena, const struct estimate *estimate) {
  const struct coefficient *c = estimate->hangs_on;
  if (!c) return NULL;
  if (estimate->status == COEFFICIENT_ONE_SIDED)
    return arena_format(arena, "limited on one side only: it hangs on %s (%s)", c->name, standing_of(c));
  if (estimate->status == COEFFICIENT_UNIDENTIFIED)
    return arena_format(arena, "it hangs on %s (%s)", c->name, standing_of(c));
  return arena_format(arena, "it moves with %s (%s), and the interval holds where that leads", c->name, standing_of(c));
}

const char *cannot_tell_sentence(struct arena *arena, const struct estimate *estimate, const struct outside *outside,
                                 size_t count, const struct fit_result *result) {
  const char *reasons = "", *help = "";
  for (size_t i = 0; i < count; i++) {
    if (!outside_hides(&outside[i], 1)) continue;
    reasons = arena_format(arena, "%s%s%s", reasons, *reasons ? "; " : "", outside_sentence(arena, &outside[i]));
    help = arena_format(arena, "%s%s%s", help, *help ? "; " : "", nearer_words(arena, &outside[i]));
  }
  if (estimate && estimate->status == COEFFICIENT_UNIDENTIFIED && estimate->hangs_on) {
    const char *advice = advice_of(result, estimate->hangs_on);
    reasons = arena_format(arena, "%s%s%s", reasons, *reasons ? "; " : "", hangs_on_sentence(arena, estimate));
    help = advice ? arena_format(arena, "%s%s%s", help, *help ? "; " : "", advice) : help;
  }
  if (!*reasons) return NULL;
  return arena_format(arena, "these runs cannot tell: %s%s%s", reasons, *help ? "; what would: " : "", help);
}

const char *rollout_errors_sentence(struct arena *arena, const struct rollout_errors *errors) {
  const char *distance = isinf(errors->to) ? arena_format(arena, "more than %g", errors->above)
                                           : arena_format(arena, "%g to %g", errors->above, errors->to);
  const char *text = arena_format(
      arena, "%zu cut%s along %s, %zu row%s %s times outside: mean error %s %%, the largest %s %%", errors->cuts,
      errors->cuts == 1 ? "" : "s", short_name(errors->column), errors->rows, errors->rows == 1 ? "" : "s", distance,
      digits(arena, 100 * errors->error, 2), digits(arena, 100 * errors->largest, 2));
  if (!errors->judged && errors->no_interval)
    return arena_format(arena, "%s; without intervals: %s", text, errors->no_interval);
  if (!errors->judged) return text;
  return arena_format(arena, "%s; %zu of %zu interval%s held", text, errors->held, errors->judged,
                      errors->judged == 1 ? "" : "s");
}

const char *held_back_sentence(struct arena *arena, const struct fit_rollouts *rollouts,
                               const struct outside *outside) {
  bool there;
  const char *name = short_name(outside->column);
  const struct rollout_errors *errors = rollout_errors_at(rollouts, outside->column, outside->factor, &there);
  if (!errors)
    return arena_format(arena, "error of extrapolation along %s not known: %s", name,
                        rollouts->none ? rollouts->none : "no rows could be held back along it");
  if (there) return arena_format(arena, "held back: %s", rollout_errors_sentence(arena, errors));
  return arena_format(arena,
                      "held back: none %s times outside in %s, so the error there is not known; the farthest, %s",
                      times(arena, outside->factor), name, rollout_errors_sentence(arena, errors));
}

const char *derived_outside_sentence(struct arena *arena, const struct fit_derived *derived) {
  if (!derived->outside_of) return NULL;
  return arena_format(arena, "%s%s %s times outside", range_is_far(derived->outside) ? "these runs cannot tell: " : "",
                      short_name(derived->outside_of), times(arena, derived->outside));
}

const char *derived_held_back_sentence(struct arena *arena, const struct fit_result *result) {
  struct outside at = {.factor = 1};
  for (size_t i = 0; i < result->derived_count; i++) {
    const struct fit_derived *derived = &result->derived[i];
    if (!derived->outside_of || !(derived->outside > at.factor) || range_is_far(derived->outside)) continue;
    at.column = derived->outside_of;
    at.factor = derived->outside;
  }
  bool tried = result->rollouts.error_count || result->rollouts.none;
  return at.column && tried ? held_back_sentence(arena, &result->rollouts, &at) : NULL;
}

const char *rollout_cut_label(struct arena *arena, const struct rollout *cut) {
  return arena_format(arena, "%s up to %s", short_name(cut->column), digits(arena, cut->cut, 4));
}

const char *prediction_score_sentence(struct arena *arena, const struct prediction_score *score) {
  if (!score->rows) return NULL;
  const char *text =
      arena_format(arena, "%zu row%s of known %s: mean error %s %% (mean absolute error %s), rms %s %%, largest %s %%",
                   score->rows, score->rows == 1 ? "" : "s", score->target, digits(arena, 100 * score->mean_error, 3),
                   digits(arena, score->mean_absolute, 3), digits(arena, 100 * score->rms, 3),
                   digits(arena, 100 * score->largest, 3));
  if (!isnan(score->r_squared)) text = arena_format(arena, "%s; R2 %s", text, digits(arena, score->r_squared, 5));
  if (score->judged)
    text = arena_format(arena, "%s; %zu of %zu lie within the interval of a run", text, score->held, score->judged);
  if (score->fitted) text = arena_format(arena, "%s; %zu of them are rows of the fit itself", text, score->fitted);
  return text;
}
