// The diagnosis of a fit, for people: what the design leaves open, profiles, prediction of what was left out, other
// objectives, influential rows, trends of the residuals.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/internal.h"

enum { SHOWN_ROWS = 5 };

static void print_directions(const struct fit_result *result, FILE *out) {
  if (result->direction_count) fprintf(out, "\n  what this design leaves open:\n");
  for (size_t i = 0; i < result->direction_count; i++)
    print_filled(out, result->directions[i].words, fprintf(out, "   - "), 5);
}

static void end_text(double value, bool open, char out[40]) {
  if (open && !isfinite(value))
    snprintf(out, 40, "none");
  else
    snprintf(out, 40, "%.4g%s", value, open ? " (open)" : "");
}

static void print_profiles(const struct fit_result *result, FILE *out) {
  if (!result->profile_count) return;
  fprintf(out, "\n  profile likelihood, %g %%:\n", 100 * result->confidence);
  for (size_t i = 0; i < result->profile_count; i++) {
    const struct fit_profile *profile = &result->profiles[i];
    char low[40], high[40], interval[90];
    end_text(profile->low, profile->low_open, low);
    end_text(profile->high, profile->high_open, high);
    snprintf(interval, sizeof interval, "%s .. %s", low, high);
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

static void print_leave_out(const struct fit_result *result, FILE *out) {
  for (size_t i = 0; i < result->leave_out_count; i++) {
    const struct fit_leave_out *column = &result->leave_out[i];
    static const char head[] = "  %-30s %8s %10s %11s %11s %11s\n";
    char title[80];
    snprintf(title, sizeof title, "without %s =", column->column);
    fprintf(out, "\n");
    fprintf(out, head, title, "fitted", "predicted", "mean error", "bias", "largest");
    for (size_t k = 0; k < column->value_count; k++) print_left_out(&column->values[k], out);
    if (isfinite(column->error))
      fprintf(out, "  all: mean error %.3g %%, bias %+.2g %%\n", 100 * column->error, 100 * column->bias);
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
      fprintf(out, "  (%zu smaller rollout%s could not be fitted; --json tells why)\n", too_few,
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

static bool is_id(const char *name) { return strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32; }

static void print_influence(const struct fit_result *result, FILE *out) {
  size_t moving = 0;
  while (moving < result->influential_count && fabs(result->influential[moving].moves) >= 1) moving++;
  if (moving > SHOWN_ROWS) moving = SHOWN_ROWS;
  if (result->influential_count) fprintf(out, "\n");
  if (result->influential_count && !moving) {
    const struct fit_influential *most = &result->influential[0];
    fprintf(out, "  no single row moves a coefficient by a standard error; the most, %.*s moves %s by %.2g of it\n",
            is_id(result->table[most->row].name) ? 8 : 40, result->table[most->row].name,
            result->coefficients[most->coefficient].name, most->moves);
  }
  if (moving)
    fprintf(out, "  rows that the fit hangs on (coefficients without them%s):\n",
            result->influential[0].exact ? "" : ", one step");
  for (size_t i = 0; i < moving; i++) {
    const struct fit_influential *one = &result->influential[i];
    const struct fit_row *row = &result->table[one->row];
    const struct coefficient *c = &result->coefficients[one->coefficient];
    fprintf(out, "   - %.*s%s%s: ", is_id(row->name) ? 8 : 40, row->name, *row->group ? "  " : "", row->group);
    if (isfinite(one->moves))
      fprintf(out, "%s %.5g instead of %.5g (%+.2g standard errors)\n", c->name, one->without[one->coefficient],
              c->value, one->moves);
    else
      fprintf(out, "%s rests on it alone\n", c->name);
  }
  if (!result->outlier_count) return;
  fprintf(out, "  outliers (normal errors as large as the others' would not give such residuals):\n");
  for (size_t i = 0; i < result->outlier_count && i < 2 * SHOWN_ROWS; i++) {
    const struct fit_row *row = &result->table[result->outliers[i].row];
    fprintf(out, "   - %.*s%s%s: observed %.5g, predicted %.5g (%+.1f standard deviations)\n",
            is_id(row->name) ? 8 : 40, row->name, *row->group ? "  " : "", row->group, row->observed, row->predicted,
            result->outliers[i].deviations);
  }
  if (result->outlier_count > 2 * SHOWN_ROWS)
    fprintf(out, "     and %zu more\n", result->outlier_count - (size_t)(2 * SHOWN_ROWS));
}

static void print_trends(const struct fit_result *result, FILE *out) {
  bool any = false;
  for (size_t i = 0; i < result->trend_count; i++) {
    const struct fit_trend *trend = &result->trends[i];
    if (!trend->significant && !trend->spread_significant) continue;
    if (!any) fprintf(out, "\n  residuals follow columns, so the law's form misses something there:\n");
    any = true;
    if (trend->significant)
      fprintf(out, "   - they %s with %s by %.2g%s (rank correlation %+.2f, p = %.1g)\n",
              trend->correlation > 0 ? "rise" : "fall", trend->column, fabs(trend->slope),
              trend->logarithmic ? " a decade" : " a unit", trend->correlation, trend->p);
    if (trend->spread_significant)
      fprintf(out, "   - their size %s with %s (rank correlation %+.2f, p = %.1g)\n",
              trend->spread_correlation > 0 ? "grows" : "shrinks", trend->column, trend->spread_correlation,
              trend->spread_p);
  }
}

void fit_print_diagnosis(const struct fit_result *result, FILE *out) {
  print_directions(result, out);
  print_profiles(result, out);
  print_leave_out(result, out);
  print_sensitivity(result, out);
  print_influence(result, out);
  print_trends(result, out);
}
