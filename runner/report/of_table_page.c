// The rows of a table on the page: what was measured, what the law says, and the residual.
#include <math.h>
#include <stdio.h>

#include "runner/report/write.h"

const char *page_run_name(const struct report *report, const struct report_run *run, char out[12]) {
  if (report->command) return run->id;
  snprintf(out, 12, "%.8s", run->id);
  return out;
}

// The fit that the row takes part in, or is held out of; else the first.
static const struct report_fit *fit_of(const struct report *report, size_t row) {
  for (size_t f = 0; f < report->fit_count; f++)
    if (report->fits[f].fitted[row] || report->fits[f].held[row]) return &report->fits[f];
  return &report->fits[0];
}

void page_rows(const struct report *report, struct text *out) {
  const struct report_fit *fit = &report->fits[0];
  bool formats = report_column(report, "format") >= 0;
  text_add(out,
           "<section>\n<h2>Rows and residuals</h2>\n<div class=\"scroll\"><table class=\"rows\" "
           "data-links><thead><tr>");
  page_head(out, "text", "row");
  if (formats) page_head(out, "text", "format");
  page_head(out, NULL, "N");
  page_head(out, NULL, "D");
  page_head(out, NULL, "FLOPs");
  page_head(out, NULL, report_measures(report, fit).outcome.brief);
  page_head(out, NULL, "predicted");
  page_head(out, NULL, fit_errors_absolute(&fit->result) ? "observed less predicted" : "observed over predicted");
  page_head(out, "text", "");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    const struct report_fit *own = fit_of(report, i);
    char words[32];
    text_add(out, "<tr>");
    page_cell(out, "text", run->id);
    if (formats) page_cell(out, "text", run->format);
    page_value(out, run->parameters, count_words(run->parameters, words));
    page_value(out, run->tokens, count_words(run->tokens, words));
    page_value(out, run->flops, power_words(run->flops, words));
    page_loss(out, run->loss);
    page_number(out, "%.4f", own->predicted[i]);
    if (fit_errors_absolute(&own->result))
      page_number(out, "%+.4g", report_error(own, i));
    else
      page_number(out, "%+.2f %%", 100 * report_error(own, i));
    page_cell(out, "text", own->fitted[i] ? "" : own->held[i] ? "held out" : "not fitted");
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n<p class=\"quiet\">N: ");
  markup_escape(out, fit->parameter_count);
  text_add(out, ". FLOPs: the table's own, or 6ND.</p>\n</section>\n");
}
