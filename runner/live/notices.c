// See notices.h.
#include "runner/live/notices.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runner/live/send.h"

enum { PAUSE = 600, TOLD_MOST = 20, PATIENCE = 60 };

static void begin_document(struct json_writer *json, const char *event, const char *experiment) {
  struct arena arena = {0};
  json_object_begin(json);
  json_key_string(json, "event", event);
  json_key_string(json, "experiment", experiment);
  json_key_string(json, "host", store_host(&arena));
  json_key_number(json, "time", clock_wall());
  arena_free(&arena);
}

static void put_failed(struct json_writer *json, const char *id, const char *message) {
  json_object_begin(json);
  json_key_string(json, "id", id);
  json_key_string(json, "message", message);
  json_object_end(json);
}

static void send_or_say(const char *command, const struct text *document, double seconds) {
  struct error error = {0};
  if (!send_document(command, text_string(document), seconds, &error)) fprintf(stderr, "isoloss: %s\n", error.text);
}

// ---- failures ----

static bool begin_run(void *context, struct stream_run *run, struct error *error) {
  (void)context, (void)error;
  // Its points are of no interest here.
  run->last_step[METRIC_TRAIN] = run->last_step[METRIC_EVAL] = INT64_MAX >> 1;
  return true;
}

static bool take_state(void *context, struct stream_run *run, struct error *error) {
  struct failures *failures = context;
  if (!failures->begun || strcmp(run->state, "failed") != 0) return true;
  (void)error;
  if (failures->count == failures->capacity) {
    size_t before = failures->capacity, after = before ? 2 * before : 16;
    failures->ids = arena_grow(&failures->arena, failures->ids, before, after, sizeof(char *));
    failures->messages = arena_grow(&failures->arena, failures->messages, before, after, sizeof(char *));
    failures->capacity = after;
  }
  failures->ids[failures->count] = arena_string(&failures->arena, run->id);
  failures->messages[failures->count++] = arena_string(&failures->arena, run->message ? run->message : "");
  return true;
}

static void send_failures(struct failures *failures) {
  struct text document = {0};
  struct json_writer json = json_writer(&document, false);
  begin_document(&json, "failure", failures->stream.experiment);
  json_key_integer(&json, "failed", (int64_t)failures->count);
  json_key(&json, "runs");
  json_array_begin(&json);
  for (size_t i = 0; i < failures->count && i < TOLD_MOST; i++)
    put_failed(&json, failures->ids[i], failures->messages[i]);
  json_array_end(&json);
  json_object_end(&json);
  text_char(&document, '\n');
  send_or_say(failures->command, &document, 0);
  text_free(&document);
  failures->sent_at = clock_seconds();
  failures->count = failures->capacity = 0;
  arena_free(&failures->arena);
}

bool failures_look(struct failures *failures, struct store *store, enum stream_look look, struct error *error) {
  const struct stream_taker taker = {failures, begin_run, NULL, take_state};
  if (!stream_take(&failures->stream, store, look, &taker, error)) return false;
  failures->begun = true;
  if (failures->count > 0 && (failures->sent_at == 0 || clock_seconds() > failures->sent_at + PAUSE))
    send_failures(failures);
  return true;
}

void failures_free(struct failures *failures) {
  stream_free(&failures->stream);
  arena_free(&failures->arena);
}

// ---- the end ----

// How the experiment's runs stand, and those that failed.
static void put_store(struct json_writer *json, const char *experiment) {
  static const char *const counts[] = {"runs", "done", "diverged", "failed", "killed", "pending", "running"};
  struct error error = {0};
  struct store *store = store_exists_home() ? store_open_home(STORE_READ, &error) : NULL;
  struct store_rows *rows = store ? store_experiments(store, experiment, &error) : NULL;
  if (rows && store_rows_next(rows, &error))
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
      json_key_integer(json, counts[i], (int64_t)store_rows_get(rows, counts[i]).number);
  store_rows_close(rows);
  struct run_query query = {.experiment = experiment, .state = "failed", .limit = TOLD_MOST};
  rows = store ? store_runs(store, &query, &error) : NULL;
  json_key(json, "failures");
  json_array_begin(json);
  while (rows && store_rows_next(rows, &error))
    put_failed(json, store_rows_get(rows, "id").text, store_rows_get(rows, "message").text);
  json_array_end(json);
  store_rows_close(rows);
  store_close(store);
}

void notice_end(const char *command, const char *experiment, const char *home, enum exit_code code, const char *problem,
                bool interrupted, double seconds) {
  struct text document = {0};
  struct json_writer json = json_writer(&document, false);
  begin_document(&json, "end", experiment);
  json_key_string(&json, "home", home);
  json_key_integer(&json, "exit_code", code);
  if (problem && *problem) json_key_string(&json, "error", problem);
  json_key_boolean(&json, "interrupted", interrupted);
  json_key_number(&json, "seconds", seconds);
  put_store(&json, experiment);
  json_object_end(&json);
  text_char(&document, '\n');
  send_or_say(command, &document, PATIENCE);
  text_free(&document);
}
