// Who watches which experiment, and what is sent to them: server-sent events with the runs that moved, their new
// points, and the counts of states. Not safe for threads: the caller has a lock.
#pragma once
#include "runner/live/stream.h"

struct topic;
// One open page. What it has not read yet is kept for it up to a bound; beyond that it is told to load all anew.
struct watcher {
  struct topic *topic;
  struct text news;
  size_t read;
  bool asleep;  // its connection waits for news
  void *server, *connection;
};

struct topics {
  struct topic **items;
  size_t count;
  struct watcher **watchers;
  size_t watcher_count, watcher_capacity;
  struct store *store;   // kept open between looks
  int64_t data_version;  // as of the last look
  bool looked, ending;
};

// Adds somebody who watches the experiment; topics_leave removes and frees it.
struct watcher *topics_join(struct topics *topics, const char *experiment, void *server, void *connection);
void topics_leave(struct topics *topics, struct watcher *watcher);
// Looks at the store, where somebody has written to it, and gives everybody what is new (STREAM_DUE). `beat`: also what
// keeps connections alive.
void topics_look(struct topics *topics, bool beat);
bool watcher_has_news(const struct watcher *watcher);
// Moves what is there into the buffer; 0 when there is nothing.
size_t watcher_read(struct watcher *watcher, char *buffer, size_t most);
void topics_free(struct topics *topics);
