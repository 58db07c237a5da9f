// Command-line options from a table, git's way: every command states its options once, and parsing, --help, "did you
// mean" and the shell completion come from there. Long options take "--name value" or "--name=value"; flags have
// "--no-name"; options may stand anywhere; "--" ends them.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

enum option_type {
  OPTION_FLAG,     // bool *
  OPTION_TEXT,     // const char **
  OPTION_INTEGER,  // int64_t *
  OPTION_NUMBER,   // double *
  OPTION_LIST,     // struct option_list *: may be given several times
};

struct option_list {
  const char **items;  // points into argv; the array is owned by whoever parses (freed by option_list_free)
  size_t count;
};
void option_list_free(struct option_list *list);

struct option {
  const char *name;  // without the dashes
  char letter;       // or 0
  enum option_type type;
  void *target;
  const char *argument;  // name of the argument in the help: "N", "FILE"
  const char *help;
};

struct command {
  const char *name;
  const char *summary;           // one line, for the list of commands
  const char *usage;             // "isoloss plan SPEC [options]"
  const char *about;             // paragraphs of the help text
  const struct option *options;  // ends with a NULL name; targets NULL in the list used for completion
};

// Parses argv (argv[0] is the command's name). What is no option stays, in order: *count arguments in `rest`, which
// must have room for argc pointers. --help prints the help and sets *done. False with an error on bad usage.
bool options_parse(const struct command *command, int argc, char **argv, const char **rest, int *count, bool *done,
                   struct error *error);
void options_help(const struct command *command);
