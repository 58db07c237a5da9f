// Reading a JSON document member by member. What is missing or null gives a value that says so; what is there must be
// of the right kind. The first mistake is kept, so that a reader looks for one only in the end.
#pragma once
#include <jansson.h>

#include "base/base.h"

struct reading {
  struct arena *arena;  // of the texts
  struct error *error;
};

// The document's tree, or NULL with an error; json_decref in the end. Whole numbers are read as doubles too, so that
// every number is the one that was written.
json_t *json_tree(const char *text, struct error *error);

// "'KEY' is no WHAT". Always false.
bool reading_damaged(const struct reading *reading, const char *key, const char *what);
// The member's number; NAN where it is missing or null.
double member_number(const struct reading *reading, const json_t *object, const char *key);
// A whole number of at least 0; 0 where it is missing or null.
int64_t member_count(const struct reading *reading, const json_t *object, const char *key);
// The same, of an int.
int member_whole(const struct reading *reading, const json_t *object, const char *key);
bool member_boolean(const struct reading *reading, const json_t *object, const char *key);
// A copy in the arena; `missing` where it is missing or null.
const char *member_text(const struct reading *reading, const json_t *object, const char *key, const char *missing);
// The member that is an object; NULL where it is missing or null.
json_t *member_object(const struct reading *reading, const json_t *object, const char *key);
// The member that is an array of objects, and how many; NULL and 0 where it is missing or null.
const json_t *member_objects(const struct reading *reading, const json_t *object, const char *key, size_t *count);
// The texts of an array; NULL and 0 where it is missing or null.
const char **member_texts(const struct reading *reading, const json_t *object, const char *key, size_t *count);
