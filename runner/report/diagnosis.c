// The diagnosis of a fit on the page: its remarks (what the design leaves open, influential rows, outliers, trends),
// then tables: prediction of what was left out, profiles, other objectives. A fit made without has none of it.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

static void put_remarks(const struct report_fit *fit, struct text *out) {
  struct arena arena = {0};
  struct fit_remarks remarks[FIT_REMARKS];
  size_t count = fit_remarks(&arena, &fit->result, remarks);
  for (size_t i = 0; i < count; i++) {
    text_add(out, "<p>");
    page_sentence(out, remarks[i].title);
    text_add(out, remarks[i].count ? ":</p>\n<ul>\n" : ".</p>\n");
    for (size_t k = 0; k < remarks[i].count; k++) {
      text_add(out, "<li>");
      page_sentence(out, remarks[i].items[k]);
      text_add(out, "</li>\n");
    }
    if (remarks[i].count) text_add(out, "</ul>\n");
  }
  arena_free(&arena);
}

static void begin_table(struct text *out, const char *summary, const char *const *heads, size_t count) {
  text_add(out, "<details><summary>");
  markup_escape(out, summary);
  text_add(out, "</summary>\n<div class=\"scroll\"><table><thead><tr>");
  for (size_t i = 0; i < count; i++) page_head(out, i ? NULL : "text", heads[i]);
  text_add(out, "</tr></thead>\n<tbody>\n");
}

static void end_table(struct text *out) { text_add(out, "</tbody></table></div>\n</details>\n"); }

static void put_profiles(const struct report_fit *fit, struct text *out) {
  static const char *const heads[] = {"parameter", "from", "to", ""};
  struct arena arena = {0};
  if (!fit->result.profile_count) return;
  begin_table(out, "Profile likelihood", heads, 4);
  for (size_t i = 0; i < fit->result.profile_count; i++) {
    const struct fit_profile *profile = &fit->result.profiles[i];
    text_add(out, "<tr>");
    page_cell(out, "text", fit->result.coefficients[profile->coefficient].name);
    page_cell(out, NULL, fit_profile_end(&arena, profile->low, profile->low_open));
    page_cell(out, NULL, fit_profile_end(&arena, profile->high, profile->high_open));
    page_cell(out, "text", profile->words ? profile->words : "");
    text_add(out, "</tr>\n");
  }
  end_table(out);
  arena_free(&arena);
}

static void put_sensitivity(const struct report_fit *fit, struct text *out) {
  struct arena arena = {0};
  const struct fit_result *result = &fit->result;
  const char *heads[16] = {"parameter", "as fitted"};
  size_t count = result->sensitivity_count;
  if (count == 0 || count > 11) return;
  for (size_t k = 0; k < count; k++) heads[2 + k] = result->sensitivity[k].objective;
  begin_table(out, "Under other objectives", heads, count + 2);
  for (size_t i = 0; i < result->coefficient_count; i++) {
    const struct coefficient *c = &result->coefficients[i];
    if (c->status == COEFFICIENT_FIXED || c->status == COEFFICIENT_BASELINE || c->status == COEFFICIENT_UNFITTED)
      continue;
    text_add(out, "<tr>");
    page_cell(out, "text", c->name);
    page_cell(out, NULL, fit_value_elsewhere(&arena, c, c->value, 4));
    for (size_t k = 0; k < count; k++)
      page_cell(out, NULL, fit_value_elsewhere(&arena, c, result->sensitivity[k].values[i], 4));
    text_add(out, "</tr>\n");
  }
  end_table(out);
  arena_free(&arena);
}

