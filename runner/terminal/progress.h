// The progress display of `isoloss run`: on a terminal a few lines drawn over again, elsewhere plain lines, when runs
// start and end and a summary now and then.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/base.h"

struct progress_counts {
  size_t total, finished, diverged, failed, running;  // finished: done and diverged
  double seconds_left;                                // NAN: not known yet
};

struct progress_line {  // a run at work
  const char *id, *label;
  const char *gpu;      // its GPU, or NULL
  int64_t step, steps;  // 0: not known
  double loss;          // NAN: none yet
};

struct progress {
  FILE *out;  // NULL: silent
  bool terminal, colour;
  const char *title;
  int drawn;          // lines on the screen that the next drawing replaces
  double last_drawn;  // monotonic seconds
  struct text text;
};

struct progress progress_start(FILE *out, const char *title, bool quiet);
// Draws, when it is time to (several times a second on a terminal, every half minute elsewhere) or when `now`.
void progress_show(struct progress *progress, const struct progress_counts *counts, const struct progress_line *lines,
                   size_t count, bool now);
// A line that stays. On a terminal those that are not important are left out: the display shows as much.
void progress_note(struct progress *progress, bool important, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void progress_end(struct progress *progress);  // removes the display
