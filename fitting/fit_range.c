// The ranges of what a fit was made on, and their part of its JSON document (the key ranges).
#include <math.h>
#include <string.h>

#include "fitting/fit_document_internal.h"
#include "fitting/fit_internal.h"

// Rows of one category; column -1: all fitted rows.
struct part {
  int column;
  const char *category;
};

static const char *cell_text(struct value value, char number[32]) {
  if (value.kind == VALUE_TEXT) return value.text;
  if (value.kind != VALUE_NUMBER) return NULL;
  number_shortest(value.number, number);
  return number;
}

static bool takes_part(const struct fit *fit, struct part part, size_t row) {
  char number[32];
  if (!fit->selected[row] || fit->use[row] != ROW_FITTED) return false;
  if (part.column < 0) return true;
  const char *text = cell_text(table_value(fit->table, (size_t)part.column, row), number);
  return text && strcmp(text, part.category) == 0;
}

// A column that distinguishes categories: of texts, or of numbers by which a parameter is indexed.
static bool is_of_categories(const struct fit *fit, int column) {
  if (fit->table->columns[column].kind == COLUMN_CATEGORY) return true;
  for (int p = 0; p < fit->law->parameter_count; p++)
    if (fit->law->parameters[p].by && table_find(fit->table, fit->law->parameters[p].by) == column) return true;
  return false;
}

// Schedules are no categories: a run's own is as a rule one that no other has.
static bool is_schedule(const struct fit *fit, const char *name) {
  const char *schedule, *step;
  return law_schedule(fit->law, &schedule, &step) && strcmp(schedule, name) == 0;
}

// The highest rates of the fitted rows' schedules.
static void find_peaks(struct fit *fit, const char *name, struct fit_range *ranges, size_t *count) {
  struct arena *arena = &fit->result->arena;
  const struct table_column *cells = &fit->table->columns[table_find(fit->table, name)];
  struct fit_range range = {arena_format(arena, "%s%s", name, range_of_peak), INFINITY, -INFINITY};
  for (int i = 0; i < cells->category_count; i++) {
    bool fitted = false;
    for (size_t row = 0; row < fit->table->row_count && !fitted; row++)
      fitted = cells->codes[row] == i && takes_part(fit, (struct part){-1, NULL}, row);
    struct arena scratch = {0};
    struct rate_schedule schedule;
    struct error error = {0};
    if (fitted && rate_schedule_parse(&scratch, cells->categories[i], &schedule, &error)) {
      range.low = fmin(range.low, schedule.peak);
      range.high = fmax(range.high, schedule.peak);
    }
    arena_free(&scratch);
  }
  if (range.low <= range.high) ranges[(*count)++] = range;
}

static size_t find_ranges(struct fit *fit, struct part part, struct fit_range **ranges) {
  struct arena *arena = &fit->result->arena;
  size_t count = 0;
  *ranges = arena_array(arena, (size_t)fit->law->column_count + 2, sizeof **ranges);
  for (int i = 0; i < fit->law->column_count; i++) {
    int column = table_find(fit->table, fit->law->columns[i]);
    if (column >= 0 && is_schedule(fit, fit->law->columns[i])) {
      if (part.column < 0) find_peaks(fit, fit->law->columns[i], *ranges, &count);
      continue;
    }
    if (column < 0 || is_of_categories(fit, column)) continue;
    struct fit_range range = {arena_string(arena, fit->law->columns[i]), INFINITY, -INFINITY};
    for (size_t row = 0; row < fit->table->row_count; row++) {
      double value = fit->table->columns[column].numbers[row];
      if (!takes_part(fit, part, row) || isnan(value)) continue;
      range.low = fmin(range.low, value);
      range.high = fmax(range.high, value);
    }
    if (range.low <= range.high) (*ranges)[count++] = range;
  }
  return count;
}

// Whether a parameter of that column was fitted to this category.
static bool has_own(const struct fit *fit, const char *column, const char *category) {
  for (int e = 0; e < fit->element_count; e++) {
    const struct element *element = &fit->elements[e];
    const char *by = fit->law->parameters[element->parameter].by;
    if (by && strcmp(by, column) == 0 && element->free_ever && strcmp(element->category, category) == 0) return true;
  }
  return false;
}

static void add_categories(struct fit *fit, const char *name, int column) {
  struct arena *arena = &fit->result->arena;
  struct fit_ranges *ranges = &fit->result->ranges;
  size_t first = ranges->category_count;
  for (size_t row = 0; row < fit->table->row_count; row++) {
    char number[32];
    if (!takes_part(fit, (struct part){-1, NULL}, row)) continue;
    const char *text = cell_text(table_value(fit->table, (size_t)column, row), number);
    size_t known = first;
    while (text && known < ranges->category_count && strcmp(ranges->categories[known].category, text) != 0) known++;
    if (!text) continue;
    if (known == ranges->category_count) {
      ranges->categories = arena_grow(arena, ranges->categories, known, known + 1, sizeof *ranges->categories);
      ranges->categories[ranges->category_count++] =
          (struct fit_category){.column = arena_string(arena, name), .category = arena_string(arena, text)};
    }
    ranges->categories[known].rows++;
  }
  for (size_t i = first; i < ranges->category_count; i++) {
    struct fit_category *one = &ranges->categories[i];
    one->own = has_own(fit, name, one->category);
    one->range_count = find_ranges(fit, (struct part){column, one->category}, &one->ranges);
  }
}

