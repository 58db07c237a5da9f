// A piece of a format's text that is being read: trimmed, cut at separators that stand outside brackets, taken apart.
#pragma once
#include "base/error.h"
#include "base/text.h"

struct piece {
  const char *start;
  size_t length;
};

struct piece piece_trim(struct piece piece);
struct piece piece_of(const char *text);  // all of it, trimmed
// Where `character` is outside brackets; length when nowhere.
size_t piece_find(struct piece piece, char character);
// Cuts what is before the first `separator` off `rest`; false when nothing is left.
bool piece_next(struct piece *rest, char separator, struct piece *piece);
bool piece_is(struct piece piece, const char *word);
int piece_word(struct piece piece, const char *const *words, int count);  // which of the words it is; -1: none
// Takes a prefix, or a whole number of up to six digits, off its beginning; false, and nothing taken, without one.
bool piece_take(struct piece *piece, const char *prefix);
bool piece_take_number(struct piece *piece, int *value);
// "word(arguments)" -> word and arguments (start NULL without brackets). False when the brackets do not match.
bool piece_call(struct piece piece, struct piece *word, struct piece *arguments);
bool piece_number(struct piece piece, double *value);  // false unless all of it is a finite number
// "'piece': what", a usage error; returns false.
bool piece_error(struct error *error, struct piece piece, const char *what);
