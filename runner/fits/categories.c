// See categories.h.
#include "runner/fits/categories.h"

#include <string.h>

#include "results/columns.h"
#include "trainer/formats.h"

static void add_category(struct arena *arena, struct categories *categories, const char *name) {
  for (size_t i = 0; i < categories->count; i++)
    if (strcmp(categories->names[i], name) == 0) return;
  categories->names =
      arena_grow(arena, categories->names, categories->count, categories->count + 1, sizeof *categories->names);
  categories->names[categories->count++] = arena_string(arena, name);
}

// The values of a text field among the runs. Runs follow each other in the order of the grid, so that most have the
// value of the one before.
static void add_values(struct plan_categories *all, const struct run_field *field, struct categories *values) {
  const char *last = NULL;
  for (size_t i = 0; i < all->plan->count; i++) {
    struct planned_run run;
    plan_run_quick(all->plan, i, &run);
    struct value value = field_get(&run.config, field);
    if (value.kind != VALUE_TEXT || value.text == last) continue;
    last = value.text;
    add_category(&all->arena, values, last);
  }
}

// Of a column that follows from the format in `field`, by the names that the store will have.
static void add_formats(struct plan_categories *all, const struct run_field *field, const struct run_column *column,
                        struct categories *categories) {
  struct categories texts = {0};
  add_values(all, field, &texts);
  for (size_t i = 0; i < texts.count; i++) {
    struct format_facts facts = format_facts(texts.names[i], &all->arena);
    const char *name = !column                                   ? facts.name
                       : column->of_format == OF_FORMAT_FORWARD  ? facts.forward
                       : column->of_format == OF_FORMAT_BACKWARD ? facts.backward
                                                                 : NULL;
    if (name) add_category(&all->arena, categories, name);
  }
}

const struct categories *plan_categories_of(struct plan_categories *all, const char *column) {
  for (size_t i = 0; i < all->count; i++)
    if (strcmp(all->columns[i].column, column) == 0) return &all->columns[i];
  struct categories found = {.column = arena_string(&all->arena, column)};  // the caller's may not last
  const struct run_column *of_runs = run_column_find(column);
  const struct run_field *field = field_find(column, NULL);
  bool of_format = of_runs && (of_runs->of_format == OF_FORMAT_FORWARD || of_runs->of_format == OF_FORMAT_BACKWARD);
  if (all->plan && of_format) {
    add_formats(all, field_find("format", NULL), of_runs, &found);
  } else if (all->plan && field && (field->groups & GROUP_FORMAT)) {
    add_formats(all, field, NULL, &found);
  } else if (all->plan && field && (field->type == FIELD_TEXT || field->type == FIELD_CHOICE)) {
    add_values(all, field, &found);
  }
  found.known = found.count > 0;
  all->columns = arena_grow(&all->arena, all->columns, all->count, all->count + 1, sizeof *all->columns);
  all->columns[all->count] = found;
  return &all->columns[all->count++];
}

bool plan_category_known(const struct categories *categories, const char *name) {
  for (size_t c = 0; c < categories->count; c++)
    if (strcmp(categories->names[c], name) == 0) return true;
  return false;
}

const char *plan_category_nearest(struct plan_categories *all, const struct categories *categories, const char *name) {
  const char *canonical = format_canonical(name, &all->arena);
  return plan_category_known(categories, canonical) ? canonical
                                                    : nearest_name(name, categories->names, categories->count);
}

void plan_categories_free(struct plan_categories *all) { arena_free(&all->arena); }
