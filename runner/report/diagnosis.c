// The diagnosis of a fit on the page: what the design leaves open, trends, influential rows, profiles, other
// objectives, prediction of what was left out. All of it is read from the stored document; a fit made without has none
// of it.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

static double member(const json_t *object, const char *key) {
  const json_t *value = json_object_get(object, key);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

static const char *text_member(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text ? text : "";
}

// A run's id by its first eight characters.
static const char *row_name(const char *name, char out[72]) {
  bool id = strlen(name) == 32 && strspn(name, "0123456789abcdef") == 32;
  snprintf(out, 72, "%.*s", id ? 8 : 70, name);
  return out;
}

static void put_item(struct text *out, const char *sentence) {
  text_add(out, "<li>");
  markup_escape(out, sentence);
  text_add(out, "</li>\n");
}

static void put_open(const struct report_fit *fit, struct text *out) {
  const json_t *directions = json_object_get(fit->document, "directions"), *one;
  size_t index;
  if (!json_array_size(directions)) return;
  text_add(out, "<p>What this design leaves open:</p>\n<ul>\n");
  json_array_foreach(directions, index, one) put_item(out, text_member(one, "text"));
  text_add(out, "</ul>\n");
}

static void put_trends(const struct report_fit *fit, struct text *out) {
  const json_t *trends = json_object_get(fit->document, "trends"), *one;
  size_t index, put = 0;
  char line[300];
  json_array_foreach(trends, index, one) {
    double correlation = member(one, "rank_correlation"), spread = member(one, "spread_rank_correlation");
    bool moves = json_is_true(json_object_get(one, "significant")),
         spreads = json_is_true(json_object_get(one, "spread_significant"));
    if ((moves || spreads) && !put++) text_add(out, "<p>Residuals follow columns:</p>\n<ul>\n");
    if (moves) {
      double decade = member(one, "slope_per_decade"), slope = isfinite(decade) ? decade : member(one, "slope");
      snprintf(line, sizeof line, "they %s with %.80s by %.2g a %s (rank correlation %+.2f, p = %.1g)",
               correlation > 0 ? "rise" : "fall", text_member(one, "column"), fabs(slope),
               isfinite(decade) ? "decade" : "unit", correlation, member(one, "p"));
      put_item(out, line);
    }
    if (spreads) {
      snprintf(line, sizeof line, "their size %s with %.80s (rank correlation %+.2f, p = %.1g)",
               spread > 0 ? "grows" : "shrinks", text_member(one, "column"), spread, member(one, "spread_p"));
      put_item(out, line);
    }
  }
  if (put) text_add(out, "</ul>\n");
}

// Rows whose absence moves a coefficient by a standard error or more.
static void put_influential(const struct report_fit *fit, struct text *out) {
  const json_t *rows = json_object_get(fit->document, "influential"), *one;
  size_t index, put = 0;
  char line[300], name[72];
  json_array_foreach(rows, index, one) {
    double moves = member(one, "moves");
    const char *parameter = text_member(one, "parameter");
    double without = member(json_object_get(one, "without"), parameter);
    if (fabs(moves) < 1 || put >= 5) continue;
    if (!put++) text_add(out, "<p>Runs that the fit hangs on:</p>\n<ul>\n");
    if (isfinite(moves))
      snprintf(line, sizeof line, "without %s, %.60s is %.4g (%+.2g standard errors)",
               row_name(text_member(one, "row"), name), parameter, without, moves);
    else
      snprintf(line, sizeof line, "%.60s rests on %s alone", parameter, row_name(text_member(one, "row"), name));
    put_item(out, line);
  }
  if (put) text_add(out, "</ul>\n");
}

static void begin_table(struct text *out, const char *summary, const char *const *heads, size_t count) {
  text_add(out, "<details><summary>");
  markup_escape(out, summary);
  text_add(out, "</summary>\n<div class=\"scroll\"><table><thead><tr>");
  for (size_t i = 0; i < count; i++) page_head(out, i ? NULL : "text", heads[i]);
  text_add(out, "</tr></thead>\n<tbody>\n");
}

static void end_table(struct text *out) { text_add(out, "</tbody></table></div>\n</details>\n"); }

static void profile_end(const json_t *profile, const char *end, const char *open, struct text *out) {
  char words[60];
  double value = member(profile, end);
  bool none = json_is_true(json_object_get(profile, open));
  if (isfinite(value))
    snprintf(words, sizeof words, "%.4g%s", value, none ? " (open)" : "");
  else
    snprintf(words, sizeof words, "none");
  page_cell(out, NULL, words);
}

static void put_profiles(const struct report_fit *fit, struct text *out) {
  static const char *const heads[] = {"parameter", "from", "to", ""};
  json_t *profiles = json_object_get(fit->document, "profiles"), *profile;
  const char *name;
  if (!json_object_size(profiles)) return;
  begin_table(out, "Profile likelihood", heads, 4);
  json_object_foreach(profiles, name, profile) {
    text_add(out, "<tr>");
    page_cell(out, "text", name);
    profile_end(profile, "low", "low_open", out);
    profile_end(profile, "high", "high_open", out);
    page_cell(out, "text", text_member(profile, "note"));
    text_add(out, "</tr>\n");
  }
  end_table(out);
}

static void put_sensitivity(const struct report_fit *fit, struct text *out) {
  const json_t *all = json_object_get(fit->document, "sensitivity"), *one;
  size_t index, count = json_array_size(all) + 1;
  const char *heads[16] = {"parameter", "as fitted"};
  if (count < 2 || count > 12) return;
  json_array_foreach(all, index, one) heads[2 + index] = text_member(one, "objective_kind");
  begin_table(out, "Under other objectives", heads, count + 1);
  for (size_t i = 0; i < fit->coefficient_count; i++) {
    const struct coefficient *c = &fit->coefficients[i];
    if (c->status == COEFFICIENT_FIXED || c->status == COEFFICIENT_BASELINE || c->status == COEFFICIENT_UNFITTED)
      continue;
    text_add(out, "<tr>");
    page_cell(out, "text", c->name);
    page_number(out, "%.4g", c->value);
    json_array_foreach(all, index, one) page_number(out, "%.4g", member(json_object_get(one, "parameters"), c->name));
    text_add(out, "</tr>\n");
  }
  end_table(out);
}

static void left_out_rows(const json_t *rows, const char *key, struct text *out) {
  const json_t *one;
  size_t index;
  json_array_foreach(rows, index, one) {
    text_add(out, "<tr>");
    page_cell(out, "text", text_member(one, key));
    page_number(out, "%.0f", member(one, "fitted"));
    page_number(out, "%.0f", member(one, "predicted"));
    page_number(out, "%.3g %%", 100 * member(one, "error"));
    page_number(out, "%+.2g %%", 100 * member(one, "bias"));
    page_cell(out, "text wrap", text_member(one, "reason"));
    text_add(out, "</tr>\n");
  }
}

static void put_leave_out(const struct report_fit *fit, struct text *out) {
  static const char *const heads[] = {"", "fitted", "predicted", "mean error", "bias", ""};
  const json_t *all = json_object_get(fit->document, "leave_out"), *one;
  size_t index;
  char title[200];
  json_array_foreach(all, index, one) {
    const char *column = text_member(one, "column");
    if (isfinite(member(one, "error"))) {
      text_add(out, "<p>Without each ");
      markup_escape(out, column);
      text_format(out, " in turn, its runs are predicted with a mean error of %.2g&nbsp;%% (bias %+.2g&nbsp;%%).</p>\n",
                  100 * member(one, "error"), 100 * member(one, "bias"));
    }
    snprintf(title, sizeof title, "Each %.100s left out", column);
    begin_table(out, title, heads, 6);
    left_out_rows(json_object_get(one, "values"), "value", out);
    end_table(out);
    const json_t *rollout = json_object_get(one, "rollout");
    if (!json_array_size(rollout)) continue;
    snprintf(title, sizeof title, "Fitted up to each %.100s, the rest predicted", column);
    begin_table(out, title, heads, 6);
    left_out_rows(rollout, "up_to", out);
    end_table(out);
  }
}

void page_diagnosis(const struct report_fit *fit, struct text *out) {
  put_open(fit, out);
  put_influential(fit, out);
  put_trends(fit, out);
  put_leave_out(fit, out);
  put_profiles(fit, out);
  put_sensitivity(fit, out);
}
