// Imported tables: tables from elsewhere that the store keeps under a name, for fits and predictions.
#pragma once
#include "fitting/fitting.h"
#include "results/store.h"

struct import_request {
  const char *name, *path;  // path: of a CSV file
  const char *map, *where;  // columns by other names, rows to take; NULL: as they are, all
};

// What an import replaced: counts of rows, which are distinguished by their names (the file's own run_id or id, else
// their numbers).
struct import_change {
  bool there, same;  // a table of this name; with the same rows and columns
  size_t added, removed, changed;
  struct text columns_added, columns_removed, columns_changed;  // "a, b"
};

struct imported {
  struct arena arena;
  const char *path;  // absolute
  struct digest digest;
  const char *mapping;  // JSON object: the store's names of columns that are called otherwise in the file
  struct table table;
  size_t duplicates;  // rows that repeat others in N, D, C, format and loss: kept here, counted once by fits
  struct import_change change;
};
// Reads the file, checks it, and puts it in the place of what the store has under this name. imported_free in either
// case.
bool import_file(const struct import_request *request, struct imported *imported, struct error *error);
void imported_free(struct imported *imported);
// A row as the store keeps it: a JSON object.
void import_row_json(const struct table *table, size_t row, struct text *out);

bool import_exists(struct store *store, const char *name, bool *exists, struct error *error);
// The table of an import (columns of numbers or texts, rows named as in the file). An unknown name is an error with the
// nearest one. table_free in either case.
bool import_table(struct store *store, const char *name, struct table *table, struct error *error);
