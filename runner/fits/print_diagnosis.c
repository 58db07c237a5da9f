// The diagnosis of a fit, for people: its remarks (what the design leaves open, influential rows, outliers, trends),
// then tables: prediction of what was left out, profiles, other objectives.
#include <math.h>

#include "runner/fits/internal.h"
#include "runner/terminal/table.h"

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
  struct text_table table = {.gap = 1, .indent = 2};
  text_table_columns(&table, (const struct text_column[]){
                                 {"", .least = 30}, {"", .right = true, .least = 12}, {"", .least = 28}, {""}, {0}});
  for (size_t i = 0; i < result->profile_count; i++) {
    const struct fit_profile *profile = &result->profiles[i];
    const char *interval = arena_format(arena, "%s .. %s", fit_profile_end(arena, profile->low, profile->low_open),
                                        fit_profile_end(arena, profile->high, profile->high_open));
    const struct coefficient *c = &result->coefficients[profile->coefficient];
    text_table_cell(&table, "%s", c->name);
    text_table_cell(&table, "%s", fit_value_elsewhere(arena, c, c->value, 6));
    text_table_cell(&table, "  %s", interval);
    text_table_cell(&table, "%s", profile->words ? profile->words : "");
  }
  fprintf(out, "\n  profile likelihood, %g %%:\n", 100 * result->confidence);
  text_table_print(&table, out);
  text_table_free(&table);
}

static struct text_table left_out_table(const char *title) {
  static const char *const heads[] = {"fitted", "predicted", "mean error", "bias", "largest"};
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_column(&table, (struct text_column){title, .least = 28});
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)  // the reason why there is no error may be long
    text_table_column(&table, (struct text_column){heads[i], .right = true, .least = 10, .most = 10});
  return table;
}

static void add_left_out(struct text_table *table, const struct fit_result *result, struct arena *arena,
                         const struct fit_left_out *one) {
  text_table_cell(table, "%s", one->value);
  text_table_cell(table, "%zu", one->fitted_rows);
  text_table_cell(table, "%zu", one->predicted);
  if (one->trouble) {
    text_table_cell(table, "%s", one->trouble);
    for (int empty = 0; empty < 2; empty++) text_table_cell(table, "%s", "");
    return;
  }
  text_table_cell(table, "%s", fit_error_words(arena, result, one->error, 3, false));
  text_table_cell(table, "%s", fit_error_words(arena, result, one->bias, 2, true));
  text_table_cell(table, "%s", fit_error_words(arena, result, one->largest, 3, true));
}

static void end_table(struct text_table *table, FILE *out) {
  fprintf(out, "\n");
  text_table_print(table, out);
  text_table_free(table);
}

static void print_leave_out(const struct fit_result *result, struct arena *arena, FILE *out) {
  for (size_t i = 0; i < result->leave_out_count; i++) {
    const struct fit_leave_out *column = &result->leave_out[i];
    struct text_table table = left_out_table(arena_format(arena, "without %s =", column->column));
    size_t predicted = 0;
    for (size_t k = 0; k < column->value_count; k++)
      if (!column->values[k].trouble) {
        add_left_out(&table, result, arena, &column->values[k]);
        predicted++;
      }
    if (predicted)
      end_table(&table, out);
    else
      text_table_free(&table);
    const char *cannot = fit_not_left_out_sentence(arena, column);
    if (cannot) print_filled(out, cannot, fprintf(out, "  "), 2);
    if (column->note) print_filled(out, column->note, fprintf(out, "  "), 2);
    const char *sentence = fit_leave_out_sentence(arena, result, column);
    if (sentence) fprintf(out, "  %s\n", sentence);
    if (!column->rollout_count) continue;
    table = left_out_table(arena_format(arena, "fitted on %s up to", column->column));
    size_t too_few = 0;
    for (size_t k = 0; k < column->rollout_count; k++)
      if (column->rollout[k].trouble && k + 2 < column->rollout_count)
        too_few++;
      else
        add_left_out(&table, result, arena, &column->rollout[k]);
    end_table(&table, out);
    if (too_few)
      fprintf(out, "  (%zu smaller rollout%s could not be fitted; --json says why)\n", too_few,
              too_few == 1 ? "" : "s");
  }
}

