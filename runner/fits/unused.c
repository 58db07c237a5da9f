// See unused.h.
#include "runner/fits/unused.h"

#include <stdlib.h>
#include <string.h>

enum { MOST_AXES = 64, MOST_RUNS = 2000 };  // pairs of runs are compared

struct run_values {
  const char *values[MOST_AXES];
  double loss;
};

static size_t axes_of(const struct spec *spec, const char *paths[MOST_AXES]) {
  size_t count = 0;
  for (size_t s = 0; s < spec->sweep_count; s++)
    for (size_t g = 0; g < spec->sweeps[s].group_count; g++)
      for (size_t a = 0; a < spec->sweeps[s].groups[g].axis_count; a++) {
        const char *path = spec->sweeps[s].groups[g].axes[a].field->path;
        size_t known = 0;
        while (known < count && strcmp(paths[known], path) != 0) known++;
        if (known == count && count < MOST_AXES) paths[count++] = path;
      }
  return count;
}

static const char *text_of(struct value value, struct arena *arena) {
  if (value.kind == VALUE_TEXT) return arena_string(arena, value.text);
  return value.kind == VALUE_MISSING ? "" : arena_format(arena, "%.17g", value.number);
}

static size_t read_runs(const struct spec *spec, struct store *store, const char *const *paths, size_t axes,
                        struct run_values *runs, struct arena *arena, struct error *error) {
  struct run_query query = {.experiment = spec->name, .state = run_state_name(RUN_DONE)};
  struct store_rows *rows = store_runs(store, &query, error);
  size_t count = 0;
  while (rows && count < MOST_RUNS && store_rows_next(rows, error)) {
    for (size_t a = 0; a < axes; a++) runs[count].values[a] = text_of(store_rows_get(rows, paths[a]), arena);
    runs[count++].loss = store_rows_get(rows, "loss").number;
  }
  store_rows_close(rows);
  return count;
}

// How many pairs differ in this axis alone; 0 also when the losses of one differ.
static size_t same_pairs(const struct run_values *runs, size_t count, size_t axes, size_t axis) {
  size_t pairs = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t j = 0; j < i; j++) {
      bool alone = strcmp(runs[i].values[axis], runs[j].values[axis]) != 0;
      for (size_t a = 0; a < axes && alone; a++) alone = a == axis || strcmp(runs[i].values[a], runs[j].values[a]) == 0;
      if (!alone) continue;
      if (memcmp(&runs[i].loss, &runs[j].loss, sizeof runs[i].loss) != 0) return 0;
      pairs++;
    }
  return pairs;
}

bool unused_axes(const struct spec *spec, struct store *store, struct arena *arena, const char **told,
                 struct error *error) {
  const char *paths[MOST_AXES];
  struct text text = {0};
  *told = NULL;
  size_t axes = spec->trainer.node ? axes_of(spec, paths) : 0;
  if (!axes) return true;
  struct run_values *runs = memory_get(MOST_RUNS * sizeof *runs);
  size_t count = read_runs(spec, store, paths, axes, runs, arena, error);
  for (size_t a = 0; a < axes && !error->code; a++) {
    size_t pairs = same_pairs(runs, count, axes, a);
    if (!pairs) continue;
    text_format(&text,
                "%s%s makes no difference to this trainer: %zu pair%s of runs that differ%s in it alone, with the same "
                "loss to the last bit; does the trainer use it?",
                text.length ? "; " : "", paths[a], pairs, pairs == 1 ? "" : "s", pairs == 1 ? "s" : "");
  }
  if (text.length) *told = arena_string(arena, text_string(&text));
  text_free(&text);
  free(runs);
  return !error->code;
}
