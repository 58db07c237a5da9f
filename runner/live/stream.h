// What is new in an experiment, for whoever shows it elsewhere: points of its runs' curves, and runs that change their
// state. Read from the store, which is only read.
#pragma once
#include "base/base.h"
#include "results/store.h"

// One run of the experiment, as it was last seen.
struct stream_run {
  const char *id, *state;
  double started_at;                     // seconds since 1970; NAN: not yet
  double loss;                           // its result; NAN: none
  double train_loss, tokens_per_second;  // the last ones
  const char *message;                   // why it has no result; NULL: nothing said
  int64_t steps;                         // in all
  int64_t step, last_step[2];            // where it is; the last points that were given, by kind; -1: none
  bool told;                             // its state was given as it stands
  bool whole;                            // it ended and all its points were given
  uint64_t look;                         // the last one that met it
  int64_t shown_step;                    // the taker's
  void *own;                             // the taker's, NULL at first
};

// Who takes what is new. Each may be NULL. False with an error ends the reading.
struct stream_taker {
  void *context;
  // A run seen for the first time; may set last_step, for points that are known from an earlier call.
  bool (*begin)(void *context, struct stream_run *run, struct error *error);
  bool (*point)(void *context, struct stream_run *run, const struct metric *metric, struct error *error);
  // A state that was not told yet, after the points up to it.
  bool (*state)(void *context, struct stream_run *run, struct error *error);
};

// The runs of one experiment and how far each was given. All zeroes but the name.
struct stream {
  const char *experiment;
  struct arena arena;
  struct stream_run **runs;  // by id
  size_t count, capacity;
  size_t open;  // pending or running, when last looked at
  uint64_t looks;
  double next_all;  // when all runs are due; monotonic
  size_t stopped;   // killed: the next isoloss run continues with them
};

// Gives what the store has that was not given before, in the spec's order. An experiment that is not in the store has
// nothing new.
// STREAM_DUE looks at all runs so seldom that it takes less than half a hundredth of a processor, at the latest after
// a minute, and else at those at
// work alone, which costs next to nothing in a large store.
enum stream_look { STREAM_ALL, STREAM_DUE };
bool stream_take(struct stream *stream, struct store *store, enum stream_look look, const struct stream_taker *taker,
                 struct error *error);
void stream_free(struct stream *stream);
