// What followed the trainings: runs of later stages, apart from them, since figures and tables of trainings would mix
// two kinds of observations; and what their stages made of the models' matrices.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/write.h"
#include "trainer/stages/results.h"

// ---- gathering ----

// Settings of stages that distinguish these runs.
static void gather_axes(struct report_stages *after, struct report *report) {
  after->axes = arena_array(&report->arena, run_field_count, sizeof(struct run_field *));
  for (size_t f = 0; f < run_field_count; f++) {
    const struct run_field *field = &run_fields[f];
    int column = report_column(report, field->path);
    bool differs = false;
    struct value first = {.kind = VALUE_MISSING};
    if (!field->stage || field->groups & (GROUP_FOLLOWS | GROUP_FOUND)) continue;
    for (size_t i = 0; i < after->count && column >= 0; i++) {
      struct value value = after->runs[i].values[column];
      if (field_is_untouched(field, value)) continue;
      if (first.kind == VALUE_MISSING) first = value;
      differs |= !value_equal(first, value);
    }
    if (differs) after->axes[after->axis_count++] = field;
  }
}

// Means over blocks, by run and matrix, in the order of the experiment.
static bool gather_matrices(struct report_stages *after, struct report *report, struct store *store,
                            struct error *error) {
  struct value name = store_text(report->name);
  struct store_rows *rows = store_select(
      store,
      "SELECT l.run, l.matrix, avg(l.relative_error), max(l.relative_error), avg(l.output_error), "
      "avg(l.weighted_error / nullif(l.bound, 0)), avg(l.bits), avg(l.sparsity), avg(l.alpha) FROM experiment_runs e JOIN layers l ON "
      "l.run = e.run WHERE e.experiment = ?1 GROUP BY e.position, l.matrix ORDER BY e.position, l.matrix",
      &name, 1, error);
  size_t room = 0;
  while (rows && store_rows_next(rows, error)) {
    if (after->matrix_count == room) {
      room = room ? 2 * room : 64;
      after->matrices = arena_grow(&report->arena, after->matrices, after->matrix_count, room, sizeof *after->matrices);
    }
    struct report_matrix *matrix = &after->matrices[after->matrix_count++];
    matrix->run = arena_string(&report->arena, store_rows_value(rows, 0).text);
    matrix->matrix = arena_string(&report->arena, store_rows_value(rows, 1).text);
    for (int i = 0; i < REPORT_MATRIX_NUMBERS; i++) {
      struct value value = store_rows_value(rows, i + 2);
      matrix->numbers[i] = value.kind == VALUE_NUMBER ? value.number : NAN;
    }
  }
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

bool report_gather_stages(struct report *report, struct store *store, struct error *error) {
  gather_axes(&report->stages, report);
  return report->stages.count == 0 || gather_matrices(&report->stages, report, store, error);
}

// ---- the page ----

static const struct {
  const char *column, *head;
} results[] = {{"loss", "loss"},
               {"parent_loss", "before it"},
               {"weight_bits", "bits"},
               {"stored_bits", "stored"},
               {"weight_error", "error"},
               {"output_error", "of outputs"},
               {"error_over_bound", "over bound"},
               {"pivot_trace", "tr(D)"},
               {"clipped", "clipped"},
               {"predicted_increase", "predicted"},
               {"kl", "KL"},
               {"recovery", "recovery, %"},
               {"copy_recovery", "of copy, %"},
               {"induction_recovery", "of induction, %"},
               {"sums_recovery", "of sums, %"},
               {"top1_agreement", "agreement"},
               {"first_divergence", "same tokens"}};
enum { RESULTS = sizeof results / sizeof *results };

// The columns above, and behind them those that stages report of their own (trainer/stages/results.h).
static size_t result_count(void) { return RESULTS + stage_result_count; }
static const char *result_column(size_t r) {
  return r < RESULTS ? results[r].column : stage_results[r - RESULTS].result.name;
}
static const char *result_head(size_t r) { return r < RESULTS ? results[r].head : result_column(r); }

static const char *const matrix_heads[REPORT_MATRIX_NUMBERS] = {
    "relative error", "largest", "of outputs", "over bound", "bits", "sparsity", "alpha"};

static void put_id(struct text *out, const char *id) {
  char words[12];
  snprintf(words, sizeof words, "%.8s", id ? id : "");
  text_add(out, "<td class=\"text\"><code>");
  markup_escape(out, words);
  text_add(out, "</code></td>");
}

static void put_setting(struct text *out, struct value value, const struct run_field *field) {
  char number[32];
  bool text = value.kind == VALUE_TEXT;
  page_cell(out, text ? "text" : NULL, value.kind == VALUE_MISSING ? "" : field_text(field, value, number));
}

static void put_row(const struct report *report, const struct report_run *run, const bool *shown, struct text *out) {
  const struct report_stages *after = &report->stages;
  char words[32];
  text_add(out, "<tr>");
  put_id(out, run->id);
  page_cell(out, "text", report_text(report, run, "stage"));
  put_id(out, report_text(report, run, "parent"));
  bool bad = run_state_ended_without_loss(run->state);
  page_cell(out, bad ? "text bad" : "text", run_state_name(run->state));
  for (size_t a = 0; a < after->axis_count; a++)
    put_setting(out, report_get(report, run, after->axes[a]->path), after->axes[a]);
  page_cell(out, NULL, count_words(run->parameters, words));
  for (size_t r = 0; r < result_count(); r++)
    if (shown[r]) page_cell(out, NULL, digits_words(report_number(report, run, result_column(r)), 5, words));
  text_add(out, "</tr>\n");
}

static void put_matrices(const struct report_stages *after, struct text *out) {
  char words[32];
  if (!after->matrix_count) return;
  text_add(out,
           "<details><summary>By matrix, means over the blocks</summary><div class=\"scroll\"><table "
           "class=\"runs\"><thead><tr>");
  page_head(out, "text", "run");
  page_head(out, "text", "matrix");
  for (int i = 0; i < REPORT_MATRIX_NUMBERS; i++) page_head(out, NULL, matrix_heads[i]);
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t m = 0; m < after->matrix_count; m++) {
    text_add(out, "<tr>");
    put_id(out, after->matrices[m].run);
    page_cell(out, "text", after->matrices[m].matrix);
    for (int i = 0; i < REPORT_MATRIX_NUMBERS; i++)
      page_cell(out, NULL, digits_words(after->matrices[m].numbers[i], 4, words));
    text_add(out, "</tr>\n");
  }
  text_add(out, "</tbody></table></div></details>\n");
}

