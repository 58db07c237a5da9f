// See sentences.h.
#include "fitting/sentences.h"

#include <math.h>
#include <string.h>

const char *fit_row_label(struct arena *arena, const struct fit_row *row) {
  bool id = strlen(row->name) == 32 && strspn(row->name, "0123456789abcdef") == 32;
  return arena_format(arena, "%.*s%s%s%s", id ? 8 : 40, row->name, *row->group ? " (" : "", row->group,
                      *row->group ? ")" : "");
}

// ---- coefficients ----

// Joins what there is of the parts.
static const char *joined(struct arena *arena, const char *const *parts, size_t count) {
  const char *text = "";
  for (size_t i = 0; i < count; i++)
    if (parts[i] && *parts[i]) text = arena_format(arena, "%s%s%s", text, *text ? "; " : "", parts[i]);
  return text;
}

// An interval of another kind than the one asked for is named.
static const char *kind_note(const struct fit_result *result, const struct intervals *intervals, double low,
                             double high) {
  bool resampled = result->bootstrap && !isnan(low) && !isnan(high);
  return resampled && intervals->kind != result->interval ? interval_kind_name(intervals->kind) : NULL;
}

static const char *count_note(struct arena *arena, const struct fit_result *result, const struct law *law,
                              const char *name) {
  if (!result->parameter_count || !law_is_exponent(law, name) || !law_exponent_has_size(law, name)) return NULL;
  return arena_format(arena, "N: %s", result->parameter_count);
}

const char *fit_coefficient_note(struct arena *arena, const struct fit_result *result, const struct law *law,
                                 const struct coefficient *coefficient) {
  const char *const parts[] = {kind_note(result, &coefficient->intervals, coefficient->low, coefficient->high),
                               coefficient->note ? coefficient->note
                               : coefficient->status == COEFFICIENT_FITTED
                                   ? NULL
                                   : coefficient_status_name(coefficient->status),
                               count_note(arena, result, law, coefficient->parameter)};
  return joined(arena, parts, 3);
}

// What the law says of a derived quantity; one with `at` has a name "NAME[COLUMN=VALUE]".
static const char *about_derived(const struct law *law, const char *name) {
  for (int i = 0; law && i < law->derived_count; i++) {
    size_t length = strlen(law->derived[i].name);
    if (strncmp(law->derived[i].name, name, length) == 0 && (!name[length] || name[length] == '['))
      return law->derived[i].about;
  }
  return NULL;
}

const char *fit_derived_note(struct arena *arena, const struct fit_result *result, const struct law *law,
                             const struct fit_derived *derived) {
  char end[32];
  bool far = range_is_far(derived->outside);  // then the mark says what the status would
  const char *status = derived->status == COEFFICIENT_FITTED || far ? NULL
                       : derived->note                              ? derived->note
                                                                    : derived_status_name(derived->status);
  if (derived->status == COEFFICIENT_ONE_SIDED && !far)
    status = arena_format(arena, "%s: %s %s, by %s", status, isnan(derived->low) ? "at most" : "at least",
                          number_digits(isnan(derived->low) ? derived->high : derived->low, 3, end),
                          derived->intervals.kind == INTERVAL_PROFILE ? "profiles" : "resamples");
  const char *const parts[] = {derived_outside_sentence(arena, derived), status,
                               count_note(arena, result, law, derived->name), about_derived(law, derived->name)};
  return joined(arena, parts, 4);
}

// ---- the fit ----

const char *fit_rows_sentence(struct arena *arena, const struct fit_result *result) {
  const struct {
    size_t count;
    const char *what;
  } others[] = {{result->excluded_count, "excluded"},
                {result->duplicates, "repeating others left out"},
                {result->held_out, "held out"},
                {result->unused, "in no stage"}};
  const char *text = arena_format(arena, "%zu row%s%s%s", result->rows, result->rows == 1 ? "" : "s",
                                  result->source ? " of " : "", result->source ? result->source : "");
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (others[i].count) text = arena_format(arena, "%s, %zu %s", text, others[i].count, others[i].what);
  return text;
}

const char fit_by_outcome[] = ", and its logarithm is fitted";

static bool is_by_outcome(const char *reason) {
  size_t length = strlen(reason), end = sizeof fit_by_outcome - 1;
  return length > end && strcmp(reason + length - end, fit_by_outcome) == 0;
}

