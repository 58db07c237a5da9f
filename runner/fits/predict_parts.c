// Predictions of a law that is fitted by the values of a column: which value's fit answers which question.
#include <string.h>

#include "results/columns.h"
#include "runner/fits/predict_internal.h"
#include "runner/fits/table_parts.h"
#include "trainer/formats.h"

// The part of the fits that a question means: formats have several spellings.
static const char *meant(struct arena *arena, const struct table_parts *there, const char *name) {
  const char *canonical = format_canonical(name, arena);
  for (size_t i = 0; i < there->count; i++)
    if (strcmp(there->names[i], name) == 0) return name;
  for (size_t i = 0; i < there->count; i++)
    if (strcmp(there->names[i], canonical) == 0) return there->names[i];
  return NULL;
}

static const char *listed(struct arena *arena, const struct table_parts *there) {
  enum { SHOWN = 12 };
  const char *list = "";
  for (size_t i = 0; i < there->count && i < SHOWN; i++)
    list = arena_format(arena, "%s%s%s", list, i ? ", " : "", there->names[i]);
  return there->count > SHOWN ? arena_format(arena, "%s, ...", list) : list;
}

// The parts that the questions of a table mean.
static bool asked_of(struct arena *arena, const struct table *questions, const char *by, const char *what,
                     const struct table_parts *there, struct table_parts *asked, struct error *error) {
  for (size_t row = 0; row < questions->row_count; row++) {
    const char *name = table_part_of(arena, questions, by, row), *part = name ? meant(arena, there, name) : NULL;
    if (!name && there->count == 1) continue;  // it can only be that one
    if (!name)
      return error_set(error, EXIT_USAGE_ERROR,
                       "predict: the law is fitted to each %s by itself, and %s does not say which (it is one of %s)",
                       by, what, listed(arena, there));
    if (!part) {
      error_set(error, EXIT_USAGE_ERROR, "predict: the law is fitted to each %s by itself, and no row has %s = %s", by,
                by, name);
      error_hint(error, nearest_name(name, there->names, there->count), NULL);
      return error_add(error, " (there are %s)", listed(arena, there));
    }
    table_parts_add(arena, asked, part);
  }
  return true;
}

static bool find_asked(struct predict_report *report, const struct predict_arguments *arguments, const char *by,
                       const struct table_parts *there, struct arena *arena, struct table_parts *asked,
                       struct error *error) {
  struct table points = {0}, file = {0};
  bool fine =
      points_parse(&points, arguments->at.items, arguments->at.count, error) || error_context(error, "predict: --at");
  fine = fine && predict_read_table(report, arguments, &file, error) &&
         asked_of(arena, &points, by, "--at", there, asked, error) &&
         asked_of(arena, &file, by, arguments->table, there, asked, error);
  if (fine && !asked->count && there->count == 1) table_parts_add(arena, asked, there->names[0]);
  if (fine && !asked->count)
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "predict: the law is fitted to each %s by itself: say which is meant, --at %s=%s (or %s)", by, by,
                     there->count ? there->names[0] : "VALUE", listed(arena, there));
  table_free(&points);
  table_free(&file);
  return fine;
}

bool predict_parts(const char *source, const struct predict_arguments *arguments, const struct fit_options *options,
                   struct arena *arena, const char ***values, size_t *count, struct error *error) {
  struct predict_report report = {.law = &report.own_law, .source = source};
  struct fit_input *input = &report.input;
  struct table_parts there = {0}, asked = {0};
  *count = 0;
  if (!source) return true;
  bool fine = fit_input_begin(input, source, &arguments->fit, options, error);
  if (fine && input->options.by) {
    const char *by = column_canonical(input->options.by);
    fine = law_open(&report.own_law, input->law, error) && fit_input_read(input, &report.own_law, 1, error);
    for (size_t row = 0; fine && row < input->table.row_count; row++)
      table_parts_add(arena, &there, table_part_of(arena, &input->table, by, row));
    fine = fine && find_asked(&report, arguments, by, &there, arena, &asked, error);
  }
  *values = asked.names;
  *count = asked.count;
  predict_free(&report);
  return fine;
}

void predict_take_part(struct predict_report *report, const struct predict_arguments *arguments) {
  struct fit_input *input = &report->input;
  struct arena *arena = &report->arena;
  if (!arguments->part || !input->options.by) return;
  const char *by = column_canonical(input->options.by);
  bool *rows = arena_array(arena, input->table.row_count + 1, sizeof *rows);
  for (size_t row = 0; row < input->table.row_count; row++) {
    const char *part = table_part_of(arena, &input->table, by, row);
    rows[row] = part && strcmp(part, arguments->part) == 0;
  }
  input->options.by = by;
  input->options.part = arena_string(arena, arguments->part);
  input->options.part_rows = rows;
}

void predict_keep_part(const struct predict_report *report, struct table *questions) {
  const char *by = report->own_result.by;
  struct table_parts there = {.names = (const char *[]){report->own_result.part}, .count = 1};
  struct arena arena = {0};
  if (!by || !questions->row_count) return;
  bool *keep = arena_array(&arena, questions->row_count, sizeof *keep);
  for (size_t row = 0; row < questions->row_count; row++) {
    const char *name = table_part_of(&arena, questions, by, row);
    keep[row] = !name || meant(&arena, &there, name);  // without a name there is but one
  }
  table_keep_rows(questions, keep);
  arena_free(&arena);
}
