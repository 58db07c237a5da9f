// Pieces of a format's text. See piece.h.
#include "kernels/formats/piece.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

struct piece piece_trim(struct piece piece) {
  while (piece.length && isspace((unsigned char)piece.start[0])) piece.start++, piece.length--;
  while (piece.length && isspace((unsigned char)piece.start[piece.length - 1])) piece.length--;
  return piece;
}

struct piece piece_of(const char *text) {
  return piece_trim((struct piece){text, strlen(text)});
}

// Where `character` is outside brackets; length when nowhere.
size_t piece_find(struct piece piece, char character) {
  int depth = 0;
  for (size_t i = 0; i < piece.length; i++) {
    char c = piece.start[i];
    if (c == character && depth == 0) return i;
    if (c == '(' || c == '[') depth++;
    if (c == ')' || c == ']') depth--;
  }
  return piece.length;
}

// Cuts what is before the first `separator` off `rest`; false when nothing is left.
bool piece_next(struct piece *rest, char separator, struct piece *piece) {
  if (!rest->start) return false;
  size_t at = piece_find(*rest, separator);
  *piece = piece_trim((struct piece){rest->start, at});
  if (at == rest->length)
    *rest = (struct piece){NULL, 0};
  else
    *rest = (struct piece){rest->start + at + 1, rest->length - at - 1};
  return true;
}

bool piece_is(struct piece piece, const char *word) {
  return piece.length == strlen(word) && memcmp(piece.start, word, piece.length) == 0;
}

int piece_word(struct piece piece, const char *const *words, int count) {
  while (count-- > 0)
    if (piece_is(piece, words[count])) return count;
  return -1;
}

bool piece_take(struct piece *piece, const char *prefix) {
  size_t length = strlen(prefix);
  if (piece->length < length || memcmp(piece->start, prefix, length) != 0) return false;
  piece->start += length;
  piece->length -= length;
  return true;
}

bool piece_take_number(struct piece *piece, int *value) {
  size_t digits = 0;
  long number = 0;
  while (digits < piece->length && isdigit((unsigned char)piece->start[digits]) && digits < 6)
    number = number * 10 + piece->start[digits++] - '0';
  if (!digits) return false;
  piece->start += digits;
  piece->length -= digits;
  *value = (int)number;
  return true;
}

// "word(arguments)" -> word and arguments (start NULL without brackets). False when the brackets do not match.
bool piece_call(struct piece piece, struct piece *word, struct piece *arguments) {
  *word = piece;
  *arguments = (struct piece){NULL, 0};
  const char *open = memchr(piece.start, '(', piece.length);
  if (!open) return true;
  if (piece.start[piece.length - 1] != ')') return false;
  *word = piece_trim((struct piece){piece.start, (size_t)(open - piece.start)});
  *arguments = piece_trim((struct piece){open + 1, (size_t)(piece.start + piece.length - 1 - (open + 1))});
  return true;
}

bool piece_number(struct piece piece, double *value) {
  char text[64];
  if (piece.length == 0 || piece.length >= sizeof text) return false;
  memcpy(text, piece.start, piece.length);
  text[piece.length] = 0;
  return number_parse(text, value) && isfinite(*value);
}

bool piece_error(struct error *error, struct piece piece, const char *what) {
  return error_set(error, EXIT_USAGE_ERROR, "'%.*s': %s", (int)(piece.length > 200 ? 200 : piece.length), piece.start,
                   what);
}
