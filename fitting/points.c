// Points to predict at, from texts such as "N=1e8..1e10:5log,D=2e10,format=w4a4|w3a3".
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fitting/table_internal.h"

enum { AXIS_LIMIT = 64 };

struct axis {  // one NAME=VALUES
  const char *name;
  double *numbers;     // or
  const char **texts;  // NULL: numbers
  size_t count;
};

struct point_text {
  struct arena *arena;
  const char *text;
  struct axis axes[AXIS_LIMIT];
  size_t axis_count, points;
  struct error *error;
};

// The first of `stops` outside quotes and brackets, or the end. NULL when a quote or bracket stays open.
static const char *find_stop(const char *at, const char *stops) {
  char quote = 0;
  int depth = 0;
  for (; *at; at++) {
    if (quote) {
      if (*at == quote) quote = 0;
    } else if (*at == '"' || *at == '\'') {
      quote = *at;
    } else if (*at == '(' || *at == '[') {
      depth++;
    } else if (*at == ')' || *at == ']') {
      if (--depth < 0) return NULL;
    } else if (!depth && strchr(stops, *at)) {
      return at;
    }
  }
  return quote || depth ? NULL : at;
}

// [from, to) without blanks around it and without one pair of quotes.
static const char *trimmed(struct arena *arena, const char *from, const char *to, bool *quoted) {
  while (from < to && (*from == ' ' || *from == '\t')) from++;
  while (to > from && (to[-1] == ' ' || to[-1] == '\t')) to--;
  *quoted = to - from >= 2 && (*from == '"' || *from == '\'') && to[-1] == *from;
  if (*quoted) {
    from++;
    to--;
  }
  return arena_copy(arena, from, (size_t)(to - from));
}

bool list_split(struct arena *arena, const char *text, const char ***items, size_t *count, struct error *error) {
  *count = 0;
  *items = arena_array(arena, strlen(text) + 2, sizeof **items);
  for (const char *at = text;; at++) {
    const char *stop = find_stop(at, ",");
    bool quoted;
    if (!stop) return error_set(error, EXIT_USAGE_ERROR, "'%s': a quote or bracket is not closed", text);
    const char *item = trimmed(arena, at, stop, &quoted);
    if (!*item)
      return error_set(error, EXIT_USAGE_ERROR, "'%s': column %zu: an item is empty", text, (size_t)(at - text) + 1);
    (*items)[(*count)++] = item;
    at = stop;
    if (!*at) return true;
  }
}

static bool fail(const struct point_text *points, const char *at, const char *what) {
  int column = 1;
  for (const char *c = points->text; c < at; c++)
    if (((unsigned char)*c & 0xC0) != 0x80) column++;
  return error_set(points->error, EXIT_USAGE_ERROR,
                   "'%.200s': column %d: %s (for example N=1e9,D=2e10,format=w4a4 or N=1e8..1e10:5log)", points->text,
                   column, what);
}

// LOW..HIGH:COUNT[log|linear]; false without an error when the text is none.
static bool read_range(struct point_text *points, const char *at, const char *item, struct axis *axis) {
  const char *dots = strstr(item, "..");
  double low, high;
  if (!dots || !number_parse(arena_copy(points->arena, item, (size_t)(dots - item)), &low)) return false;
  const char *colon = strchr(dots, ':');
  if (!colon) return fail(points, at, "a range ends with how many values: LOW..HIGH:5log");
  if (!number_parse(arena_copy(points->arena, dots + 2, (size_t)(colon - dots - 2)), &high))
    return fail(points, at, "a range's ends are numbers");
  bool log_scale = ends_with(colon, "log"), linear = ends_with(colon, "linear");
  size_t digits = strlen(colon + 1) - (log_scale ? 3 : linear ? 6 : 0);
  int64_t count;
  if (!integer_parse(arena_copy(points->arena, colon + 1, digits), &count) || count < 1 || count > POINT_LIMIT)
    return fail(points, at, "a range has 1 to 100000 values, written as :5log or :5linear");
  log_scale = !linear;
  if (!isfinite(low) || !isfinite(high) || low > high || (log_scale && low <= 0))
    return fail(points, at,
                log_scale ? "a logarithmic range goes from a positive number to one not below it"
                          : "a range goes from a number to one not below it");
  axis->numbers = arena_grow(points->arena, axis->numbers, axis->count, axis->count + (size_t)count, sizeof(double));
  for (int64_t i = 0; i < count; i++) {
    double share = count > 1 ? (double)i / (double)(count - 1) : 0;
    double value = log_scale ? low * pow(high / low, share) : low + (high - low) * share;
    axis->numbers[axis->count++] = i && i == count - 1 ? high : value;
  }
  return true;
}

