// What stages say of a model's matrices: table layers.
#include <math.h>

#include "results/store_internal.h"

bool store_layer_put(struct store *store, const char *run, const struct layer_record *layer, struct error *error) {
  sqlite3_stmt *s = store_statement(
      store,
      "INSERT OR REPLACE INTO layers (run, layer, matrix, rows, columns, relative_error, "
      "output_error, weighted_error, bound, bits, sparsity, alpha, alpha_error) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, "
      "?9, ?10, ?11, ?12, ?13)",
      error);
  if (!s) return false;
  bind_text(s, 1, run);
  sqlite3_bind_int64(s, 2, layer->layer);
  bind_text(s, 3, layer->matrix);
  const double numbers[] = {layer->rows,           layer->columns,    layer->relative_error, layer->output_error,
                            layer->weighted_error, layer->bound,      layer->bits,           layer->sparsity,
                            layer->alpha,          layer->alpha_error};
  for (int i = 0; i < 10; i++) bind_number(s, i + 4, numbers[i]);
  return store_step_done(store, s, "writing a layer", error);
}

bool store_layers_cut(struct store *store, const char *run, struct error *error) {
  sqlite3_stmt *s = store_statement(store, "DELETE FROM layers WHERE run = ?1", error);
  if (!s) return false;
  bind_text(s, 1, run);
  return store_step_done(store, s, "removing layers", error);
}

struct store_rows *store_layers(struct store *store, const char *run, struct error *error) {
  struct value value = store_text(run);
  return store_select(
      store,
      "SELECT layer, matrix, rows, columns, relative_error, output_error, weighted_error, bound, bits, sparsity, alpha, "
      "alpha_error FROM layers WHERE run = ?1 ORDER BY layer, matrix",
      &value, 1, error);
}
