// The report as one HTML page that loads nothing: figures, style and one script, our own, are in it. The page's policy
// allows that script alone, by its hash; a reader without scripts sees the same page.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sha256.h"
#include "base/version.h"
#include "runner/report/write.h"

// Sentences: escaped, with a space that does not break before a percent sign.
static void prose(struct text *out, const char *text) {
  struct text escaped = {0};
  markup_escape(&escaped, text);
  for (const char *c = text_string(&escaped); *c; c++) {
    if (c[0] == ' ' && c[1] == '%')
      text_add(out, "&nbsp;");
    else
      text_char(out, *c);
  }
  text_free(&escaped);
}

static void paragraph(struct text *out, const char *class_name, const char *text) {
  text_format(out, "<p class=\"%s\">", class_name);
  markup_escape(out, text);
  text_add(out, "</p>\n");
}

// SOURCE_DATE_EPOCH, as for other programs whose output should be reproducible, is taken for the present time.
static void when(char out[40]) {
  const char *fixed = getenv("SOURCE_DATE_EPOCH");
  int64_t seconds;
  time_t now = fixed && integer_parse(fixed, &seconds) ? (time_t)seconds : time(NULL);
  struct tm parts;
  gmtime_r(&now, &parts);
  strftime(out, 40, "%Y-%m-%d %H:%M UTC", &parts);
}

static void put_header(const struct report *report, struct text *out) {
  text_add(out, "<header>\n<p class=\"kicker\">isoloss report</p>\n<h1>");
  markup_escape(out, report->title);
  text_add(out, "</h1>\n");
  if (*report->about) paragraph(out, "about", report->about);
  if (report->command) {
    char date[40];
    when(date);
    text_format(out, "<p class=\"quiet\">%zu row%s; written %s.</p>\n</header>\n", report->count,
                report->count == 1 ? "" : "s", date);
    return;
  }
  text_add(out, "<ul class=\"states\">");
  for (int place = 0; place < RUN_STATES; place++) {
    enum run_state state = report_state(place);
    if (report->states[state] || state == RUN_DONE)
      text_format(out, "<li>%zu %s</li>", report->states[state], run_state_name(state));
  }
  char date[40];
  when(date);
  text_format(out, "</ul>\n<p class=\"quiet\">%zu run%s; written %s.</p>\n</header>\n", report->count,
              report->count == 1 ? "" : "s", date);
}

// Of losses alone the lowest is the best: a table may be of accuracies or learning rates.
static void put_best(const struct report *report, struct text *out) {
  if (!report->best) return;
  const struct measures words = report_measures(report, NULL);
  if (!measure_is_loss(&words.outcome)) return;
  const struct report_run *best = report->best;
  struct arena arena = {0};
  char size[32], tokens[32], name[12];
  text_format(out, "<p>Lowest %s: <b>%s</b>%s", words.outcome.brief, loss_human(best->loss, size),
              measure_behind(&words.outcome, &arena));
  arena_free(&arena);
  if (isfinite(best->bits_per_byte)) text_format(out, ", %.3f bits per byte", best->bits_per_byte);
  text_format(out, " (%s <code>", report->command ? "row" : "run");
  markup_escape(out, page_run_name(report, best, name));
  text_format(out, "</code>");
  if (isfinite(best->parameters)) text_format(out, ": %s %s", count_words(best->parameters, size), words.size.brief);
  if (isfinite(best->tokens))
    text_format(out, "%s %s %s", isfinite(best->parameters) ? "," : ":", count_words(best->tokens, tokens),
                words.length.brief);
  for (size_t a = 0; a < report->axis_count && a < 6; a++) {
    struct value value = report_get(report, best, report->axes[a]->path);
    if (value.kind == VALUE_MISSING) continue;
    text_format(out, ", %s ", report->axes[a]->path);
    if (value.kind == VALUE_TEXT)
      markup_escape(out, value.text);
    else
      text_format(out, "%.4g", value.number);
  }
  text_add(out, ").");
  if (isfinite(best->irreducible_loss)) {
    text_format(out, " The source's irreducible loss is %.4f in closed form", best->irreducible_loss);
    if (isfinite(best->oracle_loss))
      text_format(out, "; the source itself scores %.4f on the same validation tokens", best->oracle_loss);
    text_char(out, '.');
  }
  text_add(out, "</p>\n");
}

