// See experiment_export.h.
#include "runner/execute/experiment_export.h"

#include <stdio.h>
#include <stdlib.h>

#include "runner/execute/rows.h"

bool experiment_file(const char *path) {
  return ends_with(path, ".db") || ends_with(path, ".csv") || ends_with(path, ".jsonl");
}

static bool write_csv(struct store_rows *rows, const char *path, struct error *error) {
  char *bytes = NULL;
  size_t length = 0;
  FILE *memory = open_memstream(&bytes, &length);
  bool fine = memory && rows_write_csv(rows, NULL, 0, memory, error);
  if ((!memory || fclose(memory) != 0) && fine)
    fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot write %s", path);
  fine = fine && file_write_atomic(path, bytes, length, error);
  free(bytes);
  return fine;
}

static bool write_lines(struct store_rows *rows, const char *path, struct error *error) {
  struct text text = {0};
  while (store_rows_next(rows, error)) {
    struct json_writer json = json_writer(&text, false);
    rows_put_object(&json, rows, NULL, 0);
    text_char(&text, '\n');
  }
  bool fine = !error->code && file_write_atomic(path, text_string(&text), text.length, error);
  text_free(&text);
  return fine;
}

bool experiment_export(struct store *store, const char *name, const char *path, size_t *runs, size_t *done,
                       struct error *error) {
  if (file_exists(path))
    return error_set(error, EXIT_USAGE_ERROR, "%s is there already: remove it first, or give another name", path);
  struct store_rows *counts = store_experiments(store, name, error);
  if (!counts || !store_rows_next(counts, error)) {
    store_rows_close(counts);
    return error_set(error, EXIT_USAGE_ERROR, "the store has no experiment '%s'", name);
  }
  *runs = (size_t)store_rows_get(counts, "runs").number;
  *done = (size_t)store_rows_get(counts, "done").number;
  store_rows_close(counts);
  if (ends_with(path, ".db")) return store_copy_experiment(store, name, path, error);
  struct run_query query = {.experiment = name};
  struct store_rows *rows = store_runs(store, &query, error);
  bool fine = rows && (ends_with(path, ".csv") ? write_csv(rows, path, error) : write_lines(rows, path, error));
  store_rows_close(rows);
  return fine;
}
