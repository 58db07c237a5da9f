// The table of run columns against what cannot derive from it: schema.sql, which has comments of its own, and the pages
// of the manual. Each comparison is tried on a copy of the table with a fault in it, too.
#include <stdlib.h>

#include "results/columns.h"
#include "results/store_internal.h"
#include "tests/check.h"

static struct arena arena;

// A copy of the table with room for one more column, so many of them.
static struct run_column *copy_of_table(size_t *count) {
  struct run_column *copy = arena_array(&arena, run_column_count + 1, sizeof *copy);
  memcpy(copy, run_columns, run_column_count * sizeof *copy);
  *count = run_column_count;
  return copy;
}

static const struct run_column energy = {"energy",    TYPE_REAL, RUN_OUTCOME,       PLACE_SHOW,
                                         PRINT_PLAIN, "J",       "of the training", .events = {{"done", "energy"}}};

static const char *page_of(const char *name) {
  struct error error = {0};
  const char *source = getenv("TEST_SOURCE");
  const char *page = file_read(&arena, path_join(&arena, source ? source : ".", name), NULL, &error);
  CHECK_TEXT(error.text, "");
  return page ? page : "";
}

// ---- schema.sql ----

// Columns of table runs that are in the database or in the table only, or have another type.
static int differences(struct store *store, const struct run_column *columns, size_t count) {
  struct error error = {0};
  int different = 0;
  size_t same = 0;
  struct store_rows *rows = store_select(store, "SELECT name, type FROM pragma_table_info('runs')", NULL, 0, &error);
  while (rows && store_rows_next(rows, &error)) {
    bool found = false;
    for (size_t i = 0; i < count; i++)
      found |= run_column_kept(&columns[i]) && strcmp(columns[i].name, store_rows_value(rows, 0).text) == 0 &&
               strcmp(run_column_type_name(columns[i].type), store_rows_value(rows, 1).text) == 0;
    if (!found) printf("# schema.sql: %s\n", store_rows_value(rows, 0).text);
    different += !found;
    same += found;
  }
  store_rows_close(rows);
  CHECK_TEXT(error.text, "");
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) kept += run_column_kept(&columns[i]);
  return different + (int)(kept - same);
}

static void schema_has_these_columns(void) {
  struct error error = {0};
  struct store *store = store_open(":memory:", STORE_CREATE, &error);
  if (!CHECK(store)) return;
  CHECK(differences(store, run_columns, run_column_count) == 0);
  size_t count;
  struct run_column *copy = copy_of_table(&count);
  copy[count++] = energy;
  CHECK(differences(store, copy, count) == 1);
  CHECK(differences(store, run_columns + 1, run_column_count - 1) == 1);
  copy[--count] = (struct run_column){0};
  copy[0].type = TYPE_REAL;
  CHECK(differences(store, copy, count) == 2);  // neither has the other's
  store_close(store);
}

static void schema_has_these_states(void) {
  struct error error = {0};
  struct store *store = store_open(":memory:", STORE_CREATE, &error);
  if (!CHECK(store)) return;
  struct text check = {0};
  for (enum run_state state = 0; state < RUN_STATES; state++)
    text_format(&check, "%s'%s'", state ? ", " : "CHECK (state IN (", run_state_name(state));
  text_add(&check, "))");
  struct store_rows *rows = store_select(store, "SELECT sql FROM sqlite_schema WHERE name = 'runs'", NULL, 0, &error);
  CHECK(rows && store_rows_next(rows, &error) && strstr(store_rows_value(rows, 0).text, text_string(&check)));
  store_rows_close(rows);
  text_free(&check);
  for (enum run_state state = 0; state < RUN_STATES; state++) CHECK(run_state_parse(run_state_name(state)) == state);
  CHECK(run_state_parse("") == RUN_PENDING && run_state_parse(NULL) == RUN_PENDING);
  store_close(store);
}

static void schema_has_these_marks(void) {
  struct error error = {0};
  struct store *store = store_open(":memory:", STORE_CREATE, &error);
  if (!CHECK(store)) return;
  struct text check = {0};
  for (enum run_mark mark = MARK_NONE + 1; mark < RUN_MARKS; mark++)
    text_format(&check, "%s'%s'", mark > MARK_NONE + 1 ? ", " : "CHECK (mark IN (", run_mark_name(mark));
  text_add(&check, "))");
  struct store_rows *rows = store_select(store, "SELECT sql FROM sqlite_schema WHERE name = 'marks'", NULL, 0, &error);
  CHECK(rows && store_rows_next(rows, &error) && strstr(store_rows_value(rows, 0).text, text_string(&check)));
  store_rows_close(rows);
  text_free(&check);
  for (enum run_mark mark = MARK_NONE + 1; mark < RUN_MARKS; mark++) CHECK(run_mark_parse(run_mark_name(mark)) == mark);
  CHECK(run_mark_parse("") == MARK_NONE && run_mark_parse(NULL) == MARK_NONE);
  CHECK(run_mark_holds(MARK_PAUSED) && run_mark_holds(MARK_CANCELLED) && !run_mark_holds(MARK_RETRY));
  store_close(store);
}

