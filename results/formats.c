// Table formats: what follows from a format, by its canonical name, so that runs have it as columns.
#include <math.h>
#include <string.h>

#include "results/store_internal.h"

bool store_format_add(struct store *store, const char *format, struct error *error) {
  for (size_t i = 0; i < store->format_count; i++)
    if (strcmp(store->formats[i], format) == 0) return true;
  sqlite3_stmt *s = store_statement(store,
                                    "INSERT OR IGNORE INTO formats (format, forward, backward, weight_bits, "
                                    "activation_bits, gradient_bits) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                                    error);
  if (!s) return false;
  struct arena scratch = {0};
  // A trainer of the user's own may have formats of which nothing is known here: they have a row of NULLs.
  struct format_facts facts = format_facts(format, &scratch);
  bind_text(s, 1, facts.name);
  bind_text(s, 2, facts.forward);
  bind_text(s, 3, facts.backward);
  for (int i = 0; i < OPERANDS; i++) bind_number(s, 4 + i, facts.bits[i]);
  bool fine = store_step_done(store, s, "writing a format", error);
  if (fine) {
    store->formats =
        arena_grow(&store->arena, store->formats, store->format_count, store->format_count + 1, sizeof *store->formats);
    store->formats[store->format_count++] = arena_string(&store->arena, format);
  }
  arena_free(&scratch);
  return fine;
}

// The first column of a query's rows.
static const char **read_names(struct store *store, const char *sql, struct arena *arena, size_t *count,
                               struct error *error) {
  struct store_rows *rows = store_select(store, sql, NULL, 0, error);
  const char **names = arena_array(arena, 1, sizeof *names);
  *count = 0;
  while (rows && store_rows_next(rows, error)) {
    names = arena_grow(arena, names, *count, *count + 1, sizeof *names);
    names[(*count)++] = arena_string(arena, store_rows_value(rows, 0).text);
  }
  store_rows_close(rows);
  return names;
}

bool store_formats_of_runs(struct store *store, struct error *error) {
  struct arena scratch = {0};
  size_t count;
  const char **names = read_names(store,
                                  "SELECT DISTINCT json_extract(canonical, '$.format') AS name FROM runs "
                                  "WHERE json_valid(canonical) AND name IS NOT NULL",
                                  &scratch, &count, error);
  for (size_t i = 0; i < count && !error->code; i++) store_format_add(store, names[i], error);
  arena_free(&scratch);
  return !error->code;
}

const char **store_formats_unmeasured(struct store *store, struct arena *arena, size_t *count, struct error *error) {
  return read_names(store, "SELECT format FROM formats WHERE gmse_weights IS NULL AND forward IS NOT NULL", arena,
                    count, error);
}

bool store_format_measured(struct store *store, const char *format, const double gmse[OPERANDS], struct error *error) {
  sqlite3_stmt *s = store_statement(
      store, "UPDATE formats SET gmse_weights = ?2, gmse_activations = ?3, gmse_gradients = ?4 WHERE format = ?1",
      error);
  if (!s) return false;
  bind_text(s, 1, format);
  for (int i = 0; i < OPERANDS; i++) bind_number(s, 2 + i, gmse[i]);
  return store_step_done(store, s, "writing a format's errors", error);
}
