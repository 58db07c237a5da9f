// See member_internal.h.
#include <limits.h>
#include <math.h>

#include "fitting/member_internal.h"

json_t *json_tree(const char *text, struct error *error) {
  json_error_t trouble;
  json_t *tree = json_loads(text, JSON_DECODE_INT_AS_REAL, &trouble);
  char words[160];
  if (!tree)
    error_set(error, EXIT_ENVIRONMENT, "line %d is no JSON: %s", trouble.line, json_problem(trouble.text, words));
  return tree;
}

bool reading_damaged(const struct reading *reading, const char *key, const char *what) {
  return error_set(reading->error, EXIT_ENVIRONMENT, "'%.100s' is no %s", key, what);
}

static json_t *member(const json_t *object, const char *key) {
  json_t *value = json_object_get(object, key);
  return json_is_null(value) ? NULL : value;
}

double member_number(const struct reading *reading, const json_t *object, const char *key) {
  const json_t *value = member(object, key);
  if (value && !json_is_number(value)) reading_damaged(reading, key, "number");
  return json_is_number(value) ? json_number_value(value) : NAN;
}

int64_t member_count(const struct reading *reading, const json_t *object, const char *key) {
  const double most = 9007199254740992;  // 2^53: beyond it a double skips whole numbers
  double number = member_number(reading, object, key);
  if (isnan(number)) return 0;
  if (number >= 0 && number <= most && number == floor(number)) return (int64_t)number;
  reading_damaged(reading, key, "count");
  return 0;
}

int member_whole(const struct reading *reading, const json_t *object, const char *key) {
  int64_t count = member_count(reading, object, key);
  if (count > INT_MAX) reading_damaged(reading, key, "count");
  return count > INT_MAX ? 0 : (int)count;
}

bool member_boolean(const struct reading *reading, const json_t *object, const char *key) {
  const json_t *value = member(object, key);
  if (value && !json_is_boolean(value)) reading_damaged(reading, key, "truth value");
  return json_is_true(value);
}

const char *member_text(const struct reading *reading, const json_t *object, const char *key, const char *missing) {
  const json_t *value = member(object, key);
  if (value && !json_is_string(value)) reading_damaged(reading, key, "text");
  return json_is_string(value) ? arena_string(reading->arena, json_string_value(value)) : missing;
}

json_t *member_object(const struct reading *reading, const json_t *object, const char *key) {
  json_t *value = member(object, key);
  if (value && !json_is_object(value)) reading_damaged(reading, key, "object");
  return json_is_object(value) ? value : NULL;
}

static const json_t *array(const struct reading *reading, const json_t *object, const char *key, size_t *count) {
  const json_t *value = member(object, key);
  if (value && !json_is_array(value)) reading_damaged(reading, key, "array");
  *count = json_array_size(value);
  return json_is_array(value) ? value : NULL;
}

const json_t *member_objects(const struct reading *reading, const json_t *object, const char *key, size_t *count) {
  const json_t *items = array(reading, object, key, count);
  for (size_t i = 0; i < *count; i++)
    if (!json_is_object(json_array_get(items, i))) {
      reading_damaged(reading, key, "array of objects");
      *count = 0;
    }
  return items;
}

const char **member_texts(const struct reading *reading, const json_t *object, const char *key, size_t *count) {
  const json_t *items = array(reading, object, key, count);
  if (!items) return NULL;
  const char **texts = arena_array(reading->arena, *count + 1, sizeof *texts);
  for (size_t i = 0; i < *count; i++) {
    const char *text = json_string_value(json_array_get(items, i));
    if (!text) reading_damaged(reading, key, "array of texts");
    texts[i] = arena_string(reading->arena, text ? text : "");
  }
  return texts;
}
