// See schema_write.h.
#include "runner/spec/schema_write.h"

#include <stdio.h>
#include <string.h>

static bool is(const char *text, const char *word) { return text && strcmp(text, word) == 0; }

static void put_texts(struct json_writer *json, const char *key, const char *const *texts, size_t count) {
  json_key(json, key);
  json_array_begin(json);
  for (size_t i = 0; i < count; i++) json_put_string(json, texts[i]);
  json_array_end(json);
}

// "type": "string", or "type": ["string", "number"] of "string|number".
static void put_types(struct json_writer *json, const char *types) {
  struct arena arena = {0};
  size_t count;
  const char **each = text_split(&arena, types, "|", &count);
  if (count == 1)
    json_key_string(json, "type", types);
  else
    put_texts(json, "type", each, count);
  arena_free(&arena);
}

static void put_default(struct json_writer *json, const struct schema_property *property) {
  double number;
  json_key(json, "default");
  if (is(property->type, "boolean"))
    json_put_boolean(json, is(property->fallback, "true"));
  else if ((is(property->type, "integer") || is(property->type, "number")) && number_parse(property->fallback, &number))
    json_put_number(json, number);
  else
    json_put_string(json, property->fallback);
}

static void put_limits(struct json_writer *json, const struct schema_limit limits[2]) {
  for (int i = 0; i < 2 && limits[i].keyword; i++) json_key_number(json, limits[i].keyword, limits[i].value);
}

// Of one value, without alternatives.
static void put_rules(struct json_writer *json, const struct schema_property *property) {
  char reference[200];
  snprintf(reference, sizeof reference, "#/$defs/%s", property->reference ? property->reference : "");
  if (property->reference) json_key_string(json, "$ref", reference);
  bool array = is(property->type, "array");
  if (property->type) put_types(json, property->type);
  if (array) {
    json_key(json, "items");
    json_object_begin(json);
    if (is(property->items, "number")) {
      // 1e6, which some readers of YAML take for text, too
      json_key(json, "anyOf");
      json_array_begin(json);
      schema_property(json, &(struct schema_property){.type = "number"});
      schema_property(json, &(struct schema_property){.reference = "number_text"});
      json_array_end(json);
    } else if (property->items) {
      put_types(json, property->items);
    }
  }
  if (property->choice_count) put_texts(json, "enum", property->choices, property->choice_count);
  if (array) json_object_end(json);
  if (property->constant) json_key_string(json, "const", property->constant);
  if (property->pattern) json_key_string(json, "pattern", property->pattern);
  put_limits(json, property->limits);
  if (property->fallback) put_default(json, property);
}

static void put_alternatives(struct json_writer *json, const struct schema_property *property) {
  struct schema_property one = *property;
  one.key = one.description = one.or_reference = NULL;
  one.or_auto = one.repeated = false;
  if (property->repeated) one.limits[0].keyword = NULL;
  json_key(json, "anyOf");
  json_array_begin(json);
  schema_property(json, &one);
  if (property->repeated) {
    json_object_begin(json);
    json_key_string(json, "type", "array");
    json_key(json, "items");
    schema_property(json, &one);
    put_limits(json, property->limits);
    json_object_end(json);
  }
  if (property->or_auto) schema_property(json, &(struct schema_property){.constant = "auto"});
  if (property->or_reference) schema_property(json, &(struct schema_property){.reference = property->or_reference});
  json_array_end(json);
  if (property->or_auto) json_key_string(json, "default", "auto");
}

void schema_property(struct json_writer *json, const struct schema_property *property) {
  if (property->fields) {
    schema_fields(json, property->key, property->fields, property->description);
    return;
  }
  if (property->key) json_key(json, property->key);
  json_object_begin(json);
  if (property->description) json_key_string(json, "description", property->description);
  if (property->repeated || property->or_auto || property->or_reference)
    put_alternatives(json, property);
  else
    put_rules(json, property);
  json_object_end(json);
}

void schema_object(struct json_writer *json, const struct schema_object *object) {
  if (object->key) json_key(json, object->key);
  json_object_begin(json);
  json_key_string(json, "type", "object");
  json_key_boolean(json, "additionalProperties", false);
  if (object->description) json_key_string(json, "description", object->description);
  if (object->required) {
    struct arena arena = {0};
    size_t count;
    const char **keys = text_split(&arena, object->required, "|", &count);
    put_texts(json, "required", keys, count);
    arena_free(&arena);
  }
  if (object->others) {
    json_key(json, "patternProperties");
    json_object_begin(json);
    schema_property(json, &(struct schema_property){object->others, .reference = object->other_reference});
    json_object_end(json);
  }
  json_key(json, "properties");
  json_object_begin(json);
  for (size_t i = 0; i < object->count; i++) schema_property(json, &object->properties[i]);
  json_object_end(json);
  json_object_end(json);
}
