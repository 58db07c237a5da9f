// See progress.h.
#include "runner/terminal/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/terminal.h"

enum { MOST_LINES = 12 };
static const double redraw_seconds = 0.2, plain_seconds = 30, shortest_told = 0.05;

struct progress progress_start(FILE *out, const char *title, bool quiet) {
  struct progress progress = {.out = quiet ? NULL : out, .title = title};
  const char *terminal = getenv("TERM");
  progress.terminal = isatty(fileno(out)) && terminal && strcmp(terminal, "dumb") != 0;
  progress.colour = colour_wanted(out);
  progress.last_drawn = -INFINITY;
  return progress;
}

static int terminal_width(FILE *out) {
  struct winsize size;
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 20 ? size.ws_col : 80;
}

// Adds a line cut to the terminal's width, without counting escape sequences.
static void add_line(struct progress *progress, const char *line, int width) {
  int shown = 0;
  bool cut = false;
  for (const char *c = line; *c; c++) {
    if (*c == '\033') {
      const char *end = strchr(c, 'm');
      if (!end) break;
      text_append(&progress->text, c, (size_t)(end - c + 1));
      c = end;
      continue;
    }
    if (cut) continue;
    if (((unsigned char)*c & 0xC0) != 0x80 && ++shown >= width) {
      cut = true;
      continue;
    }
    text_char(&progress->text, *c);
  }
  text_add(&progress->text, "\033[K\n");
  progress->drawn++;
}

static void erase(struct progress *progress) {
  if (progress->drawn > 0) fprintf(progress->out, "\033[%dA\033[J", progress->drawn);
  progress->drawn = 0;
}

static void summary(const struct progress *progress, const struct progress_counts *counts, struct text *out) {
  char left[32];
  const char *bold = progress->colour && progress->terminal ? "\033[1m" : "", *plain = *bold ? "\033[0m" : "",
             *red = *bold ? "\033[31m" : "";
  text_format(out, "%s%s%s  %zu/%zu runs done", bold, progress->title, plain, counts->finished, counts->total);
  if (counts->diverged) text_format(out, " (%zu diverged)", counts->diverged);
  text_format(out, ", %zu running", counts->running);
  if (counts->failed) text_format(out, ", %s%zu failed%s", red, counts->failed, counts->failed ? plain : "");
  // All steps are trained: what the last evaluations take is not known.
  bool evaluating = counts->seconds_left < shortest_told;
  if (!isnan(counts->seconds_left) && counts->finished + counts->failed < counts->total)
    text_format(out, evaluating ? ", evaluating" : ", about %s left", seconds_human(counts->seconds_left, left));
}

// How far a run is, and its loss; `narrow` leaves the word out.
static void add_standing(const struct progress_line *line, bool narrow, struct text *out) {
  char number[32];
  const char *word = narrow ? "" : "step ";
  if (line->steps > 0)
    text_format(out, "  %s%lld/%lld", word, (long long)line->step, (long long)line->steps);
  else if (line->step > 0)
    text_format(out, "  %s%lld", word, (long long)line->step);
  if (!isnan(line->loss)) text_format(out, "  loss %s", loss_human(line->loss, number));
}

static int characters(const char *text) {
  int count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
  return count;
}

// Id, label, GPU, step and loss, in less than `width` characters: the label gives way first, then the GPU, then spaces
// and the id's end; step and loss stay.
static void run_line(const struct progress_line *line, int width, struct text *out) {
  struct text label = {0}, gpu = {0}, standing = {0};
  visible_add(&label, line->label, strlen(line->label));
  if (line->gpu) text_format(&gpu, "  GPU %s", line->gpu);
  add_standing(line, false, &standing);
  int room = width - 1 - 12 - (int)standing.length;  // for label and GPU
  if (room < 2) {
    text_clear(&standing);
    add_standing(line, true, &standing);
    int id = width - 1 - (int)standing.length;
    text_format(out, "%.*s%s", id < 4 ? 4 : id > 8 ? 8 : id, line->id, text_string(&standing));
  } else {
    bool with_gpu = (int)gpu.length + 2 <= room;
    if (with_gpu) room -= (int)gpu.length;
    text_format(out, "  %.8s  ", line->id);
    const char *from = text_string(&label);
    for (bool whole = characters(from) <= room; *from && (whole || room > 0 || ((unsigned char)*from & 0xC0) == 0x80);
         from++) {
      room -= ((unsigned char)*from & 0xC0) != 0x80;
      text_char(out, *from);
    }
    text_format(out, "%s%s", with_gpu ? text_string(&gpu) : "", text_string(&standing));
  }
  text_free(&label);
  text_free(&gpu);
  text_free(&standing);
}

void progress_show(struct progress *progress, const struct progress_counts *counts, const struct progress_line *lines,
                   size_t count, bool now) {
  if (!progress->out) return;
  double time = clock_seconds();
  if (progress->last_drawn == -INFINITY && !progress->terminal) progress->last_drawn = time;
  if (!now && time - progress->last_drawn < (progress->terminal ? redraw_seconds : plain_seconds)) return;
  progress->last_drawn = time;
  struct text line = {0};
  summary(progress, counts, &line);
  if (!progress->terminal) {
    fprintf(progress->out, "%s\n", text_string(&line));
    text_free(&line);
    return;
  }
  int width = terminal_width(progress->out), before = progress->drawn;
  text_clear(&progress->text);
  if (before > 0) text_format(&progress->text, "\033[%dA", before);
  progress->drawn = 0;
  add_line(progress, text_string(&line), width);
  for (size_t i = 0; i < count && i < MOST_LINES; i++) {
    text_clear(&line);
    run_line(&lines[i], width, &line);
    add_line(progress, text_string(&line), width);
  }
  if (count > MOST_LINES) {
    text_clear(&line);
    text_format(&line, "  and %zu more", count - MOST_LINES);
    add_line(progress, text_string(&line), width);
  }
  text_add(&progress->text, "\033[J");
  fwrite(progress->text.bytes, 1, progress->text.length, progress->out);
  fflush(progress->out);
  text_free(&line);
}

void progress_note(struct progress *progress, bool important, const char *format, ...) {
  FILE *out = progress->out ? progress->out : important ? stderr : NULL;
  if (!out || (!important && progress->terminal)) return;
  if (progress->out) erase(progress);
  va_list arguments;
  va_start(arguments, format);
  struct arena arena = {0};
  fprintf(out, "%s\n", visible(&arena, arena_vformat(&arena, format, arguments)));
  va_end(arguments);
  arena_free(&arena);
  fflush(out);
  if (progress->terminal) progress->last_drawn = -INFINITY;
}

void progress_end(struct progress *progress) {
  if (progress->out && progress->terminal) erase(progress);
  if (progress->out) fflush(progress->out);
  text_free(&progress->text);
}
