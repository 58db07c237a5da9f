// What every command does with the terminal: colour or not, and how a failure is said.
#pragma once
#include <stdbool.h>
#include <stdio.h>

#include "base/base.h"

// Prints "isoloss: TEXT" on standard error (in red on a terminal) and returns the error's code.
int command_fail(const struct error *error);
// True when `stream` is a terminal and NO_COLOR is not set.
bool colour_wanted(FILE *stream);
