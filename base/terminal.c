// See terminal.h.
#include "base/terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool colour_wanted(FILE *stream) {
  const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return isatty(fileno(stream)) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

// The length of the character at the front, 0 for what is no UTF-8; *code is its number.
static size_t character(const char *at, size_t length, unsigned *code) {
  const unsigned char *c = (const unsigned char *)at;
  size_t size = *c < 0x80 ? 1 : *c >= 0xF0 ? 4 : *c >= 0xE0 ? 3 : 2;
  if (size > length || utf8_valid_prefix(at, size) != size) return 0;
  *code = size == 1 ? *c : size == 2 ? *c & 0x1Fu : size == 3 ? *c & 0x0Fu : *c & 0x07u;
  for (size_t i = 1; i < size; i++) *code = *code << 6 | (c[i] & 0x3Fu);
  return size;
}

static bool is_hidden(unsigned code) {
  bool turns = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  return (code < 0x20 && code != '\n' && code != '\t') || (code >= 0x7F && code < 0xA0) || turns;
}

size_t visible_prefix(const char *bytes, size_t length) {
  size_t at = 0;
  for (unsigned code; at < length;) {
    unsigned char c = (unsigned char)bytes[at];
    if ((c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t') {
      at++;
      continue;
    }
    size_t size = character(bytes + at, length - at, &code);
    if (size == 0 || is_hidden(code)) break;
    at += size;
  }
  return at;
}

void visible_add(struct text *out, const char *bytes, size_t length) {
  while (length > 0) {
    size_t fine = visible_prefix(bytes, length);
    text_append(out, bytes, fine);
    bytes += fine;
    length -= fine;
    if (length == 0) return;
    unsigned code = 0;
    size_t size = character(bytes, length, &code);
    if (size > 1)
      text_format(out, "\\u%04x", code);
    else if (!(*bytes == '\r' && length > 1 && bytes[1] == '\n'))  // a line end of another system
      text_format(out, "\\x%02x", (unsigned)(unsigned char)*bytes);
    size = size ? size : 1;
    bytes += size;
    length -= size;
  }
}

const char *visible(struct arena *arena, const char *text) {
  size_t length = strlen(text);
  if (visible_prefix(text, length) == length) return text;
  struct text out = {0};
  visible_add(&out, text, length);
  const char *kept = arena_string(arena, text_string(&out));
  text_free(&out);
  return kept;
}

int error_print(const char *program, const struct error *error) {
  bool colour = colour_wanted(stderr);
  fflush(stdout);
  struct arena arena = {0};
  fprintf(stderr, "%s%s:%s %s\n", colour ? "\033[31m" : "", program, colour ? "\033[0m" : "",
          visible(&arena, error->text));
  arena_free(&arena);
  return (int)error->code;
}

void notice_print(const char *program, const char *format, ...) {
  struct arena arena = {0};
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: %s\n", program, visible(&arena, arena_vformat(&arena, format, arguments)));
  va_end(arguments);
  arena_free(&arena);
}
