// Writing JSON (reading is jansson's work): a small streaming writer into a text buffer. Numbers are the shortest that
// read back as the same double; NaN and infinities become null. Keys and strings are escaped; invalid UTF-8 becomes
// U+FFFD. Commas and (when asked) indentation are the writer's business.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct json_writer {
  struct text *out;
  int depth;
  bool indent;          // one entry a line; else compact on one line
  bool need_comma[64];  // per depth
  bool after_key;
};

struct json_writer json_writer(struct text *out, bool indent);
void json_object_begin(struct json_writer *writer);
void json_object_end(struct json_writer *writer);
void json_array_begin(struct json_writer *writer);
void json_array_end(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);
void json_put_string(struct json_writer *writer, const char *text);  // NULL becomes null
void json_put_number(struct json_writer *writer, double value);
void json_put_integer(struct json_writer *writer, int64_t value);
void json_put_boolean(struct json_writer *writer, bool value);
void json_put_null(struct json_writer *writer);
void json_put_raw(struct json_writer *writer, const char *json);  // a value already in JSON
// What a parser of JSON says is wrong, without the piece of the file that it quotes behind it: whose file it is, is not
// known.
const char *json_problem(const char *said, char out[160]);
// key and value in one call
void json_key_string(struct json_writer *writer, const char *key, const char *text);
void json_key_number(struct json_writer *writer, const char *key, double value);
void json_key_integer(struct json_writer *writer, const char *key, int64_t value);
void json_key_boolean(struct json_writer *writer, const char *key, bool value);
// key and an array of values
void json_key_strings(struct json_writer *writer, const char *key, const char *const *texts, size_t count);
void json_key_numbers(struct json_writer *writer, const char *key, const double *values, size_t count);
void json_key_integers(struct json_writer *writer, const char *key, const int64_t *values, size_t count);
