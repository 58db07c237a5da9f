// All sweeps of a grid to the records of a plan: each run once, in the order of the spec.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/plan/grid.h"
#include "runner/spec/internal.h"

// ---- a set of 128-bit keys ----

struct key {
  uint64_t a, b;  // both zero: an empty slot
};
struct key_set {
  struct key *keys;
  size_t count, capacity;
};

static bool key_put(struct key_set *set, struct key key) {
  size_t slot = key.a & (set->capacity - 1);
  for (; set->keys[slot].a || set->keys[slot].b; slot = (slot + 1) & (set->capacity - 1))
    if (set->keys[slot].a == key.a && set->keys[slot].b == key.b) return false;
  set->keys[slot] = key;
  set->count++;
  return true;
}

// False when it was there.
static bool key_add(struct key_set *set, struct key key) {
  if (set->count * 2 >= set->capacity) {
    struct key_set grown = {.capacity = set->capacity ? set->capacity * 2 : 1024};
    grown.keys = memory_get(grown.capacity * sizeof *grown.keys);
    for (size_t i = 0; i < set->capacity; i++)
      if (set->keys[i].a || set->keys[i].b) key_put(&grown, set->keys[i]);
    free(set->keys);
    *set = grown;
  }
  return key_put(set, key);
}

// Bytes on their way into a key.
struct key_bytes {
  struct key key;
  size_t used;
  unsigned char bytes[4096];
};

static void key_flush(struct key_bytes *to) {
  to->key = (struct key){hash64(to->bytes, to->used, to->key.a), hash64(to->bytes, to->used, to->key.b)};
  to->used = 0;
}

static void key_take(struct key_bytes *to, const void *bytes, size_t count) {
  if (to->used + count > sizeof to->bytes) key_flush(to);
  if (count > sizeof to->bytes) {
    const uint64_t hash = hash64(bytes, count, 7);
    key_take(to, &hash, sizeof hash);
    return;
  }
  memcpy(to->bytes + to->used, bytes, count);
  to->used += count;
}

// What makes two runs the same: the fields that count in a run's identity, and the corpus: by its digest, or by its
// fields while it is not prepared. A run that is not resolved is compared by all its fields.
static struct key key_of(struct run_grid *grid, const struct grid_result *run) {
  const struct corpus_facts *facts = &grid->corpora[run->corpus].facts;
  struct key_bytes to;
  to.key = (struct key){0, 1};
  to.used = 0;  // the bytes need no beginning
  key_take(&to, &run->resolved, sizeof run->resolved);
  key_take(&to, facts->digest, sizeof facts->digest);
  for (size_t i = 0; i < spec_field_count(grid->spec); i++) {
    const struct run_field *field = spec_field_at(grid->spec, i);
    if (field->groups & GROUP_CORPUS) {
      if (facts->known) continue;
    } else if (run->resolved && !config_counts(&run->config, field)) {
      continue;
    }
    // Which fields count differs from run to run: a value of one is not that of another.
    key_take(&to, &i, sizeof i);
    struct value value = grid_value(grid, field, field_get(&run->config, field));
    if (value.kind == VALUE_TEXT) {
      key_take(&to, value.text, strlen(value.text) + 1);
    } else {
      double number = value.kind == VALUE_MISSING ? NAN : value.number == 0 ? 0 : value.number;  // -0 is 0
      key_take(&to, &number, sizeof number);
    }
  }
  key_flush(&to);
  if (!to.key.a && !to.key.b) to.key.a = 1;
  return to.key;
}

// ---- axes ----

static void add_axis(struct plan *plan, const struct run_field *field, bool derived) {
  for (size_t i = 0; i < plan->axis_count; i++) {
    if (plan->axes[i].field != field) continue;
    plan->axes[i].derived |= derived;
    return;
  }
  plan->axes[plan->axis_count++] = (struct plan_axis){.field = field, .derived = derived};
}

