// Errors as values: a function that can fail takes a struct error *, fills it and returns false (or NULL); callers add
// context on the way up, and one place (the command line's main) prints the text and exits with the code.
#pragma once
#include <stdarg.h>
#include <stdbool.h>

// Exit codes of every isoloss program.
enum exit_code {
  EXIT_DONE = 0,         // everything asked for is done
  EXIT_RUNS_FAILED = 1,  // the command worked, some runs (or claims) did not
  EXIT_USAGE_ERROR = 2,  // bad usage, spec, table or law: the user can mend the input
  EXIT_ENVIRONMENT = 3,  // missing device, disk, database, program
};

struct error {
  enum exit_code code;  // EXIT_DONE while there is no error
  char text[2000];      // one message: where, what, what to do; no trailing newline
};

// Fills the error (the first one wins: an error already set is kept). Always returns false, so that
// `return error_set(error, EXIT_ENVIRONMENT, "...")` reads naturally.
bool error_set(struct error *error, enum exit_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
// As error_set, with ": " and the text of errno appended.
bool error_set_errno(struct error *error, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Puts "CONTEXT: " before the text of an error that is set. Always returns false.
bool error_context(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
