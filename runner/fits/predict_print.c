// Predictions for people.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/predict_internal.h"
#include "runner/terminal/table.h"

// Digits enough to tell losses apart; sizes in four.
static const char *number(struct arena *arena, double value, int digits) {
  return isnan(value) ? "-" : arena_format(arena, "%.*g", digits, value);
}

static const char *interval(struct arena *arena, double low, double high, int digits) {
  if (isnan(low) && isnan(high)) return "";
  digits = interval_digits(low, high, digits);
  return arena_format(arena, "%s .. %s", number(arena, low, digits), number(arena, high, digits));
}

// The value of what these runs cannot tell is in brackets.
static const char *value_text(struct arena *arena, double value, int digits, bool known) {
  return arena_format(arena, known || isnan(value) ? "%s" : "(%s)", number(arena, value, digits));
}

static bool law_reads(const struct law *law, const char *column) {
  for (int i = 0; i < law->column_count; i++)
    if (strcmp(law->columns[i], column) == 0) return true;
  return strcmp(column, "flops") == 0 || strcmp(column, "tokens_per_parameter") == 0;
}

// law: only what it reads, and what that follows from; NULL: all.
static const char *inputs_text(struct arena *arena, const struct law *law, const struct law_input *inputs,
                               size_t count) {
  const char *text = "";
  for (size_t i = 0; i < count; i++) {
    if (law && !law_reads(law, inputs[i].name)) continue;
    char clipped[72];
    text = arena_format(arena, "%s%s%s = %s", text, *text ? ", " : "", inputs[i].name,
                        inputs[i].value.kind == VALUE_TEXT ? text_clipped(inputs[i].value.text, clipped)
                                                           : number(arena, inputs[i].value.number, 6));
  }
  return text;
}

static void print_head(const struct predict_report *report, FILE *out) {
  fprintf(out, "%s: %s = %s\n", report->law->name, report->law->target, report->law->formula_text);
  if (report->result) {
    fprintf(out, "  fitted to %zu row%s of %s", report->result->rows, report->result->rows == 1 ? "" : "s",
            report->source);
    if (report->result->by) fprintf(out, " with %s = %s", report->result->by, report->result->part);
    if (report->fitted.replicate_count)
      fprintf(out, "; %g %% intervals%s from %zu resample%s", 100 * report->fitted.confidence,
              report->fitted.interval == INTERVAL_BCA ? " (BCa)"
              : report->fitted.interval == INTERVAL_T ? " (Student's t)"
                                                      : "",
              report->fitted.replicate_count, report->fitted.replicate_count == 1 ? "" : "s");
    fprintf(out, "\n");
  } else {
    fprintf(out, "  with coefficients as given; without resamples there are no intervals\n");
  }
  for (size_t i = 0; i < report->default_count; i++)
    fprintf(out, "%s%s = %s%s", i ? ", " : "  taken where nothing is said: ", report->defaults[i].column,
            report->defaults[i].value, i + 1 < report->default_count ? "" : "\n");
}

// ---- what is said below a row ----

// A line of its own, further lines of it set in.
void predict_add_line(struct text *lines, int indent, const char *sentence) {
  enum { WIDTH = 110 };
  int column = indent;
  text_format(lines, "%*s", indent, "");
  for (const char *at = sentence; *at;) {
    size_t length = strcspn(at, " ");
    if (column > indent && column + 1 + (int)length > WIDTH) {
      text_format(lines, "\n%*s", indent + 2, "");
      column = indent + 2;
    } else if (at > sentence) {
      text_add(lines, " ");
      column++;
    }
    text_format(lines, "%.*s", (int)length, at);
    column += (int)length;
    at += length + (at[length] == ' ');
  }
  text_add(lines, "\n");
}

static void add_held_back(const struct predict_report *report, struct arena *arena, const struct outside *outside,
                          size_t count, int indent, struct text *lines) {
  for (size_t i = 0; report->result && i < count; i++)
    if (!outside[i].unseen && !outside[i].open)
      predict_add_line(lines, indent, held_back_sentence(arena, &report->result->rollouts, &outside[i]));
}