static bool read_values(struct point_text *points, const char *at, const char *end, struct axis *axis) {
  bool any_text = false, any_number = false;
  size_t room = 1;
  for (const char *c = at; c < end; c++) room += *c == '|';
  axis->texts = arena_array(points->arena, room, sizeof *axis->texts);
  size_t text_count = 0;
  for (; at <= end; at++) {
    const char *stop = find_stop(at, "|,");
    bool quoted;
    double number;
    if (!stop || stop > end) return fail(points, at, "a quote or bracket is not closed");
    const char *item = trimmed(points->arena, at, stop, &quoted);
    if (!*item) return fail(points, at, "a value is missing");
    if (!quoted && number_parse(item, &number)) {
      if (!isfinite(number)) return fail(points, at, "a value is a finite number or a text");
      axis->numbers = arena_grow(points->arena, axis->numbers, axis->count, axis->count + 1, sizeof(double));
      axis->numbers[axis->count++] = number;
      any_number = true;
    } else if (!quoted && read_range(points, at, item, axis)) {
      any_number = true;
    } else {
      if (points->error->code) return false;
      axis->texts[text_count++] = item;
      any_text = true;
    }
    at = stop;
  }
  if (any_text && any_number) return fail(points, end, "one name has numbers and texts");
  if (any_text)
    axis->count = text_count;
  else
    axis->texts = NULL;
  return true;
}

static bool read_point_text(struct point_text *points) {
  points->points = 1;
  for (const char *at = points->text;; at++) {
    const char *equals = strchr(at, '='), *comma = strchr(at, ',');
    if (!equals || (comma && comma < equals)) return fail(points, at, "NAME=VALUE is missing here");
    bool quoted;
    struct axis *axis = &points->axes[points->axis_count];
    if (points->axis_count == AXIS_LIMIT) return fail(points, at, "too many names");
    *axis = (struct axis){.name = column_canonical(trimmed(points->arena, at, equals, &quoted))};
    if (!*axis->name || strlen(axis->name) > 200) return fail(points, at, "a name is missing here");
    for (size_t i = 0; i < points->axis_count; i++)
      if (strcmp(points->axes[i].name, axis->name) == 0) return fail(points, at, "this name is here twice");
    const char *stop = find_stop(equals + 1, ",");
    if (!stop) return fail(points, equals + 1, "a quote or bracket is not closed");
    if (!read_values(points, equals + 1, stop, axis)) return false;
    points->axis_count++;
    points->points *= axis->count;
    if (points->points > POINT_LIMIT) return fail(points, at, "these are more than 100000 points");
    at = stop;
    if (!*at) return true;
  }
}

// The column of an axis, added when there is none; -1 when it holds the other kind.
static int axis_column(struct table *table, const struct axis *axis) {
  int column = table_find(table, axis->name);
  if (column < 0)
    column = (int)(axis->texts ? table_add_category(table, axis->name, ROLE_SETTING)
                               : table_add_number(table, axis->name, ROLE_SETTING));
  return (table->columns[column].kind == COLUMN_CATEGORY) == (axis->texts != NULL) ? column : -1;
}

static bool fill_points(struct table *table, const struct point_text *points, size_t first) {
  size_t repeat = 1;
  for (size_t a = points->axis_count; a-- > 0;) {  // the last name varies fastest
    const struct axis *axis = &points->axes[a];
    int column = axis_column(table, axis);
    if (column < 0) return fail(points, points->text, "a name has numbers in one --at and texts in another");
    for (size_t p = 0; p < points->points; p++) {
      size_t value = p / repeat % axis->count;
      if (axis->texts)
        table_set_category(table, (size_t)column, first + p, axis->texts[value]);
      else
        table->columns[column].numbers[first + p] = axis->numbers[value];
    }
    repeat *= axis->count;
  }
  return true;
}

bool points_parse(struct table *table, const char *const *texts, size_t count, struct error *error) {
  struct arena arena = {0};
  struct point_text *read = arena_array(&arena, count + 1, sizeof *read);
  size_t total = 0;
  bool fine = true;
  *table = (struct table){0};
  for (size_t i = 0; i < count && fine; i++) {
    read[i] = (struct point_text){.arena = &arena, .text = texts[i], .error = error};
    fine = read_point_text(&read[i]);
    total += read[i].points;
  }
  if (fine && total > POINT_LIMIT)
    fine = error_set(error, EXIT_USAGE_ERROR, "more than %d points are asked for", POINT_LIMIT);
  if (fine) table_init(table, "--at", total);
  size_t first = 0;
  for (size_t i = 0; i < count && fine; i++) {
    for (size_t a = 0; a < read[i].axis_count; a++) axis_column(table, &read[i].axes[a]);  // columns in written order
    fine = fill_points(table, &read[i], first);
    first += read[i].points;
  }
  arena_free(&arena);
  return fine;
}
