// See input.h.
#include "runner/fits/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/import.h"

bool source_is_spec(const char *source) {
  if (ends_with(source, ".yaml") || ends_with(source, ".yml")) return true;
  const char *colon = strrchr(source, ':');
  size_t length = colon ? (size_t)(colon - source) : 0;
  return (length > 5 && strncmp(source + length - 5, ".yaml", 5) == 0) ||
         (length > 4 && strncmp(source + length - 4, ".yml", 4) == 0);
}

// ---- the entry of a spec ----

static bool no_entry(const struct fit_input *input, const char *named, struct error *error) {
  struct text list = {0};
  for (size_t i = 0; i < input->spec.fit_count; i++)
    text_format(&list, "%s%s", i ? ", " : "", input->spec.fits[i].name);
  if (named)
    error_set(error, EXIT_USAGE_ERROR, "%s has no fit entry '%s'; it has: %s", input->spec.path, named,
              list.length ? text_string(&list) : "none");
  else if (input->spec.fits && input->spec.fit_count)
    error_set(error, EXIT_USAGE_ERROR, "%s has several fit entries (%s); name one: %s:%s", input->spec.path,
              text_string(&list), input->spec.path, input->spec.fits[0].name);
  else
    error_set(error, EXIT_USAGE_ERROR, "%s has no fit entries; name a law with --law", input->spec.path);
  text_free(&list);
  return false;
}

static bool choose_entry(struct fit_input *input, const char *named, struct error *error) {
  struct spec *spec = &input->spec;
  const char *law = input->arguments->entry.law;
  for (size_t i = 0; i < spec->fit_count && !input->entry; i++) {
    const struct spec_fit *fit = &spec->fits[i];
    bool wanted = named ? strcmp(fit->name, named) == 0
                  : law ? strcmp(fit->law, law) == 0 || strcmp(fit->name, law) == 0
                        : spec->fit_count == 1;
    if (wanted) input->entry = fit;
  }
  if (!input->entry && (named || !law)) return no_entry(input, named, error);
  if (!input->entry) {  // a law that no entry names: on all runs
    struct spec_fit *own = arena_alloc(&input->arena, sizeof *own);
    *own = spec_fit_of_law(law);
    input->entry = own;
  }
  // The name of an entry given as --law means its law; with SPEC:ENTRY another law may be put on its rows.
  bool other = named && law && strcmp(law, input->entry->name) != 0;
  input->law = other ? law : input->entry->law;
  return true;
}

static bool begin_spec(struct fit_input *input, const char *source, const struct fit_options *options,
                       struct error *error) {
  const struct fit_arguments *arguments = input->arguments;
  const char *colon = strrchr(source, ':'), *named = NULL;
  char *path = arena_string(&input->arena, source);
  if (colon && !ends_with(source, ".yaml") && !ends_with(source, ".yml")) {
    path = arena_copy(&input->arena, source, (size_t)(colon - source));
    named = colon + 1;
  }
  if (arguments->map || arguments->entry.best_over.count || arguments->entry.average_over.count)
    return error_set(error, EXIT_USAGE_ERROR,
                     "--map, --best-over and --average-over are for tables; a spec's fit entries say it themselves");
  input->has_spec = true;
  if (!spec_open(&input->spec, path, NULL, error) || !choose_entry(input, named, error)) return false;
  input->name = input->spec.name;
  input->options = fit_entry_options(input->entry, options);
  input->runs = true;
  return true;
}

bool fit_input_begin(struct fit_input *input, const char *source, const struct fit_arguments *arguments,
                     const struct fit_options *options, struct error *error) {
  *input = (struct fit_input){.arguments = arguments, .options = *options, .notes = {.noise = NAN}};
  input->name = arena_string(&input->arena, source);
  input->law = arguments->entry.law ? arguments->entry.law : "chinchilla";
  return !source_is_spec(source) || begin_spec(input, source, options, error);
}

// ---- rows ----

// A table from a file, or from the imports: their names have neither dot nor slash.
static bool read_plain(struct fit_input *input, const char *source, struct table *table, struct error *error) {
  const char *map = input->arguments->map;
  bool imported = false, fine = true;
  struct store *store = NULL;
  if (!strpbrk(source, "./") && store_exists_home()) {
    fine = (store = store_open_home(STORE_READ, error)) && import_exists(store, source, &imported, error);
    if (fine && imported && map)
      fine = error_set(error, EXIT_USAGE_ERROR, "--map is for files; '%s' was mapped when it was imported", source);
    if (fine && (imported || !file_exists(source))) fine = import_table(store, source, table, error);
    store_close(store);
    if (!fine || imported) return fine;
  } else if (!strpbrk(source, "./") && !file_exists(source)) {
    return error_set(error, EXIT_USAGE_ERROR,
                     "there is no table '%s': nothing was imported yet (isoloss import FILE.csv --as NAME)", source);
  }
  struct column_map *maps = NULL;
  size_t map_count = 0;
  if (map && !column_maps_parse(&input->arena, map, &maps, &map_count, error)) return false;
  return table_read_csv(table, source, maps, map_count, error);
}

