// See stream.h.
#include "runner/live/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// Where the id is among the runs, or would be.
static size_t place_of(const struct stream *stream, const char *id) {
  size_t low = 0, high = stream->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (strcmp(stream->runs[middle]->id, id) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct stream_run *find_run(struct stream *stream, const char *id, bool *is_new) {
  size_t place = place_of(stream, id);
  *is_new = place == stream->count || strcmp(stream->runs[place]->id, id) != 0;
  if (!*is_new) return stream->runs[place];
  if (stream->count == stream->capacity) {
    stream->capacity = stream->capacity ? 2 * stream->capacity : 64;
    stream->runs = memory_grow(stream->runs, stream->capacity * sizeof *stream->runs);
  }
  struct stream_run *run = arena_array(&stream->arena, 1, sizeof *run);
  *run = (struct stream_run){.id = arena_string(&stream->arena, id), .state = "", .last_step = {-1, -1}, .step = -1};
  memmove(stream->runs + place + 1, stream->runs + place, (stream->count - place) * sizeof *stream->runs);
  stream->runs[place] = run;
  stream->count++;
  return run;
}

// States as literals: a run's state does not live as long as its row.
static const char *state_of(const char *text) {
  static const char *const states[] = {"pending", "running", "done", "diverged", "failed", "killed"};
  for (size_t i = 0; i < sizeof states / sizeof *states; i++)
    if (text && strcmp(states[i], text) == 0) return states[i];
  return "";
}

static bool is_open(const char *state) { return strcmp(state, "pending") == 0 || strcmp(state, "running") == 0; }

// The runs whose state or place moved; all others have nothing new.
struct moved {
  struct stream_run **runs;
  size_t count, capacity;
};

#define COLUMNS "r.id, r.state, r.step, r.started_at, r.loss, r.steps, r.train_loss, r.tokens_per_second, r.message"

// Takes a row of COLUMNS.
static bool note_row(struct stream *stream, const struct store_rows *rows, const struct stream_taker *taker,
                     struct moved *moved, struct error *error) {
  bool is_new;
  struct stream_run *run = find_run(stream, store_rows_value(rows, 0).text, &is_new);
  const char *state = state_of(store_rows_value(rows, 1).text);
  double step = store_rows_number(rows, 2), steps = store_rows_number(rows, 5);
  int64_t at = isnan(step) ? -1 : (int64_t)step;
  bool same = !is_new && run->told && strcmp(run->state, state) == 0;
  run->look = stream->looks;
  if (same && (run->whole || (strcmp(state, "pending") == 0 && run->step == at))) return true;
  if (!same) run->told = run->whole = false;
  run->state = state;
  run->step = at;
  run->steps = isnan(steps) ? 0 : (int64_t)steps;
  run->started_at = store_rows_number(rows, 3);
  run->loss = store_rows_number(rows, 4);
  run->train_loss = store_rows_number(rows, 6);
  run->tokens_per_second = store_rows_number(rows, 7);
  if (!same) {
    const char *message = store_rows_value(rows, 8).text;
    bool without = run_state_ended_without_loss(run_state_parse(state));
    run->message = without && message ? arena_string(&stream->arena, message) : NULL;
  }
  if (is_new && taker->begin && !taker->begin(taker->context, run, error)) return false;
  if (moved->count == moved->capacity) {
    moved->capacity = moved->capacity ? 2 * moved->capacity : 64;
    moved->runs = memory_grow(moved->runs, moved->capacity * sizeof *moved->runs);
  }
  moved->runs[moved->count++] = run;
  return true;
}

static void find_all(struct stream *stream, struct store *store, const struct stream_taker *taker, struct moved *moved,
                     struct error *error) {
  struct value value = store_text(stream->experiment);
  struct store_rows *rows = store_select(store,
                                         "SELECT " COLUMNS
                                         " FROM experiment_runs e JOIN runs r ON r.id = e.run WHERE "
                                         "e.experiment = ?1 ORDER BY e.position",
                                         &value, 1, error);
  stream->open = stream->stopped = 0;
  while (rows && store_rows_next(rows, error) && note_row(stream, rows, taker, moved, error)) {
    const char *state = state_of(store_rows_value(rows, 1).text);
    stream->open += is_open(state);
    stream->stopped += strcmp(state, "killed") == 0;
  }
  store_rows_close(rows);
}

// Those at work, and those that were when last looked at.
static void find_working(struct stream *stream, struct store *store, const struct stream_taker *taker,
                         struct moved *moved, struct error *error) {
  struct value value = store_text(stream->experiment);
  struct store_rows *rows = store_select(store,
                                         "SELECT " COLUMNS
                                         " FROM runs r CROSS JOIN experiment_runs e ON e.run = r.id AND "
                                         "e.experiment = ?1 WHERE r.state = 'running'",
                                         &value, 1, error);
  while (rows && store_rows_next(rows, error) && note_row(stream, rows, taker, moved, error)) continue;
  store_rows_close(rows);
  for (size_t i = 0; i < stream->count && !error->code; i++) {
    if (stream->runs[i]->look == stream->looks || strcmp(stream->runs[i]->state, "running") != 0) continue;
    value = store_text(stream->runs[i]->id);
    rows = store_select(store, "SELECT " COLUMNS " FROM runs r WHERE r.id = ?1", &value, 1, error);
    if (rows && store_rows_next(rows, error)) note_row(stream, rows, taker, moved, error);
    store_rows_close(rows);
  }
}

static bool give_points(struct store *store, struct stream_run *run, const struct stream_taker *taker,
                        struct error *error) {
  struct value values[] = {store_text(run->id), store_number((double)run->last_step[METRIC_TRAIN]),
                           store_number((double)run->last_step[METRIC_EVAL])};
  struct store_rows *rows = store_select(
      store,
      "SELECT kind = 'eval', step, tokens, loss, lr, gradient_norm, tokens_per_second, seconds, oracle_loss, "
      "active_parameters FROM metrics WHERE run = ?1 AND step > CASE kind WHEN 'train' THEN ?2 ELSE ?3 END "
      "ORDER BY step, kind DESC",
      values, 3, error);
  bool fine = true;
  while (fine && rows && store_rows_next(rows, error)) {
    struct metric metric = {
        .kind = store_rows_number(rows, 0) == 1 ? METRIC_EVAL : METRIC_TRAIN,
        .step = (int64_t)store_rows_number(rows, 1),
        .tokens = store_rows_number(rows, 2),
        .loss = store_rows_number(rows, 3),
        .lr = store_rows_number(rows, 4),
        .gradient_norm = store_rows_number(rows, 5),
        .tokens_per_second = store_rows_number(rows, 6),
        .seconds = store_rows_number(rows, 7),
        .oracle_loss = store_rows_number(rows, 8),
        .active_parameters = store_rows_number(rows, 9),
    };
    fine = !taker->point || taker->point(taker->context, run, &metric, error);
    run->last_step[metric.kind] = metric.step;
  }
  store_rows_close(rows);
  return fine && !error->code;
}

bool stream_take(struct stream *stream, struct store *store, enum stream_look look, const struct stream_taker *taker,
                 struct error *error) {
  enum { SHARE = 200 };
  static const double most_seconds = 60;
  struct moved moved = {0};
  // Of the processor: a reader that keeps us waiting, or a busy machine, is no reason to look less often.
  double begun = clock_thread_seconds();
  bool all = look == STREAM_ALL || clock_seconds() >= stream->next_all;
  stream->looks++;
  (all ? find_all : find_working)(stream, store, taker, &moved, error);
  for (size_t i = 0; i < moved.count && !error->code; i++) {
    struct stream_run *run = moved.runs[i];
    if (!give_points(store, run, taker, error)) break;
    if (!run->told && taker->state && !taker->state(taker->context, run, error)) break;
    run->told = true;
    run->whole = !is_open(run->state);
  }
  free(moved.runs);
  if (all) stream->next_all = clock_seconds() + fmin(SHARE * (clock_thread_seconds() - begun), most_seconds);
  return !error->code;
}

void stream_free(struct stream *stream) {
  free(stream->runs);
  arena_free(&stream->arena);
  *stream = (struct stream){.experiment = stream->experiment};
}
