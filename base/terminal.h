// What every program does with the terminal: colour or not, and how a failure or a notice is said.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"

// Appends text from outside (names, logs, messages, cells) as a terminal may see it: control characters, and those that
// turn the direction of writing, become \\x1b or \\u202e, as do bytes that are no UTF-8. Line ends and tabs stay.
void visible_add(struct text *out, const char *bytes, size_t length);
const char *visible(struct arena *arena, const char *text);  // the text itself where there is nothing to do
// Bytes before the first that visible_add changes.
size_t visible_prefix(const char *bytes, size_t length);

// Prints "PROGRAM: TEXT" on standard error, the program in red on a terminal, and returns the error's code.
int error_print(const char *program, const struct error *error);
// Prints "PROGRAM: TEXT" on standard error, of what is no failure of the whole.
void notice_print(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
// True when `stream` is a terminal and NO_COLOR is not set.
bool colour_wanted(FILE *stream);
