// A process next to `isoloss run` that looks at its store every few seconds like any other reader, so that the
// coordinator never waits for it: it writes the curves for TensorBoard, and tells a command of runs that failed.
#pragma once
#include <sys/types.h>

#include "base/base.h"

struct follower {
  pid_t process;  // 0: none
  int life;       // it ends when this is closed, so with us, however we end
};

struct follower_wishes {
  const char *tensorboard;  // a folder, or NULL
  const char *notify;       // a command, or NULL
};
// Begins one where anything is wished. False with an error when the folder cannot be made.
bool follower_begin(struct follower *follower, const struct follower_wishes *wishes, const char *experiment,
                    const char *home, struct error *error);
// Lets it do what is left and waits for it; fine where none was begun. What it could not write it has said on standard
// error.
void follower_end(struct follower *follower);