static void put_answer(const struct report *report, struct text *out) {
  text_add(out, "<section>\n<h2>Answer</h2>\n");
  if (report->count == report->states[RUN_PENDING])
    text_add(out, "<p>No run has started yet.</p>\n");
  else if (!report->best && !(report->task && report->states[RUN_DONE]))  // a task may have none
    text_add(out, "<p>No run has finished with a loss.</p>\n");
  page_leads(report, out);
  put_best(report, out);
  if (report->finding_count) {
    text_add(out, "<ul class=\"findings\">\n");
    for (int pass = 1; pass >= 0; pass--)
      for (size_t i = 0; i < report->finding_count; i++) {
        if (report->findings[i].warning != (pass == 1)) continue;
        text_add(out, pass ? "<li class=\"warning\"><b>Mind:</b> " : "<li>");
        prose(out, report->findings[i].text);
        text_add(out, "</li>\n");
      }
    text_add(out, "</ul>\n");
  }
  page_fits(report, out);
  page_isoflops(report, out);
  page_rates(report, out);
  text_add(out, "</section>\n");
}

static void put_claims(const struct report *report, struct text *out) {
  if (report->claim_count == 0) return;
  text_add(out, "<section>\n<h2>Claims</h2>\n<div class=\"scroll\"><table class=\"claims\"><thead><tr>");
  page_head(out, "text", "claim");
  page_head(out, "text", "outcome");
  page_head(out, "text", "numbers");
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < report->claim_count; i++) {
    const struct report_claim *claim = &report->claims[i];
    text_add(out, "<tr>");
    page_cell(out, "text", claim->claim);
    page_cell(out, strcmp(claim->outcome, "not held") == 0 ? "text bad" : "text", claim->outcome);
    page_cell(out, "text wrap", claim->detail);
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div>\n</section>\n");
}

static bool put_figures(const struct report *report, bool draw, struct text *out, struct error *error) {
  if (report->figure_count == 0) return true;
  text_add(out, "<section>\n<h2>Figures</h2>\n");
  for (size_t i = 0; i < report->figure_count; i++) {
    const struct report_figure *figure = &report->figures[i];
    // The page draws its own figures; other forms of it show the files.
    const char *missing = !figure->drawn ? figure->nothing : draw ? NULL : figure->fault;
    if (missing) {
      text_add(out, "<p class=\"quiet\"><b>");
      markup_escape(out, report_figure_name(figure));
      text_add(out, "</b> is not drawn: ");
      markup_escape(out, missing);
      text_add(out, ".</p>\n");
      continue;
    }
    struct arena arena = {0};
    text_format(out, "<figure data-name=\"%s\"", report_file_stem(&arena, figure->figure.name));
    arena_free(&arena);
    if (draw) figure_targets(&figure->figure, out);
    text_add(out, ">\n<div class=\"scroll\">\n");
    if (draw && !figure_svg(&figure->figure, FIGURE_INLINE, out, error)) return false;
    text_add(out, "</div>\n<figcaption><b>");
    markup_escape(out, figure->figure.title);
    text_add(out, "</b> ");
    prose(out, figure->figure.caption);
    text_add(out, "</figcaption>\n</figure>\n");
  }
  text_add(out, "</section>\n");
  return true;
}

static void put_runs(const struct report *report, struct text *out) {
  if (report->command) {
    page_rows(report, out);
    return;
  }
  text_add(out, "<section>\n<h2>Runs</h2>\n");
  if (report->count)
    page_runs(report, out);
  else
    text_add(out, "<p>There are none.</p>\n");
  text_add(out, "</section>\n");
  if (report->states[RUN_FAILED] + report->states[RUN_DIVERGED] + report->states[RUN_KILLED]) {
    text_add(out, "<section>\n<h2>Failures</h2>\n");
    page_failures(report, out);
    text_add(out, "</section>\n");
  }
}

