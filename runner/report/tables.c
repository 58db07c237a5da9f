// The tables of the page: coefficients of fits, runs, failures.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

static const struct law *law_of(const struct report_fit *fit) { return fit->law_loaded ? &fit->law : NULL; }

// A value with its interval and standard error as cells: a dash is a side on which the data set no limit, brackets hold
// the value of what they do not determine. Four digits, or as many as set the ends apart.
static void value_cells(struct text *out, enum coefficient_status status, double value, double low, double high,
                        double se) {
  struct arena arena = {0};
  char words[80], a[32], b[32];
  int digits = interval_digits(low, high, 4);
  page_cell(out, NULL, fit_value_words(&arena, status, value, high, digits));
  if (isfinite(low) || isfinite(high))
    snprintf(words, sizeof words, "%s … %s", digits_words(low, digits, a), digits_words(high, digits, b));
  else
    snprintf(words, sizeof words, "–");
  page_cell(out, NULL, words);
  page_cell(out, NULL, digits_words(se, 2, a));
  arena_free(&arena);
}

static void coefficient_rows(const struct report_fit *fit, struct text *out) {
  struct arena arena = {0};
  for (size_t i = 0; i < fit->result.coefficient_count; i++) {
    const struct coefficient *c = &fit->result.coefficients[i];
    text_add(out, "<tr>");
    page_cell(out, "text", c->name);
    value_cells(out, c->status, c->value, c->low, c->high, c->se);
    page_cell(out, "text", fit_coefficient_note(&arena, &fit->result, law_of(fit), c));
    text_add(out, "</tr>\n");
  }
  arena_free(&arena);
}

// Derived quantities: those that are exponents are among the coefficients, the others in a table that opens.
static size_t derived_rows(const struct report_fit *fit, bool exponents, struct text *out) {
  struct arena arena = {0};
  size_t count = 0;
  for (size_t i = 0; i < fit->result.derived_count; i++) {
    const struct fit_derived *derived = &fit->result.derived[i];
    if (!isfinite(derived->value) || law_is_exponent(law_of(fit), derived->name) != exponents) continue;
    count++;
    if (!out) continue;
    text_add(out, "<tr>");
    page_cell(out, "text", derived->name);
    value_cells(out, derived->status, derived->value, derived->low, derived->high, derived->se);
    page_cell(out, "text wrap", fit_derived_note(&arena, &fit->result, law_of(fit), derived));
    text_add(out, "</tr>\n");
  }
  arena_free(&arena);
  return count;
}

