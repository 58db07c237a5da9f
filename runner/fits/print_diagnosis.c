// The diagnosis of a fit, for people: its remarks (what the design leaves open, influential rows, outliers, trends),
// then tables: prediction of what was left out, profiles, other objectives.
#include <math.h>

#include "runner/fits/internal.h"

static void print_remarks(const struct fit_result *result, struct arena *arena, FILE *out) {
  struct fit_remarks remarks[FIT_REMARKS];
  size_t count = fit_remarks(arena, result, remarks);
  for (size_t i = 0; i < count; i++) {
    const char *title = arena_format(arena, "%s%s", remarks[i].title, remarks[i].count ? ":" : "");
    fprintf(out, "\n");
    print_filled(out, title, fprintf(out, "  "), 2);
    for (size_t k = 0; k < remarks[i].count; k++) print_filled(out, remarks[i].items[k], fprintf(out, "   - "), 5);
  }
}

static void print_profiles(const struct fit_result *result, struct arena *arena, FILE *out) {
  if (!result->profile_count) return;
  fprintf(out, "\n  profile likelihood, %g %%:\n", 100 * result->confidence);
  for (size_t i = 0; i < result->profile_count; i++) {
    const struct fit_profile *profile = &result->profiles[i];
    const char *interval = arena_format(arena, "%s .. %s", fit_profile_end(arena, profile->low, profile->low_open),
                                        fit_profile_end(arena, profile->high, profile->high_open));
    fprintf(out, "  %-30s %12.6g   %-26s %s\n", result->coefficients[profile->coefficient].name,
            result->coefficients[profile->coefficient].value, interval, profile->words ? profile->words : "");
  }
}

static void print_left_out(const struct fit_left_out *one, FILE *out) {
  fprintf(out, "  %-30s %8zu %10zu", one->value, one->fitted_rows, one->predicted);
  if (one->trouble)
    fprintf(out, "   %s\n", one->trouble);
  else
    fprintf(out, " %9.3g %% %+9.2g %% %+9.3g %%\n", 100 * one->error, 100 * one->bias, 100 * one->largest);
}

static void print_leave_out(const struct fit_result *result, struct arena *arena, FILE *out) {
  for (size_t i = 0; i < result->leave_out_count; i++) {
    const struct fit_leave_out *column = &result->leave_out[i];
    static const char head[] = "  %-30s %8s %10s %11s %11s %11s\n";
    char title[80];
    snprintf(title, sizeof title, "without %s =", column->column);
    fprintf(out, "\n");
    fprintf(out, head, title, "fitted", "predicted", "mean error", "bias", "largest");
    for (size_t k = 0; k < column->value_count; k++)
      if (!column->values[k].trouble) print_left_out(&column->values[k], out);
    const char *cannot = fit_not_left_out_sentence(arena, column);
    if (cannot) print_filled(out, cannot, fprintf(out, "  "), 2);
    if (column->note) print_filled(out, column->note, fprintf(out, "  "), 2);
    const char *sentence = fit_leave_out_sentence(arena, column);
    if (sentence) fprintf(out, "  %s\n", sentence);
    if (!column->rollout_count) continue;
    snprintf(title, sizeof title, "fitted on %s up to", column->column);
    fprintf(out, "\n");
    fprintf(out, head, title, "fitted", "predicted", "mean error", "bias", "largest");
    size_t too_few = 0;
    for (size_t k = 0; k < column->rollout_count; k++)
      if (column->rollout[k].trouble && k + 2 < column->rollout_count)
        too_few++;
      else
        print_left_out(&column->rollout[k], out);
    if (too_few)
      fprintf(out, "  (%zu smaller rollout%s could not be fitted; --json says why)\n", too_few,
              too_few == 1 ? "" : "s");
  }
}

// One column an objective, a line a fitted coefficient.
static void print_sensitivity(const struct fit_result *result, FILE *out) {
  if (!result->sensitivity_count) return;
  char objective[48];
  objective_text(result->objective_kind, objective);
  fprintf(out, "\n  %-30s %12s", "under other objectives", objective);
  for (size_t k = 0; k < result->sensitivity_count; k++) fprintf(out, " %13s", result->sensitivity[k].objective);
  fprintf(out, "\n");
  for (size_t e = 0; e < result->coefficient_count; e++) {
    const struct coefficient *c = &result->coefficients[e];
    if (c->status == COEFFICIENT_FIXED || c->status == COEFFICIENT_BASELINE || c->status == COEFFICIENT_UNFITTED)
      continue;
    fprintf(out, "  %-30s %12.5g", c->name, c->value);
    for (size_t k = 0; k < result->sensitivity_count; k++) fprintf(out, " %13.5g", result->sensitivity[k].values[e]);
    fprintf(out, "\n");
  }
}

void fit_print_diagnosis(const struct fit_result *result, FILE *out) {
  struct arena arena = {0};
  print_remarks(result, &arena, out);
  print_leave_out(result, &arena, out);
  print_profiles(result, &arena, out);
  print_sensitivity(result, out);
  arena_free(&arena);
}
