// Compute-optimal sizes of anybody's table. See isoflop_runs.h.
#include "runner/fits/internal.h"
#include "runner/fits/isoflop_runs.h"

// Notes where N, D, C or the loss cannot be in the unit that is meant, as a fit does.
static bool check_units(struct table *table, const char *surface, struct error *error) {
  struct law law = {0};
  if (!law_open(&law, surface, error)) return law_free(&law), false;
  bool *all = arena_array(&table->arena, table->row_count + 1, sizeof *all);
  for (size_t row = 0; row < table->row_count; row++) all[row] = true;
  table_check_units(table, &law, 1, all);
  law_free(&law);
  return true;
}

static bool narrow(struct table *table, const char *where, struct error *error) {
  if (!where) return true;
  bool *keep = arena_array(&table->arena, table->row_count + 1, sizeof *keep);
  if (!table_where(table, where, keep, error)) return false;
  table_keep_rows(table, keep);
  return true;
}

bool isoflop_of_table(const struct isoflop_table *given, const struct isoflop_options *options, struct isoflop *result,
                      struct error *error) {
  struct arena arena = {0};
  struct table table = {0};
  struct column_map *maps = NULL;
  size_t map_count = 0, duplicates = 0;
  const char *keys[5] = {"parameters", "tokens", "flops"};
  size_t key_count = 3;
  if (options->budget) keys[key_count++] = options->budget;
  if (options->curve) keys[key_count++] = options->curve;
  bool fine = (!given->map || column_maps_parse(&arena, given->map, &maps, &map_count, error)) &&
              table_read_csv(&table, given->path, maps, map_count, error) && narrow(&table, given->where, error);
  if (fine && !given->keep_duplicates) duplicates = table_drop_duplicates(&table, "loss", keys, key_count);
  fine = fine && check_units(&table, options->surface, error) && isoflop_run(&table, options, result, error);
  if (fine) result->duplicates = duplicates;
  for (size_t i = 0; i < table.note_count && fine; i++) isoflop_warn(result, "%s", table.notes[i]);
  table_free(&table);
  arena_free(&arena);
  return fine;
}