static void coefficient_head(const struct report_fit *fit, const char *class_name, struct text *out) {
  char interval[40];
  snprintf(interval, sizeof interval, "%g %% interval", 100 * fit->result.confidence);
  text_format(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr>", class_name);
  page_head(out, "text", "");
  page_head(out, NULL, "value");
  page_head(out, NULL, interval);
  page_head(out, NULL, "standard error");
  page_head(out, "text", "");
  text_add(out, "</tr></thead>\n<tbody>\n");
}

static void derived_table(const struct report_fit *fit, struct text *out) {
  size_t count = derived_rows(fit, false, NULL);
  if (count == 0) return;
  text_format(out, "<details><summary>%zu derived quantit%s</summary>\n", count, count == 1 ? "y" : "ies");
  coefficient_head(fit, "derived", out);
  derived_rows(fit, false, out);
  text_add(out, "</tbody></table></div>\n");
  struct arena arena = {0};
  const char *held_back = derived_held_back_sentence(&arena, &fit->result);
  if (held_back) {
    text_add(out, "<p>");
    page_sentence(out, held_back);
    text_add(out, ".</p>\n");
  }
  arena_free(&arena);
  text_add(out, "</details>\n");
}

static void known_table(const struct report_fit *fit, struct text *out) {
  if (fit->known_count == 0) return;
  text_add(out,
           "<p>The source is synthetic; this is known of it:</p>\n<div class=\"scroll\"><table class=\"known\">"
           "<thead><tr>");
  page_head(out, "text", "");
  page_head(out, NULL, "fitted");
  page_head(out, NULL, "known");
  page_head(out, NULL, "off by");
  page_head(out, NULL, "fitted with E held");
  page_head(out, "text", "where the known value comes from");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < fit->known_count; i++) {
    const struct report_known *k = &fit->known[i];
    text_add(out, "<tr>");
    page_cell(out, "text", k->name);
    page_number(out, "%.4g", k->fitted);
    page_number(out, "%.4g", k->known);
    page_number(out, "%+.1f %%", 100 * (k->fitted / k->known - 1));
    page_number(out, "%.4g", k->with_known_e);
    page_cell(out, "text wrap", k->meaning);
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
}

void page_leads(const struct report *report, struct text *out) {
  struct arena arena = {0};
  for (size_t i = 0; i < report->fit_count; i++) {
    const struct report_fit *fit = &report->fits[i];
    if (!fit->made) continue;
    if (fit->result.answer) {
      text_add(out, "<p class=\"lead\">");
      markup_escape(out, fit->result.answer);  // as it is: it begins with a name
      text_add(out, ".</p>\n");
    }
    text_add(out, fit->result.answer ? "<p>Fit <b>" : "<p class=\"lead\">Fit <b>");
    markup_escape(out, fit->name);
    struct measure outcome = report_measures(report, fit).outcome;
    bool absolute = fit_errors_absolute(&fit->result);
    if (isfinite(fit->largest_error) && absolute)
      text_format(out,
                  "</b> was made on %zu rows; no single run among those fitted lies further than "
                  "<b>%.3g</b> from its %s (%.2g on average)",
                  fit->result.rows, fit->largest_error, outcome.title, fit->mean_error);
    else if (isfinite(fit->largest_error))
      text_format(out,
                  "</b> was made on %zu rows; no single run among those fitted lies further than "
                  "<b>%.2f&nbsp;%%</b> from %s (%.2f&nbsp;%% on average)",
                  fit->result.rows, 100 * fit->largest_error,
                  measure_is_loss(&outcome) ? "it" : arena_format(&arena, "its %s", outcome.title),
                  100 * fit->mean_error);
    else
      text_format(out, "</b> was made on %zu row%s", fit->result.rows, fit->result.rows == 1 ? "" : "s");
    if (isfinite(fit->result.holdout_error))
      text_format(out, "; the %zu row%s held out %s predicted with a mean error of <b>%s</b>", fit->result.held_out,
                  fit->result.held_out == 1 ? "" : "s", fit->result.held_out == 1 ? "is" : "are",
                  fit_error_words(&arena, &fit->result, fit->result.holdout_error, 3, false));
    text_add(out, ".</p>\n");
  }
  arena_free(&arena);
}

static void fit_foot(const struct report *report, const struct report_fit *fit, struct text *out) {
  struct arena arena = {0};
  const char *const sentences[] = {
      fit_rows_sentence(&arena, &fit->result),
      fit_loss_sentence(&arena, &fit->result),
      fit_objective_sentence(&arena, &fit->result),
      fit_starts_sentence(&arena, &fit->result),
      fit->result.global_count ? fit_global_sentence(&arena, &fit->result, fit->result.globals) : NULL,
      fit_runner_up_sentence(&arena, &fit->result),
      fit_std_sentence(&arena, &fit->result),
      fit_interval_sentence(&arena, &fit->result),
      fit->result.grouping,
      fit->result.interval_reason,
      fit_replication_sentence(&arena, &fit->result),
      fit_correlation_sentence(&arena, &fit->result),
      fit_made_sentence(&arena, &fit->result),
      fit_settings_sentence(&arena, &fit->result)};
  text_add(out, "<p class=\"quiet\">");
  for (size_t i = 0; i < sizeof sentences / sizeof *sentences; i++) {
    if (!sentences[i]) continue;
    page_sentence(out, sentences[i]);
    text_add(out, ". ");
  }
  arena_free(&arena);
  // The convention alone can move an exponent a long way: say what it leaves out here.
  double low = INFINITY, high = 0;
  for (size_t i = 0; i < report->count; i++) {
    if (!fit->fitted[i]) continue;
    double total = report_number(report, &report->runs[i], "parameters_total"),
           counted = report_number(report, &report->runs[i], fit->size_column);
    if (!(total > 0) || !(counted > 0)) continue;
    low = fmin(low, total / counted);
    high = fmax(high, total / counted);
  }
  text_add(out, report->command ? "N: " : "N counts ");  // of a table: "as in column N of runs.csv"
  markup_escape(out, fit->parameter_count);
  if (!report->command) text_add(out, " parameters");
  if (high > 1.001)
    text_format(out, "; all parameters are %.3g to %.3g times as many, and another count gives other exponents", low,
                high);
  text_add(out, ".</p>\n");
}

void page_fits(const struct report *report, struct text *out) {
  for (size_t i = 0; i < report->fit_count; i++) {
    const struct report_fit *fit = &report->fits[i];
    text_add(out, "<section class=\"fit\">\n<h3>");
    markup_escape(out, fit->name);
    if (strcmp(fit->name, fit->law_name) != 0) {
      text_add(out, " <span class=\"quiet\">law ");
      markup_escape(out, fit->law_name);
      text_add(out, "</span>");
    }
    text_add(out, "</h3>\n");
    const char *formula = fit->result.formula ? fit->result.formula : fit->law_loaded ? fit->law.formula_text : NULL;
    if (formula) {
      text_add(out, "<p class=\"formula\"><code>");
      markup_escape(out, fit->target);
      text_add(out, " = ");
      markup_escape(out, formula);
      text_add(out, "</code></p>\n");
    }
    if (!fit->made) {
      text_add(out, "<p>Not fitted yet.</p>\n</section>\n");
      continue;
    }
    coefficient_head(fit, "coefficients", out);
    coefficient_rows(fit, out);
    derived_rows(fit, true, out);
    text_add(out, "</tbody></table></div>\n");
    known_table(fit, out);
    derived_table(fit, out);
    page_diagnosis(fit, out);
    fit_foot(report, fit, out);
    text_add(out, "</section>\n");
  }
}

static void axis_cell(const struct report *report, const struct report_run *run, const struct run_field *field,
                      struct text *out) {
  struct value value = report_get(report, run, field->path);
  char number[32] = "–";
  switch (value.kind) {
    case VALUE_TEXT:
      page_cell(out, "text", value.text);
      return;
    case VALUE_NUMBER:
      snprintf(number, sizeof number, "%.4g", value.number);
      break;
    case VALUE_BOOLEAN:
      strcpy(number, value.number ? "true" : "false");
      break;
    case VALUE_MISSING:
      break;
  }
  page_cell(out, NULL, number);
}

// Of fits that are made by the values of a column, that of the run's.
static const struct report_fit *fit_of_run(const struct report *report, const struct report_fit *fit, size_t run) {
  for (size_t i = 0; i < report->fit_count && fit->result.by && !isfinite(fit->predicted[run]); i++) {
    const struct report_fit *part = &report->fits[i];
    bool same = part->made && part->entry == fit->entry && part->result.by &&
                strcmp(part->law_name, fit->law_name) == 0 && strcmp(part->target, fit->target) == 0;
    if (same && isfinite(part->predicted[run])) return part;
  }
  return fit;
}

// What the head of a column means, with its unit.
static void measure_sentence(struct text *out, const char *head, const struct measure *measure) {
  struct arena arena = {0};
  markup_escape(out, arena_format(&arena, "%s: %s. ", head, measure_words(measure, &arena)));
  arena_free(&arena);
}

void page_runs(const struct report *report, struct text *out) {
  enum { MOST_AXES = 8 };
  size_t axes = report->axis_count < MOST_AXES ? report->axis_count : MOST_AXES;
  bool bytes = false, predicted = false;
  for (size_t i = 0; i < report->count; i++) bytes |= isfinite(report->runs[i].bits_per_byte);
  const struct report_fit *fit = NULL;
  // The first that predicts the loss, else the first.
  for (int pass = 0; pass < 2; pass++)
    for (size_t i = 0; i < report->fit_count && !fit; i++)
      if (report->fits[i].made && report->fits[i].law_loaded &&
          (pass || strcmp(report->fits[i].target, report->outcome) == 0))
        fit = &report->fits[i];
  const struct measures named = report_measures(report, fit);
  const struct measure loss = report_measures(report, NULL).outcome;
  bool other = fit && strcmp(fit->target, report->outcome) != 0;
  for (size_t i = 0; fit && i < report->count; i++) predicted |= isfinite(fit->predicted[i]);
  text_add(out, "<div class=\"scroll\"><table class=\"runs\" data-links><thead><tr>");
  page_head(out, "text", "run");
  page_head(out, "text", "state");
  for (size_t a = 0; a < axes; a++)
    page_head(out, report->axes[a]->type >= FIELD_CHOICE ? "text" : NULL, report->axes[a]->path);
  page_head(out, NULL, "N");
  page_head(out, NULL, "D");
  page_head(out, NULL, named.compute.brief);
  page_head(out, NULL, loss.brief);
  if (predicted && other) page_head(out, NULL, named.outcome.brief);
  if (predicted) page_head(out, NULL, "predicted");
  if (bytes) page_head(out, NULL, "bits per byte");
  page_head(out, NULL, "time");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    char words[32];
    text_add(out, "<tr><td class=\"text\"><code>");
    char id[12];
    snprintf(id, sizeof id, "%.8s", run->id);
    markup_escape(out, id);
    text_add(out, "</code></td>");
    bool bad = run_state_ended_without_loss(run->state);
    page_cell(out, bad ? "text bad" : "text", run_state_name(run->state));
    for (size_t a = 0; a < axes; a++) axis_cell(report, run, report->axes[a], out);
    page_value(out, run->parameters, count_words(run->parameters, words));
    page_value(out, run->tokens, count_words(run->tokens, words));
    page_value(out, run->flops, power_words(run->flops, words));
    page_loss(out, run->loss);
    const struct report_fit *of_run = predicted ? fit_of_run(report, fit, i) : NULL;
    if (predicted && other) page_number(out, "%.4g", of_run->observed[i]);
    if (predicted) page_number(out, other ? "%.4g" : "%.4f", of_run->predicted[i]);
    if (bytes) page_number(out, "%.3f", run->bits_per_byte);
    page_value(out, run->wall_seconds, isfinite(run->wall_seconds) ? seconds_human(run->wall_seconds, words) : "–");
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
  text_add(out, "<p class=\"quiet\">");
  struct measures own = report_measures(report, NULL);
  bool has[4] = {false};
  for (size_t i = 0; i < report->count; i++) {
    const double values[] = {report->runs[i].parameters, report->runs[i].tokens, report->runs[i].flops,
                             report->runs[i].loss};
    for (int k = 0; k < 4; k++) has[k] |= isfinite(values[k]);
  }
  if (has[0]) measure_sentence(out, "N", &own.size);
  if (has[1]) measure_sentence(out, "D", &own.length);
  if (has[2]) measure_sentence(out, own.compute.brief, &own.compute);
  if (has[3]) measure_sentence(out, loss.brief, &loss);
  if (predicted && other) measure_sentence(out, named.outcome.brief, &named.outcome);
  if (predicted) {
    text_format(out, "predicted: %s by fit ", named.outcome.brief);
    markup_escape(out, fit->result.by ? fit->entry ? fit->entry->name : fit->law_name : fit->name);
    if (fit->result.by) {
      text_add(out, " of its ");
      markup_escape(out, fit->result.by);
    }
    text_char(out, '.');
  }
  text_add(out, "</p>\n");
}

void page_failures(const struct report *report, struct text *out) {
  text_add(out, "<div class=\"scroll\"><table class=\"failures\"><thead><tr>");
  page_head(out, "text", "run");
  page_head(out, "text", "state");
  page_head(out, NULL, "step");
  page_head(out, "text", "message");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (!run_state_ended_without_loss(run->state)) continue;
    char id[12];
    snprintf(id, sizeof id, "%.8s", run->id);
    text_add(out, "<tr>");
    page_cell(out, "text", id);
    page_cell(out, "text bad", run_state_name(run->state));
    page_number(out, "%.0f", report_number(report, run, "step"));
    page_cell(out, "text wrap", run->message && *run->message ? run->message : "no message");
    text_add(out, "</tr>\n");
  }
  text_add(out,
           "</tbody></table></div>\n<p class=\"quiet\">The whole log of a run: <code>isoloss show RUN</code>.</p>\n");
}