const char *fit_outcome_rows(struct arena *arena, const struct fit_result *result) {
  enum { ROWS = 4 };
  const char *rows = "";
  size_t count = 0;
  for (size_t i = 0; i < result->excluded_count; i++)
    if (is_by_outcome(result->exclusions[i].reason) && count++ < ROWS)
      rows = arena_format(arena, "%s%s%.40s", rows, *rows ? ", " : "", result->exclusions[i].row);
  return count > ROWS ? arena_format(arena, "%s and %zu more", rows, count - ROWS) : rows;
}

const char *fit_exclusions_sentence(struct arena *arena, const struct fit_result *result) {
  enum { REASONS = 4, ROWS = 4 };
  size_t count = result->excluded_count, reasons = 0, by_outcome = 0;
  for (size_t i = 0; i < count; i++) by_outcome += is_by_outcome(result->exclusions[i].reason);
  if (count == by_outcome) return NULL;
  const char *text = arena_format(arena, "%zu%s row%s excluded: ", count - by_outcome, by_outcome ? " more" : "",
                                  count - by_outcome == 1 ? "" : "s");
  for (size_t i = 0; i < count; i++) {
    const char *reason = result->exclusions[i].reason, *rows = "";
    size_t alike = 0;
    bool told = is_by_outcome(reason);
    for (size_t k = 0; k < i && !told; k++) told = strcmp(result->exclusions[k].reason, reason) == 0;
    if (told) continue;
    if (reasons == REASONS) return arena_format(arena, "%s; ...", text);
    for (size_t k = i; k < count; k++)
      if (strcmp(result->exclusions[k].reason, reason) == 0 && alike++ < ROWS)
        rows = arena_format(arena, "%s%s%.40s", rows, *rows ? ", " : "", result->exclusions[k].row);
    text = arena_format(arena, "%s%s%s (%s%s)", text, reasons++ ? "; " : "", reason, rows,
                        alike > ROWS ? arena_format(arena, " and %zu more", alike - ROWS) : "");
  }
  return text;
}

const char *fit_loss_sentence(struct arena *arena, const struct fit_result *result) {
  char objective[OBJECTIVE_TEXT], scale[32];
  struct objective kind = result->objective_kind;
  number_parse(number_digits(kind.scale, 4, scale), &kind.scale);  // an estimated one has no more to tell
  objective_text(result->scale_estimated ? kind : result->objective_kind, objective);
  const char *text = arena_format(arena, "%s on the difference%s", objective,
                                  result->residual == RESIDUAL_LOG ? " of logarithms" : "");
  if (result->objective_kind.kind == OBJECTIVE_ASYMMETRIC)
    text =
        arena_format(arena, "%s, an overestimate costs %g times an underestimate", text, result->objective_kind.ratio);
  if (result->scale_estimated)
    text = arena_format(arena, "%s, the scale estimated with the coefficients and held in resamples", text);
  return text;
}

const char *fit_objective_sentence(struct arena *arena, const struct fit_result *result) {
  char number[32];
  const char *stages = "";
  for (int s = 0; s < result->stage_count && result->stage_count > 1; s++)
    stages = arena_format(arena, "%s%s%s %s on %zu row%s", stages, s ? ", " : " (", result->stages[s].name,
                          number_digits(result->stages[s].objective, 9, number), result->stages[s].rows,
                          result->stages[s].rows == 1 ? "" : "s");
  const char *text =
      arena_format(arena, "objective %s%s%s", number_digits(result->objective, 9, number), stages, *stages ? ")" : "");
  if (result->prior_count || result->pool_count)
    text = arena_format(arena, "%s, of which %s%s%s %s", text, result->prior_count ? "priors" : "",
                        result->prior_count && result->pool_count ? " and " : "",
                        result->pool_count ? "partial pooling" : "", number_digits(result->penalty, 4, number));
  bool logarithm = result->residual == RESIDUAL_LOG;
  return arena_format(arena, "%s; residual rms of %s%s%s %s%s", text, logarithm ? "ln(" : "", result->target,
                      logarithm ? ")" : "", number_digits((logarithm ? 100 : 1) * result->residual_rms, 3, number),
                      logarithm ? " %" : "");
}

const char *fit_residual_words(struct arena *arena, const struct fit_result *result, double size) {
  char number[32];
  bool logarithms = result->residual == RESIDUAL_LOG;
  return arena_format(arena, "%s%s", number_digits(logarithms ? 100 * size : size, 3, number), logarithms ? " %" : "");
}

