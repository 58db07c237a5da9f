// Text: a growing buffer, nearest-name search, and numbers written for people.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// A growing, always NUL-terminated byte buffer. All zeroes is empty and ready; text_free releases it.
struct text {
  char *bytes;
  size_t length, capacity;
};
void text_append(struct text *text, const void *bytes, size_t length);
void text_add(struct text *text, const char *string);
void text_char(struct text *text, char character);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vformat(struct text *text, const char *format, va_list arguments);
void text_clear(struct text *text);  // empties, keeps the memory
void text_free(struct text *text);
const char *text_string(const struct text *text);  // never NULL
// A word of a shell command: as it is where nothing in it means something to a shell, else in quotes.
void text_add_shell(struct text *text, const char *word);

// The shortest decimal that reads back as the same double ("0.003", "1e-10", "nan", "inf"); returns its length.
int number_shortest(double value, char out[32]);
// So many significant digits; "-" for NaN.
const char *number_digits(double value, int digits, char out[32]);
// Significant digits, `least` or more and 17 at most, in which the ends of an interval lie five units of the last apart
// or more, so that they do not look like one number; `least` where an end is none or both are equal.
int interval_digits(double low, double high, int least);
// "842", "14.3k", "1.02M", "3.1e13": three significant digits for people.
const char *number_human(double value, char out[32]);
// A loss for people: "2.3456"; of a size that no loss has with its exponent.
const char *loss_human(double value, char out[32]);
const char *bytes_human(double bytes, char out[32]);      // "12.4 MiB"
const char *seconds_human(double seconds, char out[32]);  // "43 s", "12 min", "3 h 07 min"
// Parses a whole string as a finite-or-not double / int64 (decimal, "1e6" is an integer too); false when it is not one.
bool number_parse(const char *text, double *value);
bool integer_parse(const char *text, int64_t *value);

// Damerau-Levenshtein distance (optimal string alignment), for "did you mean".
size_t edit_distance(const char *a, const char *b);
// The candidate nearest to `name`, or NULL when none is near enough (distance over a third of the length, at least 2;
// a candidate whose last dotted part equals `name` is always near). `candidates` has `count` entries.
const char *nearest_name(const char *name, const char *const *candidates, size_t count);

// "did you mean 'NEAREST'?", clipped: how every message suggests a name.
const char *did_you_mean(const char *nearest, char out[160]);

struct arena;
// The items of a list such as "a,b" or "a, b": what is between any of the separators, without empty ones, copied to
// the arena. NULL is an empty list.
const char **text_split(struct arena *arena, const char *text, const char *separators, size_t *count);
bool starts_with(const char *text, const char *prefix);
bool ends_with(const char *text, const char *suffix);
// Length of the longest valid UTF-8 prefix; equals `length` when all of it is valid.
size_t utf8_valid_prefix(const void *bytes, size_t length);
// How many characters that many bytes of UTF-8 are.
int text_characters(const char *text, size_t bytes);
// Text shortened for a message, never inside a character.
const char *text_clipped(const char *text, char out[72]);
// Words filled to lines of 100 columns and a line break in the end. The first line continues at `column`, the others
// are indented; line breaks of the text are spaces.
void print_filled(FILE *out, const char *text, int column, int indent);
// The same into a text.
void text_filled(struct text *out, const char *text, int column, int indent);
