// Comparisons at matched loss or matched compute. See paired.h.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/fits/paired.h"

// A loss that falls as x grows, or of columns any values by ascending x.
struct track {
  size_t count;
  bool plain;  // linear in x, not in its logarithm
  double *x, *loss;
};

double paired_quantity(const struct paired_run *run, enum paired_match quantity) {
  if (quantity == MATCH_COLUMN) return run->matched;
  return quantity == MATCH_FLOPS ? run->flops : quantity == MATCH_TOKENS ? run->tokens : run->train_seconds;
}

// What x is of a match: at matched loss what is compared.
static enum paired_match quantity_of(const struct paired *paired) {
  return paired->request.match == MATCH_LOSS ? paired->request.measure : paired->request.match;
}

static double between(double x, double x0, double y0, double x1, double y1) {
  return x1 > x0 ? y0 + (y1 - y0) * (log(x) - log(x0)) / (log(x1) - log(x0)) : y1;
}

// The loss at x, NAN outside.
static double loss_at(const struct track *track, double x) {
  if (!track->count || x < track->x[0] || x > track->x[track->count - 1]) return NAN;
  if (track->count == 1) return track->loss[0];
  size_t i = 1;
  while (i + 1 < track->count && track->x[i] < x) i++;
  double x0 = track->x[i - 1], x1 = track->x[i], y0 = track->loss[i - 1], y1 = track->loss[i];
  if (track->plain) return x1 > x0 ? y0 + (y1 - y0) * (x - x0) / (x1 - x0) : (y0 + y1) / 2;
  return between(x, x0, y0, x1, y1);
}

// The least x with this loss, NAN when no x of the track has it.
static double x_at(const struct track *track, double loss) {
  if (!track->count || loss > track->loss[0] || loss < track->loss[track->count - 1]) return NAN;
  size_t i = 0;
  while (track->loss[i] > loss) i++;
  if (i == 0 || track->loss[i] == loss) return track->x[i];
  double part = (track->loss[i - 1] - loss) / (track->loss[i - 1] - track->loss[i]);
  return exp(log(track->x[i - 1]) + part * (log(track->x[i]) - log(track->x[i - 1])));
}

static void compare_at(struct paired *paired, const struct track *a, const struct track *b, double at,
                       const struct pair *names) {
  bool loss = paired->request.match == MATCH_LOSS;
  double value_a = loss ? x_at(a, at) : loss_at(a, at), value_b = loss ? x_at(b, at) : loss_at(b, at);
  if (!isfinite(value_a) || !isfinite(value_b)) {
    paired->outside++;
    return;
  }
  struct pair *pair = paired_add(paired);
  *pair = *names;
  pair->at = at;
  pair->value_a = value_a;
  pair->value_b = value_b;
  pair->difference = loss ? log(value_b / value_a) : value_b - value_a;
}

// ---- curves ----

static struct track track_of_curve(struct paired *paired, const struct paired_run *run) {
  double whole = paired_quantity(run, quantity_of(paired)), last = run->tokens;
  struct track track = {0};
  if (run->curve_count < 2 || !(whole > 0) || !(last > 0)) return track;
  track = (struct track){run->curve_count, false, arena_array(&paired->arena, run->curve_count, sizeof *track.x),
                         run->curve_loss};
  for (size_t i = 0; i < run->curve_count; i++) track.x[i] = whole * (run->curve_tokens[i] / last);
  return track;
}

void paired_match_curves(struct paired *paired, const struct paired_run *a, const struct paired_run *b,
                         const char *key) {
  struct track x = track_of_curve(paired, a), y = track_of_curve(paired, b);
  struct pair names = {.a = a->id, .b = b->id, .key = key, .cell = key};
  if (!x.count || !y.count) {
    paired->no_curve++;
    return;
  }
  double at = paired->request.match == MATCH_LOSS ? fmax(x.loss[x.count - 1], y.loss[y.count - 1])
                                                  : fmin(x.x[x.count - 1], y.x[y.count - 1]);
  compare_at(paired, &x, &y, at, &names);
}

// ---- ladders ----

bool paired_is_size_or_length(const char *setting) {
  const struct run_field *field = field_find(setting, NULL);
  return starts_with(setting, "model.") || (field && field->groups & (GROUP_BUDGET | GROUP_FOLLOWS));
}

static const char *cell_of(struct paired *paired, const struct paired_run *run) {
  struct text text = {0};
  for (size_t i = 0; i < paired->name_count; i++)
    if ((paired->roles[i] == ROLE_SHARED || paired->roles[i] == ROLE_IMPLIED) &&
        !paired_is_size_or_length(paired->names[i]))
      text_format(&text, "%s%s %s", text.length ? ", " : "", paired->names[i], run->settings[i]);
  const char *cell = arena_string(&paired->arena, text_string(&text));
  text_free(&text);
  return cell;
}

struct rung {
  double x, loss;
  const struct paired_run *run;
};

static int by_x(const void *left, const void *right) {
  const struct rung *a = left, *b = right;
  return a->x != b->x ? (a->x > b->x) - (a->x < b->x) : (a->loss > b->loss) - (a->loss < b->loss);
}

// The ends of a cell's runs that no smaller x beats, or of columns all of them; *runs gets the run of each.
static struct track ladder_of(struct paired *paired, const struct paired_group *group, const char *cell,
                              const struct paired_run ***runs) {
  struct arena *arena = &paired->arena;
  struct rung *rungs = arena_array(arena, group->count, sizeof *rungs);
  size_t count = 0;
  bool column = paired->request.match == MATCH_COLUMN;
  for (size_t i = 0; i < group->count; i++) {
    const struct paired_run *run = &group->runs[i];
    double x = paired_quantity(run, quantity_of(paired));
    if (isfinite(run->loss) && (column ? isfinite(x) : x > 0) && strcmp(cell_of(paired, run), cell) == 0)
      rungs[count++] = (struct rung){x, run->loss, run};
  }
  if (count) qsort(rungs, count, sizeof *rungs, by_x);
  struct track track = {0, column, arena_array(arena, count, sizeof(double)),
                        arena_array(arena, count, sizeof(double))};
  *runs = arena_array(arena, count, sizeof **runs);
  for (size_t i = 0; i < count; i++) {
    if (!column && track.count && rungs[i].loss >= track.loss[track.count - 1]) continue;
    (*runs)[track.count] = rungs[i].run;
    track.x[track.count] = rungs[i].x;
    track.loss[track.count++] = rungs[i].loss;
  }
  return track;
}

void paired_match_ladders(struct paired *paired) {
  const struct paired_group *b = &paired->groups[1];
  const char **cells = arena_array(&paired->arena, b->count, sizeof *cells);
  for (size_t i = 0; i < b->count; i++) {
    bool before = false;
    cells[i] = cell_of(paired, &b->runs[i]);
    for (size_t j = 0; j < i; j++) before |= strcmp(cells[j], cells[i]) == 0;
    if (before) continue;
    const struct paired_run **of_a, **of_b;
    struct track x = ladder_of(paired, &paired->groups[0], cells[i], &of_a), y = ladder_of(paired, b, cells[i], &of_b);
    for (size_t k = 0; k < y.count; k++) {
      struct pair names = {.b = of_b[k]->id, .key = of_b[k]->key, .cell = cells[i]};
      compare_at(paired, &x, &y, paired->request.match == MATCH_LOSS ? y.loss[k] : y.x[k], &names);
    }
  }
}