// What lies outside, or that and why these runs cannot tell; how far off the law was at such a distance.
void predict_add_standing(const struct predict_report *report, struct arena *arena, const struct estimate *estimate,
                          const struct outside *outside, size_t count, int indent, struct text *lines) {
  const char *cannot = cannot_tell_sentence(arena, estimate, outside, count, report->result);
  if (cannot) predict_add_line(lines, indent, cannot);
  for (size_t i = 0; i < count; i++)
    if (!outside_hides(&outside[i], 1)) predict_add_line(lines, indent, outside_sentence(arena, &outside[i]));
  if (!cannot && hangs_on_sentence(arena, estimate))
    predict_add_line(lines, indent, hangs_on_sentence(arena, estimate));
  add_held_back(report, arena, outside, count, indent, lines);
}

static void add_cost(struct arena *arena, const struct overtraining *o, struct text *lines) {
  const char *range = interval(arena, o->cost_ratio.low, o->cost_ratio.high, 4);
  predict_add_line(lines, 6,
                   arena_format(arena,
                                "costs %s FLOPs, %s times%s%s%s the compute-optimal run of this loss; the best loss at "
                                "its cost is %s",
                                number(arena, o->flops, 4), number(arena, o->cost_ratio.value, 4), *range ? " (" : "",
                                range, *range ? ")" : "", number(arena, o->optimal_loss.value, 6)));
}

// ---- points ----

static void print_points(const struct predict_report *report, struct arena *arena, FILE *out) {
  struct text_table table = {.gap = 2, .indent = 2};
  bool observed = report->score.rows > 0;
  text_table_column(&table, (struct text_column){report->law->target, .least = 10});
  if (report->fitted.replicate_count) text_table_column(&table, (struct text_column){"of the law"});
  if (report->fitted.scatter_count) text_table_column(&table, (struct text_column){"of a run"});
  if (observed) text_table_column(&table, (struct text_column){"observed", .right = true});
  if (observed) text_table_column(&table, (struct text_column){"error", .right = true});
  text_table_column(&table, (struct text_column){"at"});
  for (size_t i = 0; i < report->point_count; i++) {
    const struct predict_point *point = &report->points[i];
    const struct prediction *p = &point->prediction;
    struct text lines = {0};
    text_table_cell(&table, "%s", value_text(arena, p->law.value, 6, !prediction_cannot_tell(p)));
    if (report->fitted.replicate_count) text_table_cell(&table, "%s", interval(arena, p->law.low, p->law.high, 5));
    if (report->fitted.scatter_count) text_table_cell(&table, "%s", interval(arena, p->run_low, p->run_high, 5));
    double off = (p->law.value - point->observed) / fabs(point->observed);
    if (observed) text_table_cell(&table, "%s", number(arena, point->observed, 6));
    if (observed) text_table_cell(&table, "%s", isfinite(off) ? arena_format(arena, "%+.2f %%", 100 * off) : "-");
    text_table_cell(&table, "%s%s%s", point->name ? point->name : "", point->name ? ": " : "",
                    inputs_text(arena, point->name ? report->law : NULL, point->inputs, point->input_count));
    if (p->missing) predict_add_line(&lines, 6, arena_format(arena, "no prediction: %s", p->missing));
    predict_add_standing(report, arena, &p->law, p->outside, p->outside_count, 6, &lines);
    if (point->has_cost) add_cost(arena, &point->cost, &lines);
    if (lines.length) text_table_note(&table, text_string(&lines));
    text_free(&lines);
  }
  fprintf(out, "\n");
  text_table_print(&table, out);
  text_table_free(&table);
  const char *score = prediction_score_sentence(arena, &report->score);
  if (!score) return;
  fprintf(out, "\n");
  print_filled(out, score, fprintf(out, "  "), 2);
}

static void print_best(const struct predict_report *report, struct arena *arena, FILE *out) {
  const struct predict_best *best = &report->best;
  fprintf(out, "\n  least final %s %s, of the law as fitted:\n    --schedule %s\n  ", report->law->target,
          number(arena, best->loss, 6), best->text);
  const char *words = arena_format(arena, "searched: %s. At the same length and peak:", best->family);
  for (int i = 0; i < 4; i++)
    words = arena_format(arena, "%s %s %s%s", words, best->plain[i].shape, number(arena, best->plain[i].loss, 6),
                         i < 3 ? "," : "");
  print_filled(out, words, 2, 2);
}

