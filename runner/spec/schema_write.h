// JSON Schema as data: a property says what a value may be, an object which properties it has. What the files that make
// the schema of specs share.
#pragma once
#include "base/base.h"

struct schema_limit {
  const char *keyword;  // "minimum", "maxItems", ...; NULL: none
  double value;
};

// What is NULL or zero says nothing.
struct schema_property {
  const char *key;             // NULL: an alternative, in an array
  const char *type;            // "string", or several: "string|number"
  const char *items;           // type of an array's items
  const char *reference;       // the definition that says it: "law"
  const char *fields;          // an object of run fields, and what each takes: see schema_fields
  bool repeated;               // one such value or a list of them; the limits are the list's
  bool or_auto;                // or the word auto, which is then the default
  const char *or_reference;    // or what another definition says
  const char *const *choices;  // of the value, or of an array's items
  size_t choice_count;
  const char *constant;  // the only value
  const char *pattern;
  struct schema_limit limits[2];
  const char *fallback;  // the default, as text
  const char *description;
};

// One that takes no keys but its properties.
struct schema_object {
  const char *key;       // NULL: an alternative, in an array
  const char *required;  // keys: "over|at"; NULL: none
  const char *description;
  const struct schema_property *properties;
  size_t count;
  const char *others;           // pattern of the names of further keys, or NULL ...
  const char *other_reference;  // ... and the definition of their values
};

// "KEY": {...}
void schema_property(struct json_writer *json, const struct schema_property *property);
void schema_object(struct json_writer *json, const struct schema_object *object);

// ---- schema_numbers.c ----

// A pattern for numbers with an exponent, as text, from `low` (at least 0) to `high` (1e300 or more: no bound), to the
// order of magnitude where a bound is no power of ten.
const char *schema_number_pattern(double low, double high, bool whole, struct arena *arena);

// ---- schema_fields.c ----

// The fields of all tasks: those of the table, then those that each other task has.
size_t schema_field_count(void);
const struct run_field *schema_field_at(size_t index);

// Definitions: of each field one value and an axis, and of each section its fields by their last names.
void schema_field_definitions(struct json_writer *json);
// An object of fields: sections nested, and every field by its dotted path. `kind` is what each takes: "value", "axis",
// or "derived", an expression.
void schema_fields(struct json_writer *json, const char *key, const char *kind, const char *description);

// The definition `stages`: each stage and what it takes.
void schema_stages(struct json_writer *json);

// ---- schema_entries.c ----

// Definitions: a law, a field's path, a name, and an entry of `fit`.
void schema_entry_definitions(struct json_writer *json, const char *const *laws, size_t law_count);
struct entry_kind;
void schema_entry(struct json_writer *json, const struct entry_kind *kind);