const char *fit_agreement_sentence(struct arena *arena, const struct fit_result *result) {
  long long agreeing = result->starts_agreeing, descended = result->starts_descended, starts = result->starts;
  const char *ends = agreeing == 1 ? "ends here" : "agree";
  // few starts are descended from in two ways, all of them
  const char *text =
      descended < starts
          ? arena_format(arena, "%lld of the %lld most promising of %lld starts %s", agreeing, descended, starts, ends)
      : descended > starts
          ? arena_format(arena, "%lld of the %lld descents from %lld start%s %s", agreeing, descended, starts,
                         starts == 1 ? "" : "s", ends)
          : arena_format(arena, "%lld of the %lld start%s %s", agreeing, starts, starts == 1 ? "" : "s", ends);
  if (result->starts_elsewhere)
    text = arena_format(arena, "%s; %lld %s the same objective at other coefficients", text,
                        (long long)result->starts_elsewhere, result->starts_elsewhere == 1 ? "reaches" : "reach");
  if (result->starts_not_stationary)
    text = arena_format(arena, "%s; %lld %s no stationary point", text, (long long)result->starts_not_stationary,
                        result->starts_not_stationary == 1 ? "reaches" : "reach");
  return text;
}

const char *fit_starts_sentence(struct arena *arena, const struct fit_result *result) {
  char number[32];
  const char *text = fit_agreement_sentence(arena, result);
  if (isnan(result->runner_up_objective)) return arena_format(arena, "%s; no other minimum was met", text);
  return arena_format(arena, "%s; the next minimum is %s", text, number_digits(result->runner_up_objective, 9, number));
}

// A coefficient's value elsewhere and its estimate, each 0 where its term has vanished next to the other.
static double or_zero(double value, double beside) {
  static const double little = 1e-10;
  return value > 0 && value < little && (beside == 0 || value < little * fabs(beside)) ? 0 : value;
}

static void as_told(const struct coefficient *c, double *elsewhere, double *estimate) {
  *estimate = fit_is_zero(c->status, c->value, c->high) ? 0 : or_zero(c->value, *elsewhere);
  *elsewhere = or_zero(*elsewhere, *estimate);
}

const char *fit_value_elsewhere(struct arena *arena, const struct coefficient *coefficient, double elsewhere,
                                int digits) {
  char text[40];
  double estimate;
  bool zero = fit_is_zero(coefficient->status, elsewhere, coefficient->high);
  as_told(coefficient, &elsewhere, &estimate);
  return isnan(elsewhere) ? "-" : arena_string(arena, number_digits(zero ? 0 : elsewhere, digits, text));
}

// How far apart two values of a coefficient are: the ratio's logarithm, or what of the larger they differ by.
static double apart(double a, double b) {
  if (a > 0 && b > 0) return fabs(log(a / b));
  return a == b ? 0 : fabs(a - b) / fmax(fabs(a), fabs(b));
}

const char *fit_runner_up_sentence(struct arena *arena, const struct fit_result *result) {
  enum { NAMED = 4 };
  static const double apart_enough = 0.02, far = 1e6;  // that many times as high: this minimum is at rounding
  if (isnan(result->runner_up_objective) || !result->runner_up) return NULL;
  double ratio = result->runner_up_objective / result->objective;
  char number[32], here[32];
  const char *text =
      !(ratio < far) ? "the next minimum has "
      : ratio < 2
          ? arena_format(arena, "the next minimum, %s %% higher, has ", number_digits(100 * (ratio - 1), 2, number))
          : arena_format(arena, "the next minimum, %s times as high, has ", number_digits(ratio, 3, number));
  bool *named = arena_array(arena, result->coefficient_count + 1, sizeof *named);
  size_t count = 0, others = 0;
  double *there = arena_array(arena, result->coefficient_count + 1, sizeof *there),
         *value = arena_array(arena, result->coefficient_count + 1, sizeof *value);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    there[i] = result->runner_up[i];
    as_told(&result->coefficients[i], &there[i], &value[i]);
    others += apart(there[i], value[i]) > apart_enough;
  }
  for (; count < NAMED && others; count++, others--) {
    size_t most = 0;
    double farthest = -1;
    for (size_t i = 0; i < result->coefficient_count; i++) {
      double distance = apart(there[i], value[i]);
      if (named[i] || !(distance > farthest)) continue;
      farthest = distance;
      most = i;
    }
    named[most] = true;
    text = arena_format(arena, "%s%s%s %s instead of %s", text, count ? ", " : "", result->coefficients[most].name,
                        number_digits(there[most], 3, number), number_digits(value[most], 3, here));
  }
  if (!count) return arena_format(arena, "%scoefficients within 2 %% of these", text);
  return others ? arena_format(arena, "%s, and %zu more that differ by over 2 %%", text, others) : text;
}

