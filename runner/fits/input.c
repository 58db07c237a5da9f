// See input.h.
#include "runner/fits/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/curves.h"
#include "runner/fits/import.h"
#include "runner/fits/made.h"

// The length of the source without :ENTRY.
static size_t source_length(const char *source) {
  const char *colon = strrchr(source, ':');
  return colon && !strchr(colon, '/') && !ends_with(source, ".yaml") && !ends_with(source, ".yml")
             ? (size_t)(colon - source)
             : strlen(source);
}

const char *source_split(const char *source, struct arena *arena, const char **entry) {
  size_t length = source_length(source);
  *entry = source[length] ? arena_string(arena, source + length + 1) : NULL;
  return arena_copy(arena, source, length);
}

bool source_find(const char *source, bool *is_spec, struct error *error) {
  struct arena arena = {0};
  bool experiment = false, imported = false;
  const char *entry, *name = source_split(source, &arena, &entry);
  *is_spec = ends_with(name, ".yaml") || ends_with(name, ".yml");
  if (!*is_spec && !strpbrk(source, "./") && store_exists_home()) {
    struct store *store = store_open_home(STORE_READ, error);
    bool fine = store && store_experiment_exists(store, name, &experiment, error) &&
                import_exists(store, source, &imported, error);
    if (fine && experiment && imported)
      error_set(error, EXIT_USAGE_ERROR,
                "'%s' is both an experiment and an imported table: name the experiment's spec, or import the table "
                "under another name (isoloss import --as)",
                source);
    else if (fine && !experiment && !imported && !file_exists(source)) {
      const char *near = store_nearest_experiment(store, &arena, name);
      if (near) {
        error_set(error, EXIT_USAGE_ERROR, "there is no table and no experiment '%s'", name);
        error_hint(error, near, NULL);
      }
    }
    *is_spec = experiment;
    store_close(store);
  }
  arena_free(&arena);
  return !error->code;
}

// ---- the entry of a spec ----

static bool begin_spec(struct fit_input *input, const char *source, const struct fit_options *options,
                       struct error *error) {
  const struct fit_arguments *arguments = input->arguments;
  const char *named, *path = source_split(source, &input->arena, &named), *law = arguments->entry.law;
  if (arguments->map)
    return error_set(error, EXIT_USAGE_ERROR, "--map is for tables; the runs of a spec have their columns");
  input->has_spec = true;
  if (!spec_open(&input->spec, path, &arguments->choices, error)) return false;
  const struct spec_fit own = spec_fit_of_law(law), *entry = &own;
  if (input->spec.fit_count || !law || named) entry = fit_entry_find(&input->spec, named, law, error);
  if (!entry) return false;
  // The name of an entry given as --law means its law; another law is put on the entry's rows.
  input->merged = fit_entry_merged(entry, &arguments->entry, law && strcmp(law, entry->name) != 0 ? law : NULL);
  input->entry = &input->merged;
  input->law = input->merged.law;
  input->name = input->spec.name;
  input->options = fit_entry_options(input->entry, options);
  input->runs = true;
  return true;
}

