// Rows of the store as people and scripts read them: JSON, CSV, a table.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "results/store.h"

// The value as it stands in JSON.
void json_put_value(struct json_writer *json, const struct value *value);
// The present row as an object of these columns (NULL: all).
void rows_put_object(struct json_writer *json, const struct store_rows *rows, const int *columns, int count);
// All rows from here on, as an array of objects. False when reading failed.
bool rows_write_json(struct store_rows *rows, const int *columns, int count, struct text *out, struct error *error);
bool rows_write_csv(struct store_rows *rows, const int *columns, int count, FILE *out, struct error *error);
// A table with aligned columns; numbers rounded for people, ids cut to 8 characters. *shown gets the number of rows.
bool rows_write_table(struct store_rows *rows, const int *columns, int count, FILE *out, size_t *shown,
                      struct error *error);
// The value as text: numbers are the shortest that read back the same; "" for what is missing.
const char *value_plain(const struct value *value, char number[32]);
// The value as text for people, as its column is printed (ids are cut, times become durations, bytes units); of a run
// field, as it was written.
const char *value_human(const char *name, const struct value *value, struct arena *arena);
