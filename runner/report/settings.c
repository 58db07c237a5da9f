// Which runs of a report differ in their seed alone. See data.h.
#include <stdlib.h>
#include <string.h>

#include "runner/report/data.h"

struct key {
  const char *text;
  size_t run;
};

static int by_text(const void *left, const void *right) {
  const struct key *a = left, *b = right;
  int order = strcmp(a->text, b->text);
  return order ? order : (a->run > b->run) - (a->run < b->run);
}

// All that distinguishes the run from others but its seed.
static const char *key_of(const struct report *report, const struct report_run *run, struct arena *arena) {
  struct text key = {0};
  char number[32];
  number_shortest(run->tokens, number);
  text_format(&key, "%s\n%s", number, run->format);
  for (size_t a = 0; a < report->axis_count; a++) {
    if (strcmp(report->axes[a]->path, "seed") == 0) continue;
    struct value value = report_get(report, run, report->axes[a]->path);
    text_char(&key, '\n');
    if (value.kind == VALUE_TEXT) {
      text_add(&key, value.text);
    } else if (value.kind != VALUE_MISSING) {
      number_shortest(value.number, number);
      text_add(&key, number);
    }
  }
  const char *kept = arena_string(arena, text_string(&key));
  text_free(&key);
  return kept;
}

void report_gather_settings(struct report *report) {
  struct arena arena = {0};
  struct key *keys = arena_array(&arena, report->count + 1, sizeof *keys);
  for (size_t i = 0; i < report->count; i++) keys[i] = (struct key){key_of(report, &report->runs[i], &arena), i};
  if (report->count) qsort(keys, report->count, sizeof *keys, by_text);
  size_t setting = 0;
  for (size_t i = 0; i < report->count; i++) {
    if (i == 0 || strcmp(keys[i].text, keys[i - 1].text) != 0) setting++;
    report->runs[keys[i].run].setting = setting;
  }
  arena_free(&arena);
}
