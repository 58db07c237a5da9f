// See json.h.
#include "base/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/terminal.h"

struct json_writer json_writer(struct text *out, bool indent) {
  return (struct json_writer){.out = out, .indent = indent};
}

static void newline(struct json_writer *w) {
  if (!w->indent) return;
  text_char(w->out, '\n');
  for (int i = 0; i < w->depth; i++) text_add(w->out, "  ");
}

static void before_value(struct json_writer *w) {
  if (w->after_key) {
    w->after_key = false;
    return;
  }
  if (w->depth == 0) return;
  if (w->need_comma[w->depth]) text_char(w->out, ',');
  w->need_comma[w->depth] = true;
  newline(w);
}

// A character that stands for itself between quotes.
static bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x7F && c != '"' && c != '\\'; }

static void quoted(struct text *out, const char *string) {
  text_char(out, '"');
  size_t length = strlen(string), i = 0;
  while (i < length) {
    unsigned char c = (unsigned char)string[i];
    if (c == '"' || c == '\\') {
      text_char(out, '\\');
      text_char(out, (char)c);
      i++;
    } else if (c == '\n') {
      text_add(out, "\\n");
      i++;
    } else if (c == '\t') {
      text_add(out, "\\t");
      i++;
    } else if (c < 0x20 || c == 0x7F) {
      text_format(out, "\\u%04x", c);
      i++;
    } else if (c < 0x80) {
      size_t plain = i + 1;
      while (plain < length && is_plain((unsigned char)string[plain])) plain++;
      text_append(out, string + i, plain - i);
      i = plain;
    } else {
      size_t step = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
      if (step > length - i || utf8_valid_prefix(string + i, step) != step) {
        text_add(out, "\xEF\xBF\xBD");
        i++;
      } else if (visible_prefix(string + i, step) < step) {  // a control character, or one that turns the writing
        unsigned code = step == 2 ? c & 0x1Fu : c & 0x0Fu;
        for (size_t k = 1; k < step; k++) code = code << 6 | ((unsigned char)string[i + k] & 0x3Fu);
        text_format(out, "\\u%04x", code);
        i += step;
      } else {
        text_append(out, string + i, step);
        i += step;
      }
    }
  }
  text_char(out, '"');
}

static void open(struct json_writer *w, char bracket) {
  before_value(w);
  text_char(w->out, bracket);
  if (w->depth + 1 < (int)(sizeof w->need_comma / sizeof w->need_comma[0])) w->depth++;
  w->need_comma[w->depth] = false;
}

static void close(struct json_writer *w, char bracket) {
  bool any = w->need_comma[w->depth];
  if (w->depth > 0) w->depth--;
  if (any) newline(w);
  text_char(w->out, bracket);
  if (w->depth == 0 && w->indent) text_char(w->out, '\n');
}

void json_object_begin(struct json_writer *w) { open(w, '{'); }
void json_object_end(struct json_writer *w) { close(w, '}'); }
void json_array_begin(struct json_writer *w) { open(w, '['); }
void json_array_end(struct json_writer *w) { close(w, ']'); }

void json_key(struct json_writer *w, const char *key) {
  before_value(w);
  quoted(w->out, key);
  text_add(w->out, w->indent ? ": " : ":");
  w->after_key = true;
}

void json_put_string(struct json_writer *w, const char *text) {
  before_value(w);
  if (text)
    quoted(w->out, text);
  else
    text_add(w->out, "null");
}

void json_put_number(struct json_writer *w, double value) {
  before_value(w);
  char buffer[32];
  if (!isfinite(value)) {
    text_add(w->out, "null");
    return;
  }
  number_shortest(value, buffer);
  text_add(w->out, buffer);
}

void json_put_integer(struct json_writer *w, int64_t value) {
  before_value(w);
  text_format(w->out, "%" PRId64, value);
}

void json_put_boolean(struct json_writer *w, bool value) {
  before_value(w);
  text_add(w->out, value ? "true" : "false");
}

void json_put_null(struct json_writer *w) {
  before_value(w);
  text_add(w->out, "null");
}

void json_put_raw(struct json_writer *w, const char *json) {
  before_value(w);
  text_add(w->out, json);
}

void json_key_string(struct json_writer *w, const char *key, const char *text) {
  json_key(w, key);
  json_put_string(w, text);
}

void json_key_number(struct json_writer *w, const char *key, double value) {
  json_key(w, key);
  json_put_number(w, value);
}

void json_key_integer(struct json_writer *w, const char *key, int64_t value) {
  json_key(w, key);
  json_put_integer(w, value);
}

void json_key_boolean(struct json_writer *w, const char *key, bool value) {
  json_key(w, key);
  json_put_boolean(w, value);
}

void json_key_strings(struct json_writer *w, const char *key, const char *const *texts, size_t count) {
  json_key(w, key);
  json_array_begin(w);
  for (size_t i = 0; i < count; i++) json_put_string(w, texts[i]);
  json_array_end(w);
}

void json_key_numbers(struct json_writer *w, const char *key, const double *values, size_t count) {
  json_key(w, key);
  json_array_begin(w);
  for (size_t i = 0; i < count; i++) json_put_number(w, values[i]);
  json_array_end(w);
}

void json_key_integers(struct json_writer *w, const char *key, const int64_t *values, size_t count) {
  json_key(w, key);
  json_array_begin(w);
  for (size_t i = 0; i < count; i++) json_put_integer(w, values[i]);
  json_array_end(w);
}

const char *json_problem(const char *said, char out[160]) {
  const char *quoted = strstr(said, " near '");
  snprintf(out, 160, "%.*s", quoted ? (int)(quoted - said) : 159, said);
  return out;
}
