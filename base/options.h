// Command-line options from a table, git's way: a program or command states its options once, and parsing, --help, "did
// you mean", the manual page and the shell completion come from there. Long options take "--name value" or
// "--name=value"; flags have "--no-name"; options may be anywhere; "--" ends them. An option of one value that is given
// two different ones is an error; one whose argument is a LIST goes on.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/error.h"

enum option_type {
  OPTION_FLAG,     // bool *
  OPTION_TEXT,     // const char **
  OPTION_INTEGER,  // int64_t *
  OPTION_NUMBER,   // double *
  OPTION_LIST,     // struct option_list *: may be given several times
};

struct option_list {
  const char **items;  // the texts point into argv; the array is in the arena of whoever parses
  size_t count;
};

struct option {
  const char *name;  // without the dashes; NULL ends a table
  char letter;       // or 0
  enum option_type type;
  void *target;
  const char *argument;  // name of the argument in the help: "N", "FILE"; NULL for flags
  const char *help;
  const char *const *choices;  // values that a shell can offer, NULL ends them; NULL: none
};

// An option as it was given.
struct option_given {
  const char *option;  // its long name: "--seed", "--no-color"
  const char *value;   // NULL for flags
};

// What is left of a command line without its options.
struct arguments {
  const char **items;  // in the arena
  int count;
  bool help;                   // --help or -h was met: nothing behind it was looked at
  struct option_given *given;  // the options in their order: with `items` they call the command again
  size_t given_count;
};

// Parses argv; argv[0] is the name of the program or command. What is no option stays, in order, in *arguments. `call`
// is what a user writes to call it ("isoloss plan"), for messages. False with an error on bad usage.
bool options_parse(const struct option *options, const char *call, int argc, char **argv, struct arena *arena,
                   struct arguments *arguments, struct error *error);

// The words behind `call` as a line for a shell: "isoloss fit runs.csv --where 'N > 1e6'". In the arena.
const char *command_for_shell(struct arena *arena, const char *call, const char *const *words, size_t count);

// The text of --help: one line on what it does, how it is called, paragraphs (or NULL), the options.
struct help {
  const char *summary, *usage, *about;
  const struct option *options;
};
void help_print(const struct help *help, FILE *out);
