// Workers: a run's folder, the command that trains it, starting it, asking whether it lives.
#pragma once
#include <stdbool.h>
#include <sys/types.h>

#include "base/base.h"
#include "runner/execute/coordinator.h"

char *run_folder(struct arena *arena, const char *home, const char *id);  // HOME/runs/ID, absolute where possible
char *run_events_path(struct arena *arena, const char *home, const char *id);

// What a worker is started with.
struct worker_command {
  char **arguments;    // NULL-terminated
  char **environment;  // NULL-terminated: ours, one thread a run, and ISOLOSS_RUN, ISOLOSS_EVENTS, ISOLOSS_ID,
                       // ISOLOSS_SLOT, and for a GPU CUDA_VISIBLE_DEVICES
  const char *shown;   // the same as a line for a shell
};
// `command` NULL: the built-in trainer. `gpu`: the one that it shall see; NULL: those that we see.
bool worker_command_make(struct arena *arena, const char *const *command, size_t count, const char *folder,
                         const struct run_file *file, int slot, const char *gpu, struct worker_command *out,
                         struct error *error);

// Makes the run's folder with config.json, heads log.txt with the command, and starts the worker in a process group of
// its own, with output to log.txt and an inherited lock on RUN/worker.lock, whose file names the process. What a dead
// worker of the run has left is killed before. Returns its process id, or -1.
pid_t worker_start(const struct run_file *file, const char *folder, const struct worker_command *command,
                   struct error *error);

// True when the worker lives: somebody holds the run's worker.lock, and the process that it names is not known to be
// dead (its children inherit the lock); or somebody holds its event log.
bool worker_alive(struct arena *arena, const char *folder);
// Names a process for good: its number, when it started, and the machine's start and space in which the number holds.
// Its length; 0 and "" when there is none.
int worker_process_text(pid_t pid, char text[128]);
// True when the process of such a text is dead for certain; of another machine's it is not known.
bool worker_process_dead(const char *text);
// Names the process in the file of its lock, which is empty.
void worker_process_note(int lock, pid_t pid);
// Kills all processes that were started for this run, in whatever session they are; ourselves apart. How many there
// were.
size_t worker_end_survivors(const char *folder);
// The same of processes of any run of this home that are our children: dead workers' own, that came to us.
size_t worker_end_orphans(const char *home);
// Whether a worker that ended has left processes: its group (`pid` 0: not looked at), or somebody with its locks.
bool worker_left_something(const char *folder, pid_t pid);
// True when the run's event log holds just `size` bytes (or is not there and size is 0).
bool worker_log_still(const char *folder, int64_t size);
// Sends a signal to the worker, and to its process group when it leads one. `pid` is what log or store say; a process
// of that number that does not have the run's files open is somebody else and is left alone. False when not sent.
bool worker_signal(const char *folder, pid_t pid, int signal);
// The CUDA_VISIBLE_DEVICES that a living worker was started with, in the arena; NULL when it has none, or is somebody
// else.
char *worker_gpu(struct arena *arena, const char *folder, pid_t pid);
// Takes the middle out of a log.txt that has grown beyond 64 MiB, and says so in it: its first 64 KiB and its last MiB
// stay. Where a file system can only make holes, it is one of zeros that takes no room. True when it did; what cannot
// be done is left.
bool worker_log_trim(const char *folder);
// The last lines of the run's log.txt, at most `lines` and without the head, in the arena; "" when there are none. Of
// lines that were drawn over (\r) the last drawing.
char *worker_log_tail(struct arena *arena, const char *folder, int lines);
