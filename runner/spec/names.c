// See names.h.
#include "runner/spec/names.h"

#include <stdlib.h>
#include <string.h>

bool run_name_find(const struct spec *spec, const char *name, struct run_name *found) {
  const struct run_column *column = run_column_find(name);
  *found = (struct run_name){0};
  if (column && column->planned)
    found->column = column;
  else
    found->field = spec_field_find(spec, name);
  return found->column || found->field;
}

bool run_result_known(const char *name) {
  const struct run_column *column = run_column_find(name);
  return column && run_column_listed(column) && !column->planned;
}

const char *run_name_nearest(const char *name, bool with_results) {
  const char **names = memory_get((run_field_count + run_column_count) * sizeof *names);
  size_t count = 0;
  for (size_t i = 0; i < run_field_count; i++) names[count++] = run_fields[i].path;
  for (int results = 0; results <= with_results; results++)
    for (size_t i = 0; i < run_column_count; i++)
      if (results ? run_result_known(run_columns[i].name) : run_columns[i].planned != NULL)
        names[count++] = run_columns[i].name;
  const char *nearest = nearest_name(name, names, count);
  free(names);
  return nearest;
}
