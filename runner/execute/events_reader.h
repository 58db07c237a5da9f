// Reading event logs (docs/events.md) while they grow. A reader remembers how far it came and a hash of what stood
// just before: a log that a worker cut back, or that somebody replaced, is noticed and read again from its beginning.
// A torn last line waits for its end; lines that are no JSON object are counted and passed over; unknown events and
// fields are no error. A log that cannot be read at all is a fault of its run alone.
#pragma once
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "results/store.h"

enum event_kind {
  EVENT_OTHER,
  EVENT_START,
  EVENT_STEP,
  EVENT_EVAL,
  EVENT_CHECKPOINT,
  EVENT_DONE,
  EVENT_DIVERGED,
  EVENT_STOPPED,
  EVENT_FAILED,
  EVENT_LAYER,
  EVENT_METRICS,
};
const char *event_kind_name(enum event_kind kind);  // "start", ...; "" of EVENT_OTHER

// One event, valid during the callback.
struct event {
  enum event_kind kind;
  const json_t *object;
  int64_t end;   // offset behind its line
  int64_t line;  // from 1
};
double event_number(const struct event *event, const char *key);     // NAN when missing or no number
const char *event_text(const struct event *event, const char *key);  // NULL when missing or no text

struct events_reader {
  int64_t offset;  // bytes of whole lines read
  int64_t check;   // 53-bit hash of the last of them, 0 at the beginning
  int64_t lines;   // how many whole lines that were; of a reader that began elsewhere: since then
};
// Lines that were passed over: how many, and the first of them (from 1; 0: none).
struct events_damage {
  int64_t lines, first;
};
struct events_handler {
  void *context;
  bool (*restart)(void *context, struct error *error);  // the log is read again from its beginning: forget what it said
  bool (*event)(void *context, const struct event *event, struct error *error);
};

// Hands every whole line after reader->offset to the handler and moves the reader on. A log that does not exist holds
// nothing. Lines passed over are added to *damage (may be NULL). When the handler fails, so does the read, and the
// reader stays where it was. A log that is none (a folder, no permission, a line of more than 64 MiB) is an error with
// the code EXIT_RUNS_FAILED; the reader then is behind the last line that could be read.
bool events_read(struct events_reader *reader, const char *path, const struct events_handler *handler,
                 struct events_damage *damage, struct error *error);
// The hash that a reader at `offset` has; -1 when the log is shorter or cannot be read.
int64_t events_check(const char *path, int64_t offset);
// A log that has no living writer gets a whole last line, so that the next worker starts on a fresh one: an event that
// lacks nothing but the line's end gets that, a torn one is cut off. *end (may be NULL) gets the place of a reader at
// its end. Errors are those of events_read.
bool events_mend(const char *path, struct events_reader *end, struct error *error);

// What a run's log says so far.
struct run_log {
  struct events_reader reader;
  struct events_reader stored;  // what the store holds already: not written again
  enum event_kind end;  // EVENT_DONE, _DIVERGED, _STOPPED, _FAILED when it is the last thing said; else EVENT_OTHER
  bool started;         // a `start` was read
  bool progressed;      // a step, an evaluation or an end came since the last `start`
  int64_t step, steps;  // 0: not known
  double tokens, loss, seconds;  // of the last step or evaluation; NAN: not known
  double train_loss, tokens_per_second, train_seconds;
  int64_t pid;  // of the worker, as it says itself; 0: not known
  char host[128];
  int results;         // `done` and `diverged` since the last `start`: the last of them counts
  char message[1000];  // of failed, diverged, stopped; of done only where something is to be said of it
  int64_t last_train_step;
  struct events_damage damage;
  char under[8][400];       // what the last `start` said of trainer, backend, device, ..., threads
  char resumed_under[600];  // where it went on under others of these, and which; "": nowhere
  char fault[160];          // what an event since the last `start` brought that no run can have; "": nothing
  char unreadable[600];     // why the log cannot be read, and what to do; "": it can
};
// "3 lines of the log are no events and were passed over, the first is line 17"; nothing for none.
void events_damage_say(struct text *out, double lines, double first);
// A log of which the store holds `offset` bytes (with that hash): it is read from its beginning, to know its state, and
// written from there on.
void run_log_init(struct run_log *log, int64_t offset, int64_t check);
// Reads what is new in RUN/events.jsonl into the store, in one transaction with the new offset: metrics, and the
// columns of the run that events tell (results on `done`), but not the run's state: that is the coordinator's to say.
// A log that cannot be read sets log->unreadable and is not looked at again; that is no error.
// *changed (may be NULL): something was new. Inside a transaction of the caller's.
bool run_log_ingest(struct run_log *log, struct store *store, const char *id, const char *path, double bytes_per_token,
                    bool *changed, struct error *error);
