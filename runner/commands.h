// The commands of isoloss: one table (commands.c), one function and one file each (commands/NAME.c). A command prints
// its result on standard output (one JSON document with --json, and nothing else there), everything else on standard
// error. Its text in --help and in the manual page comes from the table and from what it hands to command_begin.
#pragma once
#include "base/base.h"
#include "base/options.h"
#include "base/terminal.h"

struct command_line;
typedef void command_function(struct command_line *line);
command_function command_check, command_plan, command_schema, command_data, command_run, command_status, command_runs,
    command_show, command_train, command_export, command_evaluate, command_generate, command_fit, command_fit_compare,
    command_predict, command_import, command_isoflop, command_design, command_laws, command_report, command_plot,
    command_formats, command_gc, command_rm, command_compare, command_pause, command_resume, command_cancel,
    command_retry, command_sql, command_capacity, command_bench, command_help, command_top, command_work, command_init,
    command_reproduce, command_serve, command_stream, command_gpu_report;

struct command {
  const char *name;  // what is written behind "isoloss"
  command_function *run;
  const char *part;     // of the manual page; commands of one part follow each other
  const char *summary;  // one line
};
extern const struct command commands[];  // ends with a NULL name

// What a command is called for: to work, or only to print its help, its entry of the manual page, or what a shell
// offers for a word.
enum command_purpose { COMMAND_WORK, COMMAND_HELP, COMMAND_MANUAL, COMMAND_COMPLETE };

// A word of a command line that a shell completes.
struct completion {
  const char *current, *before;  // the word so far, and the word in front of it, or ""
  const char *const *words;      // those between the command and it
  size_t count;
  const char *kept;  // what is in front of each candidate
  const char *command;
  int place;  // how many of the words are arguments
};

// One call of a command.
struct command_line {
  const struct command *command;
  enum command_purpose purpose;
  const struct completion *completion;  // with COMMAND_COMPLETE
  int argc;
  char **argv;             // argv[0] is the command's name
  struct arena arena;      // freed after the command
  const char **arguments;  // without the options, see command_begin
  int count;
  const struct option_given *given;  // the options, in their order
  size_t given_count;
  enum exit_code code;  // what the command ends with when it has no error
  // With --json, an error gives one document too, with the diagnostics that error.told was given. A command that has
  // printed its own document before it fails sets error.told to NULL.
  struct error error;
};

// How a command is called, beyond its options.
struct command_usage {
  const char *usage;      // "isoloss plan SPEC [options]"
  const char *about;      // paragraphs of the help and the manual page, in lines of at most 120 columns
  int least, most;        // number of arguments
  const char *arguments;  // these in words: "one spec"
};

// What every command does first: reads its options and checks the number of arguments, or prints help. True when the
// command has work to do; else it returns at once (line->error says whether something was wrong).
bool command_begin(struct command_line *line, const struct command_usage *usage, const struct option *options);
// The command of this name, or of these two words (`next` may be NULL); NULL with an error and the nearest name when
// there is none.
const struct command *command_find(const char *name, const char *next, struct error *error);
// Calls a command with the words of argv that are behind "isoloss". Prints its error and returns the exit code.
int command_call(const struct command *command, enum command_purpose purpose, int argc, char **argv);
// What becomes of a call that names no command: its error, with --json as a document too; the exit code.
int command_refuse(int argc, char **argv, const struct error *error);

// Prints what a shell offers for the last of the words behind "isoloss": a candidate a line, or ":files PATTERN".
void commands_complete(const char *const *words, size_t count);
// The same, of a command whose words come before.
void command_complete(const struct command_line *line, const struct command_usage *usage, const struct option *options);

// The text of isoloss --help.
void commands_print(FILE *out);
// A command's entry of the manual page, in the mdoc language.
void command_manual(const struct command *command, const struct command_usage *usage, const struct option *options,
                    FILE *out);
