// The files of a report: its page, and its figures as SVG.
#include <stdio.h>
#include <string.h>

#include "runner/report/data.h"

char *report_file_stem(struct arena *arena, const char *name) {
  char *stem = arena_string(arena, *name ? name : "report");
  for (char *c = stem; *c; c++)
    if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && !strchr("-_.", *c))
      *c = '-';
  if (stem[0] == '.') stem[0] = '-';
  return stem;
}

bool report_write_figures(const struct report *report, const char *folder, struct error *error) {
  struct arena arena = {0};
  for (size_t i = 0; i < report->figure_count; i++) {
    if (!report->figures[i].drawn) continue;
    struct figure figure = report->figures[i].figure;
    figure.name = report_file_stem(&arena, figure.name);
    // One that fails costs itself: the others are written, and the first error is told at the end.
    struct error own = {0};
    if (!figure_write(&figure, folder, &own)) {
      if (!error->code) *error = own;
      continue;
    }
    fprintf(stderr, "%s/%s.svg\n", folder, figure.name);
  }
  arena_free(&arena);
  return !error->code;
}

static bool make_folder_of(struct arena *arena, const char *path, struct error *error) {
  char *folder = arena_string(arena, path), *slash = strrchr(folder, '/');
  if (!slash || slash == folder) return true;
  *slash = '\0';
  return folder_make(folder, error);
}

bool report_write_page(const struct report *report, const char *path, struct error *error) {
  struct arena arena = {0};
  struct text page = {0};
  bool fine = report_page(report, &page, error) && make_folder_of(&arena, path, error) &&
              file_write_atomic(path, page.bytes, page.length, error);
  text_free(&page);
  arena_free(&arena);
  return fine;
}