// The lower part of the rows fitted, the rest predicted.
static void print_rollouts(const struct fit_result *result, struct arena *arena, FILE *out) {
  static const struct text_column columns[] = {
      {"rollouts: fitted on", .least = 28}, {"fitted", .right = true},         {"predicted", .right = true},
      {"times outside", .right = true},     {"mean error", .right = true},     {"bias", .right = true},
      {"largest", .right = true},           {"intervals held", .right = true}, {0}};
  struct text_table table = {.gap = 2, .indent = 2};
  const struct fit_rollouts *rollouts = &result->rollouts;
  if (rollouts->none) fprintf(out, "\n  no rollouts: %s\n", rollouts->none);
  if (!rollouts->error_count) return;
  text_table_columns(&table, columns);
  for (size_t i = 0; i < rollouts->cut_count; i++) {
    const struct rollout *cut = &rollouts->cuts[i];
    text_table_cell(&table, "%s", rollout_cut_label(arena, cut));
    text_table_cell(&table, "%zu", cut->fitted_rows);
    text_table_cell(&table, "%zu", cut->predicted);
    if (cut->trouble) {
      for (int empty = 0; empty < 5; empty++) text_table_cell(&table, "%s", "-");
      text_table_note(&table, arena_format(arena, "    %s\n", cut->trouble));
      continue;
    }
    text_table_cell(&table, "%.3g .. %.3g", cut->nearest, cut->farthest);
    text_table_cell(&table, "%.3g %%", 100 * cut->error);
    text_table_cell(&table, "%+.2g %%", 100 * cut->bias);
    text_table_cell(&table, "%+.3g %%", 100 * cut->largest);
    text_table_cell(&table, cut->judged ? "%zu of %zu" : "-", cut->held, cut->judged);
  }
  end_table(&table, out);
}

// One column an objective, a line a fitted coefficient.
static void print_sensitivity(const struct fit_result *result, struct arena *arena, FILE *out) {
  if (!result->sensitivity_count) return;
  char objective[OBJECTIVE_TEXT];
  objective_text(result->objective_kind, objective);
  struct text_table table = {.gap = 2, .indent = 2};
  text_table_column(&table, (struct text_column){"under other objectives", .least = 28});
  text_table_column(&table, (struct text_column){objective, .right = true, .least = 11});
  for (size_t k = 0; k < result->sensitivity_count; k++)
    text_table_column(&table, (struct text_column){result->sensitivity[k].objective, .right = true, .least = 11});
  for (size_t e = 0; e < result->coefficient_count; e++) {
    const struct coefficient *c = &result->coefficients[e];
    if (c->status == COEFFICIENT_FIXED || c->status == COEFFICIENT_BASELINE || c->status == COEFFICIENT_UNFITTED)
      continue;
    text_table_cell(&table, "%s", c->name);
    text_table_cell(&table, "%s", fit_value_elsewhere(arena, c, c->value, 5));
    for (size_t k = 0; k < result->sensitivity_count; k++)
      text_table_cell(&table, "%s", fit_value_elsewhere(arena, c, result->sensitivity[k].values[e], 5));
  }
  end_table(&table, out);
}

void fit_print_diagnosis(const struct fit_result *result, const struct fit_print_options *options, FILE *out) {
  struct arena arena = {0};
  if (options->details) print_remarks(result, &arena, out);
  print_leave_out(result, &arena, out);
  if (options->details) print_rollouts(result, &arena, out);
  if (options->details || options->profiles) print_profiles(result, &arena, out);
  if (options->details) print_sensitivity(result, &arena, out);
  arena_free(&arena);
}
