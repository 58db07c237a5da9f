// What a command of the user's is told while an experiment runs (docs/watching.md): runs that failed, and the end.
#pragma once
#include "runner/live/stream.h"

// Runs that failed since it was begun; those that had failed before are not told.
struct failures {
  const char *command;
  struct stream stream;
  struct arena arena;  // of what is not sent yet
  const char **ids, **messages;
  size_t count, capacity;
  bool begun;
  double sent_at;  // monotonic; 0: never
};
// Looks at the store; tells the command at once of the first ones, and of later ones every ten minutes. An error is the
// store's; what goes wrong with the command is a line on standard error.
bool failures_look(struct failures *failures, struct store *store, enum stream_look look, struct error *error);
void failures_free(struct failures *failures);

// Tells the command that isoloss run ended, with which code and error, and waits for it, at most a minute.
void notice_end(const char *command, const char *experiment, const char *home, enum exit_code code, const char *problem,
                bool interrupted, double seconds);
