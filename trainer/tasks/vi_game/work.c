// A run of task `vi_game`: the methods, and what workers exchange.
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "trainer/tasks/program.h"
#include "trainer/tasks/vi_game/vi_game.h"

enum { STREAM_OPERATOR_NOISE = 40, STREAM_ROUNDING = 41, PLAYERS = 2, KEPT = 16 };

struct play {
  const struct vi_game *s;
  struct game game;
  uint64_t seed;
  int64_t size;       // 2 n
  uint64_t exchange;  // number of the next one
  bool quantizes;
  struct levels levels[PLAYERS];
  double *exact, *noisy;        // [size]
  double *magnitudes, *sorted;  // [players][KEPT][workers][n]: over their vectors' norms, to fit levels to
  double bytes, errors, *sent;  // sent [workers][size]: what each worker's vector arrives as
};

// ---- exchanges ----

// To what was sent at the last exchanges, KEPT of them at most.
static void fit_levels(struct play *p) {
  int64_t kept = p->exchange + 1 < KEPT ? (int64_t)p->exchange + 1 : KEPT, one = p->s->workers * p->game.n,
          each = kept * one;
  for (int l = 0; l < PLAYERS; l++)
    memcpy(p->sorted + l * each, p->magnitudes + l * KEPT * one, (size_t)each * sizeof *p->sorted);
  if (strcmp(p->s->levels, "layerwise") == 0) {
    for (int l = 0; l < PLAYERS; l++) p->levels[l] = levels_fit(&p->levels[l], p->sorted + l * each, (size_t)each);
  } else {
    p->levels[0] = p->levels[1] = levels_fit(&p->levels[0], p->sorted, (size_t)(PLAYERS * each));
  }
  p->bytes += 4.0 * (double)p->s->level_count * (strcmp(p->s->levels, "layerwise") == 0 ? PLAYERS : 1);
}

static double norm_of(const double *x, int64_t count) {
  double square = 0;
  for (int64_t i = 0; i < count; i++) square += x[i] * x[i];
  return sqrt(square);
}

// Every worker's vector at z, noisy and quantized, into p->sent; their mean into `mean`. Levels are fitted to what is
// about to be sent at exchanges 0, 1, 2, 4, 8, ...
static void exchange(struct play *p, const double *z, double *mean) {
  const struct vi_game *s = p->s;
  int64_t n = p->game.n;
  bool relative = strcmp(s->noise_kind, "relative") == 0;
  bool fitted = strcmp(s->levels, "fitted") == 0 || strcmp(s->levels, "layerwise") == 0;
  int64_t place = (int64_t)(p->exchange % KEPT) * s->workers * n;
  game_operator(&p->game, z, p->exact);
  for (int64_t k = 0; k < s->workers; k++) {
    double *v = p->sent + k * p->size, pair[2];
    for (int64_t i = 0; i < p->size; i++) {
      if (i % 2 == 0)
        random_normal_pair(p->seed, STREAM_OPERATOR_NOISE, p->exchange, (uint64_t)(k * p->size + i) / 2, pair);
      v[i] = p->exact[i] + s->noise * pair[i % 2] * (relative ? fabs(p->exact[i]) : 1);
    }
    for (int l = 0; fitted && l < PLAYERS; l++) {
      double norm = norm_of(v + l * n, n);
      for (int64_t i = 0; i < n; i++)
        p->magnitudes[l * KEPT * s->workers * n + place + k * n + i] =
            norm > 0 ? fmin(fabs(v[l * n + i]) / norm, 1) : 0;
    }
  }
  if (fitted && (p->exchange & (p->exchange - 1)) == 0) fit_levels(p);
  memset(mean, 0, (size_t)p->size * sizeof *mean);
  for (int64_t k = 0; k < s->workers; k++) {
    double *v = p->sent + k * p->size, wrong = 0, whole = 0;
    memcpy(p->noisy, v, (size_t)p->size * sizeof *v);
    for (int l = 0; p->quantizes && l < PLAYERS; l++)
      levels_round(&p->levels[l], v + l * n, (size_t)n, p->seed, STREAM_ROUNDING, p->exchange,
                   (uint64_t)(k * p->size + l * n), v + l * n);
    for (int64_t i = 0; i < p->size; i++) {
      wrong += (v[i] - p->noisy[i]) * (v[i] - p->noisy[i]);
      whole += p->noisy[i] * p->noisy[i];
      mean[i] += v[i] / (double)s->workers;
    }
    if (whole > 0) p->errors += wrong / whole / (double)s->workers;
  }
  for (int l = 0; l < PLAYERS; l++) p->bytes += p->quantizes ? (double)levels_bytes(&p->levels[l], n) : 4.0 * (double)n;
  p->exchange++;
}

