// The points of a file (--table, --table-where), and how well rows of known outcome are predicted.
#include <math.h>
#include <string.h>

#include "runner/fits/predict_internal.h"

// The mappings of --map for which the file has the columns: a table of points need not have all that the fit reads, and
// may have its columns under the law's names.
static bool useful_maps(struct arena *arena, const char *path, const char *text, struct column_map **maps,
                        size_t *count, struct error *error) {
  struct table probe = {0};
  size_t all;
  bool fine = column_maps_parse(arena, text, maps, &all, error) && table_read_csv(&probe, path, NULL, 0, error);
  *count = 0;
  for (size_t m = 0; m < all && fine; m++) {
    const struct column_map *map = &(*maps)[m];
    bool there = false, every = map->expression && map->expression->name_count > 0;
    for (size_t c = 0; c < probe.column_count; c++) there |= strcmp(probe.columns[c].original, map->original) == 0;
    for (int i = 0; map->expression && i < map->expression->name_count; i++)
      every &= table_find(&probe, map->expression->names[i].name) >= 0;
    if (there || every) (*maps)[(*count)++] = *map;
  }
  table_free(&probe);
  return fine;
}

bool predict_read_table(struct predict_report *report, const struct predict_arguments *arguments, struct table *table,
                        struct error *error) {
  struct column_map *maps = NULL;
  size_t count = 0;
  if (arguments->table_where && !arguments->table)
    return error_set(error, EXIT_USAGE_ERROR,
                     "predict: --table-where chooses rows of --table FILE, which is not given");
  if (!arguments->table) return true;
  const char *map = arguments->fit.map;
  if (map && !useful_maps(&report->arena, arguments->table, map, &maps, &count, error)) return false;
  if (!table_read_csv(table, arguments->table, maps, count, error)) return false;
  if (!arguments->table_where) return true;
  bool *keep = arena_array(&report->arena, table->row_count + 1, sizeof *keep);
  for (size_t row = 0; row < table->row_count; row++) keep[row] = true;
  if (!table_where(table, arguments->table_where, keep, error)) return error_context(error, "predict: --table-where");
  table_keep_rows(table, keep);
  if (!table->row_count)
    return error_set(error, EXIT_USAGE_ERROR, "predict: no row of %s has %s", arguments->table, arguments->table_where);
  return true;
}

// ---- known outcomes ----

static bool same_cell(struct value a, struct value b) {
  if (a.kind != b.kind || a.kind == VALUE_MISSING) return false;
  return a.kind == VALUE_TEXT ? strcmp(a.text, b.text) == 0 : a.number == b.number;
}

static struct value cell_of(const struct table *table, const char *name, size_t row) {
  int column = table_find(table, name);
  return column < 0 ? (struct value){.kind = VALUE_MISSING} : table_value(table, (size_t)column, row);
}

// Whether a fitted row has the same outcome at the same inputs.
static bool is_fitted(const struct predict_report *report, const struct table *table, size_t row) {
  const struct fit_result *result = report->result;
  const struct table *fitted = &report->input.table;
  for (size_t i = 0; result && i < result->table_count; i++) {
    if (result->table[i].use != ROW_FITTED) continue;
    size_t place = result->table[i].place;
    bool same = same_cell(cell_of(table, report->law->target, row), cell_of(fitted, report->law->target, place));
    for (int c = 0; c < report->law->column_count && same; c++)
      same = same_cell(cell_of(table, report->law->columns[c], row), cell_of(fitted, report->law->columns[c], place));
    if (same) return true;
  }
  return false;
}

void predict_score(struct predict_report *report, const struct table *table, size_t first) {
  int column = table_find(table, report->law->target);
  if (column < 0 || table->columns[column].kind != COLUMN_NUMBER) return;
  size_t count = table->row_count;
  struct prediction *predictions = arena_array(&report->arena, count + 1, sizeof *predictions);
  double *observed = arena_array(&report->arena, count + 1, sizeof *observed);
  report->score.target = report->law->target;
  for (size_t row = 0; row < count; row++) {
    struct predict_point *point = &report->points[first + row];
    predictions[row] = point->prediction;
    point->observed = observed[row] = table->columns[column].numbers[row];
    if (isfinite(point->prediction.law.value) && isfinite(point->observed))
      report->score.fitted += is_fitted(report, table, row);
  }
  predictions_score(predictions, observed, count, &report->score);
}