// ---- the table itself ----

static void lines_are_sound(void) {
  for (size_t i = 0; i < run_column_count; i++) {
    const struct run_column *column = &run_columns[i];
    CHECK(run_column_find(column->name) == column && !field_find(column->name, NULL));  // names are unique
    CHECK(*column->help && column->unit);
    CHECK(column->place != PLACE_PLAN || column->planned);
    for (size_t e = 0; e < 2 && column->events[e].event; e++) {
      const char *event = column->events[e].event;
      CHECK(strcmp(event, "start") == 0 || strcmp(event, "checkpoint") == 0 || strcmp(event, "metrics") == 0 ||
            strcmp(event, "done") == 0);
      // Numbers of metrics may be kept as curves alone.
      CHECK(run_column_kept(column) || (strcmp(event, "metrics") == 0 && strstr(column->sql, "solutions")));
    }
  }
  for (size_t i = 0; parameter_count_names[i]; i++) {
    const struct run_column *column = run_column_find(parameter_count_column(parameter_count_names[i]));
    CHECK(column && column->role == RUN_QUANTITY && column->type != TYPE_TEXT);
  }
  CHECK(!parameter_count_column("no such count"));
  CHECK(run_column_role("train.lr") == RUN_SETTING && run_column_role("device") == RUN_NOTE &&
        run_column_role("loss") == RUN_OUTCOME && run_column_role("no such name") == RUN_NOTE);
}

// ---- pages ----

// Whether "`name`" stands in the section of an event.
static bool section_has(const char *page, const char *event, const char *name) {
  const char *begin = strstr(page, arena_format(&arena, "\n### %s\n", event));
  const char *end = begin ? strstr(begin + 1, "\n##") : NULL;
  const char *place = begin ? strstr(begin, arena_format(&arena, "`%s`", name)) : NULL;
  return place && (!end || place < end);
}

static int keys_missing(const char *page, const struct run_column *columns, size_t count) {
  int missing = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t e = 0; e < 2 && columns[i].events[e].event; e++) {
      const struct run_column_event *event = &columns[i].events[e];
      if (section_has(page, event->event, event->key)) continue;
      printf("# events.md: %s has no %s\n", event->event, event->key);
      missing++;
    }
  return missing;
}

static void events_have_these_keys(void) {
  const char *page = page_of("docs/events.md");
  CHECK(keys_missing(page, run_columns, run_column_count) == 0);
  size_t count;
  struct run_column *copy = copy_of_table(&count);
  copy[count++] = energy;
  CHECK(keys_missing(page, copy, count) == 1);
  copy[count - 1].events[0] = (struct run_column_event){"start", "grad_norm"};  // of another event
  CHECK(keys_missing(page, copy, count) == 1);
}

// Names in the first cells of store.md's table of columns that are none, and columns that everybody sees and it lacks.
static int faults_of_store_page(const char *page) {
  const char *table = strstr(page, "\n| column | meaning |\n"), *end = table ? strstr(table, "\n\n") : NULL;
  int faults = 0;
  if (!CHECK(end)) return 1;
  bool *seen = arena_array(&arena, run_column_count, sizeof *seen);
  for (const char *line = strstr(table, "\n| `"); line && line < end; line = strstr(line + 1, "\n| `")) {
    const char *cell_end = strstr(line, "` |");
    for (const char *at = strchr(line, '`'); at && cell_end && at <= cell_end;) {
      const char *close = strchr(at + 1, '`');
      const struct run_column *column = run_column_find(arena_copy(&arena, at + 1, (size_t)(close - at - 1)));
      if (column && run_column_listed(column))
        seen[column - run_columns] = true;
      else
        printf("# store.md: %.*s is no column\n", (int)(close - at + 1), at);
      faults += !column || !run_column_listed(column);
      at = close < cell_end ? strchr(close + 1, '`') : NULL;
    }
  }
  for (size_t i = 0; i < run_column_count; i++) {
    if (run_columns[i].place != PLACE_ALWAYS || seen[i]) continue;
    printf("# store.md: no %s\n", run_columns[i].name);
    faults++;
  }
  return faults;
}

static void store_page_has_these_columns(void) {
  const char *page = page_of("docs/store.md");
  CHECK(faults_of_store_page(page) == 0);
  char *faulty = arena_string(&arena, page), *name = strstr(faulty, "\n| `loss` |");
  if (!CHECK(name)) return;
  memcpy(name, "\n| `lass` |", 11);
  CHECK(faults_of_store_page(faulty) == 2);  // one that is none, one that is missing
}

int main(int argc, char **argv) {
  RUN(schema_has_these_columns);
  RUN(schema_has_these_states);
  RUN(schema_has_these_marks);
  RUN(lines_are_sound);
  RUN(events_have_these_keys);
  RUN(store_page_has_these_columns);
  arena_free(&arena);
  return check_end();
}
