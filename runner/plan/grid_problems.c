// Mistakes that show in combinations: the same one in many runs is reported once, at the value that caused it, with
// the first run that has it and how many more there are.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/grid.h"
#include "runner/spec/internal.h"

enum { MOST_KINDS = 100 };

struct kind {
  const struct node *node;  // NULL: the whole file
  bool in_expression;
  size_t sweep;
  uint64_t combination;  // of the first
  size_t count;
  struct error error;
};

struct grid_problems {
  struct kind kinds[MOST_KINDS];
  size_t count, others;
};

struct grid_problems *grid_problems_new(void) {
  return memory_get(sizeof(struct grid_problems));
}

const char *field_shown(const struct run_field *field, struct value value, char out[64]) {
  char number[32];
  snprintf(out, 64, "%.60s", field_text(field, value, number));
  for (char *c = out; *c; c++)
    if (*c == '\n') *c = ' ';
  return out;
}

// Which of the fields that an error is about this one is, or how many there can be when it is none.
static size_t place_among(const struct error *error, const struct run_field *field) {
  size_t most = sizeof error->about / sizeof *error->about;
  for (size_t i = 0; i < most && error->about[i]; i++)
    if (strcmp(error->about[i], field->path) == 0) return i;
  return most;
}

// The value at fault: of the fields that the error is about the first that this sweep varies or derives, else the first
// that the spec gives at all.
static const struct node *blame(const struct run_grid *grid, size_t s, uint64_t combination,
                                const struct error *error) {
  const struct spec *spec = grid->spec;
  const struct spec_sweep *sweep = &spec->sweeps[s];
  const struct node *best = NULL;
  size_t most = sizeof error->about / sizeof *error->about, earliest = most;
  for (size_t g = 0; g < sweep->group_count; g++) {
    const struct spec_axis_group *group = &sweep->groups[g];
    size_t index = grid_index(sweep, combination, g);
    for (size_t a = 0; a < group->axis_count; a++) {
      size_t at = place_among(error, group->axes[a].field);
      if (at >= earliest) continue;
      earliest = at;
      best = group->axes[a].values[group->axes[a].constant ? 0 : index].node;
    }
  }
  for (size_t i = 0; i < sweep->set_count; i++) {
    size_t at = place_among(error, sweep->set[i].field);
    if (at == most || at > earliest) continue;
    earliest = at;
    best = sweep->set[i].node;
  }
  if (best) return best;
  for (size_t i = 0; i < spec_field_count(spec); i++) {
    size_t at = spec->base_nodes[i] ? place_among(error, spec_field_at(spec, i)) : most;
    if (at >= earliest) continue;
    earliest = at;
    best = spec->base_nodes[i];
  }
  return best ? best : sweep->node ? sweep->node : spec->root;
}

void grid_problem_place(const struct run_grid *grid, size_t sweep, uint64_t combination, struct error *error) {
  if (!error->about[0]) return;
  const struct node *node = blame(grid, sweep, combination, error);
  error_context(error, "%s:%d:%d", node->file, node->line, node->column);
}

void grid_problems_add(struct grid_problems *problems, const struct run_grid *grid, size_t sweep, uint64_t combination,
                       const struct grid_problem *problem) {
  const struct node *node = problem->node ? problem->node : blame(grid, sweep, combination, &problem->error);
  for (size_t i = 0; i < problems->count; i++) {
    struct kind *kind = &problems->kinds[i];
    // The same words for several values of an axis are one mistake.
    if ((kind->node != node && kind->sweep != sweep) || strcmp(kind->error.text, problem->error.text) != 0) continue;
    kind->count++;
    return;
  }
  if (problems->count == MOST_KINDS) {
    problems->others++;
    return;
  }
  problems->kinds[problems->count++] = (struct kind){.node = node,
                                                     .in_expression = problem->in_expression,
                                                     .sweep = sweep,
                                                     .combination = combination,
                                                     .count = 1,
                                                     .error = problem->error};
}

// "in the run with model.width 48, train.lr 0.002 (and 3 more)"
static void describe(const struct run_grid *grid, const struct kind *kind, struct text *out) {
  const struct spec_sweep *sweep = &grid->spec->sweeps[kind->sweep];
  size_t shown = 0;
  for (size_t g = 0; g < sweep->group_count; g++) {
    size_t index = grid_index(sweep, kind->combination, g);
    for (size_t a = 0; a < sweep->groups[g].axis_count; a++) {
      const struct spec_axis *axis = &sweep->groups[g].axes[a];
      char value[64];
      if (shown == 8) {
        text_add(out, ", ...");
        shown++;
      }
      if (shown > 8) continue;
      text_format(out, "%s%s %s", shown++ ? ", " : "in the run with ", axis->field->path,
                  field_shown(axis->field, axis->values[axis->constant ? 0 : index].value, value));
    }
  }
  if (kind->count > 1)
    text_format(out, "%sand in %zu more run%s", shown ? ", " : "", kind->count - 1, kind->count == 2 ? "" : "s");
}

// Puts " (in the run with ...)" behind what is said, before the hint.
static void error_append(struct error *error, const char *where) {
  char hint[sizeof error->text];
  size_t length = (size_t)error_length(error);
  snprintf(hint, sizeof hint, "%s", error->text + length);
  snprintf(error->text + length, sizeof error->text - length, " (%s)", where);
  error->hint_at = strlen(error->text);
  error_add(error, "%s", hint);
}

void grid_problems_end(struct grid_problems *problems, const struct run_grid *grid, struct diagnostics *diagnostics) {
  for (size_t i = 0; i < problems->count; i++) {
    const struct kind *kind = &problems->kinds[i];
    struct error error = kind->error;
    struct text where = {0};
    describe(grid, kind, &where);
    if (where.length) error_append(&error, text_string(&where));
    if (!kind->node)
      diagnostics_add_error(diagnostics, grid->spec->path, 0, 0, &error);
    else if (kind->in_expression)
      spec_expression_error(grid->spec, kind->node, &error, NULL, diagnostics);
    else
      node_fail(kind->node, diagnostics, &error);
    text_free(&where);
  }
  if (problems->others)
    diagnostics_add(diagnostics, false, grid->spec->path, 0, 0, NULL, "and %zu more combinations cannot be trained",
                    problems->others);
  free(problems);
}
