// What the figures show that the rest of a report does not need, read only where such a figure is asked for: how many
// parameters of runs that prune are not zero, metrics of solutions, and what stages made of each matrix.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/report/data.h"

// ---- parameters that are not zero ----

static void keep_active(struct arena *arena, struct report_run *run, const double *tokens, const double *active,
                        size_t count) {
  double *copy[2] = {arena_array(arena, count, sizeof(double)), arena_array(arena, count, sizeof(double))};
  memcpy(copy[0], tokens, count * sizeof *tokens);
  memcpy(copy[1], active, count * sizeof *active);
  run->active = (struct plot_active){count, copy[0], copy[1]};
}

bool report_gather_active(struct report *report, struct store *store, struct error *error) {
  struct value name = store_text(report->name);
  struct store_rows *rows = store_select(
      store,
      "SELECT e.position, m.tokens, m.active_parameters FROM experiment_runs e JOIN metrics m ON m.run = e.run AND m.kind = "
      "'train' WHERE e.experiment = ?1 AND m.tokens IS NOT NULL AND m.active_parameters IS NOT NULL ORDER BY e.position, "
      "m.step",
      &name, 1, error);
  if (!rows) return false;
  size_t room = 1024, count = 0;
  double *tokens = memory_get(room * sizeof *tokens), *active = memory_get(room * sizeof *active);
  bool more = store_rows_next(rows, error);
  for (size_t i = 0; i < report->count; i++) {
    double position = (double)report->runs[i].position;
    while (more && store_rows_number(rows, 0) < position) more = store_rows_next(rows, error);
    for (count = 0; more && store_rows_number(rows, 0) == position; more = store_rows_next(rows, error)) {
      if (count == room) {
        room *= 2;
        tokens = memory_grow(tokens, room * sizeof *tokens);
        active = memory_grow(active, room * sizeof *active);
      }
      tokens[count] = store_rows_number(rows, 1);
      active[count++] = store_rows_number(rows, 2);
    }
    if (count) keep_active(&report->arena, &report->runs[i], tokens, active, count);
  }
  store_rows_close(rows);
  free(tokens);
  free(active);
  return error->code == EXIT_DONE;
}

// ---- metrics of solutions ----

// The values of the metric that is being read.
struct growing {
  double *tokens, *values;
  size_t room;
};

// Adds a value to the run's metric of that name; those of one name come one after the other.
static void add_value(struct arena *arena, struct report_run *run, struct growing *growing, const char *name,
                      double tokens, double value) {
  struct plot_metric *last = run->metric_count ? &run->metrics[run->metric_count - 1] : NULL;
  if (!last || strcmp(last->name, name) != 0) {
    run->metrics = arena_grow(arena, run->metrics, run->metric_count, run->metric_count + 1, sizeof *run->metrics);
    last = &run->metrics[run->metric_count++];
    *last = (struct plot_metric){.name = arena_string(arena, name)};
    *growing = (struct growing){0};
  }
  if (last->count == growing->room) {
    size_t more = 2 * growing->room + 32;
    growing->tokens = arena_grow(arena, growing->tokens, growing->room, more, sizeof(double));
    growing->values = arena_grow(arena, growing->values, growing->room, more, sizeof(double));
    growing->room = more;
  }
  growing->tokens[last->count] = tokens;
  growing->values[last->count++] = value;
  last->tokens = growing->tokens;
  last->values = growing->values;
}

