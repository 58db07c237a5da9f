// Compute-optimal sizes in a report: the entries of method isoflop, their tables and figures. They are computed from
// the runs when the report is made.
#include <math.h>

#include "runner/fits/isoflop_runs.h"
#include "runner/report/write.h"

static void add_figures(struct report *report, const struct report_isoflop *one) {
  struct arena *arena = &report->arena;
  bool (*const builders[])(struct arena *, const struct plot_isoflop *, struct figure *) = {plot_isoflop_curves,
                                                                                            plot_isoflop_optima};
  static const char *const names[] = {"isoflop-curves", "isoflop-optima"};
  bool several = report->spec->isoflop_count > 1;
  struct plot_isoflop data = isoflop_drawing(&one->result, arena);
  for (int i = 0; i < 2; i++) {
    report->figures =
        arena_grow(arena, report->figures, report->figure_count, report->figure_count + 1, sizeof *report->figures);
    struct report_figure *figure = &report->figures[report->figure_count++];
    *figure = (struct report_figure){.name = names[i], .fit = one->name};
    figure->drawn = builders[i](arena, &data, &figure->figure);
    if (!figure->drawn) figure->nothing = "no budget has an optimum";
    if (!figure->drawn || !several) continue;
    figure->figure.title = arena_format(arena, "%s: %s", figure->figure.title, one->name);
    figure->figure.name = arena_format(arena, "%s-%s", names[i], one->name);
  }
}

void report_gather_isoflops(struct report *report, struct store *store) {
  size_t count = report->spec ? report->spec->isoflop_count : 0;
  report->isoflops = arena_array(&report->arena, count, sizeof *report->isoflops);
  for (size_t i = 0; i < count; i++) {
    const struct spec_isoflop *entry = &report->spec->isoflops[i];
    struct report_isoflop *one = &report->isoflops[report->isoflop_count++];
    struct error error = {0};
    one->name = entry->name;
    if (!isoflop_of_entry(report->spec, entry, NULL, store, &one->result, &error)) {
      one->trouble = arena_string(&report->arena, error.text);
      report_say(report, true, "%s", one->trouble);
      continue;
    }
    for (size_t w = 0; w < one->result.warning_count; w++)
      report_say(report, true, "%s: %s", one->name, one->result.warnings[w]);
    if (one->result.method != ISOFLOP_ENVELOPE) add_figures(report, one);
  }
}

static void head(struct text *out, const char *class_name, const char *const *names, size_t count) {
  text_format(out, "<div class=\"scroll\"><table class=\"%s\"><thead><tr>", class_name);
  for (size_t i = 0; i < count; i++) page_head(out, i ? NULL : "text", names[i]);
  text_add(out, "</tr></thead>\n<tbody>\n");
}

static void range_cell(struct text *out, double low, double high) {
  char words[100] = "–", a[32], b[32];
  if (isfinite(low)) snprintf(words, sizeof words, "%s … %s", number_digits(low, 4, a), number_digits(high, 4, b));
  page_cell(out, NULL, words);
}

static void exponents(const struct isoflop *result, struct text *out) {
  static const char *const symbols[] = {"best size N*", "best tokens D*", "loss there L*"}, *const names[] = {
                                                                                                "",
                                                                                                "coefficient",
                                                                                                "exponent of C",
                                                                                                "interval",
                                                                                                "unweighted",
                                                                                                "without bias"};
  head(out, "isoflop-exponents", names, sizeof names / sizeof *names);
  for (int q = 0; q < ISOFLOP_QUANTITIES; q++) {
    const struct isoflop_exponent *exponent = &result->exponents[q];
    const struct power_regression *best = isoflop_best(exponent);
    text_add(out, "<tr>");
    page_cell(out, "text", symbols[q]);
    page_number(out, "%.4g", best->coefficient);
    page_number(out, best->pinned ? "%.4g (held)" : "%.4g", best->exponent);
    range_cell(out, exponent->low, exponent->high);
    page_number(out, "%.4g", exponent->plain.exponent);
    page_number(out, best->pinned ? "coefficient %.4g" : "%.4g", isoflop_corrected(result, (enum isoflop_quantity)q));
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
}

static void budgets(const struct isoflop *result, struct text *out) {
  static const char *const names[] = {"FLOPs", "sizes", "N*", "interval", "bias of N*", "D*", "loss", ""};
  char flops[32];
  head(out, "isoflop-budgets", names, sizeof names / sizeof *names);
  for (size_t i = 0; i < result->budget_count; i++) {
    const struct isoflop_budget *budget = &result->budgets[i];
    const struct isoflop_optimum *optimum = budget->optimum;
    bool there = !budget->rejected;
    text_add(out, "<tr>");
    page_cell(out, "text", power_words(budget->flops, flops));
    page_number(out, "%.0f", (double)budget->sizes);
    page_number(out, "%.4g", there ? optimum[ISOFLOP_PARAMETERS].value : NAN);
    range_cell(out, there ? optimum[ISOFLOP_PARAMETERS].low : NAN, optimum[ISOFLOP_PARAMETERS].high);
    page_number(out, "%+.2f %%", 100 * (budget->bias[ISOFLOP_PARAMETERS] - 1));
    page_number(out, "%.4g", there ? optimum[ISOFLOP_TOKENS].value : NAN);
    page_number(out, "%.4f", there ? optimum[ISOFLOP_LOSS].value : NAN);
    page_cell(out, "text wrap", there ? "" : budget->rejected);
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n");
}

// What the method does on a known surface.
static void bias(const struct isoflop *result, struct text *out) {
  struct arena arena = {0};
  const char *const *sentences = isoflop_bias_sentences(&arena, result);
  if (*sentences) text_add(out, "<p class=\"isoflop-bias\">");
  for (const char *const *one = sentences; *one; one++) {
    page_sentence(out, *one);
    text_add(out, ". ");
  }
  if (*sentences) text_add(out, "</p>\n");
  arena_free(&arena);
}

void page_isoflops(const struct report *report, struct text *out) {
  for (size_t i = 0; i < report->isoflop_count; i++) {
    const struct report_isoflop *one = &report->isoflops[i];
    const struct isoflop *result = &one->result;
    text_add(out, "<h3>Compute-optimal sizes: ");
    markup_escape(out, one->name);
    text_add(out, "</h3>\n");
    if (one->trouble) {
      text_add(out, "<p>There are none: ");
      markup_escape(out, one->trouble);
      text_add(out, ".</p>\n");
      continue;
    }
    text_format(out, "<p>%s of %zu row%s; N counts %s parameters",
                result->method == ISOFLOP_ENVELOPE   ? "The envelope of the training curves"
                : result->method == ISOFLOP_PARABOLA ? "Parabolas of the loss over ln N"
                                                     : "Akima's interpolation of ln loss over ln N",
                result->rows, result->rows == 1 ? "" : "s", result->parameter_count);
    if (result->copies) text_format(out, "; %g %% intervals from %d copies", 100 * result->confidence, result->copies);
    text_add(out, ".</p>\n");
    if (result->regressed)
      exponents(result, out);
    else
      text_add(out, "<p>Too few optima for power laws in compute.</p>\n");
    bias(result, out);
    if (result->method != ISOFLOP_ENVELOPE) budgets(result, out);
  }
}
