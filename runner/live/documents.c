// See documents.h.
#include "runner/live/documents.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "plots/plots.h"
#include "runner/execute/rows.h"
#include "runner/live/settings.h"

static void put_text(struct json_writer *json, const char *key, const struct store_rows *rows, const char *column) {
  struct value value = store_rows_get(rows, column);
  json_key_string(json, key, value.kind == VALUE_TEXT ? value.text : NULL);
}

static void put_number(struct json_writer *json, const char *key, const struct store_rows *rows, const char *column) {
  struct value value = store_rows_get(rows, column);
  if (value.kind == VALUE_NUMBER) json_key_number(json, key, value.number);
}

// ---- experiments ----

bool document_experiments(struct store *store, struct text *out, struct error *error) {
  static const char *const counts[] = {"runs", "done", "running", "pending", "killed", "failed", "diverged"};
  struct store_rows *rows = store_experiments(store, NULL, error);
  struct json_writer json = json_writer(out, false);
  json_array_begin(&json);
  while (rows && store_rows_next(rows, error)) {
    json_object_begin(&json);
    put_text(&json, "name", rows, "name");
    put_text(&json, "about", rows, "about");
    put_number(&json, "updated_at", rows, "updated_at");
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) put_number(&json, counts[i], rows, counts[i]);
    json_object_end(&json);
  }
  json_array_end(&json);
  store_rows_close(rows);
  return !error->code;
}

// ---- runs ----

static void put_run(struct json_writer *json, const struct store_rows *rows, const char *const *settings,
                    size_t count) {
  static const char *const numbers[] = {
      "step",         "steps",      "loss", "train_loss", "parameters", "tokens", "tokens_per_second",
      "wall_seconds", "started_at", "flops"};
  static const char *const texts[] = {"id", "state", "stage", "host", "mark"};
  json_object_begin(json);
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    if (store_rows_get(rows, texts[i]).kind == VALUE_TEXT) put_text(json, texts[i], rows, texts[i]);
  put_text(json, "format", rows, "format");
  if (store_rows_get(rows, "message").kind == VALUE_TEXT) put_text(json, "message", rows, "message");
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_number(json, numbers[i], rows, numbers[i]);
  json_key(json, "values");
  json_array_begin(json);
  for (size_t i = 0; i < count; i++) {
    struct value value = store_rows_get(rows, settings[i]);
    json_put_value(json, &value);
  }
  json_array_end(json);
  json_object_end(json);
}

struct names {
  const char **items;
  size_t count;
};

static size_t name_place(struct names *names, struct arena *arena, const char *name) {
  for (size_t i = 0; i < names->count; i++)
    if (strcmp(names->items[i], name) == 0) return i;
  names->items = arena_grow(arena, names->items, names->count, names->count + 1, sizeof(char *));
  names->items[names->count] = arena_string(arena, name);
  return names->count++;
}

bool document_runs(struct store *store, const char *experiment, struct text *out, struct error *error) {
  struct arena arena = {0};
  struct names formats = {0};
  size_t count = 0;
  const char **settings = differing_settings(store, experiment, &arena, &count, error);
  struct run_query query = {.experiment = experiment};
  struct store_rows *rows = settings ? store_runs(store, &query, error) : NULL;
  struct json_writer json = json_writer(out, false);
  json_object_begin(&json);
  json_key_strings(&json, "settings", settings, count);
  json_key(&json, "runs");
  json_array_begin(&json);
  while (rows && store_rows_next(rows, error)) {
    struct value format = store_rows_get(rows, "format");
    if (format.kind == VALUE_TEXT) name_place(&formats, &arena, format.text);
    put_run(&json, rows, settings, count);
  }
  json_array_end(&json);
  json_key(&json, "colours");
  json_object_begin(&json);
  for (size_t i = 0; i < formats.count; i++)
    json_key_string(&json, formats.items[i], figure_format_variable(formats.items[i]));
  json_object_end(&json);
  json_object_end(&json);
  store_rows_close(rows);
  arena_free(&arena);
  return !error->code;
}

// ---- one curve ----