static void list_axes(struct plan *plan) {
  plan->axes = arena_array(&plan->arena, spec_field_count(plan->spec), sizeof *plan->axes);
  for (size_t s = 0; s < plan->spec->sweep_count; s++) {
    const struct spec_sweep *sweep = &plan->spec->sweeps[s];
    for (size_t g = 0; g < sweep->group_count; g++)
      for (size_t a = 0; a < sweep->groups[g].axis_count; a++) add_axis(plan, sweep->groups[g].axes[a].field, false);
  }
  for (size_t s = 0; s < plan->spec->sweep_count; s++)
    for (size_t i = 0; i < plan->spec->sweeps[s].set_count; i++)
      add_axis(plan, plan->spec->sweeps[s].set[i].field, true);
}

static void note_variation(struct plan *plan, const struct run_config *first, const struct run_config *config) {
  struct run_grid *grid = plan->grid;
  for (size_t i = 0; i < plan->axis_count; i++) {
    struct plan_axis *axis = &plan->axes[i];
    if (axis->varies) continue;
    axis->varies = !value_equal(grid_value(grid, axis->field, field_get(first, axis->field)),
                                grid_value(grid, axis->field, field_get(config, axis->field)));
  }
}

// ---- expansion ----

struct expansion {
  struct plan *plan;
  struct run_grid *grid;
  struct diagnostics *diagnostics;
  struct key_set keys;
  struct plan_record *records;  // grown by realloc, copied to the plan at the end
  size_t capacity;
  struct run_config first;
  struct grid_problems *problems;
};

static void keep(struct expansion *x, size_t sweep, uint64_t combination, const struct grid_result *run) {
  struct plan *plan = x->plan;
  if (plan->count == x->capacity) {
    x->capacity = x->capacity ? x->capacity * 2 : 256;
    x->records = memory_grow(x->records, x->capacity * sizeof *x->records);
  }
  if (!plan->count) x->first = run->config;
  note_variation(plan, &x->first, &run->config);
  x->records[plan->count++] =
      (struct plan_record){.combination = combination, .sweep = (uint32_t)sweep, .corpus = run->corpus};
}

static bool expand_sweep(struct expansion *x, size_t s, struct error *error) {
  const struct grid_sweep *ready = &x->grid->sweeps[s];
  size_t filtered = 0, kept = 0, united = 0, refused = 0;
  struct grid_result run;
  struct grid_problem problem;
  for (uint64_t c = 0; c < ready->combinations; c++) {
    switch (grid_evaluate(x->grid, s, c, &run, &problem)) {
      case GRID_RUN:
        x->plan->undecided += run.undecided;
        if (key_add(&x->keys, key_of(x->grid, &run))) {
          keep(x, s, c, &run);
          kept++;
        } else {
          united++;
        }
        break;
      case GRID_FILTERED:
        filtered++;
        break;
      case GRID_REFUSED:
        refused++;
        grid_problems_add(x->problems, x->grid, s, c, &problem);
        break;
      case GRID_STOPPED:
        error_take(error, &problem.error);
        grid_problem_place(x->grid, s, c, error);
        return false;
    }
  }
  x->plan->combinations += ready->combinations;
  x->plan->filtered += filtered;
  x->plan->united += united;
  if (!kept && !united && !refused)
    node_error(ready->sweep->where_node, x->diagnostics, NULL,
               "where leaves none of the %zu combinations: the sweep expands to nothing", filtered);
  else if (!kept && united && s && !refused)
    node_warning(ready->sweep->node, x->diagnostics, NULL, "this sweep adds nothing: its runs stand in earlier ones");
  return true;
}

bool grid_expand(struct run_grid *grid, struct plan *plan, struct diagnostics *diagnostics, struct error *error) {
  size_t before = diagnostics->errors;
  grid_prepare(grid, diagnostics);
  list_axes(plan);
  struct expansion x = {.plan = plan, .grid = grid, .diagnostics = diagnostics, .problems = grid_problems_new()};
  bool fine = true;
  for (size_t s = 0; s < plan->spec->sweep_count && fine; s++)
    if (!grid->sweeps[s].skipped) fine = expand_sweep(&x, s, error);
  grid_problems_end(x.problems, grid, diagnostics);
  free(x.keys.keys);
  plan->records = arena_array(&plan->arena, plan->count, sizeof *plan->records);
  if (plan->count) memcpy(plan->records, x.records, plan->count * sizeof *plan->records);
  free(x.records);
  return fine && diagnostics->errors == before;
}
