// See of_table.h. Rows take the place of runs, so that figures, findings and the tables of fits are the same.
#include "runner/report/of_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/version.h"

enum { MOST_VALUES = 24 };  // of a column whose values are left out one by one unless that is asked for

static double number_at(const struct table *table, const char *name, size_t row) {
  int column = table_find(table, name);
  struct value value = column < 0 ? (struct value){.kind = VALUE_MISSING} : table_value(table, (size_t)column, row);
  return value.kind == VALUE_NUMBER ? value.number : NAN;
}

static void add_rows(struct report *report, const struct table *table, const struct law *law) {
  struct arena *arena = &report->arena;
  const char **columns = arena_array(arena, table->column_count + 1, sizeof *columns);
  int format = table_find(table, "format");
  for (size_t c = 0; c < table->column_count; c++) columns[c] = arena_string(arena, table->columns[c].name);
  report->columns = columns;
  report->column_count = (int)table->column_count;
  report->runs = arena_array(arena, table->row_count + 1, sizeof *report->runs);
  report->count = report->states[RUN_DONE] = table->row_count;
  for (size_t row = 0; row < table->row_count; row++) {
    struct report_run *run = &report->runs[row];
    *run = (struct report_run){.id = arena_string(arena, table->row_names[row]), .format = "none", .state = RUN_DONE};
    run->values = arena_array(arena, table->column_count + 1, sizeof *run->values);
    for (size_t c = 0; c < table->column_count; c++) {
      run->values[c] = table_value(table, c, row);
      if (run->values[c].kind == VALUE_TEXT) run->values[c].text = arena_string(arena, run->values[c].text);
    }
    if (format >= 0 && run->values[format].kind == VALUE_TEXT) run->format = run->values[format].text;
    run->parameters = number_at(table, law_size_column(law), row);
    run->tokens = number_at(table, "tokens", row);
    run->flops = number_at(table, "flops", row);
    if (isnan(run->flops)) run->flops = 6 * run->parameters * run->tokens;
    run->loss = number_at(table, law->target, row);
    run->learning_rate = number_at(table, "train.lr", row);
    run->epochs = number_at(table, "epochs", row);
    run->bits_per_byte = run->oracle_loss = run->irreducible_loss = run->wall_seconds = run->tokens_per_second =
        run->finished_at = NAN;
    if (isfinite(run->loss) && (!report->best || run->loss < report->best->loss)) report->best = run;
  }
}

// ---- what is left out ----

static size_t values_of(const struct table *table, int column) {
  int *group = memory_get((table->row_count + 1) * sizeof *group);
  int count = table_partition(table, &column, 1, NULL, group);
  free(group);
  return (size_t)count;
}

// The law's sizes, tokens and compute, as far as the table has them in few values.
static void leave_out_by_default(struct report *report, const struct table *table, const struct law *law,
                                 struct fit_options *options) {
  const char *const wanted[] = {law_size_column(law), "tokens", "flops"};
  const char **columns = arena_array(&report->arena, 3, sizeof *columns);
  for (size_t i = 0; i < 3; i++) {
    int column = table_find(table, wanted[i]);
    if (column < 0 || table->columns[column].kind != COLUMN_NUMBER) continue;
    size_t count = values_of(table, column);
    if (count < 3) continue;
    if (count <= MOST_VALUES)
      columns[options->leave_out_count++] = wanted[i];
    else
      report_say(report, false, "%s has %zu values, too many to leave each out unasked: --leave-out %s.", wanted[i],
                 count, wanted[i]);
  }
  options->leave_out = columns;
}

// ---- where it comes from ----

static void fact(struct report *report, const char *name, const char *text) {
  report->facts =
      arena_grow(&report->arena, report->facts, report->fact_count, report->fact_count + 1, sizeof *report->facts);
  report->facts[report->fact_count++] = (struct report_fact){name, text};
}

static bool add_origin(struct report *report, const char *source, const char *given, const struct law *law,
                       struct error *error) {
  struct arena *arena = &report->arena;
  report->source = arena_string(arena, source);
  report->command = arena_format(arena, "isoloss report %s%s%s", source, *given ? " " : "", given);
  fact(report, file_exists(source) ? "file" : "imported table", arena_string(arena, source));
  if (file_exists(source)) {
    struct digest digest;
    if (!digest_file(source, &digest, error)) return false;
    fact(report, "digest (XXH3-128)", arena_string(arena, digest.hex));
  }
  fact(report, "options", *given ? arena_string(arena, given) : "none");
  fact(report, "law", arena_format(arena, "%s: %s", law->name, law->formula_text));
  if (law->source) fact(report, "source of the law", arena_string(arena, law->source));
  fact(report, "isoloss", ISOLOSS_VERSION);
  return true;
}

static const char *stem_of(struct arena *arena, const char *source) {
  const char *slash = strrchr(source, '/');
  char *stem = arena_string(arena, slash ? slash + 1 : source), *dot = strrchr(stem, '.');
  if (dot && dot != stem) *dot = '\0';
  return stem;
}

static bool add_fit(struct report *report, const struct fit_input *input, const struct fit_result *result,
                    struct error *error) {
  struct text document = {0};
  struct json_writer writer = json_writer(&document, false);
  fit_result_json(result, &writer);
  bool fine = report_add_fit(report, result->name, input->law, text_string(&document), error);
  text_free(&document);
  return fine;
}

// One fit, or one for each value of the column that it is made by.
static bool run_fits(const struct law *law, const struct fit_input *input, struct fit_parts *parts,
                     struct error *error) {
  if (input->options.by) return fit_run_by(law, &input->table, &input->options, parts, error);
  parts->results = arena_array(&parts->arena, 1, sizeof *parts->results);
  parts->count = 1;
  return fit_run(law, &input->table, &input->options, &parts->results[0], error);
}

bool report_of_table(struct report *report, const char *source, const struct fit_arguments *arguments,
                     const struct fit_options *options, const char *given, bool fitted, struct error *error) {
  struct arena *arena = &report->arena;
  struct fit_input input = {0};
  struct law law = {0};
  struct fit_parts parts = {0};
  report->home = isoloss_home(arena);
  report->about = report->spec_path = report->spec_text = "";
  report->command = "";  // of a table, until it is known
  bool fine = fit_input_begin(&input, source, arguments, options, error) && law_open(&law, input.law, error) &&
              fit_input_read(&input, &law, 1, error);
  if (fine) {
    report->name = fitted ? arena_format(arena, "%s-%s", stem_of(arena, source), law.name) : stem_of(arena, source);
    report->title = arena_format(arena, "%s: the law %s", stem_of(arena, source), law.name);
    report->outcome = arena_string(arena, law.target);
    add_rows(report, &input.table, &law);
    if (fitted && !input.options.leave_out_count) leave_out_by_default(report, &input.table, &law, &input.options);
    fine = !fitted || run_fits(&law, &input, &parts, error);
  }
  fine = fine && add_origin(report, source, given, &law, error);
  for (size_t i = 0; i < parts.count && fine; i++) {
    fit_input_tell(&input, &parts.results[i]);
    fine = add_fit(report, &input, &parts.results[i], error);
    if (fine) report->fits[i].size_column = arena_string(arena, law_size_column(&law));
  }
  for (size_t i = 0; i < parts.left_out_count && fine; i++)
    report_say(report, true, "%s = %s has no fit: %s.", input.options.by, parts.left_out[i].row,
               parts.left_out[i].reason);
  fine = fine && report_gather_figures(report, NULL, error);
  if (fine) report_find(report);
  fit_parts_free(&parts);
  law_free(&law);
  fit_input_free(&input);
  return fine;
}
