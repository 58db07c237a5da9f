// The table of a plan: one line a run, then totals and what is worth knowing.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/plan/grid.h"
#include "runner/plan/print.h"
#include "runner/spec/internal.h"
#include "trainer/trainer.h"

enum { MOST_COLUMNS = 64, MOST_AXES = 20 };

struct column {
  char head[48];
  bool right;
  const struct run_field *field;  // an axis
  size_t width;
};

struct table {
  struct column columns[MOST_COLUMNS];
  size_t column_count;
  struct text cells;  // each ends with a NUL
  size_t rows;
};

static void add_column(struct table *table, const char *head, bool right, const struct run_field *field) {
  if (table->column_count == MOST_COLUMNS) return;
  struct column *column = &table->columns[table->column_count++];
  snprintf(column->head, sizeof column->head, "%s", head);
  column->right = right;
  column->field = field;
  column->width = strlen(head);
}

static void cell(struct table *table, size_t column, const char *text) {
  size_t width = 0;
  for (const char *c = text; *c; c++) width += ((unsigned char)*c & 0xC0) != 0x80;
  if (width > table->columns[column].width) table->columns[column].width = width;
  text_append(&table->cells, text, strlen(text) + 1);
}

static void print_padded(const char *text, const struct column *column, bool last, FILE *out) {
  size_t width = 0;
  for (const char *c = text; *c; c++) width += ((unsigned char)*c & 0xC0) != 0x80;
  int pad = (int)(column->width - width);
  if (column->right)
    fprintf(out, "%*s%s", pad, "", text);
  else
    fprintf(out, "%s%*s", text, last ? 0 : pad, "");
  fputs(last ? "\n" : "  ", out);
}

static void print_table(const struct table *table, FILE *out) {
  for (size_t c = 0; c < table->column_count; c++)
    print_padded(table->columns[c].head, &table->columns[c], c + 1 == table->column_count, out);
  const char *at = text_string(&table->cells);
  for (size_t r = 0; r < table->rows; r++) {
    for (size_t c = 0; c < table->column_count; c++) {
      print_padded(at, &table->columns[c], c + 1 == table->column_count, out);
      at += strlen(at) + 1;
    }
  }
}

// The last part of a path, or the whole where two columns would read the same.
static const char *short_name(const struct plan *plan, const struct run_field *field) {
  const char *dot = strrchr(field->path, '.');
  if (!dot) return field->path;
  for (size_t i = 0; i < plan->axis_count; i++) {
    const char *other = strrchr(plan->axes[i].field->path, '.');
    if (plan->axes[i].field != field && other && strcmp(other, dot) == 0) return field->path;
  }
  return dot + 1;
}

static const char *const count_heads[] = {"total", "embedding", "head", "attention", "MLP", "norms", "prunable"};

static const char *human(double value, char out[32]) { return isnan(value) ? "-" : number_human(value, out); }

static void add_row(struct table *table, const struct planned_run *run, const struct run_outcome *outcome,
                    bool counts) {
  char text[64], small[32];
  size_t c = 0;
  const struct run_quantities *q = &run->quantities;
  bool known = run->resolved;
  snprintf(text, sizeof text, "%.8s", *run->id ? run->id : "-");
  cell(table, c++, text);
  cell(table, c++, run_state_name(outcome->state));
  while (c < table->column_count && table->columns[c].field) {
    struct spec_value value = {.integer = 0};
    spec_value_get(&run->config, table->columns[c].field, &value);
    const char *shown = spec_value_text(table->columns[c].field, &value, text);
    // Derived numbers may have many digits: six are enough to tell them apart.
    if (table->columns[c].field->type == FIELD_NUMBER && strlen(shown) > 8) {
      snprintf(text, sizeof text, "%.6g", value.number);
      shown = text;
    }
    cell(table, c++, shown);
  }
  cell(table, c++, human(known ? (double)q->parameters.non_embedding : NAN, small));
  if (counts) {
    const int64_t values[] = {q->parameters.total,     q->parameters.embedding, q->parameters.head,
                              q->parameters.attention, q->parameters.mlp,       q->parameters.norms,
                              q->parameters.prunable};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
      cell(table, c++, human(known ? (double)values[i] : NAN, small));
  }
  cell(table, c++, human(known ? (double)q->tokens : NAN, small));
  cell(table, c++, human(known ? q->tokens_per_parameter : NAN, small));
  if (known && isfinite(q->epochs))
    snprintf(text, sizeof text, q->epochs > 0 && q->epochs < 0.005 ? "%.0e" : "%.2f", q->epochs);
  else
    snprintf(text, sizeof text, "-");
  cell(table, c++, known && q->epochs == 0 ? "fresh" : text);
  if (known)
    snprintf(text, sizeof text, "%.2e", q->flops);
  else
    snprintf(text, sizeof text, "-");
  cell(table, c++, text);
  if (known) snprintf(text, sizeof text, "%.2e", q->flops_6nd);
  cell(table, c++, text);
  cell(table, c++, isnan(run->memory) ? "-" : bytes_human(run->memory, small));
  cell(table, c++, isnan(run->seconds) ? "-" : seconds_human(run->seconds, small));
  table->rows++;
}

