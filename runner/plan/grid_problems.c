// Mistakes that show in combinations: the same one in many runs is reported once, at the value that caused it, with
// the first run that has it and how many more there are.
#include <ctype.h>
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
  char *text;
};

struct grid_problems {
  struct arena arena;
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

// Where in `text` the path stands as a whole word, or NULL.
static const char *mention(const char *text, const char *path) {
  size_t length = strlen(path);
  for (const char *at = strstr(text, path); at; at = strstr(at + 1, path)) {
    char next = at[length];
    bool ends =
        !isalnum((unsigned char)next) && next != '_' && !(next == '.' && isalpha((unsigned char)at[length + 1]));
    if ((at == text || at[-1] == ' ' || at[-1] == '\'' || at[-1] == '(') && ends) return at;
  }
  return NULL;
}

// The value that a message speaks of: of the fields it names the first that this sweep varies or derives, else the
// first that the spec gives at all.
static const struct node *blame(const struct run_grid *grid, size_t s, uint64_t combination, const char *text) {
  const struct spec *spec = grid->spec;
  const struct spec_sweep *sweep = &spec->sweeps[s];
  const struct node *best = NULL;
  const char *earliest = NULL;
  for (size_t g = 0; g < sweep->group_count; g++) {
    const struct spec_axis_group *group = &sweep->groups[g];
    size_t index = grid_index(sweep, combination, g);
    for (size_t a = 0; a < group->axis_count; a++) {
      const char *at = mention(text, group->axes[a].field->path);
      if (!at || (earliest && at >= earliest)) continue;
      earliest = at;
      best = group->axes[a].values[group->axes[a].constant ? 0 : index].node;
    }
  }
  for (size_t i = 0; i < sweep->set_count; i++) {
    const char *at = mention(text, sweep->set[i].field->path);
    if (!at || (earliest && at > earliest)) continue;
    earliest = at;
    best = sweep->set[i].node;
  }
  if (best) return best;
  for (size_t i = 0; i < run_field_count; i++) {
    const char *at = spec->base_nodes[i] ? mention(text, run_fields[i].path) : NULL;
    if (!at || (earliest && at >= earliest)) continue;
    earliest = at;
    best = spec->base_nodes[i];
  }
  return best ? best : sweep->node ? sweep->node : spec->root;
}

void grid_problems_add(struct grid_problems *problems, const struct run_grid *grid, size_t sweep, uint64_t combination,
                       const struct grid_problem *problem) {
  const struct node *node = problem->node ? problem->node : blame(grid, sweep, combination, problem->error.text);
  for (size_t i = 0; i < problems->count; i++) {
    struct kind *kind = &problems->kinds[i];
    // The same words for several values of an axis are one mistake.
    if ((kind->node != node && kind->sweep != sweep) || strcmp(kind->text, problem->error.text) != 0) continue;
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
                                                     .text = arena_string(&problems->arena, problem->error.text)};
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

void grid_problems_end(struct grid_problems *problems, const struct run_grid *grid, struct diagnostics *diagnostics) {
  for (size_t i = 0; i < problems->count; i++) {
    const struct kind *kind = &problems->kinds[i];
    struct text hint = {0};
    describe(grid, kind, &hint);
    const char *said = hint.length ? text_string(&hint) : NULL;
    if (!kind->node)
      diagnostics_add(diagnostics, false, grid->spec->path, 0, 0, said, "%s", kind->text);
    else if (kind->in_expression)
      spec_expression_error(grid->spec, kind->node, kind->text, said, diagnostics);
    else
      node_error(kind->node, diagnostics, said, "%s", kind->text);
    text_free(&hint);
  }
  if (problems->others)
    diagnostics_add(diagnostics, false, grid->spec->path, 0, 0, NULL, "and %zu more combinations cannot be trained",
                    problems->others);
  arena_free(&problems->arena);
  free(problems);
}
