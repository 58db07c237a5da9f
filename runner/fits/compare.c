// See compare.h.
#include "runner/fits/compare.h"

#include <math.h>

#include "fitting/sentences.h"
#include "runner/terminal/table.h"

// What AICc says of another law next to the best one by it: "AICc differs by 2, and 4 is little".
static const char *aicc_words(struct arena *arena, const struct law_standing *best, const struct law_standing *other) {
  char text[40];
  number_digits(other->aicc_behind, 3, text);
  return other->aicc_behind < 4 ? arena_format(arena, "AICc differs by %s, and 4 is little", text)
                                : arena_format(arena, "AICc is lower for %s by %s", best->law, text);
}

// What the held-out rows say: for the other law, for neither, for the best one.
static const char *held_out_words(struct arena *arena, const struct law_standing *best,
                                  const struct law_standing *other) {
  char text[40], se[40];
  double behind = other->held_out_behind, error = other->held_out_behind_se;
  number_digits(fabs(behind), 3, text);
  number_digits(error, 2, se);
  if (other->predicts_better || behind > 2 * error)
    return arena_format(arena, "held-out loss is lower for %s by %s (standard error %s)",
                        other->predicts_better ? other->law : best->law, text, se);
  return arena_format(arena, "held-out loss of %s is %s by %s, with a standard error of %s", other->law,
                      behind < 0 ? "lower" : "higher", text, se);
}

// One answer for each law next to the best by AICc: better by both criteria, or the data cannot tell, and why.
static void print_verdict(const struct comparison *comparison, FILE *out) {
  const struct law_standing *best = &comparison->laws[0];
  struct arena arena = {0};
  bool clear = true, scored = comparison->held_out > 0;
  for (size_t l = 1; l < comparison->count; l++) {
    const struct law_standing *other = &comparison->laws[l];
    clear &= other->told_apart;
    if (other->told_apart) continue;
    const char *text = arena_format(&arena, "The data cannot tell %s from %s", other->law, best->law);
    bool judged = scored && isfinite(other->held_out_behind_se);
    if (isfinite(other->aicc_behind)) text = arena_format(&arena, "%s: %s", text, aicc_words(&arena, best, other));
    if (judged)
      text = arena_format(&arena, "%s%s%s", text, isfinite(other->aicc_behind) ? "; " : ": ",
                          held_out_words(&arena, best, other));
    if (other->predicts_better && other->aicc_behind >= 4) text = arena_format(&arena, "%s: the two disagree", text);
    print_filled(out, arena_format(&arena, "%s.", text), fprintf(out, "  "), 4);
  }
  if (clear)
    fprintf(out, "  %s is better than the others on these rows, by AICc%s.\n", best->law,
            scored ? " and on held-out rows" : " (nothing was held out)");
  arena_free(&arena);
}

// What was not fitted: " (baseline)", " (fixed)", " (tied)".
static const char *given_words(struct arena *arena, enum coefficient_status status) {
  bool given = status == COEFFICIENT_BASELINE || status == COEFFICIENT_FIXED || status == COEFFICIENT_TIED;
  return given ? arena_format(arena, " (%s)", coefficient_status_name(status)) : "";
}

static void print_coefficients(const struct comparison *comparison, FILE *out) {
  struct arena arena = {0};
  fprintf(out, "\n");
  for (size_t l = 0; l < comparison->count; l++) {
    const struct law_standing *s = &comparison->laws[l];
    const char *text = arena_format(&arena, "%s:", s->law);
    for (size_t i = 0; i < s->coefficient_count; i++)
      text = arena_format(&arena, "%s%s %s %s%s", text, i ? "," : "", s->coefficients[i].name,
                          fit_value_words(&arena, s->coefficients[i].status, s->coefficients[i].value, NAN, 4),
                          given_words(&arena, s->coefficients[i].status));
    print_filled(out, text, fprintf(out, "  "), 4);
  }
  arena_free(&arena);
}

void comparison_print(const struct comparison *comparison, FILE *out) {
  char objective[OBJECTIVE_TEXT], a[40], b[40], c[40], d[40], e[40], f[40], h[40];
  objective_text(comparison->objective, objective);
  fprintf(out, "%zu laws on the same %zu row%s of %s; %s on %s of %s\n", comparison->count, comparison->rows,
          comparison->rows == 1 ? "" : "s", comparison->source, objective,
          comparison->residual == RESIDUAL_LOG ? "the logarithm" : "the value", comparison->target);
  if (comparison->folds)
    fprintf(out, "  held out: every row once, in %d folds of %zu groups\n", comparison->folds, comparison->groups);
  else if (comparison->holdout)
    fprintf(out, "  held out: %zu row%s\n", comparison->held_out, comparison->held_out == 1 ? "" : "s");
  static const char *const heads[] = {"parameters", "objective", "rms", "AIC", "AICc", "BIC", "behind", "held out"};
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_column(&table, (struct text_column){"law", .least = 22});
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
    text_table_column(&table, (struct text_column){heads[i], .right = true, .least = 9});
  for (size_t l = 0; l < comparison->count; l++) {
    const struct law_standing *s = &comparison->laws[l];
    char error[50] = "-";
    bool absolute = comparison->errors_absolute;
    if (isfinite(s->held_out_error))
      snprintf(error, sizeof error, "%s%s", number_digits((absolute ? 1 : 100) * s->held_out_error, 3, h),
               absolute ? "" : " %");
    const char *const cells[] = {number_digits(s->objective, 6, a),
                                 number_digits(s->residual_rms, 4, b),
                                 number_digits(s->aic, 6, c),
                                 number_digits(s->aicc, 6, d),
                                 number_digits(s->bic, 6, e),
                                 number_digits(s->aicc_behind, 4, f),
                                 error};
    text_table_cell(&table, "%s", s->law);
    text_table_cell(&table, "%zu", s->parameters);
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) text_table_cell(&table, "%s", cells[i]);
  }
  fprintf(out, "\n");
  text_table_print(&table, out);
  text_table_free(&table);
  fprintf(
      out,
      "\n  parameters: fitted ones%s; AIC, AICc, BIC: lower is better, of the likelihood that\n  belongs to the objective; "
      "behind: in AICc; held out: mean error of predictions of rows not fitted%s%s\n\n",
      comparison->objective.kind == OBJECTIVE_STUDENT_T ? " (the scale is given)" : " and the scale of the residuals",
      comparison->errors_absolute ? ", in " : "", comparison->errors_absolute ? comparison->target : "");
  print_verdict(comparison, out);
  print_coefficients(comparison, out);
  for (size_t l = 0; l < comparison->count; l++)
    for (size_t i = 0; i < comparison->laws[l].warning_count; i++)
      fprintf(out, "  warning: %s: %s\n", comparison->laws[l].law, comparison->laws[l].warnings[i]);
  if (comparison->duplicates)
    fprintf(out, "  %zu row%s others and count%s once (--keep-duplicates counts all)\n", comparison->duplicates,
            comparison->duplicates == 1 ? " repeats" : "s repeat", comparison->duplicates == 1 ? "s" : "");
  for (size_t i = 0; i < comparison->warning_count; i++) fprintf(out, "  warning: %s\n", comparison->warnings[i]);
}