// ---- totals ----

struct totals {
  size_t done, diverged, other, undone, repeated, unresolved;
  double flops, flops_undone, seconds, longest, memory, epochs;
  int64_t threads;
  size_t cards[8];  // runs by the smallest card that holds them
  size_t largest;   // the run of the most memory
};

static void add_up(struct totals *totals, const struct plan *plan, const struct planned_run *run,
                   const struct run_outcome *outcome) {
  totals->done += outcome->state == RUN_DONE;
  totals->diverged += outcome->state == RUN_DIVERGED;
  totals->undone += !run_state_has_result(outcome->state);
  totals->unresolved += !run->resolved;
  if (!run->resolved) return;
  totals->flops += run->quantities.flops;
  if (run->memory > totals->memory) {
    totals->memory = run->memory;
    totals->largest = run->number;
  }
  int card = plan_gpu_card(plan, run);
  for (int i = 0; plan_gpu_cards[i]; i++) totals->cards[i] += card == plan_gpu_cards[i];
  if (run->config.train.threads > totals->threads) totals->threads = run->config.train.threads;
  if (run->quantities.epochs > 1 && isfinite(run->quantities.epochs)) totals->repeated++;
  if (run->quantities.epochs > totals->epochs) totals->epochs = run->quantities.epochs;
  if (run_state_has_result(outcome->state)) return;
  totals->flops_undone += run->quantities.flops;
  totals->seconds += run->seconds;
  if (run->seconds > totals->longest) totals->longest = run->seconds;
}

// Which cards hold the runs, and what would make the largest fit where it does not.
static void print_cards(const struct plan *plan, const struct totals *t, FILE *out) {
  char need[32], less[32];
  double process = (double)trainer_process_bytes(plan->ops);
  fprintf(out, "GPU memory: up to %s with the process's own", bytes_human(t->memory + process, need));
  for (const int *card = plan_gpu_cards; *card; card++) {
    size_t fits = 0;
    for (const int *smaller = plan_gpu_cards; smaller <= card; smaller++) fits += t->cards[smaller - plan_gpu_cards];
    size_t known = plan->count - t->unresolved;
    fprintf(out, "%s %d GB holds ", card == plan_gpu_cards ? ":" : ",", *card);
    if (fits == known)
      fputs("all", out);
    else if (fits == 0)
      fputs("none", out);
    else
      fprintf(out, "%zu", fits);
  }
  fputs("\n", out);
  struct planned_run run;
  plan_run_quick(plan, t->largest, &run);
  for (const int *card = plan_gpu_cards; *card; card++) {
    struct memory_advice advice;
    double limit = plan_gpu_card_bytes(*card);
    if (t->memory + process <= limit) break;
    if (trainer_memory_advice(plan->ops, plan->device, &run.config, (int64_t)limit, &advice))
      fprintf(out, "  the largest fits %d GB with train.accumulation %lld and train.recompute %s: %s\n", *card,
              (long long)advice.accumulation, advice.recompute, bytes_human((double)advice.total, less));
  }
}

