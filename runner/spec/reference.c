// Pages of reference: fields (docs/fields.md), quantities and results (docs/quantities.md), keys of fit entries (in
// docs/spec.md). See schema.h.
#include <stdio.h>
#include <string.h>

#include "runner/spec/entries.h"
#include "runner/spec/names.h"
#include "runner/spec/schema.h"
#include "runner/spec/schema_write.h"
#include "trainer/stages/results.h"

static const char *type_of(const struct run_field *field) {
  static const char *const names[] = {"whole number", "number", "true or false", "choice", "text", "list of texts"};
  return names[field->type];
}

static void markdown_range(struct text *out, const struct run_field *field) {
  char low[32], high[32];
  if (field->type == FIELD_CHOICE) {
    for (const char *c = field->choices; *c; c++) text_add(out, *c == '|' ? ", " : (char[]){*c, '\0'});
  } else if (field->type <= FIELD_NUMBER && (field->low != 0 || field->high != 0)) {
    number_shortest(field->low, low);
    number_shortest(field->high, high);
    text_format(out, "%s to %s", low, high);
  }
}

void schema_markdown(struct text *out) {
  text_add(out,
           "# Fields of a run\n\n"
           "Every knob of a run, as a spec writes it: under `base`, as an axis under `sweep`, or with `--set` on the\n"
           "command line. `isoloss schema --markdown` prints this page; do not edit it by hand.\n\n"
           "\"Counts\" says whether the field is part of a run's identity: two runs that differ only in fields that\n"
           "cannot change the result are one run. Of a corpus the digest counts, whatever its fields are called.\n");
  char section[32] = "";
  for (size_t i = 0; i < schema_field_count(); i++) {
    const struct run_field *field = schema_field_at(i);
    const char *dot = strchr(field->path, '.');
    char here[32];
    snprintf(here, sizeof here, "%.*s", dot ? (int)(dot - field->path) : 5, dot ? field->path : "other");
    if (strcmp(here, section) != 0) {
      const struct task *task = task_find(here);
      text_format(out, "\n## %s\n\n", here);
      if (task) text_format(out, "Of `task: %s`: %s.\n\n", task->name, task->help);
      text_format(out, "| field | type | default | allowed | unit | counts | meaning |\n");
      text_add(out, "|---|---|---|---|---|---|---|\n");
      snprintf(section, sizeof section, "%s", here);
    }
    text_format(out, "| `%s` | %s%s | %s%s%s | ", field->path, type_of(field), field->auto_allowed ? " or auto" : "",
                *field->fallback ? "`" : "", field->fallback, *field->fallback ? "`" : "");
    markdown_range(out, field);
    text_format(out, " | %s | %s | %s |\n", field->unit ? field->unit : "",
                field->effect == EFFECT_COUNTS ? "yes"
                : field->groups & GROUP_CORPUS ? "digest"
                                               : "no",
                field->help);
  }
}

void schema_quantities_markdown(struct text *out) {
  text_add(
      out,
      "# Quantities of a run\n\n"
      "What follows from a run's [fields](fields.md), and what runs of tasks and stages report.\n"
      "`isoloss schema --quantities` prints this page; do not edit it by hand.\n\n"
      "## Quantities\n\n"
      "By the names that expressions (`where`, `set`, `holdout`, `--where`), the store and `--json` use. `N`, `D` and\n"
      "`C` are short for `parameters`, `tokens` and `flops`.\n\n"
      "| name | unit | meaning |\n|---|---|---|\n");
  for (size_t i = 0; i < run_column_count; i++)
    if (run_columns[i].planned)
      text_format(out, "| `%s` | %s | %s |\n", run_columns[i].name, run_columns[i].unit, run_columns[i].help);
  if (!run_tasks[0]) return;
  text_add(out,
           "\n## Results of tasks\n\n"
           "What runs of a task other than `lm` report at their ends: columns of runs, as `loss` is.\n\n"
           "| name | unit | meaning |\n|---|---|---|\n");
  for (size_t t = 0; run_tasks[t]; t++)
    for (const struct task_result *r = run_tasks[t]->results; r < run_tasks[t]->results + run_tasks[t]->result_count;
         r++)
      text_format(out, "| `%s` | %s | %s |\n", r->name, r->unit, r->help);
  text_add(out,
           "\n## Results of stages\n\n"
           "What runs of a stage report in addition to `loss` and the columns of the store, in the same way.\n\n"
           "| name | unit | meaning |\n|---|---|---|\n");
  for (size_t i = 0; i < stage_result_count; i++)
    text_format(out, "| `%s` | %s | %s |\n", stage_results[i].result.name, stage_results[i].result.unit,
                stage_results[i].result.help);
}

// ---- keys of fit entries ----

// What a key takes: its choices, its range, or an example.
static void markdown_values(struct text *out, const struct entry_key *key) {
  char low[32], high[32];
  number_shortest(key->low, low);
  number_shortest(key->high, high);
  if (key->type == ENTRY_CHOICE)
    for (size_t i = 0; key->choices[i]; i++) text_format(out, "%s`%s`", i ? ", " : "", key->choices[i]);
  else if (key->type == ENTRY_INTEGER)
    text_format(out, "%s to %s", low, high);
  else if (key->type == ENTRY_FACTOR)
    text_format(out, "above %s", low);
  else if (key->type == ENTRY_BOOLEAN)
    text_add(out, "`true`, `false`");
  else
    text_format(out, "`%s`, ...", key->example);
}

static void markdown_code(struct text *out, const char *prefix, const char *code) {
  if (code) text_format(out, "`%s%s` ", prefix, code);
}

void schema_keys_markdown(const struct entry_kind *kind, struct text *out) {
  text_format(out, "| key of a %s | takes | default | what it is | option |\n|---|---|---|---|---|\n", kind->name);
  for (const struct entry_key *key = kind->keys; key < kind->keys + kind->count; key++) {
    const char *help = key->help ? key->help : key->option.help ? key->option.help : kind->about;
    text_format(out, "| `%s` | ", key->name);
    markdown_values(out, key);
    text_add(out, " | ");
    markdown_code(out, "", key->fallback);
    text_format(out, "| %s | ", help);
    markdown_code(out, "--", key->option.name);
    text_add(out, "|\n");
  }
}
