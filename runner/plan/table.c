// The table of a plan: one line a run, then totals and what is worth knowing.
#include "runner/terminal/table.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "results/columns.h"
#include "runner/plan/grid.h"
#include "runner/plan/halving.h"
#include "runner/plan/kept_blocks.h"
#include "runner/plan/print.h"
#include "runner/plan/prunings.h"
#include "runner/plan/stages.h"
#include "runner/plan/trunks.h"
#include "runner/plan/validation.h"
#include "runner/spec/internal.h"
#include "trainer/trainer.h"

enum { MOST_AXES = 20, WIDEST = 60 };

// The columns of the table, and which fields of a run those after the state show.
struct runs_table {
  struct text_table text;
  const struct run_field *axes[MOST_AXES];
  size_t axis_count;
  bool stages;
  const struct run_column *state_bytes;  // NULL: no axis changes how much state the optimizer keeps
};

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

static const struct {
  const char *head, *column;
} count_heads[] = {{"total", "parameters_total"},      {"embedding", "parameters_embedding"},
                   {"head", "parameters_head"},        {"attention", "parameters_attention"},
                   {"MLP", "parameters_mlp"},          {"norms", "parameters_norms"},
                   {"prunable", "parameters_prunable"}};

static void add_number(struct text_table *table, bool known, double value) {
  char text[32];
  text_table_cell(table, "%s", known && !isnan(value) ? number_human(value, text) : "-");
}

static void add_setting(struct text_table *table, const struct run_config *config, const struct run_field *field) {
  char text[64];
  struct value value = field_get(config, field);
  if (value.kind == VALUE_TEXT && !strchr(value.text, '\n')) {  // whole: a format without a short name is known by it
    text_table_cell(table, "%s", value.text);
    return;
  }
  const char *shown = field_shown(field, value, text);
  // Derived numbers may have many digits: six are enough to tell them apart.
  if (field->type == FIELD_NUMBER && strlen(shown) > 8)
    text_table_cell(table, "%.6g", value.number);
  else
    text_table_cell(table, "%s", shown);
}

static void add_epochs(struct text_table *table, bool known, double epochs) {
  if (known && epochs == 0)
    text_table_cell(table, "fresh");
  else if (known && isfinite(epochs))
    text_table_cell(table, epochs > 0 && epochs < 0.005 ? "%.0e" : "%.2f", epochs);
  else
    text_table_cell(table, "-");
}

static void add_flops(struct text_table *table, bool known, double flops) {
  if (known && !isnan(flops))
    text_table_cell(table, "%.2e", flops);
  else
    text_table_cell(table, "-");
}

