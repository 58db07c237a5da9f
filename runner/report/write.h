// Shared by the files that write the page.
#pragma once
#include "runner/report/data.h"

extern const char report_style[], report_script[];

// One sentence a fit: how well it predicts.
void page_leads(const struct report *report, struct text *out);
void page_fits(const struct report *report, struct text *out);
// diagnosis.c: what is below a fit's coefficients.
void page_diagnosis(const struct report_fit *fit, struct text *out);
// isoflop.c
void page_isoflops(const struct report *report, struct text *out);
// comparisons.c
void page_comparisons(const struct report *report, struct text *out);
void report_json_comparisons(const struct report *report, struct json_writer *json);
void page_rates(const struct report *report, struct text *out);
void page_runs(const struct report *report, struct text *out);
// of_table_page.c: the rows of a table, with what the law says of them.
void page_rows(const struct report *report, struct text *out);
// How the page calls a run: by eight characters of its id; a table's row by its whole name.
const char *page_run_name(const struct report *report, const struct report_run *run, char out[12]);
void page_stages(const struct report *report, struct text *out);  // stages.c
void page_failures(const struct report *report, struct text *out);

// Cells of a table; the text is escaped. A class is "text", "text wrap", "bad" or NULL.
void page_head(struct text *out, const char *class_name, const char *text);
void page_cell(struct text *out, const char *class_name, const char *text);
// A number in words, with its value for the page's script, which sorts by it.
void page_value(struct text *out, double value, const char *words);
// A sentence of a fit (fitting/sentences.h), beginning in upper case; a number and its % stay on one line.
void page_sentence(struct text *out, const char *sentence);
void page_number(struct text *out, const char *format, double value)
    __attribute__((format(printf, 2, 0)));      // or a dash
void page_loss(struct text *out, double loss);  // or a dash
// "12.4k", "1.02M", "3.1B": parameters and tokens.
const char *count_words(double value, char out[32]);
// That many significant digits, large numbers as 3.1e13; a dash for what is not finite.
const char *digits_words(double value, int digits, char out[32]);
// "3.1e13": FLOPs.
const char *power_words(double value, char out[32]);