// The range of a column that derived quantities are worked out at; compute is 6ND where the table has none.
static void add_derived(struct fit *fit, const char *name) {
  struct fit_ranges *ranges = &fit->result->ranges;
  struct fit_range range = {arena_string(&fit->result->arena, name), INFINITY, -INFINITY};
  for (size_t i = 0; i < ranges->derived_count; i++)
    if (strcmp(ranges->derived[i].column, name) == 0) return;
  for (size_t row = 0; row < fit->table->row_count; row++) {
    if (!takes_part(fit, (struct part){-1, NULL}, row)) continue;
    double value = fit_column_value(fit, name, row);
    if (isnan(value)) continue;
    range.low = fmin(range.low, value);
    range.high = fmax(range.high, value);
  }
  if (range.low <= range.high) ranges->derived[ranges->derived_count++] = range;
}

double fit_column_value(const struct fit *fit, const char *name, size_t row) {
  const struct table *table = fit->table;
  int column = table_find(table, name), n = table_find(table, "parameters"), d = table_find(table, "tokens");
  if (column < 0 && strcmp(name, "flops") == 0 && n >= 0 && d >= 0 && table->columns[n].kind == COLUMN_NUMBER &&
      table->columns[d].kind == COLUMN_NUMBER)
    return 6 * table->columns[n].numbers[row] * table->columns[d].numbers[row];
  return column < 0 || table->columns[column].kind != COLUMN_NUMBER ? NAN : table->columns[column].numbers[row];
}

void fit_find_ranges(struct fit *fit) {
  struct fit_ranges *ranges = &fit->result->ranges;
  const struct law *law = fit->law;
  ranges->column_count = find_ranges(fit, (struct part){-1, NULL}, &ranges->columns);
  for (int i = 0; i < law->column_count; i++) {
    int column = table_find(fit->table, law->columns[i]);
    if (is_schedule(fit, law->columns[i])) continue;
    if (column >= 0 && is_of_categories(fit, column)) add_categories(fit, law->columns[i], column);
  }
  ranges->derived = arena_array(&fit->result->arena, (size_t)law->derived_count + 1, sizeof *ranges->derived);
  for (int d = 0; d < law->derived_count; d++)
    if (law->derived[d].at) add_derived(fit, law->derived[d].at);
}

// ---- the document ----

static void put_ranges(const struct fit_range *ranges, size_t count, struct json_writer *writer) {
  for (size_t i = 0; i < count; i++) {
    json_key(writer, ranges[i].column);
    json_array_begin(writer);
    json_put_number(writer, ranges[i].low);
    json_put_number(writer, ranges[i].high);
    json_array_end(writer);
  }
}

void fit_json_ranges(const struct fit_ranges *ranges, struct json_writer *writer) {
  if (!ranges->column_count && !ranges->category_count) return;  // of a document that does not tell
  json_key(writer, "ranges");
  json_object_begin(writer);
  json_key(writer, "columns");
  json_object_begin(writer);
  put_ranges(ranges->columns, ranges->column_count, writer);
  json_object_end(writer);
  json_key(writer, "derived");
  json_object_begin(writer);
  put_ranges(ranges->derived, ranges->derived_count, writer);
  json_object_end(writer);
  json_key(writer, "categories");
  json_array_begin(writer);
  for (size_t i = 0; i < ranges->category_count; i++) {
    const struct fit_category *one = &ranges->categories[i];
    json_object_begin(writer);
    json_key_string(writer, "column", one->column);
    json_key_string(writer, "category", one->category);
    json_key_integer(writer, "rows", (int64_t)one->rows);
    json_key_boolean(writer, "own", one->own);
    json_key(writer, "columns");
    json_object_begin(writer);
    put_ranges(one->ranges, one->range_count, writer);
    json_object_end(writer);
    json_object_end(writer);
  }
  json_array_end(writer);
  json_object_end(writer);
}

static size_t read_ranges(const struct reading *reading, const json_t *object, const char *key,
                          struct fit_range **ranges) {
  json_t *all = member_object(reading, object, key), *pair;
  const char *name;
  size_t count = 0;
  *ranges = arena_array(reading->arena, json_object_size(all) + 1, sizeof **ranges);
  json_object_foreach(all, name, pair) {
    struct fit_range *range = &(*ranges)[count++];
    range->column = arena_string(reading->arena, name);
    fit_read_ends(reading, all, name, &range->low, &range->high);
    if (!(range->low <= range->high)) reading_damaged(reading, name, "range of numbers");
  }
  return count;
}

void fit_read_ranges(struct fit_ranges *ranges, const struct reading *reading, const json_t *root) {
  json_t *object = member_object(reading, root, "ranges");
  if (!object) return;  // of a version that did not keep them
  size_t count;
  ranges->column_count = read_ranges(reading, object, "columns", &ranges->columns);
  ranges->derived_count = read_ranges(reading, object, "derived", &ranges->derived);
  const json_t *all = member_objects(reading, object, "categories", &count);
  ranges->categories = arena_array(reading->arena, count + 1, sizeof *ranges->categories);
  for (; ranges->category_count < count; ranges->category_count++) {
    const json_t *entry = json_array_get(all, ranges->category_count);
    struct fit_category *one = &ranges->categories[ranges->category_count];
    *one = (struct fit_category){.column = member_text(reading, entry, "column", ""),
                                 .category = member_text(reading, entry, "category", ""),
                                 .rows = (size_t)member_count(reading, entry, "rows"),
                                 .own = member_boolean(reading, entry, "own")};
    one->range_count = read_ranges(reading, entry, "columns", &one->ranges);
  }
}
