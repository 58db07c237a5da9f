// See topics.h.
#include "runner/live/topics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEWS_MOST = 1 << 21 };
static const int64_t NO_POINTS = INT64_MAX >> 1;

struct topic {
  struct stream stream;
  size_t watchers;
  struct text runs, points;  // of this look, without their brackets
  size_t counts[RUN_STATES];
  bool begun;
};

// ---- what is new ----

// Curves of runs that ended before anybody watched are loaded by whoever shows them.
static bool begin_run(void *context, struct stream_run *run, struct error *error) {
  (void)context, (void)error;
  if (strcmp(run->state, "running") != 0 && strcmp(run->state, "pending") != 0)
    run->last_step[METRIC_TRAIN] = run->last_step[METRIC_EVAL] = NO_POINTS;
  return true;
}

static bool take_point(void *context, struct stream_run *run, const struct metric *metric, struct error *error) {
  (void)error;
  struct topic *topic = context;
  if (topic->points.length) text_char(&topic->points, ',');
  struct json_writer json = json_writer(&topic->points, false);
  json_array_begin(&json);
  json_put_string(&json, run->id);
  json_put_string(&json, metric->kind == METRIC_EVAL ? "eval" : "train");
  json_put_integer(&json, metric->step);
  json_put_number(&json, metric->tokens);
  json_put_number(&json, metric->loss);
  json_array_end(&json);
  return true;
}

static void put_run(struct topic *topic, const struct stream_run *run) {
  if (topic->runs.length) text_char(&topic->runs, ',');
  struct json_writer json = json_writer(&topic->runs, false);
  json_object_begin(&json);
  json_key_string(&json, "id", run->id);
  json_key_string(&json, "state", run->state);
  if (run->step >= 0) json_key_integer(&json, "step", run->step);
  if (run->steps > 0) json_key_integer(&json, "steps", run->steps);
  if (!isnan(run->loss)) json_key_number(&json, "loss", run->loss);
  if (!isnan(run->train_loss)) json_key_number(&json, "train_loss", run->train_loss);
  if (!isnan(run->tokens_per_second)) json_key_number(&json, "tokens_per_second", run->tokens_per_second);
  if (!isnan(run->started_at)) json_key_number(&json, "started_at", run->started_at);
  if (run->message) json_key_string(&json, "message", run->message);
  json_object_end(&json);
}

static bool take_state(void *context, struct stream_run *run, struct error *error) {
  (void)error;
  struct topic *topic = context;
  if (topic->begun) put_run(topic, run);
  // One that continues after all is followed from here.
  if (strcmp(run->state, "running") == 0 && run->last_step[METRIC_TRAIN] == NO_POINTS)
    run->last_step[METRIC_TRAIN] = run->last_step[METRIC_EVAL] = -1;
  return true;
}

// Runs at work move without a change of state.
static void put_working(struct topic *topic) {
  for (size_t i = 0; i < topic->stream.count; i++) {
    struct stream_run *run = topic->stream.runs[i];
    if (strcmp(run->state, "running") == 0 && run->look == topic->stream.looks && run->step != run->shown_step) {
      put_run(topic, run);
      run->shown_step = run->step;
    }
  }
}

static bool count_states(struct topic *topic) {
  size_t counts[RUN_STATES] = {0};
  for (size_t i = 0; i < topic->stream.count; i++) counts[run_state_parse(topic->stream.runs[i]->state)]++;
  bool same = memcmp(counts, topic->counts, sizeof counts) == 0;
  memcpy(topic->counts, counts, sizeof counts);
  return !same;
}

static void look_at(struct topic *topic, struct store *store, struct error *error) {
  const struct stream_taker taker = {topic, begin_run, take_point, take_state};
  stream_take(&topic->stream, store, STREAM_DUE, &taker, error);
  put_working(topic);
  topic->begun = true;
}

// ---- sending ----

static void give(struct watcher *watcher, const struct text *news) {
  if (watcher->news.length - watcher->read + news->length <= NEWS_MOST) {
    text_append(&watcher->news, news->bytes, news->length);
    return;
  }
  watcher->read = 0;
  text_clear(&watcher->news);
  text_add(&watcher->news, "event: reload\ndata: {}\n\n");
}

static void give_all(struct topics *topics, struct topic *topic, const struct text *news) {
  for (size_t i = 0; news->length && i < topics->watcher_count; i++)
    if (topics->watchers[i]->topic == topic) give(topics->watchers[i], news);
}

