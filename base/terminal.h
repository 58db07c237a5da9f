// What every program does with the terminal: colour or not, and how a failure or a notice is said.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

// Prints "PROGRAM: TEXT" on standard error, the program in red on a terminal, and returns the error's code.
int error_print(const char *program, const struct error *error);
// Prints "PROGRAM: TEXT" on standard error, of what is no failure of the whole.
void notice_print(const char *program, const char *format, ...) __attribute__((format(printf, 2, 3)));
// True when `stream` is a terminal and NO_COLOR is not set.
bool colour_wanted(FILE *stream);
