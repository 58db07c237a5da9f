// Fuzz target: any bytes as a CSV table. It is refused with a message, or its columns are whole, can be filtered and
// reduced, and a small fit of it either works or says why not.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "tests/fuzz/fuzz.h"

static const char law_text[] =
    "law: l\nformula: a + b * parameters\nresidual: plain\nobjective: least-squares\n"
    "parameters: {a: {starts: 1}, b: {starts: 1}}\n";

static void use_table(struct table *table) {
  struct error error = {0};
  for (size_t c = 0; c < table->column_count; c++)
    for (size_t row = 0; row < table->row_count; row++) {
      struct value value = table_value(table, c, row);
      if (value.kind == VALUE_TEXT && !value.text) abort();
    }
  bool *keep = calloc(table->row_count + 1, sizeof *keep);
  if (keep && table_where(table, "loss < 4 or N > 1e6", keep, &error)) {
    struct reduction reduction;
    static const char *const axes[] = {"seed"}, *const keys[] = {"parameters"}, *const targets[] = {"loss"};
    if (table_average_over(table, targets, 1, axes, 1, keys, 1, false, &reduction, &error) &&
        reduction.rows_after != table->row_count)
      abort();
  }
  free(keep);
  struct law law;
  struct diagnostics diagnostics = {0};
  struct fit_result result = {0};
  error = (struct error){0};
  if (!law_parse(&law, "l.yaml", law_text, sizeof law_text - 1, &diagnostics, &error)) abort();
  bool fine = table->row_count < 100 && fit_run(&law, table, &(struct fit_options){.threads = 1}, &result, &error);
  if (table->row_count < 100 && fine == (error.code != 0)) abort();
  fit_result_free(&result);
  diagnostics_free(&diagnostics);
  law_free(&law);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  fitting_start();
  struct table table;
  struct error error = {0};
  struct column_map map = {"parameters", "size"};
  if (table_parse_csv(&table, "fuzz.csv", (const char *)bytes, length, NULL, 0, &error))
    use_table(&table);
  else if (!error.code)
    abort();
  table_free(&table);
  error = (struct error){0};
  table_parse_csv(&table, "fuzz.csv", (const char *)bytes, length, &map, 1, &error);
  table_free(&table);
  return 0;
}