static void write_news(struct topic *topic, bool beat, struct text *out) {
  if (topic->runs.length) text_format(out, "event: runs\ndata: [%s]\n\n", text_string(&topic->runs));
  if (topic->points.length) text_format(out, "event: points\ndata: [%s]\n\n", text_string(&topic->points));
  if (count_states(topic)) {
    struct json_writer json = json_writer(out, false);
    text_add(out, "event: counts\ndata: ");
    json_object_begin(&json);
    for (int state = 0; state < RUN_STATES; state++)
      json_key_integer(&json, run_state_name((enum run_state)state), (int64_t)topic->counts[state]);
    json_object_end(&json);
    text_add(out, "\n\n");
  }
  if (beat && out->length == 0) text_add(out, ":\n\n");
}

// The store as it is now; one that was removed or replaced is opened anew.
static bool open_store(struct topics *topics, bool *written, struct error *error) {
  int64_t version = 0;
  *written = true;
  if (topics->store && store_data_version(topics->store, &version, error) && file_exists(store_path(topics->store))) {
    *written = !topics->looked || version != topics->data_version;
    topics->data_version = version;
    return true;
  }
  error_clear(error);
  store_close(topics->store);
  topics->store = store_exists_home() ? store_open_home(STORE_READ, error) : NULL;
  return topics->store && store_data_version(topics->store, &topics->data_version, error);
}

void topics_look(struct topics *topics, bool beat) {
  struct error error = {0};
  struct text news = {0};
  bool written, fine = open_store(topics, &written, &error);
  for (size_t i = 0; i < topics->count; i++) {
    struct topic *topic = topics->items[i];
    text_clear(&news);
    text_clear(&topic->runs);
    text_clear(&topic->points);
    bool due = !topic->begun || written || clock_seconds() >= topic->stream.next_all;
    if (fine && due) look_at(topic, topics->store, &error);
    write_news(topic, beat, &news);
    give_all(topics, topic, &news);
  }
  topics->looked = fine && !error.code;
  // What could not be read now is read next time, from a store that is opened anew.
  if (error.code) {
    store_close(topics->store);
    topics->store = NULL;
  }
  text_free(&news);
}

// ---- watchers ----

static struct topic *find_topic(struct topics *topics, const char *experiment) {
  for (size_t i = 0; i < topics->count; i++)
    if (strcmp(topics->items[i]->stream.experiment, experiment) == 0) return topics->items[i];
  struct topic *topic = memory_get(sizeof *topic);
  topic->stream.experiment = strdup(experiment);
  topics->items = memory_grow(topics->items, (topics->count + 1) * sizeof *topics->items);
  topics->items[topics->count++] = topic;
  return topic;
}

static void topic_free(struct topic *topic) {
  free((char *)(uintptr_t)topic->stream.experiment);
  stream_free(&topic->stream);
  text_free(&topic->runs);
  text_free(&topic->points);
  free(topic);
}

struct watcher *topics_join(struct topics *topics, const char *experiment, void *server, void *connection) {
  struct watcher *watcher = memory_get(sizeof *watcher);
  *watcher = (struct watcher){.topic = find_topic(topics, experiment), .server = server, .connection = connection};
  watcher->topic->watchers++;
  // The first thing it reads makes the browser say that it is connected.
  text_add(&watcher->news, "retry: 3000\n\n");
  if (topics->watcher_count == topics->watcher_capacity) {
    topics->watcher_capacity = topics->watcher_capacity ? 2 * topics->watcher_capacity : 16;
    topics->watchers = memory_grow(topics->watchers, topics->watcher_capacity * sizeof *topics->watchers);
  }
  topics->watchers[topics->watcher_count++] = watcher;
  return watcher;
}

void topics_leave(struct topics *topics, struct watcher *watcher) {
  struct topic *topic = watcher->topic;
  for (size_t i = 0; i < topics->watcher_count; i++)
    if (topics->watchers[i] == watcher) topics->watchers[i] = topics->watchers[--topics->watcher_count];
  text_free(&watcher->news);
  free(watcher);
  if (--topic->watchers > 0) return;
  for (size_t i = 0; i < topics->count; i++)
    if (topics->items[i] == topic) topics->items[i] = topics->items[--topics->count];
  topic_free(topic);
}

bool watcher_has_news(const struct watcher *watcher) { return watcher->read < watcher->news.length; }

size_t watcher_read(struct watcher *watcher, char *buffer, size_t most) {
  size_t there = watcher->news.length - watcher->read, length = there < most ? there : most;
  if (length == 0) return 0;
  memcpy(buffer, watcher->news.bytes + watcher->read, length);
  watcher->read += length;
  if (watcher->read == watcher->news.length) {
    watcher->read = 0;
    text_clear(&watcher->news);
  }
  return length;
}

void topics_free(struct topics *topics) {
  while (topics->watcher_count > 0) topics_leave(topics, topics->watchers[0]);
  free(topics->watchers);
  free(topics->items);
  store_close(topics->store);
  *topics = (struct topics){0};
}
