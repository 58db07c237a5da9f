// What a report holds, by column; its remarks; its end. See data.h.
#include "runner/report/data.h"

#include <math.h>
#include <string.h>

enum run_state report_state(int place) { return (enum run_state)((RUN_DONE + place) % RUN_STATES); }

int report_column(const struct report *report, const char *name) {
  for (int i = 0; i < report->column_count; i++)
    if (strcmp(report->columns[i], name) == 0) return i;
  return -1;
}

struct value report_get(const struct report *report, const struct report_run *run, const char *column) {
  int i = report_column(report, column);
  return i < 0 ? (struct value){.kind = VALUE_MISSING} : run->values[i];
}

double report_number(const struct report *report, const struct report_run *run, const char *column) {
  struct value value = report_get(report, run, column);
  return value.kind == VALUE_NUMBER || value.kind == VALUE_BOOLEAN ? value.number : NAN;
}

const char *report_text(const struct report *report, const struct report_run *run, const char *column) {
  struct value value = report_get(report, run, column);
  return value.kind == VALUE_TEXT ? value.text : NULL;
}

struct measures report_measures(const struct report *report, const struct report_fit *fit) {
  const char *size = fit ? fit->size_column : "parameters", *outcome = fit ? fit->target : report->outcome;
  return report->command ? measures_of_table(size, outcome) : measures_of(report->task, size, outcome);
}

void report_say(struct report *report, bool warning, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  const char *text = arena_vformat(&report->arena, format, arguments);
  va_end(arguments);
  report->findings = arena_grow(&report->arena, report->findings, report->finding_count, report->finding_count + 1,
                                sizeof *report->findings);
  report->findings[report->finding_count++] = (struct report_finding){warning, text};
}

void report_free(struct report *report) {
  for (size_t i = 0; i < report->fit_count; i++) {
    fit_result_free(&report->fits[i].result);
    if (report->fits[i].law_loaded) law_free(&report->fits[i].law);
  }
  for (size_t i = 0; i < report->isoflop_count; i++) isoflop_free(&report->isoflops[i].result);
  for (size_t i = 0; i < report->comparison_count; i++) paired_free(&report->comparisons[i].result);
  arena_free(&report->arena);
  *report = (struct report){0};
}
