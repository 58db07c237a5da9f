// Running isoloss-train in tests: start, wait, kill, and comparing what runs logged.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"

// Starts the program with up to four arguments (NULL ends them); its output goes to the file `output`, which is
// replaced. With a `file_limit` above 0, no file it writes can grow beyond that many bytes: what a full disk looks like
// to it.
pid_t process_start(const char *program, const char *output, int64_t file_limit, char *const arguments[]);
// The exit code, or minus the signal that ended it.
int process_wait(pid_t process);
int process_run(const char *program, const char *output, int64_t file_limit, char *const arguments[]);

// A run's log without `start` events and without the fields that measure time or the machine, as text.
char *log_without_times(struct arena *arena, const char *path, struct error *error);
// How many events of that name stand in the log.
int log_count(const char *path, const char *event);