// once: what could not be left out is reported above the table.
static void left_out_rows(const struct fit_result *result, const struct fit_left_out *rows, size_t count, bool once,
                          struct text *out) {
  struct arena arena = {0};
  for (size_t i = 0; i < count; i++) {
    const struct fit_left_out *one = &rows[i];
    if (one->trouble && once) continue;
    text_add(out, "<tr>");
    page_cell(out, "text", one->value);
    page_number(out, "%.0f", (double)one->fitted_rows);
    page_number(out, "%.0f", (double)one->predicted);
    bool known = isfinite(one->error);
    page_cell(out, NULL, known ? fit_error_words(&arena, result, one->error, 3, false) : "–");
    page_cell(out, NULL, known ? fit_error_words(&arena, result, one->bias, 2, true) : "–");
    page_cell(out, "text wrap", one->trouble ? one->trouble : "");
    text_add(out, "</tr>\n");
  }
  arena_free(&arena);
}

static void put_leave_out(const struct report_fit *fit, struct text *out) {
  static const char *const heads[] = {"", "fitted", "predicted", "mean error", "bias", ""};
  struct arena arena = {0};
  for (size_t i = 0; i < fit->result.leave_out_count; i++) {
    const struct fit_leave_out *column = &fit->result.leave_out[i];
    const char *sentence = fit_leave_out_sentence(&arena, &fit->result, column);
    if (sentence) {
      text_add(out, "<p>");
      page_sentence(out, sentence);
      text_add(out, ".</p>\n");
    }
    const char *const more[] = {column->note, fit_not_left_out_sentence(&arena, column)};
    for (size_t k = 0; k < 2; k++) {
      if (!more[k]) continue;
      text_add(out, "<p>");
      page_sentence(out, more[k]);
      text_add(out, ".</p>\n");
    }
    begin_table(out, arena_format(&arena, "Each %s left out", column->column), heads, 6);
    left_out_rows(&fit->result, column->values, column->value_count, true, out);
    end_table(out);
    if (!column->rollout_count) continue;
    begin_table(out, arena_format(&arena, "Fitted up to each %s, the rest predicted", column->column), heads, 6);
    left_out_rows(&fit->result, column->rollout, column->rollout_count, false, out);
    end_table(out);
  }
  arena_free(&arena);
}

// The lower part of the rows fitted, the rest predicted: below, how far off the law was by distance.
static void put_rollouts(const struct report_fit *fit, struct text *out) {
  static const char *const heads[] = {"fitted on",  "fitted", "predicted", "times outside",
                                      "mean error", "bias",   "largest",   "intervals held"};
  struct arena arena = {0};
  const struct fit_rollouts *rollouts = &fit->result.rollouts;
  if (rollouts->none) {
    text_add(out, "<p>No rollouts: ");
    markup_escape(out, rollouts->none);
    text_add(out, ".</p>\n");
  }
  if (!rollouts->error_count) return;
  begin_table(out, "Rollouts: the lower part of the rows fitted, the rest predicted", heads, 8);
  for (size_t i = 0; i < rollouts->cut_count; i++) {
    const struct rollout *cut = &rollouts->cuts[i];
    text_add(out, "<tr>");
    page_cell(out, "text", rollout_cut_label(&arena, cut));
    page_number(out, "%.0f", (double)cut->fitted_rows);
    page_number(out, "%.0f", (double)cut->predicted);
    page_cell(out, NULL,
              cut->trouble ? cut->trouble : arena_format(&arena, "%.3g to %.3g", cut->nearest, cut->farthest));
    page_number(out, "%.3g %%", 100 * cut->error);
    page_number(out, "%+.2g %%", 100 * cut->bias);
    page_number(out, "%+.3g %%", 100 * cut->largest);
    page_cell(out, NULL, cut->judged ? arena_format(&arena, "%zu of %zu", cut->held, cut->judged) : "–");
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n<ul>\n");
  for (size_t i = 0; i < rollouts->error_count; i++) {
    text_add(out, "<li>");
    page_sentence(out, rollout_errors_sentence(&arena, &rollouts->errors[i]));
    text_add(out, "</li>\n");
  }
  text_add(out, "</ul>\n</details>\n");
  arena_free(&arena);
}

void page_diagnosis(const struct report_fit *fit, struct text *out) {
  put_remarks(fit, out);
  put_leave_out(fit, out);
  put_rollouts(fit, out);
  put_profiles(fit, out);
  put_sensitivity(fit, out);
}
