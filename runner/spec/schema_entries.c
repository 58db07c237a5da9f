// The part of the schema that the tables of keys of fit entries say.
#include "runner/spec/entries.h"
#include "runner/spec/schema_write.h"
#include "trainer/config.h"

#define REPEATED(name) .reference = name, .repeated = true
static const struct schema_property types[] = {
    [ENTRY_TEXT] = {.type = "string|number"},
    [ENTRY_CHOICE] = {0},
    [ENTRY_INTEGER] = {.type = "integer", .or_reference = "number_text"},
    [ENTRY_FACTOR] = {.type = "number", .or_reference = "number_text"},
    [ENTRY_BOOLEAN] = {.type = "boolean"},
    [ENTRY_CONDITION] = {.type = "string"},
    [ENTRY_COLUMN] = {.type = "string"},
    [ENTRY_LAW] = {.reference = "law"},
    [ENTRY_OBJECTIVE] =
        {.type = "string",
         .pattern = "^(huber:[0-9.eE+-]+|least-squares|lad|(student-t|asymmetric):[0-9.eE+-]+(:[0-9.eE+-]+)?)$"},
    [ENTRY_NOISE] = {.type = "number|string"},
    [ENTRY_PIN] = {.type = "string", .pattern = "^[ab]=[0-9.eE+-]+(, *[ab]=[0-9.eE+-]+)*$"},
    [ENTRY_LAWS] = {REPEATED("law")},
    [ENTRY_NAMES] = {REPEATED("name")},
    [ENTRY_TEXTS] = {REPEATED("name")},
    [ENTRY_COLUMNS] = {REPEATED("name")},
    [ENTRY_FIELDS] = {REPEATED("path")},
};

static struct schema_property property_of(const struct entry_key *key) {
  struct schema_property property = types[key->type];
  property.key = key->name;
  property.fallback = key->fallback;
  if (key->type != ENTRY_LAW) property.description = key->help;  // the law's is its definition's
  if (key->type == ENTRY_CHOICE && entry_choice_count(key) == 1) {
    property.constant = key->choices[0];
  } else if (key->type == ENTRY_CHOICE) {
    property.choices = key->choices;
    property.choice_count = entry_choice_count(key);
  } else if (key->type == ENTRY_INTEGER) {
    property.limits[0] = (struct schema_limit){"minimum", key->low};
    property.limits[1] = (struct schema_limit){"maximum", key->high};
  } else if (key->type == ENTRY_FACTOR) {
    property.limits[0] = (struct schema_limit){"exclusiveMinimum", key->low};
  }
  return property;
}

void schema_entry(struct json_writer *json, const struct entry_kind *kind) {
  struct arena arena = {0};
  struct schema_property *properties = arena_array(&arena, kind->count, sizeof *properties);
  struct schema_object object = {.description = kind->about, .properties = properties, .count = kind->count};
  for (size_t k = 0; k < kind->count; k++) {
    properties[k] = property_of(&kind->keys[k]);
    if (kind->keys[k].required) object.required = kind->keys[k].name;
  }
  schema_object(json, &object);
  arena_free(&arena);
}

// A law by its name, or a file.
static void put_law(struct json_writer *json, const char *const *laws, size_t count) {
  const struct schema_property shipped = {.type = count ? NULL : "string", .choices = laws, .choice_count = count},
                               file = {.type = "string", .pattern = "(/|[.]ya?ml$)"};
  json_key(json, "law");
  json_object_begin(json);
  json_key_string(json, "description", entry_key_find(&fit_entry, "law")->help);
  json_key(json, "anyOf");
  json_array_begin(json);
  schema_property(json, &shipped);
  schema_property(json, &file);
  json_array_end(json);
  json_object_end(json);
}

void schema_entry_definitions(struct json_writer *json, const char *const *laws, size_t law_count) {
  struct arena arena = {0};
  const char **paths = arena_array(&arena, schema_field_count(), sizeof *paths);
  for (size_t i = 0; i < schema_field_count(); i++) paths[i] = schema_field_at(i)->path;
  put_law(json, laws, law_count);
  schema_property(json, &(struct schema_property){"path", .or_reference = "own_name", .choices = paths,
                                                  .choice_count = schema_field_count()});
  // Of a field that the spec declares: which it does, a schema cannot look up.
  schema_property(json, &(struct schema_property){"own_name", "string", .pattern = "^[A-Za-z][A-Za-z0-9_]*$"});
  schema_property(json, &(struct schema_property){"name", "string|number"});
  json_key(json, "fit");
  json_object_begin(json);
  json_key(json, "anyOf");
  json_array_begin(json);
  schema_property(json, &(struct schema_property){.reference = "law"});
  schema_entry(json, &fit_entry);
  schema_entry(json, &isoflop_entry);
  json_array_end(json);
  json_object_end(json);
  arena_free(&arena);
}