bool fit_is_zero(enum coefficient_status status, double value, double high) {
  if (status == COEFFICIENT_ONE_SIDED && value >= 0 && value < 1e-5 && value < 1e-6 * high) return true;
  if (status == COEFFICIENT_ONE_SIDED || status == COEFFICIENT_UNIDENTIFIED) return value > 0 && value < 1e-12;
  return status == COEFFICIENT_AT_LOW && value >= 0 && value < 1e-6;
}

const char *fit_value_words(struct arena *arena, enum coefficient_status status, double value, double high,
                            int digits) {
  char text[40];
  bool zero = fit_is_zero(status, value, high), open = status == COEFFICIENT_UNIDENTIFIED;
  bool bound = zero || status == COEFFICIENT_AT_LOW || status == COEFFICIENT_AT_HIGH;
  if (isnan(value)) return "";
  return arena_format(arena,
                      open    ? "(%s)"
                      : bound ? "%s (bound)"
                              : "%s",
                      number_digits(zero ? 0 : value, digits, text));
}

static const char *interval_word(enum interval_kind kind) {
  return kind == INTERVAL_BCA ? "BCa" : kind == INTERVAL_T ? "Student's t" : "percentile";
}

bool fit_many_resamples_failed(const struct fit_result *result) {
  return result->bootstrap_failed * 20 > result->bootstrap;
}

const char *fit_interval_sentence(struct arena *arena, const struct fit_result *result) {
  if (!result->bootstrap) return NULL;
  const char *text = arena_format(arena, "intervals: %s, %d bootstrap resample%s", interval_word(result->interval),
                                  result->bootstrap, result->bootstrap == 1 ? "" : "s");
  if (result->grouped_by)
    text = arena_format(arena, "%s of %zu groups of rows (equal %s)", text, result->group_count, result->grouped_by);
  if (result->bootstrap_failed && !fit_many_resamples_failed(result))  // which a warning counts
    text = arena_format(arena, "%s, some without enough different rows", text);
  return text;
}

const char *fit_std_sentence(struct arena *arena, const struct fit_result *result) {
  if (!result->std) return NULL;
  return arena_format(arena,
                      "each residual is in units of its row's standard deviation (%s), times the median of all, %s",
                      result->std, fit_residual_words(arena, result, result->std_median));
}

// ---- rows of equal settings, correlations ----

const char *fit_replication_sentence(struct arena *arena, const struct fit_result *result) {
  static const double level = 0.05;
  const struct fit_replication *r = &result->replication;
  if (isnan(r->spread)) return NULL;
  const char *text =
      arena_format(arena, "rows of equal %s (%zu setting%s, %zu rows) differ by %s (standard deviation)", r->columns,
                   r->settings, r->settings == 1 ? "" : "s", r->rows, fit_residual_words(arena, result, r->spread));
  if (r->untested) return arena_format(arena, "%s; lack of fit is not tested: %s", text, r->untested);
  return arena_format(arena,
                      "%s; the law misses the means of settings by %s (rms): %s (F(%.0f, %.0f) = %.3g, p = %.1g)", text,
                      fit_residual_words(arena, result, r->miss),
                      r->p < level ? "more than noise explains, it lacks something" : "noise explains that", r->lack,
                      r->pure, r->f, r->p);
}

const char *fit_correlation_sentence(struct arena *arena, const struct fit_result *result) {
  static const double strong = 0.9;
  size_t n = result->correlation_size;
  if (!n) return NULL;
  const char *text = isfinite(result->condition) ? arena_format(arena, "condition number %.2g", result->condition)
                                                 : "condition number beyond all digits";
  int told = 0;
  for (double floor = 1; told < 3;) {  // the strongest pairs first
    size_t a = 0, b = 0;
    double strongest = 0;
    for (size_t i = 0; i < n; i++)
      for (size_t j = 0; j < i; j++) {
        double size = fabs(result->correlation[i * n + j]);
        if (size >= floor || size <= strongest) continue;
        strongest = size;
        a = j;
        b = i;
      }
    if (strongest < strong) break;
    text = arena_format(arena, "%s%s %s and %s (%+.3f)", text, told++ ? "," : "; correlated:", result->correlated[a],
                        result->correlated[b], result->correlation[b * n + a]);
    floor = strongest;
  }
  return text;
}