static bool read_runs(struct fit_input *input, struct table *table, struct error *error) {
  if (!store_exists_home())
    return error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", input->spec.path);
  struct store *store = store_open_home(STORE_WRITE, error);  // errors of formats not measured yet are kept
  const char *where = input->arguments->pools.count ? NULL : input->arguments->entry.where.text;
  bool fine = store && fit_entry_table(&input->spec, input->entry, where, store, table, &input->notes, error);
  store_close(store);
  return fine;
}

static void add_key(const char **keys, size_t *count, const char *key) {
  for (size_t k = 0; k < *count; k++)
    if (strcmp(keys[k], key) == 0) return;
  keys[(*count)++] = key;
}

// The columns of all laws, with room for `more`.
static const char **law_keys(struct fit_input *input, const struct law *laws, size_t law_count, size_t more,
                             size_t *count) {
  size_t room = more + 1;
  for (size_t l = 0; l < law_count; l++) room += (size_t)laws[l].column_count;
  const char **keys = arena_array(&input->arena, room, sizeof *keys);
  *count = 0;
  for (size_t l = 0; l < law_count; l++)
    for (int c = 0; c < laws[l].column_count; c++) add_key(keys, count, laws[l].columns[c]);
  return keys;
}

// Rows that repeat others count once, unless that is not wanted.
static void drop_duplicates(struct fit_input *input, const struct law *laws, size_t law_count) {
  const struct spec_fit *entry = &input->arguments->entry;
  size_t axes = entry->best_over.count + entry->average_over.count, count;
  const char **keys = law_keys(input, laws, law_count, axes, &count);
  for (size_t i = 0; i < entry->best_over.count; i++) add_key(keys, &count, entry->best_over.items[i]);
  for (size_t i = 0; i < entry->average_over.count; i++) add_key(keys, &count, entry->average_over.items[i]);
  if (!input->arguments->keep_duplicates)
    input->notes.duplicates = table_drop_duplicates(&input->table, laws[0].target, keys, count);
}

// Rows that --where leaves out have units of their own.
static bool check_units(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  bool *keep = arena_array(&input->arena, input->table.row_count + 1, sizeof *keep);
  for (size_t row = 0; row < input->table.row_count; row++) keep[row] = true;
  const char *where = input->arguments->entry.where.text;
  if (where && !table_where(&input->table, where, keep, error)) return false;
  table_check_units(&input->table, laws, law_count, keep);
  return true;
}

static bool reduce(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  const struct spec_fit *entry = &input->arguments->entry;
  struct reductions reductions = {.best_over = entry->best_over.items,
                                  .best_over_count = entry->best_over.count,
                                  .average_over = entry->average_over.items,
                                  .average_over_count = entry->average_over.count};
  if (!reductions.best_over_count && !reductions.average_over_count) return true;
  const char **keys = law_keys(input, laws, law_count, 1, &reductions.key_count);
  if (input->arguments->pools.count) add_key(keys, &reductions.key_count, "pool");
  reductions.keys = keys;
  // Rows that --where leaves out must not win or be averaged.
  bool *keep = arena_array(&input->arena, input->table.row_count + 1, sizeof *keep);
  if (entry->where.text) {
    if (!table_where(&input->table, entry->where.text, keep, error)) return false;
    table_keep_rows(&input->table, keep);
  }
  return reduce_table(&input->table, laws[0].target, &reductions, &input->notes, error);
}

static bool pool_tables(struct fit_input *input, struct error *error) {
  const struct option_list *pools = &input->arguments->pools;
  if (!pools->count) return true;
  if (input->has_spec) input->options.where = input->arguments->entry.where.text;
  table_pool_begin(&input->table, input->name);
  bool fine = true;
  for (size_t i = 0; i < pools->count && fine; i++) {
    struct table other = {0};
    fine = source_is_spec(pools->items[i])
               ? error_set(error, EXIT_USAGE_ERROR, "--pool %s: name a table; the runs of a spec stand first",
                           pools->items[i])
               : read_plain(input, pools->items[i], &other, error);
    if (fine) table_pool(&input->table, &other, pools->items[i]);
    table_free(&other);
  }
  return fine;
}

bool fit_input_read(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  bool fine =
      input->has_spec ? read_runs(input, &input->table, error) : read_plain(input, input->name, &input->table, error);
  fine = fine && pool_tables(input, error);
  if (!fine || (input->has_spec && !input->arguments->pools.count)) return fine;
  for (size_t l = 0; l < law_count; l++)
    if (!table_fits_law(&input->table, &laws[l], error)) return false;
  drop_duplicates(input, laws, law_count);
  fine = check_units(input, laws, law_count, error) && (input->has_spec || reduce(input, laws, law_count, error));
  for (size_t i = 0; i < input->table.note_count && input->notes.warning_count < FIT_NOTES; i++)
    input->notes.warnings[input->notes.warning_count++] = input->table.notes[i];
  return fine;
}

void fit_input_tell(const struct fit_input *input, struct fit_result *result) {
  for (size_t i = 0; i < input->notes.warning_count; i++) fit_result_warn(result, "%s", input->notes.warnings[i]);
  result->duplicates = input->notes.duplicates;
  warn_of_mixture(&input->table, result);
}

void fit_input_free(struct fit_input *input) {
  table_free(&input->table);
  if (input->has_spec) spec_free(&input->spec);
  arena_free(&input->arena);
}
