// See terminal.h.
#include "base/terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool colour_wanted(FILE *stream) {
  const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return isatty(fileno(stream)) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

int error_print(const char *program, const struct error *error) {
  bool colour = colour_wanted(stderr);
  fflush(stdout);
  fprintf(stderr, "%s%s:%s %s\n", colour ? "\033[31m" : "", program, colour ? "\033[0m" : "", error->text);
  return (int)error->code;
}

void notice_print(const char *program, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "%s: ", program);
  vfprintf(stderr, format, arguments);
  fputs("\n", stderr);
  va_end(arguments);
}