static void put_facts(const struct report *report, struct text *out) {
  text_format(out, "<section>\n<h2>%s</h2>\n<dl>\n", report->command ? "Where it comes from" : "Environment");
  for (size_t i = 0; i < report->fact_count; i++) {
    text_format(out, "<dt>%s</dt><dd>", report->facts[i].name);
    markup_escape(out, report->facts[i].text);
    text_add(out, "</dd>\n");
  }
  text_add(out, "</dl>\n</section>\n");
}

// Of experiments whose models write text (docs/tasks.md has the same at more length).
static void put_limits(const struct report *report, struct text *out) {
  if (report->command || (report->spec && report->spec->task)) return;
  text_add(
      out,
      "<section>\n<h2>Limits and responsible use</h2>\n<p>Figures measured on small models need not hold for large "
      "ones. What a model writes is text by likelihood, with no knowledge of whether it is true: say of generated text "
      "that it is generated, imitate no person without consent, and train on text that is free to be used "
      "so.</p>\n</section>\n");
}

static void put_again(const struct report *report, struct text *out) {
  put_limits(report, out);
  if (report->command) {
    text_add(out, "<section>\n<h2>Make it again</h2>\n<pre>");
    markup_escape(out, report->command);
    text_format(out, "</pre>\n</section>\n<footer class=\"quiet\">isoloss %s</footer>\n", ISOLOSS_VERSION);
    return;
  }
  text_add(out, "<section>\n<h2>Run it again</h2>\n<p>Save the spec below as a file, or use ");
  text_add(out, "<code>");
  markup_escape(out, report->spec_path);
  text_add(out, "</code>; runs that are in the store already are not trained again.</p>\n<pre>");
  static const char *const commands[] = {"run", "fit", "report"};
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    text_format(out, "isoloss %s ", commands[i]);
    markup_escape(out, report->spec_path);
    if (report->preset) text_format(out, " --preset %s", report->preset);
    text_add(out, "\n");
  }
  text_add(out, "</pre>\n<p class=\"quiet\">A single run: <code>isoloss train ");
  markup_escape(out, report->home);
  text_add(out, "/runs/RUN/config.json</code></p>\n</section>\n<section>\n<h2>Spec</h2>\n");
  if (report->preset) text_format(out, "<p>With the preset <code>%s</code>.</p>\n", report->preset);
  text_add(out, "<pre>");
  markup_escape(out, report->spec_text);
  text_format(out, "</pre>\n</section>\n<footer class=\"quiet\">isoloss %s</footer>\n", ISOLOSS_VERSION);
}

const char *report_mark(const struct report *report, struct arena *arena) {
  const char *of = report->source ? report->source : report->spec_path;
  return arena_format(arena, "isoloss-report-of: %.16s %.16s", digest_string(path_canonical(arena, of)).hex,
                      digest_string(report->source ? report->name : report->spec_text).hex);
}

bool report_page(const struct report *report, bool draw, struct text *out, struct error *error) {
  struct arena arena = {0};
  text_format(out, "<!DOCTYPE html>\n<!-- %s -->\n", report_mark(report, &arena));
  arena_free(&arena);
  text_add(out, "<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
  char hash[SHA256_BASE64];
  sha256_base64(report_script, strlen(report_script), hash);
  text_format(out,
              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-%s'; "
              "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n",
              hash);
  text_add(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
  markup_escape(out, report->title);
  text_add(out, "</title>\n<style>\n");
  figure_css(out);
  text_add(out, report_style);
  text_add(out, "</style>\n</head>\n<body>\n<main>\n");
  put_header(report, out);
  put_answer(report, out);
  put_claims(report, out);
  page_comparisons(report, out);
  if (!put_figures(report, draw, out, error)) return false;
  put_runs(report, out);
  page_stages(report, out);
  put_facts(report, out);
  put_again(report, out);
  text_add(out, "</main>\n<script>");
  text_add(out, report_script);
  text_add(out, "</script>\n</body>\n</html>\n");
  return true;
}