// ---- diagnosis ----

bool fit_warning_is_told(const struct fit_result *result, const char *warning) {
  if (!strstr(warning, "in every row: what depends on it cannot be told")) return false;
  for (size_t i = 0; i < result->direction_count; i++)
    if (strstr(result->directions[i].advice, "(it takes one value)")) return true;
  return false;
}

const char *fit_trend_sentence(struct arena *arena, const struct fit_trend *trend) {
  if (!trend->significant) return NULL;
  return arena_format(arena, "they %s with %s by %.2g a %s (rank correlation %+.2f, p = %.1g)",
                      trend->correlation > 0 ? "rise" : "fall", trend->column, fabs(trend->slope),
                      trend->logarithmic ? "decade" : "unit", trend->correlation, trend->p);
}

const char *fit_spread_sentence(struct arena *arena, const struct fit_trend *trend) {
  if (!trend->spread_significant) return NULL;
  return arena_format(arena, "their size %s with %s (rank correlation %+.2f, p = %.1g)",
                      trend->spread_correlation > 0 ? "grows" : "shrinks", trend->column, trend->spread_correlation,
                      trend->spread_p);
}

const char *fit_influence_sentence(struct arena *arena, const struct fit_result *result,
                                   const struct fit_influential *influential) {
  const struct coefficient *c = &result->coefficients[influential->coefficient];
  const char *row = fit_row_label(arena, &result->table[influential->row]);
  if (!isfinite(influential->moves)) return arena_format(arena, "%s rests on %s alone", c->name, row);
  double without = influential->without[influential->coefficient], value;
  as_told(c, &without, &value);
  if (c->status == COEFFICIENT_UNIDENTIFIED)  // it has no standard error
    return arena_format(arena, "without %s, %s is %s%.5g instead of %.5g (it is not determined)", row, c->name,
                        influential->exact ? "" : "about ", without, value);
  return arena_format(arena, "without %s, %s is %s%.5g instead of %.5g (%+.2g standard errors)", row, c->name,
                      influential->exact ? "" : "about ", without, value, influential->moves);
}

const char *fit_outlier_sentence(struct arena *arena, const struct fit_result *result,
                                 const struct fit_outlier *outlier) {
  const struct fit_row *row = &result->table[outlier->row];
  return arena_format(arena, "%s: observed %.5g, predicted %.5g (%+.1f standard deviations)", fit_row_label(arena, row),
                      row->observed, row->predicted, outlier->deviations);
}

const char *fit_error_words(struct arena *arena, const struct fit_result *result, double error, int digits, bool sign) {
  bool absolute = fit_errors_absolute(result);
  return arena_format(arena, sign ? "%+.*g%s" : "%.*g%s", digits, absolute ? error : 100 * error, absolute ? "" : " %");
}

const char *fit_holdout_sentence(struct arena *arena, const struct fit_result *result) {
  return arena_format(arena, "held out: %zu row%s, mean error %s%s", result->held_out, result->held_out == 1 ? "" : "s",
                      fit_error_words(arena, result, result->holdout_error, 3, false),
                      fit_errors_absolute(result) ? arena_format(arena, " in %s", result->target) : "");
}

const char *fit_leave_out_sentence(struct arena *arena, const struct fit_result *result,
                                   const struct fit_leave_out *leave_out) {
  if (!isfinite(leave_out->error)) return NULL;
  return arena_format(arena, "without each %s in turn, its runs are predicted with a mean error of %s%s (bias %s)",
                      leave_out->column, fit_error_words(arena, result, leave_out->error, 2, false),
                      fit_errors_absolute(result) ? arena_format(arena, " in %s", result->target) : "",
                      fit_error_words(arena, result, leave_out->bias, 2, true));
}

const char *fit_profile_end(struct arena *arena, double value, bool open) {
  if (!isfinite(value)) return "none";
  return arena_format(arena, "%.4g%s", value, open ? " (open)" : "");
}
