// Errors as values: a function that can fail takes a struct error *, fills it and returns false (or NULL); callers add
// context on the way up, and one place (the command line's main) prints the text and exits with the code.
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

// Exit codes of every isoloss program.
enum exit_code {
  EXIT_DONE = 0,         // everything asked for is done
  EXIT_RUNS_FAILED = 1,  // the command worked, some runs (or claims) did not
  EXIT_USAGE_ERROR = 2,  // bad usage, spec, table or law: the user can mend the input
  EXIT_ENVIRONMENT = 3,  // missing device, disk, database, program
};

struct diagnostics;

struct error {
  enum exit_code code;   // EXIT_DONE while there is no error
  char text[2000];       // one message: where, what, what to do; no trailing newline
  char hint[160];        // what was probably meant, "did you mean 'fit'?"; "" without one. It is in the text as well,
  size_t hint_at;        // from here on: what is before says only where and what
  const char *about[3];  // paths of the run fields that the failed check looked at, the likeliest first; NULL: no more
  // Of an error in an expression (error_at):
  size_t place;  // bytes of the text that say where, "column 7: ", before the message proper; 0: no such error
  int offset;    // the same place as a byte of the expression
  // Who is told the diagnostics of input files besides standard error (diagnostics_tell); NULL: nobody. Whoever made
  // the error has it, so it stays when an error is set, cleared or taken.
  struct diagnostics *told;
};

// Fills the error (the first one wins: an error already set is kept). Always returns false, so that
// `return error_set(error, EXIT_ENVIRONMENT, "...")` reads naturally.
bool error_set(struct error *error, enum exit_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));
// No error any more; another error in its place. Who is told the diagnostics is kept.
void error_clear(struct error *error);
void error_take(struct error *error, const struct error *other);
// As error_set, with ": " and the text of errno appended.
bool error_set_errno(struct error *error, enum exit_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// As error_set, with the place of byte `offset` of the source before the text: "column 7: ", or "line 2, column 7: "
// where the source has lines, counted in characters from 1.
bool error_at(struct error *error, enum exit_code code, const char *source, int offset, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
// Says which run fields the error that was just set is about: at most three paths, literals, then NULL. Who knows where
// their values come from can then say so. Paths that the error has already are kept. Always returns false.
bool error_about(struct error *error, ...) __attribute__((sentinel));
// Ends the text of the error that was just set with "; did you mean 'NEAREST'?", which is its hint, or, where `nearest`
// is NULL, with `otherwise` (NULL: nothing). Always returns false.
bool error_hint(struct error *error, const char *nearest, const char *otherwise);
// Puts more behind the text of the error that was just set, and behind its hint. Always returns false.
bool error_add(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
// How many bytes of the text come before the hint: all of them without one.
int error_length(const struct error *error);
// Puts "SUBJECT " before the text of an error that is set: "train.lr must be ...". Always returns false.
bool error_subject(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Puts "CONTEXT: " before the text of an error that is set. Always returns false.
bool error_context(struct error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
