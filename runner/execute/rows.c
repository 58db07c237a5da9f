// See rows.h.
#include "runner/execute/rows.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "base/terminal.h"
#include "runner/terminal/table.h"

void json_put_value(struct json_writer *json, const struct value *value) {
  switch (value->kind) {
    case VALUE_MISSING:
      json_put_null(json);
      break;
    case VALUE_NUMBER:
      if (value->number == floor(value->number) && fabs(value->number) < 0x1p53)
        json_put_integer(json, (int64_t)value->number);
      else
        json_put_number(json, value->number);
      break;
    case VALUE_BOOLEAN:
      json_put_boolean(json, value->number != 0);
      break;
    case VALUE_TEXT:
      json_put_string(json, value->text);
  }
}

void rows_put_object(struct json_writer *json, const struct store_rows *rows, const int *columns, int count) {
  int total = columns ? count : store_rows_columns(rows);
  json_object_begin(json);
  for (int i = 0; i < total; i++) {
    int column = columns ? columns[i] : i;
    struct value value = store_rows_value(rows, column);
    int64_t exact;
    json_key(json, store_rows_name(rows, column));
    if (store_rows_long(rows, column, &exact))
      json_put_integer(json, exact);
    else
      json_put_value(json, &value);
  }
  json_object_end(json);
}

bool rows_write_json(struct store_rows *rows, const int *columns, int count, struct text *out, struct error *error) {
  struct json_writer json = json_writer(out, true);
  json_array_begin(&json);
  while (store_rows_next(rows, error)) rows_put_object(&json, rows, columns, count);
  json_array_end(&json);
  text_char(out, '\n');
  return !error->code;
}

static void put_csv_field(FILE *out, const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, out);
    return;
  }
  fputc('"', out);
  for (const char *c = text; *c; c++) {
    if (*c == '"') fputc('"', out);
    fputc(*c, out);
  }
  fputc('"', out);
}

bool rows_write_csv(struct store_rows *rows, const int *columns, int count, FILE *out, struct error *error) {
  int total = columns ? count : store_rows_columns(rows);
  for (int i = 0; i < total; i++) {
    if (i) fputc(',', out);
    put_csv_field(out, store_rows_name(rows, columns ? columns[i] : i));
  }
  fputc('\n', out);
  while (store_rows_next(rows, error)) {
    for (int i = 0; i < total; i++) {
      struct value value = store_rows_value(rows, columns ? columns[i] : i);
      char number[32];
      int64_t exact;
      if (i) fputc(',', out);
      if (store_rows_long(rows, columns ? columns[i] : i, &exact)) {
        fprintf(out, "%" PRId64, exact);
      } else if (value.kind == VALUE_TEXT) {
        put_csv_field(out, value.text);
      } else if (value.kind == VALUE_BOOLEAN) {
        fputs(value.number != 0 ? "true" : "false", out);
      } else if (value.kind == VALUE_NUMBER) {
        number_shortest(value.number, number);
        fputs(number, out);
      }
    }
    fputc('\n', out);
  }
  return !error->code;
}

static const char *number_words(enum run_column_print print, double number, struct arena *arena) {
  char out[64];
  struct tm parts;
  time_t when = (time_t)number;
  switch (print) {
    case PRINT_TIME:
      strftime(out, sizeof out, "%Y-%m-%d %H:%M:%S", localtime_r(&when, &parts));
      return arena_string(arena, out);
    case PRINT_DURATION:
      return arena_string(arena, seconds_human(number, out));
    case PRINT_BYTES:
      return arena_string(arena, bytes_human(number, out));
    case PRINT_LOSS:
      return arena_string(arena, loss_human(number, out));
    case PRINT_COUNT:
      if (fabs(number) >= 1e4) return arena_string(arena, number_human(number, out));
      break;
    case PRINT_PLAIN:
    case PRINT_ID:
      break;
  }
  if (number == floor(number) && fabs(number) < 1e9) return arena_format(arena, "%.0f", number);
  return arena_format(arena, "%.4g", number);
}

const char *value_plain(const struct value *value, char number[32]) {
  if (value->kind == VALUE_TEXT) return value->text;
  *number = '\0';
  if (value->kind == VALUE_NUMBER || value->kind == VALUE_BOOLEAN) number_shortest(value->number, number);
  return number;
}

const char *value_human(const char *name, const struct value *value, struct arena *arena) {
  const struct run_column *column = run_column_find(name);
  if (value->kind == VALUE_MISSING) return "-";
  if (value->kind == VALUE_BOOLEAN) return value->number != 0 ? "true" : "false";
  if (value->kind == VALUE_TEXT) {
    if (column && column->print == PRINT_ID) return arena_format(arena, "%.8s", value->text);
    const char *end = strchr(value->text, '\n');
    return visible(arena, arena_copy(arena, value->text, end ? (size_t)(end - value->text) : strlen(value->text)));
  }
  if (column) return number_words(column->print, value->number, arena);
  char setting[32];  // as it was written
  number_shortest(value->number, setting);
  return strlen(setting) <= 12 ? arena_string(arena, setting) : arena_format(arena, "%.6g", value->number);
}

bool rows_write_table(struct store_rows *rows, const int *columns, int count, FILE *out, size_t *shown,
                      struct error *error) {
  enum { WIDEST = 60 };
  struct text_table table = {.gap = 2};
  for (int i = 0; i < count; i++)
    text_table_column(&table, (struct text_column){store_rows_name(rows, columns[i]), .right = true, .most = WIDEST});
  for (*shown = 0; store_rows_next(rows, error); ++*shown) {
    struct arena arena = {0};
    for (int i = 0; i < count; i++) {
      struct value value = store_rows_value(rows, columns[i]);
      if (value.kind == VALUE_TEXT || value.kind == VALUE_BOOLEAN) table.columns[i].right = false;
      int64_t exact;
      if (store_rows_long(rows, columns[i], &exact))
        text_table_cell(&table, "%" PRId64, exact);
      else
        text_table_cell(&table, "%s", value_human(store_rows_name(rows, columns[i]), &value, &arena));
    }
    arena_free(&arena);
  }
  if (*shown > 0) text_table_print(&table, out);
  text_table_free(&table);
  return !error->code;
}