static void print_totals(const struct plan *plan, const struct totals *t, size_t shown, FILE *out) {
  char a[32], b[32], c[32];
  if (shown < plan->count) fprintf(out, "... and %zu more runs (--limit 0 shows all)\n", plan->count - shown);
  fprintf(out, "\n%zu run%s", plan->count, plan->count == 1 ? "" : "s");
  if (t->done) fprintf(out, ", %zu done", t->done);
  if (t->diverged) fprintf(out, ", %zu diverged", t->diverged);
  if (t->done || t->diverged) fprintf(out, ", %zu to do", t->undone);
  fprintf(out, "; %.2e FLOPs", t->flops);
  if (t->undone < plan->count) fprintf(out, ", %.2e of them to do", t->flops_undone);
  if (t->memory > 0) fprintf(out, "; up to %s a run", bytes_human(t->memory, a));
  fputs("\n", out);
  if (plan_on_gpu(plan) && t->memory > 0) print_cards(plan, t, out);
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  long slots = t->threads > 0 ? cores / (long)t->threads : cores;
  if (slots < 1) slots = 1;
  if (t->undone && t->seconds > 0) {
    double wall = fmax(t->seconds / (double)slots, t->longest);
    fprintf(out, "time to do: %s, or %s with %ld run%s side by side (%s)\n", seconds_human(t->seconds, a),
            seconds_human(wall, b), slots, slots == 1 ? "" : "s", plan_speed_note(plan));
  }
  if (plan->filtered) fprintf(out, "%zu combinations left out by where\n", plan->filtered);
  if (plan->united) fprintf(out, "%zu combinations are runs that stand here already\n", plan->united);
  if (t->repeated)
    fprintf(out, "%zu run%s need%s more tokens than the corpus holds: up to %s epochs\n", t->repeated,
            t->repeated == 1 ? "" : "s", t->repeated == 1 ? "s" : "", number_human(t->epochs, c));
  for (size_t i = 0; i < plan->corpus_count; i++) {
    const struct plan_corpus *corpus = &plan->corpora[i];
    bool first = true;
    for (size_t j = 0; j < i && first; j++)
      first = strcmp(plan->corpora[j].config.corpus.source, corpus->config.corpus.source) != 0;
    if (corpus->reason && !corpus->refused && first)
      fprintf(out, "no ids, and no epochs, for runs on %s: %s\n", corpus->config.corpus.source, corpus->reason);
  }
  if (t->unresolved) fprintf(out, "%zu runs have unknown sizes until the corpus is prepared\n", t->unresolved);
  if (plan->undecided > t->unresolved)
    fprintf(out, "for %zu combinations where could not be decided until the corpus is prepared: they are counted in\n",
            plan->undecided - t->unresolved);
}

bool plan_print_table(const struct plan *plan, struct store *store, bool counts, size_t limit, FILE *out,
                      struct error *error) {
  struct table *table = memory_get(sizeof *table);
  struct totals totals = {0};
  add_column(table, "id", false, NULL);
  add_column(table, "state", false, NULL);
  size_t axes = 0;
  for (size_t i = 0; i < plan->axis_count && axes < MOST_AXES; i++) {
    const struct run_field *field = plan->axes[i].field;
    // tokens and tokens per parameter have columns of their own
    if (!plan->axes[i].varies || field->offset == offsetof(struct run_config, train.tokens) ||
        field->offset == offsetof(struct run_config, train.tokens_per_parameter))
      continue;
    add_column(table, short_name(plan, field), field->type <= FIELD_NUMBER, field);
    axes++;
  }
  add_column(table, "N", true, NULL);
  for (size_t i = 0; counts && i < sizeof count_heads / sizeof *count_heads; i++)
    add_column(table, count_heads[i], true, NULL);
  static const char *const heads[] = {"D", "D/N", "epochs", "FLOPs", "6ND", "memory", "time"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) add_column(table, heads[i], true, NULL);
  size_t shown = limit && limit < plan->count ? limit : plan->count;
  bool fine = true;
  for (size_t i = 0; i < plan->count && fine; i++) {
    struct planned_run run;
    struct run_outcome outcome;
    if (store || i < shown)
      plan_run(plan, i, &run);
    else
      plan_run_quick(plan, i, &run);
    fine = run_outcome_find(store, run.id, &outcome, error);
    add_up(&totals, plan, &run, &outcome);
    if (i < shown) add_row(table, &run, &outcome, counts);
  }
  if (fine) {
    print_table(table, out);
    print_totals(plan, &totals, shown, out);
  }
  text_free(&table->cells);
  free(table);
  return fine;
}