static void print_cost(const struct predict_report *report, FILE *out) {
  if (report->fitted.cost.count)
    fprintf(out, "  FLOPs per token as the fitted runs counted them, interpolated over N\n");
  else
    fprintf(out, "  C = 6 N D\n");
}

// ---- budgets ----

static void put_estimate(struct text_table *table, struct arena *arena, const char *name, struct estimate estimate,
                         int digits, bool known) {
  text_table_cell(table, "%s", name);
  text_table_cell(table, "%s",
                  value_text(arena, estimate.value, digits, known && estimate.status != COEFFICIENT_UNIDENTIFIED));
  text_table_cell(table, "%s", interval(arena, estimate.low, estimate.high, digits > 4 ? 5 : 4));
}

static void print_allocation(const struct predict_report *report, const struct predict_allocation *made,
                             struct arena *arena, FILE *out) {
  const struct allocation *a = &made->allocation;
  const struct estimate *loosest = predict_loosest(a);
  struct text_table table = {.gap = 2, .indent = 4};
  struct text lines = {0};
  bool known = !made->far;
  text_table_column(&table, (struct text_column){"at the optimum", .least = 22});
  text_table_column(&table, (struct text_column){"", .least = 10});
  text_table_column(&table, (struct text_column){""});
  put_estimate(&table, arena, "parameters (N)", a->parameters, 4, known);
  put_estimate(&table, arena, "tokens (D)", a->tokens, 4, known);
  put_estimate(&table, arena, "tokens per parameter", a->tokens_per_parameter, 4, known);
  put_estimate(&table, arena, report->law->target, a->loss, 6, known);
  predict_add_standing(report, arena, loosest, made->outside, made->outside_count, 4, &lines);
  if (a->unbounded >= 1)
    predict_add_line(&lines, 4, "the law has no best size here: its loss falls to the end of the range");
  else if (a->unbounded > 0)
    predict_add_line(&lines, 4,
                     arena_format(arena, "in %.1f %% of the resamples the law has no best size", 100 * a->unbounded));
  fprintf(out, "\n  C = %s FLOPs%s%s\n", number(arena, a->flops, 6), made->input_count ? ", " : "",
          inputs_text(arena, NULL, made->inputs, made->input_count));
  text_table_print(&table, out);
  fputs(text_string(&lines), out);
  text_table_free(&table);
  text_free(&lines);
}

static void print_allocations(const struct predict_report *report, struct arena *arena, FILE *out) {
  fprintf(out, "\n  the least %s for a budget\n", report->law->target);
  print_cost(report, out);
  for (size_t i = 0; i < report->allocation_count; i++) print_allocation(report, &report->allocations[i], arena, out);
}

// ---- formats ----

static void add_candidate(const struct predict_report *report, const struct predict_contest *contest, size_t i,
                          struct arena *arena, struct text_table *table) {
  const struct predict_format *format = &contest->formats[i];
  const struct alternative *one = &contest->alternatives[i];
  bool known = !contest->cannot_tell, far = outside_hides(format->outside, format->outside_count);
  text_table_cell(table, "%s", format->name);
  if (format->missing) {
    text_table_cell(table, "%s", number(arena, format->bits, 4));
    for (int empty = 0; empty < 6; empty++) text_table_cell(table, "%s", "");
    text_table_cell(table, "%s", format->missing);
    return;
  }
  text_table_cell(table, "%s", number(arena, format->bits, 4));
  text_table_cell(table, "%s", value_text(arena, format->parameters.value, 4, !far));
  text_table_cell(table, "%s", value_text(arena, format->tokens.value, 4, !far));
  text_table_cell(table, "%s",
                  value_text(arena, format->loss.value, 5, !far && format->loss.status != COEFFICIENT_UNIDENTIFIED));
  text_table_cell(table, "%s", interval(arena, format->loss.low, format->loss.high, 5));
  const char *behind = interval(arena, one->behind.low, one->behind.high, 3);
  if ((int)i == contest->best)
    text_table_cell(table, "%s", known ? "best" : "");
  else
    text_table_cell(table, "%s", !known ? "" : *behind ? behind : number(arena, one->behind.value, 3));
  text_table_cell(table, "%s",
                  known && !isnan(one->share_best) ? arena_format(arena, "%.1f %%", 100 * one->share_best) : "");
  bool full = format->at_limit && !isnan(contest->memory) && !isnan(contest->flops);
  const char *mark = outside_mark(arena, format->outside, format->outside_count);
  text_table_cell(table, "%s%s%s", full ? "memory is full" : "", full && *mark ? "; " : "", mark);
}

