// The runs to make next: for people, and as JSON.
#include <math.h>
#include <string.h>

#include "runner/fits/next_runs.h"
#include "runner/terminal/table.h"

static const double widest = 10;  // of an interval, over the value: beyond, its ends say nothing

static const char *digits(struct arena *arena, double value, int count) {
  char text[40];
  return isfinite(value) ? arena_string(arena, number_digits(value, count, text)) : "not determined";
}

// The call that trains the runs of the list that the spec has; NULL where it has none of them.
static const char *run_command(const struct next_runs *next, const char *call, struct arena *arena) {
  struct text only = {0};
  for (size_t i = 0; i < next->result.count; i++) {
    const char *ids = next->runs[i].ids;
    for (size_t length; ids && *ids; ids += length + (ids[length] == ' ')) {
      length = strcspn(ids, " ");
      text_format(&only, "%s\"%.*s\"", only.length ? ", " : "", (int)length, ids);
    }
  }
  const char *made = only.length ? arena_format(arena, "%s --only 'id in [%s]'", call, text_string(&only)) : NULL;
  text_free(&only);
  return made;
}

static const char *width_text(struct arena *arena, const struct design_standing *standing) {
  return standing->width < widest ? arena_format(arena, "%.3g %%", 100 * standing->width) : "-";
}

static const char *interval_text(struct arena *arena, const struct design_standing *standing) {
  if (!isfinite(standing->se)) return "not determined";
  if (!(standing->width < widest)) return "over ten times its value";
  int count = interval_digits(standing->low, standing->high, 4);
  char low[40], high[40];
  return arena_format(arena, "%s .. %s", number_digits(standing->low, count, low),
                      number_digits(standing->high, count, high));
}

static void add_standing(const struct next_runs *next, const struct design_standing *standing, struct arena *arena,
                         struct text_table *table) {
  if (!next->target)
    text_table_cell(table, "%s",
                    isfinite(standing->log_determinant) ? digits(arena, standing->log_determinant, 4) : "-");
  if (!next->target) text_table_cell(table, "%s", standing->quantity);
  text_table_cell(table, "%s", interval_text(arena, standing));
  text_table_cell(table, "%s", width_text(arena, standing));
}

static size_t runs_of(const struct next_run *run) {
  size_t count = !run->ids || *run->ids;
  for (const char *at = run->ids; at && *at; at++) count += *at == ' ';
  return count;
}

static void add_row(const struct next_runs *next, size_t i, struct arena *arena, struct text_table *table) {
  const struct design_step *step = &next->result.steps[i];
  const struct next_run *run = &next->runs[i];
  char n[32], d[32], c[32], total[32];
  size_t runs = run->ids ? runs_of(run) : 0;
  text_table_cell(table, "%zu%s", i + 1, step->prior ? "*" : "");
  if (runs > 1)
    text_table_cell(table, "%.8s and %zu more", run->name, runs - 1);
  else
    text_table_cell(table, "%.8s", run->name ? run->name : "point");
  text_table_cell(table, "%s", number_human(run->parameters, n));
  text_table_cell(table, "%s", number_human(run->tokens, d));
  text_table_cell(table, "%s", run->what);
  text_table_cell(table, "%s", number_human(step->flops, c));
  text_table_cell(table, "%s", number_human(step->total, total));
  add_standing(next, &step->after, arena, table);
}

static void add_other(const struct next_runs *next, const char *name, double flops,
                      const struct design_standing *standing, struct arena *arena, struct text_table *table) {
  char total[32];
  text_table_cell(table, "%s", "");
  text_table_cell(table, "%s", name);
  for (int i = 0; i < 4; i++) text_table_cell(table, "%s", "");
  text_table_cell(table, "%s", number_human(flops, total));
  add_standing(next, standing, arena, table);
}

static void print_reached(const struct next_runs *next, struct arena *arena, FILE *out) {
  const struct design_next_result *result = &next->result;
  const char *width = next->share ? arena_format(arena, "%.4g %% of its value", 100 * next->until)
                                  : arena_format(arena, "%.4g", next->until);
  const char *of = next->target ? next->target : "every coefficient";
  double total = result->count ? result->steps[result->count - 1].total : 0;
  char flops[32];
  size_t runs = 0;
  for (size_t i = 0; i < result->count; i++) runs += runs_of(&next->runs[i]);
  if (!result->reached)
    fprintf(out, "  --until %s is not reached for %s: all %zu candidates together leave %s\n", width, of,
            result->candidates, width_text(arena, &result->all));
  else if (!result->count)
    fprintf(out, "  the interval of %s is no wider than %s already: no run is needed\n", of, width);
  else
    fprintf(
        out,
        "  the interval of %s is no wider than %s after %zu run%s, %s FLOPs: %.3g %% of what all %zu candidates take\n",
        of, width, runs, runs == 1 ? "" : "s", number_human(total, flops), 100 * total / result->all_flops,
        result->candidates);
}