bool report_gather_metrics(struct report *report, struct store *store, struct error *error) {
  struct value name = store_text(report->name);
  struct store_rows *rows = store_select(
      store,
      "SELECT e.position, s.name, s.tokens, s.value FROM experiment_runs e JOIN solutions s ON s.run = e.run WHERE "
      "e.experiment = ?1 AND s.tokens IS NOT NULL AND s.value IS NOT NULL ORDER BY e.position, s.name, s.step",
      &name, 1, error);
  size_t run = 0;
  struct growing growing = {0};
  while (rows && store_rows_next(rows, error)) {
    double position = store_rows_number(rows, 0);
    while (run < report->count && (double)report->runs[run].position < position) run++;
    if (run == report->count) break;
    if ((double)report->runs[run].position == position)
      add_value(&report->arena, &report->runs[run], &growing, store_rows_value(rows, 1).text,
                store_rows_number(rows, 2), store_rows_number(rows, 3));
  }
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

// ---- matrices ----

enum { MOST_GROUPS = 6, MOST_AXES = 32 };

// Which settings of stages name the groups, so that there are at most MOST_GROUPS of them.
struct grouping {
  const struct run_field *axes[MOST_AXES];
  size_t count;
};

static struct value setting_of(const struct report *report, const struct report_run *run,
                               const struct run_field *axis) {
  struct value value = report_get(report, run, axis->path);
  return field_is_untouched(axis, value) ? (struct value){.kind = VALUE_MISSING} : value;
}

// "gptq, bits 3", by the settings of the grouping that the run's stages read; "" without any.
static const char *group_of(struct report *report, const struct report_run *run, const struct grouping *grouping) {
  struct arena *arena = &report->arena;
  const char *words = "";
  for (size_t a = 0; a < grouping->count; a++) {
    const struct run_field *axis = grouping->axes[a];
    struct value value = setting_of(report, run, axis);
    char number[32];
    if (value.kind == VALUE_MISSING) continue;
    const char *last = strrchr(axis->path, '.'), *text = field_text(axis, value, number);
    text = value.kind == VALUE_TEXT ? text : arena_format(arena, "%s %s", last ? last + 1 : axis->path, text);
    words = *words ? arena_format(arena, "%s, %s", words, text) : arena_string(arena, text);
  }
  return words;
}

static size_t groups_by(struct report *report, const bool *has, const struct grouping *grouping) {
  const char *names[MOST_GROUPS];
  size_t count = 0;
  for (size_t i = 0; i < report->stages.count; i++) {
    if (!has[i]) continue;
    const char *group = group_of(report, &report->stages.runs[i], grouping);
    bool known = false;
    for (size_t g = 0; g < count; g++) known |= strcmp(names[g], group) == 0;
    if (known) continue;
    if (count == MOST_GROUPS) return MOST_GROUPS + 1;
    names[count++] = group;
  }
  return count;
}

// The settings in their order, as long as there are not too many groups. *means: what is left, in words, or NULL.
static struct grouping choose_grouping(struct report *report, const bool *has, const char **means) {
  struct grouping grouping = {0};
  *means = NULL;
  for (size_t a = 0; a < report->stages.axis_count && grouping.count < MOST_AXES; a++) {
    size_t before = groups_by(report, has, &grouping);
    grouping.axes[grouping.count++] = report->stages.axes[a];
    size_t count = groups_by(report, has, &grouping);
    if (count > before && count <= MOST_GROUPS) continue;
    grouping.count--;
    if (count <= before) continue;
    const char *path = report->stages.axes[a]->path;
    *means = *means ? arena_format(&report->arena, "%s, %s", *means, path) : path;
  }
  return grouping;
}

// A matrix' place in a block, by the order in which the model uses them, and its short name.
static int matrix_place(const char *matrix, const char **name) {
  static const char *const places[][2] = {
      {"self_attn.qkv_proj", "qkv"}, {"self_attn.q_proj", "q"}, {"self_attn.k_proj", "k"},
      {"self_attn.v_proj", "v"},     {"self_attn.o_proj", "o"}, {"mlp.gate_up_proj", "gate, up"},
      {"mlp.gate_proj", "gate"},     {"mlp.up_proj", "up"},     {"mlp.down_proj", "down"},
  };
  enum { PLACES = sizeof places / sizeof *places };
  for (int i = 0; i < PLACES; i++)
    if (strcmp(places[i][0], matrix) == 0) {
      *name = places[i][1];
      return i;
    }
  *name = matrix;
  return PLACES;
}

struct placed {
  size_t group;
  int place;
  struct plot_layer layer;
};

static int by_place(const void *a, const void *b) {
  const struct placed *x = a, *y = b;
  if (x->group != y->group) return (x->group > y->group) - (x->group < y->group);
  if (x->layer.block != y->layer.block) return x->layer.block - y->layer.block;
  return x->place != y->place ? x->place - y->place : strcmp(x->layer.matrix, y->layer.matrix);
}

struct placed_all {
  struct placed *items;
  size_t count, room, groups;
};

static struct placed *place_of(struct report *report, struct placed_all *all, const char *group, int block,
                               const char *matrix) {
  struct arena *arena = &report->arena;
  const char *name;
  int place = matrix_place(matrix, &name);
  size_t number = all->groups;
  for (size_t i = 0; i < all->count; i++) {
    if (strcmp(all->items[i].layer.group, group) != 0) continue;
    number = all->items[i].group;
    if (all->items[i].layer.block == block && strcmp(all->items[i].layer.matrix, name) == 0) return &all->items[i];
  }
  if (number == all->groups) all->groups++;
  if (all->count == all->room) {
    all->room = all->room ? 2 * all->room : 64;
    all->items = arena_grow(arena, all->items, all->count, all->room, sizeof *all->items);
  }
  struct placed *one = &all->items[all->count++];
  *one = (struct placed){number, place, {.group = group, .block = block, .matrix = arena_string(arena, name)}};
  for (int n = 0; n < LAYER_NUMBERS; n++)
    one->layer.numbers[n].mean = one->layer.numbers[n].least = one->layer.numbers[n].most = NAN;
  return one;
}

// `mean` is the sum until all are there.
static void add_number(struct plot_layer *layer, enum plot_layer_number number, double value) {
  if (!isfinite(value)) return;
  bool first = layer->numbers[number].count++ == 0;
  layer->numbers[number].mean = first ? value : layer->numbers[number].mean + value;
  layer->numbers[number].least = first ? value : fmin(layer->numbers[number].least, value);
  layer->numbers[number].most = first ? value : fmax(layer->numbers[number].most, value);
}

static struct store_rows *select_layers(const struct report *report, struct store *store, struct error *error) {
  struct value name = store_text(report->name);
  return store_select(
      store,
      "SELECT e.position, l.layer, l.matrix, l.weighted_error / nullif(l.bound, 0), l.bits, l.sparsity FROM "
      "experiment_runs e JOIN layers l ON l.run = e.run WHERE e.experiment = ?1 ORDER BY e.position, "
      "l.layer, l.matrix",
      &name, 1, error);
}

// Which runs of stages have matrices.
static bool find_runs(const struct report *report, struct store *store, bool *has, struct error *error) {
  struct store_rows *rows = select_layers(report, store, error);
  size_t run = 0;
  while (rows && store_rows_next(rows, error)) {
    double position = store_rows_number(rows, 0);
    while (run < report->stages.count && (double)report->stages.runs[run].position < position) run++;
    if (run < report->stages.count && (double)report->stages.runs[run].position == position) has[run] = true;
  }
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

bool report_gather_layers(struct report *report, struct store *store, struct error *error) {
  bool *has = arena_array(&report->arena, report->stages.count + 1, sizeof *has);
  if (!find_runs(report, store, has, error)) return false;
  struct grouping grouping = choose_grouping(report, has, &report->layer_words);
  struct placed_all all = {0};
  struct store_rows *rows = select_layers(report, store, error);
  const char *group = NULL;
  for (size_t run = 0, named = SIZE_MAX; rows && store_rows_next(rows, error);) {
    double position = store_rows_number(rows, 0);
    while (run < report->stages.count && (double)report->stages.runs[run].position < position) run++;
    if (run == report->stages.count || (double)report->stages.runs[run].position != position) continue;
    if (named != run) group = group_of(report, &report->stages.runs[run], &grouping);
    named = run;
    struct placed *one = place_of(report, &all, group, (int)store_rows_number(rows, 1), store_rows_value(rows, 2).text);
    for (int n = 0; n < LAYER_NUMBERS; n++) add_number(&one->layer, n, store_rows_number(rows, 3 + n));
  }
  store_rows_close(rows);
  if (all.count) qsort(all.items, all.count, sizeof *all.items, by_place);
  report->layers = arena_array(&report->arena, all.count + 1, sizeof *report->layers);
  report->layer_count = all.count;
  for (size_t i = 0; i < all.count; i++) {
    report->layers[i] = all.items[i].layer;
    for (int n = 0; n < LAYER_NUMBERS; n++)
      report->layers[i].numbers[n].mean /= (double)report->layers[i].numbers[n].count;
  }
  return error->code == EXIT_DONE;
}