static double planned(const char *column, const struct planned_run *run) {
  struct value value = run_column_find(column)->planned(&run->quantities, &run->corpus->facts);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

static void add_row(struct runs_table *runs, const struct planned_run *run, const struct run_outcome *outcome,
                    bool counts) {
  char text[32];
  struct text_table *table = &runs->text;
  const struct run_quantities *q = &run->quantities;
  bool known = run->resolved;
  text_table_cell(table, "%.8s", *run->id ? run->id : "-");
  text_table_cell(table, "%s", run_state_name(outcome->state));
  if (runs->stages) {
    text_table_cell(table, "%s", run->stage ? run->stage->name : "train");
    text_table_cell(table, "%.8s", *run->parent_id ? run->parent_id : "-");
  }
  for (size_t i = 0; i < runs->axis_count; i++) add_setting(table, &run->config, runs->axes[i]);
  add_number(table, known, planned("parameters", run));
  for (size_t i = 0; counts && i < sizeof count_heads / sizeof *count_heads; i++)
    add_number(table, known, planned(count_heads[i].column, run));
  if (runs->state_bytes) {
    double bytes = known ? planned(runs->state_bytes->name, run) : NAN;
    text_table_cell(table, "%s", isnan(bytes) ? "-" : bytes_human(bytes, text));
  }
  add_number(table, known && q->tokens != AUTO_INTEGER, (double)q->tokens);
  add_number(table, known, q->tokens_per_parameter);
  add_epochs(table, known, q->epochs);
  add_flops(table, known, q->flops);
  add_flops(table, known, q->flops_6nd);
  text_table_cell(table, "%s", isnan(run->memory) ? "-" : bytes_human(run->memory, text));
  text_table_cell(table, "%s", isnan(run->seconds) ? "-" : seconds_human(run->seconds, text));
}

// ---- totals ----

struct totals {
  size_t done, diverged, halved, undone, repeated, unresolved;
  double flops, flops_undone, flops_selection, flops_search, seconds, longest, memory, epochs;
  int64_t threads;
  size_t cards[8];  // runs by the smallest card that holds them
  size_t largest;   // the run of the most memory
  size_t float32, bfloat16;
  struct trunk_savings savings;
  double *trained;  // [plan->count] share of a run's steps that halving leaves, on average of its group; NULL: all
};

static void add_up(struct totals *totals, const struct plan *plan, const struct planned_run *run,
                   const struct run_outcome *outcome) {
  totals->done += outcome->state == RUN_DONE;
  totals->diverged += outcome->state == RUN_DIVERGED;
  bool halved = plan->halving && outcome->state == RUN_KILLED && outcome->halved_at > 0;
  bool undone = !run_state_has_result(outcome->state) && !halved;
  totals->undone += undone;
  totals->halved += halved;
  totals->unresolved += !run->resolved;
  if (!run->resolved) return;
  bool bfloat16 = strcmp(run->config.model.dtype, dtype_name(DTYPE_BFLOAT16)) == 0;
  *(bfloat16 ? &totals->bfloat16 : &totals->float32) += 1;
  struct run_config training;
  struct run_quantities quantities;
  bool further = plan_stage_training(run, &training, &quantities);
  if (further && run->memory > totals->memory) {
    totals->memory = run->memory;
    totals->largest = run->number;
  }
  if (run->stage) {
    const double own = run->stage->root ? 0 : run->quantities.flops_own;
    totals->flops += own;
    if (run->stage->spends == offsetof(struct run_quantities, flops_search))
      totals->flops_search += own;
    else if (run->stage->spends)
      totals->flops_selection += own;
    if (!undone) return;
    totals->flops_undone += own;
    totals->seconds += run->seconds;
    if (run->seconds > totals->longest) totals->longest = run->seconds;
    return;
  }
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
  if (outcome->state == RUN_DONE && spec_trains_model(plan->spec))
    trunk_savings_add_done(&totals->savings, run->number, &run->config, run->corpus->facts.digest, run->id);
  if (!undone) return;
  totals->flops_undone += run->quantities.flops;
  if (spec_trains_model(plan->spec)) {
    trunk_savings_add(&totals->savings, run->number, &run->config, run->corpus->facts.digest, run->quantities.flops,
                      run->seconds);
  }
  totals->seconds += run->seconds * (totals->trained ? totals->trained[run->number] : 1);
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

// Whether this machine holds the largest run, and what would make it fit. Returns how many of it go side by side; 0
// where nothing bounds them.
static long print_memory(const struct plan *plan, const struct totals *t, FILE *out) {
  const char *limit;
  char need[32], there[32], less[32];
  double bytes = plan_memory_limit(plan, &limit);
  struct planned_run run;
  if (!isfinite(bytes) || !(t->memory > 0)) return 0;
  plan_run_quick(plan, t->largest, &run);
  double needs = plan_needs(plan, &run);
  if (!(needs > bytes)) return needs > 0 && bytes / needs < 1e6 ? (long)(bytes / needs) : 0;
  struct memory_advice advice;
  bool fits = trainer_memory_advice(plan->ops, plan->device, &run.config, (int64_t)bytes, &advice);
  fprintf(out,
          "memory: the largest run needs %s with its process, and %s gives runs %s: it will not be started here; "
          "with train.accumulation %lld and train.recompute %s it needs %s%s\n",
          bytes_human(needs, need), limit, bytes_human(bytes, there), (long long)advice.accumulation, advice.recompute,
          bytes_human((double)advice.total, less), fits ? "" : ", the least there is");
  return 1;
}

// In which type the runs multiply, and why: the spec says it, or model.dtype is auto and the device decides. Where runs
// differ in it, a column says which has which.
static void print_dtype(const struct plan *plan, const struct totals *t, FILE *out) {
  if (!spec_trains_model(plan->spec) || (t->float32 == 0) == (t->bfloat16 == 0)) return;
  const char *dtype = dtype_name(t->bfloat16 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32);
  bool given = strcmp(plan->spec->base.model.dtype, "auto") != 0;
  for (size_t i = 0; i < plan->axis_count; i++) given |= strcmp(plan->axes[i].field->path, "model.dtype") == 0;
  bool faster = strcmp(plan->dtype, dtype_name(DTYPE_BFLOAT16)) == 0;
  struct text device = {0};
  if (plan->device) {
    text_add(&device, " (");
    plan->ops->describe(plan->device, &device);
    text_add(&device, ")");
  }
  fprintf(out, "products in %s: ", dtype);
  if (!plan->ops)
    fputs(given ? "the spec says so" : "model.dtype is auto, and this machine cannot open the device to decide", out);
  else if (given && (!t->bfloat16 || faster))
    fputs("the spec says so", out);
  else if (given)
    fprintf(out, "the spec says so; float32 would take less time here%s", text_string(&device));
  else if (t->bfloat16 && !faster)
    fputs("model.dtype is auto, and train.master_weights bfloat16 needs them", out);
  else
    fprintf(out, "model.dtype is auto, and bfloat16 is %s than float32 on this device%s",
            faster ? "faster" : "no faster", text_string(&device));
  fputs("\n", out);
  text_free(&device);
}

// What a plan does not know of a custom trainer.
static void print_unknown(const struct plan *plan, FILE *out) {
  const struct spec_trainer *trainer = &plan->spec->trainer;
  bool n = trainer->counts[COUNT_PARAMETERS].node, c = trainer->counts[COUNT_FLOPS].node;
  if (!trainer->node || (n && c)) return;
  fprintf(out,
          "%s of this trainer are unknown before it trains: its events tell (docs/events.md), or the spec does with "
          "trainer: {%s%s%s}\n",
          n   ? "FLOPs"
          : c ? "N and D/N"
              : "N, D/N and FLOPs",
          n ? "" : "parameters: EXPRESSION", n || c ? "" : ", ", c ? "" : "flops: EXPRESSION");
}

// Whether the spec leaves the length of its runs to the default.
static bool length_by_default(const struct plan *plan) {
  const struct run_config *base = &plan->spec->base;
  for (size_t i = 0; i < plan->axis_count; i++)
    if (plan->axes[i].field->groups & GROUP_BUDGET) return false;
  return base->train.tokens == AUTO_INTEGER && base->train.steps == AUTO_INTEGER &&
         isnan(base->train.tokens_per_parameter);
}

static void print_totals(const struct plan *plan, const struct totals *t, size_t shown, FILE *out) {
  char a[32], b[32], c[32];
  if (shown < plan->count) fprintf(out, "... and %zu more runs (--limit 0 shows all)\n", plan->count - shown);
  fprintf(out, "\n%zu run%s", plan->count, plan->count == 1 ? "" : "s");
  if (plan->spec->stage_count || plan->spec->from) {
    struct text counts = {0};
    plan_stages_say(plan, &counts);
    fprintf(out, " (%s)", text_string(&counts));
    text_free(&counts);
  }
  if (t->done) fprintf(out, ", %zu done", t->done);
  if (t->diverged) fprintf(out, ", %zu diverged", t->diverged);
  if (t->halved) fprintf(out, ", %zu stopped by halving", t->halved);
  if (t->done || t->diverged || t->halved) fprintf(out, ", %zu to do", t->undone);
  bool trains = (!plan->spec->from || t->flops > 0) && !isnan(t->flops);
  if (trains) fprintf(out, "; %.2e FLOPs", t->flops);
  if (trains && t->flops_selection > 0) fprintf(out, ", %.2e of them to select data", t->flops_selection);
  if (trains && t->flops_search > 0) fprintf(out, ", %.2e of them to search", t->flops_search);
  if (t->undone < plan->count && trains) fprintf(out, ", %.2e of them to do", t->flops_undone);
  if (t->memory > 0) fprintf(out, "; up to %s a run", bytes_human(t->memory, a));
  fputs("\n", out);
  if (t->memory > 0) plan_print_unplanned(plan, out);
  print_dtype(plan, t, out);
  print_unknown(plan, out);
  if (plan->spec->trainer.node && !plan->spec->trainer.counts[COUNT_PARAMETERS].node && length_by_default(plan))
    fputs("D is 20 times the parameters of the built-in model of these fields: give train.tokens or train.steps\n",
          out);
  if (plan_on_gpu(plan) && t->memory > 0) print_cards(plan, t, out);
  long cores = cores_usable(), held = print_memory(plan, t, out);
  long slots = t->threads > 0 ? cores / (long)t->threads : cores;
  bool by_memory = held > 0 && held < slots;
  if (by_memory) slots = held;
  if (slots < 1) slots = 1;
  trunk_savings_print(&t->savings, plan, out);
  double seconds = t->seconds;
  if (spec_shares_trunks(plan->spec)) seconds -= trunk_savings_find(&t->savings, false).seconds;
  if (t->undone && seconds > 0) {
    double wall = fmax(seconds / (double)slots, t->longest);
    fprintf(out, "time to do: %s, or %s with %ld run%s side by side%s (%s)\n", seconds_human(seconds, a),
            seconds_human(wall, b), slots, slots == 1 ? "" : "s", by_memory ? ", as memory holds" : "",
            plan_speed_note(plan));
    struct arena scratch = {0};
    const char *money = run_terms_money(&plan->terms, wall, &scratch);
    if (money) fprintf(out, "price of that time: %s\n", money);
    arena_free(&scratch);
  }
  if (t->undone && isnan(t->seconds) && *plan_speed_note(plan)) fprintf(out, "time to do: %s\n", plan_speed_note(plan));
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
  struct arena arena = {0};
  const char *coarse = plan_prunings_doubt(plan, &arena);
  if (coarse) fprintf(out, "warning: %s\n", coarse);
  const char *no_blocks = plan_kept_blocks_doubt(plan, &arena);
  if (no_blocks) fprintf(out, "warning: %s\n", no_blocks);
  arena_free(&arena);
  plan_print_halving(plan, out);
  plan_print_validation(plan, false, out);
  if (t->unresolved) fprintf(out, "%zu runs have unknown sizes until the corpus is prepared\n", t->unresolved);
  if (plan->undecided > t->unresolved)
    fprintf(out, "for %zu combinations where could not be decided until the corpus is prepared: they are counted in\n",
            plan->undecided - t->unresolved);
}

// D and D/N have columns anyway.
static bool has_own_column(const struct run_field *field) {
  return strcmp(field->path, "train.tokens") == 0 || strcmp(field->path, "train.tokens_per_parameter") == 0;
}

static void add_columns(struct runs_table *runs, const struct plan *plan, bool counts) {
  text_table_column(&runs->text, (struct text_column){"id"});
  text_table_column(&runs->text, (struct text_column){"state"});
  runs->stages = plan->spec->stage_count > 0 || plan->spec->from;
  if (runs->stages) {
    text_table_column(&runs->text, (struct text_column){"stage"});
    text_table_column(&runs->text, (struct text_column){"parent"});
  }
  for (size_t i = 0; i < plan->axis_count && runs->axis_count < MOST_AXES; i++) {
    const struct run_field *field = plan->axes[i].field;
    if (!plan->axes[i].varies || has_own_column(field)) continue;
    text_table_column(&runs->text, (struct text_column){short_name(plan, field), .right = field->type <= FIELD_NUMBER,
                                                        .most = WIDEST});
    runs->axes[runs->axis_count++] = field;
    if (field->groups & GROUP_STATE) runs->state_bytes = run_column_find("state_bytes");
  }
  text_table_column(&runs->text, (struct text_column){"N", .right = true});
  for (size_t i = 0; counts && i < sizeof count_heads / sizeof *count_heads; i++)
    text_table_column(&runs->text, (struct text_column){count_heads[i].head, .right = true});
  if (runs->state_bytes) text_table_column(&runs->text, (struct text_column){runs->state_bytes->name, .right = true});
  static const char *const heads[] = {"D", "D/N", "epochs", "FLOPs", "6ND", "memory", "time"};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
    text_table_column(&runs->text, (struct text_column){heads[i], .right = true});
}

bool plan_print_table(const struct plan *plan, struct store *store, bool counts, size_t limit, FILE *out,
                      struct error *error) {
  struct runs_table table = {.text.gap = 2};
  struct totals totals = {.trained = plan_halving_shares(plan)};
  add_columns(&table, plan, counts);
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
    if (i < shown) add_row(&table, &run, &outcome, counts);
  }
  if (fine) {
    text_table_print(&table.text, out);
    print_totals(plan, &totals, shown, out);
  }
  trunk_savings_free(&totals.savings);
  free(totals.trained);
  text_table_free(&table.text);
  return fine;
}
