// Whether the points that are asked for can be: a size is above 0, and what is a number among the fitted rows is one.
#include <math.h>
#include <string.h>

#include "results/columns.h"
#include "runner/fits/predict_internal.h"

// Parameters of any count, tokens, FLOPs and their ratio: logarithms and powers are taken of them.
static bool is_size(const char *name) {
  const struct run_column *column = run_column_find(name);
  return (column && column->axis) || starts_with(name, "parameters");
}

// Whether the column holds numbers, by the rows that were fitted, else by what runs report under that name.
static bool is_number(const struct predict_report *report, const char *name) {
  const struct table *table = &report->input.table;
  const int at = table->column_count ? table_find(table, name) : -1;
  if (at >= 0) return table->columns[at].kind == COLUMN_NUMBER;
  const struct run_column *column = run_column_find(name);
  return column && column->type != TYPE_TEXT;
}

bool predict_check_values(const struct predict_report *report, const struct table *points, struct error *error) {
  for (size_t c = 0; c < points->column_count; c++) {
    const char *name = points->columns[c].name;
    const bool size = is_size(name), number = size || is_number(report, name);
    for (size_t row = 0; row < points->row_count; row++) {
      const struct value value = table_value(points, c, row);
      if (value.kind == VALUE_TEXT && number)
        return error_set(error, EXIT_USAGE_ERROR, "predict: --at: %s is '%s': it is a number, such as %s=%s", name,
                         value.text, name, size ? "1e9" : "0.5");
      if (value.kind == VALUE_NUMBER && size && !(value.number > 0))
        return error_set(error, EXIT_USAGE_ERROR, "predict: --at: %s is %g: it is above 0", name, value.number);
    }
  }
  return true;
}
