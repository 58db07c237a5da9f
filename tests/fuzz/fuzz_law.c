// Fuzz target: any text as the file of a law. It is refused with a place, or it is a whole law: its formula and what
// is derived can be fitted to a table of its columns, or that is refused with a reason.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/fitting.h"
#include "tests/fuzz/fuzz.h"

enum { ROWS = 8 };

static bool is_category(const struct law *law, const char *column) {
  for (int i = 0; i < law->parameter_count; i++)
    if (law->parameters[i].by && strcmp(law->parameters[i].by, column) == 0) return true;
  return false;
}

// A table with the law's columns: categories where parameters go by one, numbers elsewhere.
static bool make_table(const struct law *law, struct table *table) {
  struct text text = {0};
  struct error error = {0};
  for (int i = 0; i < law->column_count; i++)
    if (strcmp(law->columns[i], law->target) != 0) text_format(&text, "\"%s\",", law->columns[i]);
  text_format(&text, "\"%s\"\n", law->target);
  for (int row = 0; row < ROWS; row++) {
    for (int i = 0; i < law->column_count; i++) {
      if (strcmp(law->columns[i], law->target) == 0) continue;
      if (is_category(law, law->columns[i]))
        text_format(&text, "%s,", row % 2 ? "w4a4" : "none");
      else
        text_format(&text, "%d,", 100 + 100 * row * (i + 1));
    }
    text_format(&text, "%g\n", 3.5 - 0.1 * row);
  }
  bool fine = table_parse_csv(table, "fuzz.csv", text.bytes, text.length, NULL, 0, &error);
  text_free(&text);
  return fine;
}

static void look(const struct law *law) {
  if (!law->formula || !law->formula_text || !law->target || law->stage_count < 1 || !law_size_column(law)) abort();
  for (int i = 0; i < law->parameter_count; i++) {
    const struct law_parameter *parameter = &law->parameters[i];
    if (!parameter->name || !(parameter->low <= parameter->high)) abort();
    for (int k = 0; k < parameter->start_count; k++)
      if (!isfinite(parameter->starts[k])) abort();
  }
  for (int i = 0; i < law->derived_count; i++)
    if (!law->derived[i].name || !law->derived[i].expression) abort();
  for (int i = 0; i < law->column_count; i++)
    if (!law->columns[i] || !*law->columns[i]) abort();
}

static void try_fit(const struct law *law) {
  struct table table;
  if (make_table(law, &table)) {
    struct error error = {0};
    struct fit_result result;
    struct fit_options options = {.bare = true, .starts = 2, .threads = 1};
    if (!fit_run(law, &table, &options, &result, &error) && (!error.code || !*error.text)) abort();
    fit_result_free(&result);
  }
  table_free(&table);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length) {
  struct law law;
  struct diagnostics diagnostics = {0};
  struct error error = {0};
  char *text = fuzz_text(bytes, length);
  if (law_parse(&law, "fuzz.yaml", text, length, &diagnostics, &error)) {
    look(&law);
    try_fit(&law);
  } else if (!error.code || !*error.text || !diagnostics.errors) {
    abort();
  }
  law_free(&law);
  diagnostics_free(&diagnostics);
  free(text);
  return 0;
}
