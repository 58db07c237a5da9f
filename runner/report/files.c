// The files of a report: its page, or what is made of it, and its figures.
#include <stdio.h>
#include <string.h>

#include "runner/report/data.h"
#include "runner/report/paper.h"

char *report_file_stem(struct arena *arena, const char *name) {
  char *stem = arena_string(arena, *name ? name : "report");
  for (char *c = stem; *c; c++)
    if (!(*c >= 'a' && *c <= 'z') && !(*c >= 'A' && *c <= 'Z') && !(*c >= '0' && *c <= '9') && !strchr("-_.", *c))
      *c = '-';
  if (stem[0] == '.') stem[0] = '-';
  return stem;
}

const char *const report_forms[] = {"html", "markdown", "latex", NULL};
const char *const report_form_ends[] = {".html", ".md", ".tex"};

static bool write_figure(const struct figure *figure, const struct report_figures *figures, struct arena *arena,
                         struct error *error) {
  if (figures->pdf) {
    struct paper_files files = {0};
    return paper_write(figures->pdf, figure, arena, &files, error);
  }
  return figure_write(figure, figures->folder, error);
}

const char *report_figure_name(const struct report_figure *figure) {
  return figure->drawn ? figure->figure.name : figure->name;
}

void report_write_figures(struct report *report, const struct report_figures *figures, struct figure_faults *faults) {
  for (size_t i = 0; i < report->figure_count; i++) {
    if (!report->figures[i].drawn) continue;
    struct figure figure = report->figures[i].figure;
    figure.name = report_file_stem(&report->arena, figure.name);
    struct error own = {0};
    if (write_figure(&figure, figures, &report->arena, &own))
      fprintf(stderr, "%s/%s.%s\n", figures->folder, figure.name, figures->pdf ? "pdf" : "svg");
    else if (own.code == EXIT_USAGE_ERROR)  // nothing to show
      report->figures[i].fault = arena_string(&report->arena, own.text);
    else
      report->figures[i].fault = figure_faults_add(faults, figure.name, &own);
  }
}

static bool make_folder_of(struct arena *arena, const char *path, struct error *error) {
  char *folder = arena_string(arena, path), *slash = strrchr(folder, '/');
  if (!slash || slash == folder) return true;
  *slash = '\0';
  return folder_make(folder, error);
}

bool report_write(const struct report *report, const char *path, enum report_form form,
                  const struct report_figures *figures, struct error *error) {
  struct arena arena = {0};
  struct text page = {0}, other = {0};
  bool fine = report_page(report, form == REPORT_HTML, &page, error);
  if (fine && form != REPORT_HTML) {
    text_format(&other, form == REPORT_LATEX ? "%% %s\n" : "<!-- %s -->\n\n", report_mark(report, &arena));
    report_convert(text_string(&page), form, figures, &other);
  }
  const struct text *content = form == REPORT_HTML ? &page : &other;
  fine = fine && make_folder_of(&arena, path, error) && file_write_atomic(path, content->bytes, content->length, error);
  text_free(&page);
  text_free(&other);
  arena_free(&arena);
  return fine;
}

bool report_may_replace(const struct report *report, const char *path, struct error *error) {
  enum { BEGINNING = 200 };
  if (!file_exists(path)) return true;
  struct arena arena = {0};
  char beginning[BEGINNING + 1] = {0};
  FILE *file = fopen(path, "r");
  if (file) {
    beginning[fread(beginning, 1, BEGINNING, file)] = '\0';
    fclose(file);
  }
  // Of the same file as it is now, or of the same words in another place.
  const char *mark = report_mark(report, &arena), *same_text = strrchr(mark, ' ');
  const char *found = strstr(beginning, "isoloss-report-of: ");
  size_t of_path = (size_t)(same_text - mark);
  bool same = found && (strncmp(found, mark, of_path) == 0 ||
                        (strlen(found) > of_path && starts_with(found + of_path, same_text)));
  if (!same)
    error_set(error, EXIT_USAGE_ERROR,
              "report: %s is not of this %s, and is kept; --overwrite replaces it, -o FILE writes elsewhere", path,
              report->source ? "table and law" : "spec");
  arena_free(&arena);
  return same;
}
