// The event log of a run: RUN/events.jsonl, one JSON object a line; docs/events.md is its contract. The worker holds an
// exclusive lock on the file for its whole life. A line reaches the file in one write, or not at all.
#pragma once
#include <stdint.h>

#include "base/base.h"

struct event_log {
  int file;          // descriptor that holds the lock; -1 when closed
  const char *path;  // owned by the caller's arena
  int64_t size;      // bytes of whole lines in the log
  struct text line;  // the event being written
  struct json_writer writer;
};

// Opens (and makes) the log and takes its lock, waiting up to two seconds: a coordinator that looks whether a worker is
// alive holds the lock for a moment. A torn last line is cut off. False when somebody else keeps the lock.
bool event_log_open(struct event_log *log, struct arena *arena, const char *path, struct error *error);
void event_log_close(struct event_log *log);

// The name of the last event in the log ("done", ...; "" when the log is empty or its last line is no event), owned by
// the arena. NULL on a read error.
const char *event_log_last(const struct event_log *log, struct arena *arena, struct error *error);
// Whether the log holds at least `size` bytes and a line ends there.
bool event_log_reaches(const struct event_log *log, int64_t size);
// Cuts the log back to `size` bytes, which it reaches.
bool event_log_cut(struct event_log *log, int64_t size, struct error *error);
// Makes what was written durable.
bool event_log_sync(struct event_log *log, struct error *error);

// One event: begin, any json_key_... on the writer that it returns, end. The end writes the line; on a failure (a full
// disk) the log is cut back to whole lines.
struct json_writer *event_begin(struct event_log *log, const char *name);
bool event_end(struct event_log *log, struct error *error);
// Writes whole lines of another log, line by line.
bool event_log_copy(struct event_log *log, const struct text *lines, struct error *error);
