// Fit entries of a spec held against their laws, without rows: names of parameters and forms of settings, each mistake
// at its line and column. See entry_check.h.
#include "runner/fits/entry_check.h"

#include <string.h>

#include "fitting/fitting.h"
#include "results/columns.h"
#include "runner/spec/entries.h"
#include "runner/spec/names.h"

static void put(const struct spec *spec, const struct node *node, const struct error *error,
                struct diagnostics *diagnostics) {
  spec_error_at(spec, node, error->offset, diagnostics, *error->hint ? error->hint : NULL, "%.*s", error_length(error),
                error->text);
}

// The items of one key of an entry, each as the fit would read it.
static void check_key(const struct spec *spec, const struct spec_fit *entry, const struct entry_key *key,
                      const struct law *law, struct diagnostics *diagnostics) {
  const struct option_list *list = (const void *)((const char *)entry + key->place);
  const struct node *node = node_find(entry->node, key->name);
  if (!node) return;
  size_t count = node->kind == NODE_SEQUENCE ? node->count : 1;
  for (size_t i = 0; i < list->count && list->count == count; i++) {  // unequal: a mistake that was told of already
    struct error error = {0};
    if (!fit_setting_check(law, key->name, list->items[i], &error))
      put(spec, node->kind == NODE_SEQUENCE ? node->items[i] : node, &error, diagnostics);
  }
}

static void check_entry(const struct spec *spec, const struct spec_fit *entry, const struct law *law,
                        struct diagnostics *diagnostics) {
  for (const struct entry_key *key = fit_entry.keys; key < fit_entry.keys + fit_entry.count; key++)
    if (key->type == ENTRY_TEXTS || key->type == ENTRY_NAMES) check_key(spec, entry, key, law, diagnostics);
  const struct node *objective = node_find(entry->node, "objective");
  struct error error = {0};
  if ((entry->objective || !objective) &&
      !fit_objective_check(law, entry->objective, entry->partial_pooling.count > 0, &error))
    node_fail(objective ? objective : entry->node, diagnostics, &error);
  const struct node *interval = node_find(entry->node, "interval");
  if (interval && entry->interval && strcmp(entry->interval, "t") == 0 &&
      (entry->prior.count || entry->partial_pooling.count))
    node_error(interval, diagnostics, "interval: bca",
               "Student's t intervals know nothing of the width of a prior or of categories");
}

// Whether runs of the spec can have the column: what a run says, a result of a task, a field of its configuration.
static bool has_column(const struct spec *spec, const char *name) {
  struct run_name known;
  return run_name_find(spec, name, &known) || run_column_find(name) || run_column_is_result(name);
}

// Columns that the law needs and no run of the spec has: the fit would end there after the last training. The runs of a
// trainer of one's own may have more than is known here.
static void check_columns(const struct spec *spec, const struct node *node, const struct law *law,
                          struct diagnostics *diagnostics) {
  for (int i = -1; i < law->column_count; i++) {
    const char *name = i < 0 ? law->target : law->columns[i], *verb = i < 0 ? "predicts" : "needs";
    if (has_column(spec, name)) continue;
    if (spec->trainer.command_count)
      node_warning(
          node, diagnostics, NULL,
          "the law %s %s the column '%s', which isoloss knows of no run; a fit has rows only where the trainer "
          "reports it",
          law->name, verb, name);
    else
      node_error(node, diagnostics,
                 "a custom trainer brings columns by `fields`; of a table: isoloss fit TABLE.csv --law NAME",
                 "the law %s %s the column '%s', which no run has", law->name, verb, name);
  }
}

void fit_entries_check(const struct spec *spec, struct diagnostics *diagnostics) {
  for (size_t i = 0; i < spec->fit_count; i++) {
    const struct spec_fit *entry = &spec->fits[i];
    struct diagnostics of_law = {0};
    struct error error = {0};
    struct law law;
    if (!entry->law || !entry->node) continue;
    bool fine = law_load(&law, entry->law, &of_law, &error);
    const struct node *node = entry->node->kind == NODE_MAPPING ? node_find(entry->node, "law") : entry->node;
    for (size_t d = 0; d < of_law.count && !fine; d++) {
      const struct diagnostic *one = &of_law.items[d];
      if (!one->warning)
        diagnostics_add(diagnostics, false, one->file, one->line, one->column, one->hint, "%s", one->message);
    }
    if (!fine && !of_law.count && !diagnostics->errors) node_fail(node, diagnostics, &error);
    if (fine) check_columns(spec, node, &law, diagnostics);
    if (fine && entry->node->kind == NODE_MAPPING) check_entry(spec, entry, &law, diagnostics);
    law_free(&law);
    diagnostics_free(&of_law);
  }
}
