// isoloss help: the list of commands, the help of one, and the manual page.
#include <ctype.h>
#include <string.h>

#include "runner/commands.h"

// ---- the manual page ----

// `length` bytes as mdoc text: what roff would read as a request, an escape or a typographic sign is escaped.
static void put_text(const char *text, size_t length, FILE *out) {
  if (length && (*text == '.' || *text == '\'')) fputs("\\&", out);
  for (const char *c = text; c < text + length; c++) {
    const char *escaped = *c == '\\'   ? "\\e"
                          : *c == '-'  ? "\\-"
                          : *c == '\'' ? "\\(aq"
                          : *c == '^'  ? "\\(ha"
                          : *c == '~'  ? "\\(ti"
                          : *c == '`'  ? "\\(ga"
                                       : NULL;
    if (escaped)
      fputs(escaped, out);
    else
      fputc(*c, out);
  }
}

// Lines, without what they are indented by.
static void put_lines(const char *text, size_t length, size_t indent, FILE *out) {
  for (const char *line = text; line < text + length;) {
    const char *end = memchr(line, '\n', (size_t)(text + length - line));
    if (!end) end = text + length;
    size_t skipped = strspn(line, " ");
    if (skipped > indent) skipped = indent;
    put_text(line + skipped, (size_t)(end - line) - skipped, out);
    fputc('\n', out);
    line = end + 1;
  }
}

static void put_literal(const char *text, size_t length, size_t indent, FILE *out) {
  fprintf(out, ".Bd -literal -compact\n");
  put_lines(text, length, indent, out);
  fprintf(out, ".Ed\n");
}

// Paragraphs have an empty line between them; one with an indented line is kept as it is, the others are filled.
static void put_paragraphs(const char *text, FILE *out) {
  while (*text) {
    const char *end = strstr(text, "\n\n");
    size_t length = end ? (size_t)(end - text) : strlen(text);
    const char *indented = *text == ' ' ? text : strstr(text, "\n ");
    fprintf(out, ".Pp\n");
    if (indented && indented < text + length)
      put_literal(text, length, 0, out);
    else
      put_lines(text, length, 0, out);
    text += length + (end ? 2 : 0);
  }
}

static void put_option(const struct option *option, FILE *out) {
  fprintf(out, ".It ");
  if (option->letter)
    fprintf(out, "Fl %c , -%s", option->letter, option->name);
  else
    fprintf(out, "Fl -%s", option->name);
  if (option->argument) fprintf(out, " Ar %s", option->argument);
  fputc('\n', out);
  put_lines(option->help, strlen(option->help), 0, out);
}

void command_manual(const struct command *command, const struct command_usage *usage, const struct option *options,
                    FILE *out) {
  enum { USAGE_INDENT = 7 };  // of further lines, below "usage: "
  fprintf(out, ".It Nm Cm %s\n%c", command->name, toupper((unsigned char)command->summary[0]));
  put_text(command->summary + 1, strlen(command->summary + 1), out);
  fprintf(out, ".\n.Pp\n");
  put_literal(usage->usage, strlen(usage->usage), USAGE_INDENT, out);
  if (usage->about) put_paragraphs(usage->about, out);
  if (!options->name) return;
  fprintf(out, ".Pp\n.Bl -tag -width Ds -compact\n");
  for (const struct option *option = options; option->name; option++) put_option(option, out);
  fprintf(out, ".El\n");
}

static void print_commands(void) {
  const char *part = NULL;
  for (const struct command *command = commands; command->name; command++) {
    if (!part || strcmp(part, command->part) != 0)
      printf("%s.Ss %s\n.Bl -tag -width Ds\n", part ? ".El\n" : "", command->part);
    part = command->part;
    command_call(command, COMMAND_MANUAL, 0, NULL);
  }
  printf(".El\n");
}

// The template's line "@COMMANDS@" becomes the entries of all commands.
static void print_manual(const char *path, struct arena *arena, struct error *error) {
  static const char mark[] = "\n@COMMANDS@\n";
  const char *text = file_read(arena, path, NULL, error), *at = text ? strstr(text, mark) : NULL;
  if (!text) return;
  if (!at) {
    error_set(error, EXIT_USAGE_ERROR, "help: %s has no line @COMMANDS@", path);
    return;
  }
  printf("%.*s\n", (int)(at - text), text);
  print_commands();
  fputs(at + strlen(mark), stdout);
}

// ---- the command ----

void command_help(struct command_line *line) {
  const char *template = NULL;
  bool complete = false;
  const struct option options[] = {
      {"man", 0, OPTION_TEXT, &template, "TEMPLATE",
       "print the manual page (mdoc): TEMPLATE with the commands where it has the line @COMMANDS@"},
      {"complete", 0, OPTION_FLAG, &complete, NULL,
       "print what a shell offers for the last of the words behind --, those of a command line without isoloss"},
      {0}};
  enum { MOST_WORDS = 4096 };
  const struct command_usage usage = {"isoloss help [COMMAND]", "Without a command: lists them all.", 0, MOST_WORDS,
                                      "one command"};
  if (!command_begin(line, &usage, options)) return;
  if (complete) {
    commands_complete(line->arguments, (size_t)line->count);
  } else if (line->count > 2) {
    error_set(&line->error, EXIT_USAGE_ERROR, "help: give one command");
  } else if (template) {
    print_manual(template, &line->arena, &line->error);
  } else if (line->count == 0) {
    commands_print(stdout);
  } else {
    const char *next = line->count > 1 ? line->arguments[1] : NULL;
    const struct command *command = command_find(line->arguments[0], next, &line->error);
    if (command) line->code = (enum exit_code)command_call(command, COMMAND_HELP, 0, NULL);
  }
}
