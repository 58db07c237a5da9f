// See terminal.h.
#include "runner/terminal/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool colour_wanted(FILE *stream) {
  const char *no_colour = getenv("NO_COLOR"), *terminal = getenv("TERM");
  return isatty(fileno(stream)) && !(no_colour && *no_colour) && !(terminal && strcmp(terminal, "dumb") == 0);
}

int command_fail(const struct error *error) {
  bool colour = colour_wanted(stderr);
  fflush(stdout);
  fprintf(stderr, "%sisoloss:%s %s\n", colour ? "\033[31m" : "", colour ? "\033[0m" : "", error->text);
  return error->code;
}