bool fit_input_begin(struct fit_input *input, const char *source, const struct fit_arguments *arguments,
                     const struct fit_options *options, struct error *error) {
  *input = (struct fit_input){.arguments = arguments, .options = *options, .notes = {.noise = NAN}};
  input->name = input->source = arena_string(&input->arena, source);
  input->law = arguments->entry.law ? arguments->entry.law : "chinchilla";
  input->entry = &arguments->entry;
  bool is_spec;
  if (!source_find(source, &is_spec, error)) return false;
  if (is_spec) return begin_spec(input, source, options, error);
  if (arguments->choices.set.count || arguments->choices.preset)
    return error_set(error, EXIT_USAGE_ERROR, "--%s is for specs; %s is a table",
                     arguments->choices.preset ? "preset" : "set", source);
  return true;
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

static void add_data(struct fit_input *input, struct fit_data data) {
  input->data = arena_grow(&input->arena, input->data, input->data_count, input->data_count + 1, sizeof *input->data);
  input->data[input->data_count++] = data;
}

// A file is known by its bytes, an imported table by its names of rows and cells.
static bool note_table(struct fit_input *input, const char *source, const struct table *table, struct error *error) {
  struct digest digest;
  if (file_exists(source)) {
    if (!digest_file(source, &digest, error)) return false;
  } else {
    const char **columns = arena_array(&input->arena, table->column_count + 1, sizeof *columns);
    for (size_t c = 0; c < table->column_count; c++) columns[c] = table->columns[c].name;
    digest = table_digest_of(table, columns, table->column_count);
  }
  add_data(input, (struct fit_data){arena_string(&input->arena, source), arena_string(&input->arena, digest.hex),
                                    table->row_count});
  return true;
}

// The file of schedules is of the data too.
static bool note_schedules(struct fit_input *input, struct error *error) {
  const char *path = input->arguments->schedules;
  struct digest digest;
  if (!path) return true;
  if (!digest_file(path, &digest, error)) return false;
  add_data(input, (struct fit_data){arena_string(&input->arena, path), arena_string(&input->arena, digest.hex), 0});
  return true;
}

static bool read_runs(struct fit_input *input, const struct law *laws, size_t law_count, struct table *table,
                      struct error *error) {
  if (!store_exists_home())
    return error_set(error, EXIT_USAGE_ERROR, "nothing has run yet (isoloss run %s)", input->spec.call);
  struct store *store = store_open_home(STORE_KEEP, error);  // errors of formats not measured yet are kept
  const char *where = input->arguments->pools.count ? NULL : input->arguments->entry.where.text;
  bool fine = store && standing_find(&input->spec, store, &input->arena, &input->standing, error);
  if (fine && input->arguments->curves) {
    fine = curves_of_runs(&input->spec, store, input->arguments->curves, table, error);
    static const char *const cells[] = {"run", "step", "loss"};
    input->notes.rows_read = table->row_count;
    input->notes.digest = table_digest_of(table, cells, sizeof cells / sizeof *cells);
  } else {
    fine =
        fine && fit_entry_table(&input->spec, input->entry, laws, law_count, where, store, table, &input->notes, error);
  }
  store_close(store);
  if (fine)
    add_data(input, (struct fit_data){arena_format(&input->arena, "runs of %s", input->spec.name),
                                      arena_string(&input->arena, input->notes.digest.hex), input->notes.rows_read});
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
  size_t axes = entry->best_over.count + entry->average_over.count, count, best_count = 0;
  const char **best = NULL, **keys;
  if (entry->best_over.count) best = reduction_outcomes(&input->arena, entry->best_by.text, &best_count);
  keys = law_keys(input, laws, law_count, axes + best_count, &count);
  for (size_t i = 0; i < best_count; i++) add_key(keys, &count, best[i]);  // rows that differ in it are two
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
  if (!input->arguments->entry.best_over.count) table_check_states(&input->table, laws[0].target, keep);
  return true;
}

static bool reduce(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  const struct spec_fit *entry = &input->arguments->entry;
  struct reductions reductions = {.best_over = entry->best_over.items,
                                  .best_over_count = entry->best_over.count,
                                  .best_by = entry->best_by.text,
                                  .average_over = entry->average_over.items,
                                  .average_over_count = entry->average_over.count};
  if (!reductions.best_over_count && !reductions.average_over_count && !reductions.best_by) return true;
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
    bool is_spec;
    if (!source_find(pools->items[i], &is_spec, error)) return false;
    fine = is_spec
               ? error_set(error, EXIT_USAGE_ERROR, "--pool %s: name a table; the runs of a spec stand first",
                           pools->items[i])
               : read_plain(input, pools->items[i], &other, error) && note_table(input, pools->items[i], &other, error);
    if (fine) table_pool(&input->table, &other, pools->items[i]);
    table_free(&other);
  }
  input->table.source = arena_format(&input->arena, "%s and %zu pooled table%s", input->table.source, pools->count,
                                     pools->count > 1 ? "s" : "");
  return fine;
}

bool fit_input_read(struct fit_input *input, const struct law *laws, size_t law_count, struct error *error) {
  bool fine = input->has_spec ? read_runs(input, laws, law_count, &input->table, error)
                              : read_plain(input, input->name, &input->table, error) &&
                                    note_table(input, input->name, &input->table, error);
  fine = fine && pool_tables(input, error) && curves_prepare(input, laws, law_count, error) &&
         note_schedules(input, error);
  if (!fine || (input->has_spec && !input->arguments->pools.count && !input->curve_law)) return fine;
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
  curves_tell(input, result);
  warn_of_mixture(&input->table, result);
  if (input->has_spec) standing_tell(&input->spec, &input->standing, result);
  const struct fit_source made = {input->source, input->arguments, input->entry, input->data, input->data_count};
  fit_made_fill(result, &input->options, &made);
}

void fit_input_free(struct fit_input *input) {
  table_free(&input->table);
  table_free(&input->left_out);
  if (input->has_spec) spec_free(&input->spec);
  arena_free(&input->arena);
}