void page_stages(const struct report *report, struct text *out) {
  const struct report_stages *after = &report->stages;
  if (!after->count) return;
  bool *shown = memory_get(result_count() * sizeof *shown);
  for (size_t r = 0; r < result_count(); r++)
    for (size_t i = 0; i < after->count; i++)
      shown[r] |= isfinite(report_number(report, &after->runs[i], result_column(r)));
  text_add(out, "<section>\n<h2>After training</h2>\n<div class=\"scroll\"><table class=\"runs\"><thead><tr>");
  static const char *const heads[] = {"run", "stage", "parent", "state"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) page_head(out, "text", heads[i]);
  for (size_t a = 0; a < after->axis_count; a++)
    page_head(out, after->axes[a]->type >= FIELD_CHOICE ? "text" : NULL, after->axes[a]->path);
  page_head(out, NULL, "N");
  for (size_t r = 0; r < result_count(); r++)
    if (shown[r]) page_head(out, NULL, result_head(r));
  text_add(out, "</tr></thead>\n<tbody>\n");
  for (size_t i = 0; i < after->count; i++) put_row(report, &after->runs[i], shown, out);
  free(shown);
  text_add(
      out,
      "</tbody></table></div>\n<p class=\"quiet\">The figures and the other tables of this page are of the "
      "trainings. Before it: the loss of the parent. Error: squared error of the weights over their squares; of "
      "outputs: the same of the layers' outputs on calibration tokens; over bound: the error over the bound that holds "
      "without clipping; tr(D): of the order of rounding, over the trace of the damped Hessian; clipped: share of weights "
      "beyond the grid's ends. The last four are means over matrices. Predicted: the loss that errors should add, the "
      "sum of alpha t^2 over matrices. KL, "
      "agreement, recovery and the same tokens of greedy decoding are against the training that the chain began "
      "with.</p>\n");
  put_matrices(after, out);
  text_add(out, "</section>\n");
}
