// See isoflop_runs.h.
#include "runner/fits/isoflop_runs.h"

#include "runner/fits/internal.h"

// The validation curves of a table's runs (rows named by run id), as a table of points.
static bool curves_of(const struct table *runs, struct store *store, struct table *points, struct error *error) {
  int size = table_find(runs, "parameters"), tokens = table_find(runs, "tokens"), flops = table_find(runs, "flops");
  if (size < 0 || tokens < 0 || flops < 0)
    return error_set(error, EXIT_USAGE_ERROR, "%s: the runs have no parameters, tokens or flops", runs->source);
  for (int pass = 0; pass < 2; pass++) {
    size_t count = 0;
    for (size_t row = 0; row < runs->row_count; row++) {
      struct store_rows *rows = store_metrics(store, runs->row_names[row], METRIC_EVAL, error);
      if (!rows) return false;
      double per_token = runs->columns[flops].numbers[row] / runs->columns[tokens].numbers[row];
      while (store_rows_next(rows, error)) {
        struct value seen = store_rows_get(rows, "tokens"), loss = store_rows_get(rows, "loss");
        if (seen.kind != VALUE_NUMBER || loss.kind != VALUE_NUMBER || !(seen.number > 0)) continue;
        if (pass) {
          double values[] = {runs->columns[size].numbers[row], seen.number, per_token * seen.number, loss.number};
          for (size_t c = 0; c < 4; c++) points->columns[c].numbers[count] = values[c];
          table_set_category(points, 4, count, runs->row_names[row]);
        }
        count++;
      }
      store_rows_close(rows);
      if (error->code) return false;
    }
    if (pass) break;
    table_init(points, runs->source, count);
    table_add_number(points, "parameters", ROLE_UNKNOWN);
    table_add_number(points, "tokens", ROLE_UNKNOWN);
    table_add_number(points, "flops", ROLE_UNKNOWN);
    table_add_number(points, "loss", ROLE_UNKNOWN);
    table_add_category(points, "run", ROLE_UNKNOWN);
  }
  return true;
}

bool isoflop_entry_options(const struct spec_isoflop *entry, struct isoflop_noise *noise,
                           struct isoflop_options *options, struct error *error) {
  *options = (struct isoflop_options){
      .budget = entry->budget, .window = entry->window, .average = entry->average, .copies = (int)entry->copies};
  options->surface = "chinchilla";
  if (!isoflop_method_parse(entry->minimum, &options->method, error)) return false;
  if (entry->pin && !isoflop_pins_parse(entry->pin, &options->pins, error)) return false;
  if (!entry->noise) return true;
  options->noise = noise;
  return isoflop_noise_parse(entry->noise, noise, error);
}

bool isoflop_of_runs(const struct spec *spec, const struct spec_isoflop *entry, const char *where, struct store *store,
                     const struct isoflop_options *options, struct isoflop *result, struct error *error) {
  struct table runs = {0}, points = {0};
  struct fit_notes notes;
  struct isoflop_options wanted = *options;
  bool curves = options->method == ISOFLOP_ENVELOPE || options->budgets;
  if (curves) wanted.curve = "run";
  const struct spec_fit rows = {.name = entry->name, .parameter_count = entry->parameter_count, .where = entry->where};
  bool fine = fit_entry_table(spec, &rows, NULL, 0, where, store, &runs, &notes, error) &&
              (!curves || curves_of(&runs, store, &points, error)) &&
              isoflop_run(curves ? &points : &runs, &wanted, result, error);
  for (size_t i = 0; i < notes.warning_count && fine; i++) isoflop_warn(result, "%s", notes.warnings[i]);
  if (fine) result->parameter_count = arena_string(&result->arena, entry->parameter_count);
  table_free(&points);
  table_free(&runs);
  return fine;
}

bool isoflop_of_entry(const struct spec *spec, const struct spec_isoflop *entry, const char *where, struct store *store,
                      struct isoflop *result, struct error *error) {
  struct isoflop_noise noise;
  struct isoflop_options options;
  bool fine = isoflop_entry_options(entry, &noise, &options, error) &&
              isoflop_of_runs(spec, entry, where, store, &options, result, error);
  return fine ? true : error_context(error, "fit %s", entry->name);
}