static bool put_points(struct json_writer *json, struct store *store, const char *run, enum metric_kind kind,
                       size_t most, struct error *error) {
  struct store_rows *rows = store_metrics(store, run, kind, error);
  if (!rows) return false;
  int step = store_rows_find(rows, "step"), tokens = store_rows_find(rows, "tokens"),
      loss = store_rows_find(rows, "loss");
  double(*points)[3] = NULL;
  size_t count = 0, capacity = 0;
  while (store_rows_next(rows, error)) {
    if (count == capacity) {
      capacity = capacity ? 2 * capacity : 256;
      points = memory_grow(points, capacity * sizeof *points);
    }
    points[count][0] = store_rows_number(rows, step);
    points[count][1] = store_rows_number(rows, tokens);
    points[count++][2] = store_rows_number(rows, loss);
  }
  store_rows_close(rows);
  json_array_begin(json);
  double low = count ? log(fmax(points[0][0], 1)) : 0, high = count ? log(fmax(points[count - 1][0], 1)) : 0;
  for (size_t i = 0; i < count; i++) {
    if (count > most && i + 1 < count) {
      double here = (log(fmax(points[i][0], 1)) - low) / (high - low) * (double)(most - 1),
             next = (log(fmax(points[i + 1][0], 1)) - low) / (high - low) * (double)(most - 1);
      if (floor(here) == floor(next)) continue;
    }
    json_array_begin(json);
    for (int k = 0; k < 3; k++) json_put_number(json, points[i][k]);
    json_array_end(json);
  }
  json_array_end(json);
  json_key_integer(json, kind == METRIC_EVAL ? "eval_points" : "train_points", (int64_t)count);
  free(points);
  return !error->code;
}

bool document_curve(struct store *store, const char *run, size_t most, struct text *out, struct error *error) {
  struct json_writer json = json_writer(out, false);
  json_object_begin(&json);
  json_key_string(&json, "run", run);
  json_key(&json, "train");
  bool fine = put_points(&json, store, run, METRIC_TRAIN, most, error);
  if (fine) json_key(&json, "eval");
  fine = fine && put_points(&json, store, run, METRIC_EVAL, most, error);
  json_object_end(&json);
  return fine;
}

// ---- formats against each other ----

struct evaluation {
  double tokens, loss;
};
struct paired_run {
  const char *setting;  // all that it shares with its partner
  size_t format;
  double tokens;  // in all
  double final;   // its result; NAN: it has not ended
  struct evaluation *evaluations;
  size_t count, capacity;
};
struct pairing {
  struct arena arena;
  struct names formats;
  struct paired_run *runs;
  size_t count, *order;
};

static bool read_runs(struct store *store, const char *experiment, struct pairing *pairing, struct error *error) {
  size_t count;
  const char **settings = differing_settings(store, experiment, &pairing->arena, &count, error);
  struct run_query query = {.experiment = experiment};
  struct store_rows *rows = settings ? store_runs(store, &query, error) : NULL;
  size_t capacity = 0;
  struct text setting = {0};
  while (rows && store_rows_next(rows, error)) {
    if (pairing->count == capacity) {
      size_t before = capacity;
      capacity = capacity ? 2 * capacity : 64;
      pairing->runs = arena_grow(&pairing->arena, pairing->runs, before, capacity, sizeof *pairing->runs);
    }
    text_clear(&setting);
    for (size_t i = 0; i < count; i++) {
      if (strcmp(settings[i], "format") == 0) continue;
      struct value value = store_rows_get(rows, settings[i]);
      char number[32];
      text_format(&setting, "%s\x1f", value_plain(&value, number));
    }
    struct value format = store_rows_get(rows, "format"), stage = store_rows_get(rows, "stage");
    text_add(&setting, stage.kind == VALUE_TEXT ? stage.text : "");
    pairing->runs[pairing->count++] = (struct paired_run){
        .setting = arena_string(&pairing->arena, text_string(&setting)),
        .format = name_place(&pairing->formats, &pairing->arena, format.kind == VALUE_TEXT ? format.text : ""),
        .tokens = store_rows_get(rows, "tokens").number,
        .final = store_rows_number(rows, store_rows_find(rows, "loss")),
    };
  }
  text_free(&setting);
  store_rows_close(rows);
  return !error->code;
}

static bool read_evaluations(struct store *store, const char *experiment, struct pairing *pairing,
                             struct error *error) {
  struct store_rows *rows = store_curves(store, experiment, METRIC_EVAL, error);
  while (rows && store_rows_next(rows, error)) {
    size_t place = (size_t)store_rows_number(rows, 0);
    double loss = store_rows_number(rows, 2);
    if (place >= pairing->count || !isfinite(loss)) continue;
    struct paired_run *run = &pairing->runs[place];
    if (run->count == run->capacity) {
      size_t before = run->capacity;
      run->capacity = before ? 2 * before : 16;
      run->evaluations = arena_grow(&pairing->arena, run->evaluations, before, run->capacity, sizeof *run->evaluations);
    }
    run->evaluations[run->count++] = (struct evaluation){store_rows_number(rows, 1), loss};
  }
  store_rows_close(rows);
  return !error->code;
}

static int by_setting(const void *left, const void *right, void *runs) {
  const struct paired_run *a = (struct paired_run *)runs + *(const size_t *)left,
                          *b = (struct paired_run *)runs + *(const size_t *)right;
  int order = strcmp(a->setting, b->setting);
  return order ? order : (a > b) - (a < b);
}