// ---- methods ----

struct state {
  double *z, *start, *half, *mean, *before, *dual;  // [size]
  double *sent_before;                              // [workers][size]
  double changes;                                   // sum over steps and workers of the squared change of what was sent
};

// One step; `half` becomes the point that was played.
static void descend(struct play *p, struct state *a, bool extra) {
  memcpy(a->half, a->z, (size_t)p->size * sizeof(double));
  exchange(p, a->z, a->mean);
  if (extra) {
    for (int64_t i = 0; i < p->size; i++) a->half[i] = a->z[i] - p->s->rate * a->mean[i];
    exchange(p, a->half, a->mean);
  }
  for (int64_t i = 0; i < p->size; i++) a->z[i] -= p->s->rate * a->mean[i];
}

// X' = X - g m, with m the mean of what was sent at the last step; Y <- Y - the mean of what is sent at X';
// X = X_1 + g Y, g = (1 + sum of |v_s - v_(s-1)|^2 / K^2)^(-1/2) over steps and workers.
static void average(struct play *p, struct state *a) {
  double k = (double)p->s->workers, rate = 1 / sqrt(1 + a->changes / (k * k));
  for (int64_t i = 0; i < p->size; i++) a->half[i] = a->z[i] - rate * a->before[i];
  exchange(p, a->half, a->mean);
  for (int64_t i = 0; i < p->s->workers * p->size; i++) {
    double change = p->sent[i] - a->sent_before[i];
    a->changes += change * change;
    a->sent_before[i] = p->sent[i];
  }
  rate = 1 / sqrt(1 + a->changes / (k * k));
  for (int64_t i = 0; i < p->size; i++) {
    a->before[i] = a->mean[i];
    a->dual[i] -= a->mean[i];
    a->z[i] = a->start[i] + rate * a->dual[i];
  }
}

static double residual(struct play *p, const double *z) {
  game_operator(&p->game, z, p->exact);
  return norm_of(p->exact, p->size);
}

bool vi_game_work(struct task_run *run, struct error *error) {
  const struct vi_game *s = run->settings;
  struct arena *arena = &run->arena;
  struct play p = {.s = s, .game = game_make(s, run->seed, arena), .seed = run->seed, .size = 2 * s->dimension};
  size_t size = (size_t)p.size, workers = (size_t)s->workers;
  struct state a = {0};
  double **const vectors[] = {&p.exact, &p.noisy, &a.z, &a.start, &a.half, &a.mean, &a.before, &a.dual};
  for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) *vectors[i] = arena_array(arena, size, sizeof(double));
  double *sum = arena_array(arena, size, sizeof *sum);
  p.sent = arena_array(arena, workers * size, sizeof *p.sent);
  p.magnitudes = arena_array(arena, KEPT * workers * size, sizeof *p.magnitudes);
  p.sorted = arena_array(arena, KEPT * workers * size, sizeof *p.sorted);
  a.sent_before = arena_array(arena, workers * size, sizeof *a.sent_before);
  p.quantizes = strcmp(s->levels, "none") != 0;
  p.levels[0] = p.levels[1] =
      strcmp(s->levels, "uniform") == 0 ? levels_uniform((int)s->level_count) : levels_exponential((int)s->level_count);
  double first = residual(&p, a.z), gap = NAN;
  bool extra = strcmp(s->method, "extragradient") == 0, descends = extra || strcmp(s->method, "gda") == 0;
  for (int64_t t = 1, shown = 1; t <= s->steps; t++) {
    if (t % 64 == 0 && task_stopped(run)) return false;
    if (descends)
      descend(&p, &a, extra);
    else
      average(&p, &a);
    for (size_t i = 0; i < size; i++) sum[i] += a.half[i];
    if (t != shown && t != s->steps) continue;
    for (size_t i = 0; i < size; i++) p.noisy[i] = sum[i] / (double)t;
    gap = residual(&p, p.noisy) / first;
    if (!isfinite(gap)) return task_diverge(run, "the operator is not finite");
    if (!task_point(run, t, NAN, gap, error)) return false;
    if (t == shown) shown *= 2;
  }
  run->loss = gap;
  task_report(run, "gap", gap);
  task_report(run, "last_gap", residual(&p, a.z) / first);
  task_report(run, "bytes", p.bytes);
  task_report(run, "exchanges", (double)p.exchange);
  task_report(run, "quantization_error", p.errors / (double)p.exchange);
  return true;
}
