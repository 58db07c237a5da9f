// Where an experiment compares learning rates: the best one of every size, token count and format.
#include <math.h>
#include <string.h>

#include "runner/report/write.h"

static bool same_group(const struct report_run *a, const struct report_run *b) {
  return a->parameters == b->parameters && a->tokens == b->tokens && strcmp(a->format, b->format) == 0;
}

static double mean_loss(const struct report *report, const struct report_run *like) {
  double sum = 0;
  size_t count = 0;
  for (size_t i = 0; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (!same_group(run, like) || run->learning_rate != like->learning_rate || !isfinite(run->loss)) continue;
    sum += run->loss;
    count++;
  }
  return count ? sum / (double)count : NAN;
}

// A rate that diverged was tried, and one that halving stopped; one whose run has not ended was not, yet.
static bool was_tried(const struct report *report, const struct report_run *run) {
  return run_state_has_result(run->state) || report_number(report, run, "halved_at") > 0;
}

// The group that run `first` is the first of; false when fewer than three rates were tried.
static bool gather_group(const struct report *report, size_t first, struct report_rate *rate) {
  const struct report_run *like = &report->runs[first];
  *rate = (struct report_rate){.format = like->format,
                               .parameters = like->parameters,
                               .tokens = like->tokens,
                               .rate = NAN,
                               .loss = INFINITY,
                               .lowest = INFINITY,
                               .highest = 0};
  for (size_t i = first; i < report->count; i++) {
    const struct report_run *run = &report->runs[i];
    if (!same_group(run, like) || !was_tried(report, run)) continue;
    bool known = false;
    for (size_t k = first; k < i; k++)
      known |= same_group(&report->runs[k], like) && report->runs[k].learning_rate == run->learning_rate &&
               was_tried(report, &report->runs[k]);
    if (known) continue;
    rate->tried++;
    rate->lowest = fmin(rate->lowest, run->learning_rate);
    rate->highest = fmax(rate->highest, run->learning_rate);
    double loss = mean_loss(report, run);
    if (!(loss < rate->loss)) continue;
    rate->loss = loss;
    rate->rate = run->learning_rate;
  }
  rate->edge = rate->rate == rate->lowest || rate->rate == rate->highest;
  return rate->tried >= 3 && isfinite(rate->rate);
}

void report_gather_rates(struct report *report) {
  enum { MOST_RUNS = 3000 };  // groups are found by comparing all pairs
  size_t edges = 0;
  for (size_t i = 0; i < report->count && report->count <= MOST_RUNS; i++) {
    bool first = true;
    for (size_t k = 0; k < i && first; k++) first = !same_group(&report->runs[k], &report->runs[i]);
    struct report_rate rate;
    if (!first || !gather_group(report, i, &rate)) continue;
    report->rates =
        arena_grow(&report->arena, report->rates, report->rate_count, report->rate_count + 1, sizeof *report->rates);
    report->rates[report->rate_count++] = rate;
    edges += rate.edge;
  }
  if (edges)
    report_say(report, true,
               "The best learning rate lies on the edge of those tried for %zu of %zu sizes and budgets: "
               "a better one may lie beyond.",
               edges, report->rate_count);
}

void page_rates(const struct report *report, struct text *out) {
  if (report->rate_count == 0) return;
  bool formats = false;
  for (size_t i = 1; i < report->rate_count; i++)
    formats |= strcmp(report->rates[i].format, report->rates[0].format) != 0;
  text_add(out, "<h3>Best learning rates</h3>\n<div class=\"scroll\"><table class=\"rates\"><thead><tr>");
  if (formats) page_head(out, "text", "format");
  page_head(out, NULL, "N");
  page_head(out, NULL, "D");
  page_head(out, NULL, "best rate");
  page_head(out, NULL, "loss");
  page_head(out, NULL, "tried");
  page_head(out, "text", "");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < report->rate_count; i++) {
    const struct report_rate *rate = &report->rates[i];
    char words[32], low[32], high[32], range[80];
    text_add(out, "<tr>");
    if (formats) page_cell(out, "text", rate->format);
    page_cell(out, NULL, count_words(rate->parameters, words));
    page_cell(out, NULL, count_words(rate->tokens, words));
    page_number(out, "%.3g", rate->rate);
    page_loss(out, rate->loss);
    snprintf(range, sizeof range, "%zu from %s to %s", rate->tried, power_words(rate->lowest, low),
             power_words(rate->highest, high));
    page_cell(out, NULL, range);
    page_cell(out, rate->edge ? "text bad" : "text", rate->edge ? "on the edge" : "");
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
}