// The results of both, or their last evaluations after the same number of tokens; false when there are none.
static bool last_common(const struct paired_run *a, const struct paired_run *b, double *difference, double *share) {
  if (isfinite(a->final) && isfinite(b->final)) {
    *difference = a->final - b->final;
    *share = 1;
    return true;
  }
  for (size_t i = a->count, k = b->count; i > 0 && k > 0;) {
    double at_a = a->evaluations[i - 1].tokens, at_b = b->evaluations[k - 1].tokens;
    if (at_a == at_b) {
      *difference = a->evaluations[i - 1].loss - b->evaluations[k - 1].loss;
      *share = a->tokens > 0 ? at_a / a->tokens : NAN;
      return true;
    }
    if (at_a > at_b)
      i--;
    else
      k--;
  }
  return false;
}

struct difference {
  size_t pairs;
  double sum, squares, least, most;
};

static void pair_runs(struct pairing *pairing, size_t baseline, struct difference *differences) {
  pairing->order = arena_array(&pairing->arena, pairing->count + 1, sizeof *pairing->order);
  for (size_t i = 0; i < pairing->count; i++) pairing->order[i] = i;
  qsort_r(pairing->order, pairing->count, sizeof *pairing->order, by_setting, pairing->runs);
  for (size_t begin = 0, end; begin < pairing->count; begin = end) {
    const struct paired_run *first = &pairing->runs[pairing->order[begin]], *base = NULL;
    for (end = begin; end < pairing->count; end++) {
      const struct paired_run *run = &pairing->runs[pairing->order[end]];
      if (strcmp(run->setting, first->setting) != 0) break;
      if (run->format == baseline && !base) base = run;
    }
    for (size_t i = begin; base && i < end; i++) {
      const struct paired_run *run = &pairing->runs[pairing->order[i]];
      double value, share;
      if (run->format == baseline || !last_common(run, base, &value, &share)) continue;
      struct difference *d = &differences[run->format];
      if (d->pairs == 0) d->least = d->most = share;
      d->pairs++;
      d->sum += value;
      d->squares += value * value;
      d->least = fmin(d->least, share);
      d->most = fmax(d->most, share);
    }
  }
}

static void put_difference(struct json_writer *json, const char *format, const struct difference *d) {
  double n = (double)d->pairs, mean = d->sum / n,
         variance = n > 1 ? fmax(0, d->squares - n * mean * mean) / (n - 1) : NAN;
  json_object_begin(json);
  json_key_string(json, "format", format);
  json_key_string(json, "colour", figure_format_variable(format));
  json_key_integer(json, "pairs", (int64_t)d->pairs);
  json_key_number(json, "mean", d->pairs ? mean : NAN);
  json_key_number(json, "error", sqrt(variance / n));
  json_key_number(json, "least", d->pairs ? d->least : NAN);
  json_key_number(json, "most", d->pairs ? d->most : NAN);
  json_object_end(json);
}

bool document_formats(struct store *store, const char *experiment, struct text *out, struct error *error) {
  struct pairing pairing = {0};
  struct json_writer json = json_writer(out, false);
  bool fine = read_runs(store, experiment, &pairing, error) && read_evaluations(store, experiment, &pairing, error);
  if (fine && pairing.formats.count > 1) {
    struct difference *differences = arena_array(&pairing.arena, pairing.formats.count, sizeof *differences);
    size_t baseline = 0;
    for (size_t i = 0; i < pairing.formats.count; i++)
      if (strcmp(pairing.formats.items[i], "none") == 0) baseline = i;
    pair_runs(&pairing, baseline, differences);
    json_object_begin(&json);
    json_key_string(&json, "baseline", pairing.formats.items[baseline]);
    json_key(&json, "formats");
    json_array_begin(&json);
    for (size_t i = 0; i < pairing.formats.count; i++)
      if (i != baseline) put_difference(&json, pairing.formats.items[i], &differences[i]);
    json_array_end(&json);
    json_object_end(&json);
  } else if (fine) {
    json_put_null(&json);
  }
  arena_free(&pairing.arena);
  return fine;
}

// ---- fits ----

bool document_fits(struct store *store, const char *experiment, struct text *out, struct error *error) {
  struct store_rows *rows = store_fits(store, experiment, error);
  struct json_writer json = json_writer(out, false);
  json_array_begin(&json);
  while (rows && store_rows_next(rows, error)) {
    json_object_begin(&json);
    put_text(&json, "name", rows, "name");
    put_text(&json, "law", rows, "law");
    put_number(&json, "created_at", rows, "created_at");
    struct value document = store_rows_get(rows, "document");
    json_key(&json, "document");
    if (document.kind == VALUE_TEXT)
      json_put_raw(&json, document.text);
    else
      json_put_null(&json);
    json_object_end(&json);
  }
  json_array_end(&json);
  store_rows_close(rows);
  return !error->code;
}