void next_runs_print(const struct next_runs *next, const char *call, FILE *out) {
  const struct design_next_result *result = &next->result;
  struct arena arena = {0};
  bool prior = false;
  struct text_table table = {.gap = 2, .indent = 2};
  const struct text_column columns[] = {{"", .right = true},       {"run"}, {"N", .right = true},
                                        {"D", .right = true},      {""},    {"FLOPs", .right = true},
                                        {"in all", .right = true}, {0}},
                           of_all[] = {{"log det", .right = true}, {"known least"}, {0}},
                           interval[] = {{"95 % interval"}, {"width", .right = true}, {0}};
  text_table_columns(&table, columns);
  if (!next->target) text_table_columns(&table, of_all);
  text_table_columns(&table, interval);
  if (!result->candidates) {
    fprintf(out,
            "  next: all runs of this fit are done; --candidates \"N=...,D=...\" names others that could be made\n");
    text_table_free(&table);
    arena_free(&arena);
    return;
  }
  fprintf(out, "  next: of %zu %s, those that gain most for their FLOPs, for %s\n", result->candidates,
          next->points ? "points" : "rows that are not done",
          next->target ? arena_format(&arena, "the least variance of %s (V-optimal)", next->target)
                       : "all coefficients together (D-optimal)");
  add_other(next, arena_format(&arena, "%zu done", next->done), 0, &result->now, &arena, &table);
  for (size_t i = 0; i < result->count; i++) {
    add_row(next, i, &arena, &table);
    prior |= result->steps[i].prior;
  }
  add_other(next, "all candidates", result->all_flops, &result->all, &arena, &table);
  text_table_print(&table, out);
  text_table_free(&table);
  if (prior)
    fprintf(out,
            "  * the runs before do not determine every coefficient: chosen with a prior that knows each to 100 %% "
            "(s.d.);\n    no interval has it in it\n");
  if (next->as_in && *next->as_in)
    fprintf(out, "  points are like run %.8s in all that was not said of them; they cost 6ND\n", next->as_in);
  if (!isnan(next->until)) print_reached(next, &arena, out);
  const char *command = run_command(next, call, &arena);
  if (command) fprintf(out, "  to train these:\n    %s\n", command);
  fprintf(out, "  The intervals are linearised, at what is assumed: fit what is done and ask again.\n");
  arena_free(&arena);
}

// ---- JSON ----

static void put_standing(const struct design_standing *standing, struct json_writer *writer) {
  bool known = isfinite(standing->se);
  json_key_boolean(writer, "determined", standing->determined);
  json_key_number(writer, "log_determinant", standing->log_determinant);
  json_key_string(writer, "quantity", standing->quantity);
  json_key_number(writer, "value", standing->value);
  json_key_number(writer, "se", standing->se);
  json_key_number(writer, "low95", known ? standing->low : NAN);
  json_key_number(writer, "high95", known ? standing->high : NAN);
  json_key_number(writer, "relative_width", known ? standing->width : NAN);
}

static void put_run(const struct next_runs *next, size_t i, struct json_writer *writer) {
  const struct design_step *step = &next->result.steps[i];
  const struct next_run *run = &next->runs[i];
  json_object_begin(writer);
  json_key(writer, "ids");
  json_array_begin(writer);
  for (const char *at = run->ids; at && *at;) {
    char id[40];
    size_t length = strcspn(at, " ");
    snprintf(id, sizeof id, "%.*s", (int)length, at);
    json_put_string(writer, id);
    at += length + (at[length] == ' ');
  }
  json_array_end(writer);
  json_key_number(writer, "parameters", run->parameters);
  json_key_number(writer, "tokens", run->tokens);
  json_key_string(writer, "category", run->what);
  json_key_number(writer, "flops", step->flops);
  json_key_number(writer, "flops_in_all", step->total);
  json_key_boolean(writer, "with_prior", step->prior);
  put_standing(&step->after, writer);
  json_object_end(writer);
}

void next_runs_json(const struct next_runs *next, const char *call, struct json_writer *writer) {
  const struct design_next_result *result = &next->result;
  struct arena arena = {0};
  json_key_string(writer, "criterion", next->target ? "V" : "D");
  json_key_string(writer, "target", next->target);
  json_key_integer(writer, "done", (int64_t)next->done);
  json_key_integer(writer, "candidates", (int64_t)result->candidates);
  json_key_number(writer, "until", next->until);
  json_key_boolean(writer, "until_is_share", next->share);
  json_key_boolean(writer, "reached", result->reached);
  json_key(writer, "now");
  json_object_begin(writer);
  put_standing(&result->now, writer);
  json_object_end(writer);
  json_key(writer, "next");
  json_array_begin(writer);
  for (size_t i = 0; i < result->count; i++) put_run(next, i, writer);
  json_array_end(writer);
  json_key(writer, "all");
  json_object_begin(writer);
  json_key_number(writer, "flops", result->all_flops);
  put_standing(&result->all, writer);
  json_object_end(writer);
  json_key_string(writer, "command", run_command(next, call, &arena));
  arena_free(&arena);
}