static void print_verdict(const struct predict_report *report, const struct predict_contest *contest,
                          struct arena *arena, FILE *out) {
  struct text lines = {0};
  if (contest->best < 0)
    predict_add_line(&lines, 4, arena_format(arena, "no format has a %s here", report->law->target));
  else if (contest->cannot_tell)
    predict_add_line(&lines, 4, contest->cannot_tell);
  else if (contest->decided)
    predict_add_line(&lines, 4,
                     arena_format(arena, "%s wins: it is better than every other one at %g %% confidence%s",
                                  contest->formats[contest->best].name, 100 * report->fitted.confidence,
                                  contest->outside_most > 1 ? ", if the law holds outside the rows" : ""));
  else
    predict_add_line(
        &lines, 4,
        arena_format(arena, "undecided: %s has the lowest %s%s", contest->formats[contest->best].name,
                     report->law->target,
                     report->fitted.replicate_count ? ", but the resamples do not agree on it"
                                                    : ", and without resamples there is no telling how surely"));
  for (size_t i = 0; contest->best >= 0 && i < contest->count; i++)
    if (!contest->formats[i].missing && contest->formats[i].outside_most >= contest->outside_most) {
      add_held_back(report, arena, contest->formats[i].outside, contest->formats[i].outside_count, 4, &lines);
      break;
    }
  fputs(text_string(&lines), out);
  text_free(&lines);
}

static void print_contest(const struct predict_report *report, const struct predict_contest *contest,
                          struct arena *arena, FILE *out) {
  const struct text_column columns[] = {{report->format_column, .least = 12},
                                        {"bits", .right = true},
                                        {"N", .right = true},
                                        {"D", .right = true},
                                        {report->law->target, .right = true},
                                        {report->fitted.replicate_count ? "of the law" : " "},
                                        {"behind the best"},
                                        {report->fitted.replicate_count ? "best in" : " "},
                                        {0}};
  struct text_table table = {.gap = 2, .indent = 4};
  text_table_columns(&table, columns);
  text_table_column(&table, (struct text_column){""});
  for (size_t i = 0; i < contest->count; i++) add_candidate(report, contest, i, arena, &table);
  fprintf(out, "\n  %s\n", contest->what);
  text_table_print(&table, out);
  text_table_free(&table);
  print_verdict(report, contest, arena, out);
}

static void print_contests(const struct predict_report *report, struct arena *arena, FILE *out) {
  bool cost = false;
  for (size_t i = 0; i < report->contest_count; i++) cost |= !isnan(report->contests[i].flops);
  fprintf(out,
          "\n  formats against each other; bits are those of a weight, memory that of the counted weights alone\n");
  if (cost) print_cost(report, out);
  for (size_t i = 0; i < report->contest_count; i++) print_contest(report, &report->contests[i], arena, out);
}

void predict_print(const struct predict_report *report, FILE *out) {
  struct arena arena = {0};
  print_head(report, out);
  if (report->best.text) print_best(report, &arena, out);
  if (report->point_count) print_points(report, &arena, out);
  if (report->allocation_count) print_allocations(report, &arena, out);
  if (report->contest_count) print_contests(report, &arena, out);
  predict_serving_print(report, out);
  for (size_t i = 0; report->result && i < report->result->warning_count; i++) {
    if (!i) fprintf(out, "\n");
    print_filled(out, report->result->warnings[i], fprintf(out, "  warning: "), 4);
  }
  arena_free(&arena);
}
