// Rows of runs that ended badly, or have not ended, as trackers of experiments and people write it into tables.
#include <math.h>
#include <string.h>
#include <strings.h>

#include "fitting/table_reduce_internal.h"

static bool one_of(const char *text, const char *const *list) {
  for (; *list; list++)
    if (strcasecmp(text, *list) == 0) return true;
  return false;
}

static const char *const states[] = {"state", "status", "run_state", "run_status", "outcome", NULL};
static const char *const flags[] = {"diverged", "failed", "crashed", "is_diverged", "is_failed", NULL};

bool table_column_says_how_it_ended(const struct table_column *column) {
  return one_of(column->original, states) || one_of(column->name, states) || one_of(column->original, flags) ||
         one_of(column->name, flags);
}

// Whether the cell says it: a state that is none of a finished run, or a flag that is set.
static bool says_failed(const struct table_column *column, size_t row) {
  static const char *const bad[] = {"crashed", "crash",     "failed",     "failure",  "diverged",  "killed",
                                    "error",   "nan",       "oom",        "canceled", "cancelled", "aborted",
                                    "running", "preempted", "preempting", "pending",  "timeout",   NULL},
                           *const set[] = {"true", "yes", "1", "t", "y", NULL};
  if (one_of(column->original, states) || one_of(column->name, states))
    return column->kind == COLUMN_CATEGORY && column->codes[row] >= 0 &&
           one_of(column->categories[column->codes[row]], bad);
  if (!one_of(column->original, flags) && !one_of(column->name, flags)) return false;
  if (column->kind == COLUMN_NUMBER) return column->numbers[row] == 1;
  return column->codes[row] >= 0 && one_of(column->categories[column->codes[row]], set);
}

size_t table_find_failed(struct table *table, bool *bad, const char **words) {
  struct text said = {0};
  size_t found = 0;
  memset(bad, 0, table->row_count * sizeof *bad);
  for (size_t c = 0; c < table->column_count; c++) {
    const struct table_column *column = &table->columns[c];
    for (size_t row = 0; row < table->row_count; row++) {
      if (!says_failed(column, row)) continue;
      const char *value = column->kind == COLUMN_NUMBER ? "1" : column->categories[column->codes[row]];
      const char *one = arena_format(&table->arena, "%s = %s", column->original, value);
      if (!said.length || !strstr(text_string(&said), one)) text_format(&said, "%s%s", said.length ? ", " : "", one);
      found += !bad[row];
      bad[row] = true;
    }
  }
  *words = arena_string(&table->arena, text_string(&said));
  text_free(&said);
  return found;
}

void table_check_states(struct table *table, const char *target, const bool *rows) {
  const char *words;
  int column = table_find(table, target);
  bool *bad = memory_get((table->row_count + 1) * sizeof *bad);
  size_t failed = 0;
  if (column >= 0 && table->columns[column].kind == COLUMN_NUMBER && table_find_failed(table, bad, &words))
    for (size_t row = 0; row < table->row_count; row++)
      failed += bad[row] && rows[row] && isfinite(table->columns[column].numbers[row]);
  free(bad);
  if (failed)
    table_note(
        table,
        "%zu row%s with a %s %s of runs that failed or did not end (%s), and take%s part: --where leaves them out",
        failed, failed == 1 ? "" : "s", target, failed == 1 ? "is" : "are", words, failed == 1 ? "s" : "");
}
