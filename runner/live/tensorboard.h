// An experiment's curves as a folder that TensorBoard shows: FOLDER/EXPERIMENT/RUN/events.out.tfevents.*, a folder for
// each run, named by the settings in which the experiment's runs differ when it is made, and the run's id.
#pragma once
#include "runner/live/stream.h"

struct tensorboard;
// Begins to write there; the folder is made. NULL on error. What an earlier call wrote is gone on with: only points
// behind it are added, and a record that was torn is written anew.
struct tensorboard *tensorboard_open(const char *folder, const char *experiment, struct error *error);
// Adds what is new, by a look of stream_take. EXIT_ENVIRONMENT where a file cannot be written, or somebody else writes
// it.
bool tensorboard_take(struct tensorboard *board, struct store *store, enum stream_look look, struct error *error);
// Of the experiment's runs, those that are pending or running, and those that were stopped, when last looked at.
size_t tensorboard_open_runs(const struct tensorboard *board, size_t *stopped);
void tensorboard_close(struct tensorboard *board);  // fine on NULL
