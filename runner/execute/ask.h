// Calling other programs for what they print: git, and the commands of Slurm.
#pragma once
#include "base/base.h"

struct asked {
  bool ran;          // it was started, and ended in time
  int code;          // of its exit; 128 + the number of the signal that ended it
  struct text out;   // what it printed
  struct text said;  // ... on standard error
};
// Calls a program found in PATH (`arguments` end with NULL), with nothing on its standard input. One that takes longer
// than `seconds` is killed: ran is false, as where it cannot be started; `said` tells. asked_free in either case.
void asked_run(struct asked *asked, const char *const *arguments, double seconds);
void asked_free(struct asked *asked);
// The first line of what it said, or printed; without line ends, at most 300 bytes.
const char *asked_words(const struct asked *asked, char out[304]);
