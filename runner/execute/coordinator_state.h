// Inside the coordinator: jobs, workers, and what becomes of them.
#pragma once
#include <signal.h>

#include "runner/execute/coordinator.h"
#include "runner/execute/events_reader.h"
#include "runner/execute/provenance.h"
#include "runner/execute/worker.h"
#include "runner/terminal/progress.h"

struct job {
  char id[40];
  size_t index;  // in the set; FOREIGN: a run of another experiment that was at work when we came
  enum run_state state;
  int threads, failures;
  int preemptions;       // times that somebody else asked its worker to stop, which is no failure
  int64_t preempted_at;  // its step then
  bool faulted;          // failed before its first step
  bool left_out;         // of the set, but not chosen; its index is FOREIGN once it is registered
  enum run_mark mark;    // what was asked of it; held: in no queue
  char marked_by[96];
  // Of successive halving (coordinator_halving.h): the step at which it stops for those that it competes with, 0: none;
  // that at which a worker of ours ended for it; it waits there; it does not go on.
  int64_t rung_step, stopped_at;
  bool waiting, halved;
  bool absent;  // halved, since the others' losses were compared without it: it had failed or was cancelled
  double flops, seconds, not_before;
  double flops_counted;           // of these, in the coordinator's flops_done
  double memory;                  // on its device; NAN: not known
  size_t parent, child, sibling;  // places in the set: what it follows, what follows it, the next that follows the same
  bool waits;                     // for its parent to end, outside of the queue
  bool may_share;                 // a training: it may have a trunk, or be one (coordinator_trunk.c)
  size_t trunk, branch, next_branch;  // what it branches off from, who branches off from it, the next of the same
  int64_t branch_step, steps;         // after which it branches off, in all; where it has a trunk
  bool awaits_trunk, alone;           // waits outside of the queue; trains from its start after all
  bool put_off;                       // ended for reasons outside of it, and is not tried again in this call
  bool blocked;                       // its parent will not be done: it is not started
  bool blocked_for_good;              // ... since a run before it diverged, was stopped by halving or cancelled: final
};
#define FOREIGN SIZE_MAX
#define NO_JOB SIZE_MAX

struct worker {
  struct job *job;
  const char *folder;  // in the worker's arena
  struct arena arena;
  pid_t pid;
  bool child, reaped;  // child: ours to wait for; else adopted
  int status;          // of a reaped child
  int slot;
  int gpu;         // of options->gpus; -1: none
  double started;  // monotonic
  double bytes_per_token;
  struct run_log log;
  struct events_reader log_before;  // where the log ended when the worker was started
  char label[96];
  char resumed_under[600];   // as it was told
  double heard, stop_asked;  // when its log grew last, when it was asked to stop at its time limit; monotonic
  int64_t heard_offset;
  bool stalled, rung_asked;                                 // rung_asked: to stop, since its run is beyond its rung
  enum { LIMIT_NONE, LIMIT_TIME, LIMIT_STALL } over_limit;  // for which it was stopped
  enum run_mark stopped_for;                                // the mark for which it was stopped
  char limit_message[300];
  long long oom_kills;  // of the system, when it was started
  struct provenance_share share;
  struct provenance_view view;
  bool first;         // the run had no worker before
  uint64_t gpu_bits;  // the counters of its GPUs (meter.h), a bit each
};

#define NO_GPU (-1)

struct coordinator {
  const struct coordinator_set *set;
  const struct coordinator_options *options;
  struct store *store;
  struct arena arena;
  struct job *jobs;  // of the set, then foreign ones
  size_t job_count, set_count;
  struct job **queue;  // longest first; queue[next ...] wait for their first start
  size_t queue_count, next;
  struct halving *halving;  // coordinator_halving.h; NULL: none
  struct job **retries;     // wait to be started again
  size_t retry_count;
  struct worker **workers;
  size_t worker_count, worker_capacity;
  struct home_file {
    dev_t device;
    ino_t inode;
  } home_files[2];  // the lock and the store, as they were when we began
  int cores;
  struct coordinator_run described;  // scratch for set->describe
  struct metering *metering;         // coordinator_meter.c; NULL: no worker yet
  struct progress progress;
  size_t already, left_out;
  double began, flops_done;  // of this call
  int stop_signals;          // Ctrl-C and the like: 1 stops, 2 kills
  double kill_time;          // of the second one; 0: none yet
  long long oom_kills;       // of the system, as last counted
  double oom_counted;        // when; monotonic
  int64_t data_version;      // of the store, when its marks were read last
  bool stopping;             // no new workers; those at work were asked to stop
  bool interrupted;
  // A fault common to all: nothing got to a first step, and so many different runs failed.
  bool any_progress, fault;
  size_t faulted, fault_limit;
  size_t aside, aside_in_a_row;  // runs that the machine let down, with no try left; these since the last result
  enum exit_code fault_code;
  char fault_message[1200];
};

static inline const char *coordinator_store_home(const struct coordinator *c) {
  return c->options->store_home ? c->options->store_home : c->options->home;
}

// coordinator_gpus.c
// Whether the job can start now, and on which GPU: the one with the most room (*gpu NO_GPU when there are none to hand
// out). A run that crashed next to others is tried again alone.
bool coordinator_place(const struct coordinator *c, const struct job *job, int *gpu);
// Whether there is a place that holds the job's estimate alone.
bool coordinator_fits(const struct coordinator *c, const struct job *job);
int coordinator_gpu_of(const struct coordinator *c, const char *folder, pid_t pid);  // of a worker that was adopted

// coordinator.c
void coordinator_signal(const struct worker *worker, int signal);  // to a worker and its group

// coordinator_chain.c
// Notes what run i of the set follows (NO_JOB: nothing), in the order of the set.
void coordinator_link(struct coordinator *c, size_t i, size_t parent);
// Queues a run that is to be done, or lets it wait for its parent. One that cannot be started stays pending and says
// why, with all that follow it.
bool coordinator_queue(struct coordinator *c, struct job *job, struct error *error);
// A run ended or was cancelled: those that wait for it are queued, or told. Done after all, those that were held back
// for it are queued.
bool coordinator_release(struct coordinator *c, const struct job *parent, struct error *error);
// A run is to be trained after all: what follows it, and was held back for it, waits for it again.
bool coordinator_await(struct coordinator *c, const struct job *parent, struct error *error);

// coordinator_trunk.c
// Finds out which runs that are to be done can begin from another's checkpoint. States are known.
void coordinator_find_trunks(struct coordinator *c);
// Whether the run must wait for its trunk; where that will not bring the checkpoint it trains alone, which is reported.
bool coordinator_awaits_trunk(struct coordinator *c, struct job *job);
// Queues those that need not wait any more.
void coordinator_release_branches(struct coordinator *c);
bool coordinator_branches_off(const struct job *job);
// Puts into c->described.file what the run's worker has to know; in the arena.
void coordinator_name_trunk(struct coordinator *c, const struct job *job, struct arena *arena);
// A run has its result: removes the checkpoints of its trunk, or its own, that no branch needs any more.
void coordinator_leave_trunk(struct coordinator *c, const struct job *ended);

// coordinator_limits.c
// Tells a worker that is silent for too long, or ends it; stops one that is over its time.
bool coordinator_watch_limits(struct coordinator *c, struct worker *worker, struct error *error);
// How many processes the system has killed for want of memory, here and in our control group, as far as it says.
long long coordinator_oom_kills(void);

// coordinator_marks.c
// Reads what was asked of runs, when somebody wrote to the store since: holds runs back and stops those at work, queues
// those that may start again. At once, with `first`, for what was asked before.
bool coordinator_follow_marks(struct coordinator *c, bool first, struct error *error);
// A worker that was stopped for a mark ended without a result. In a transaction.
bool coordinator_settle_marked(struct coordinator *c, struct worker *worker, struct error *error);
// A run that is to be tried again after it ended: puts it in the queue.
bool coordinator_queue_again(struct coordinator *c, struct job *job, struct error *error);

// coordinator_meter.c
// Shares out the machine's time and energy now and then; before and after a worker is started (coordinator_describe has
// its job), and once it is over: then its columns are written, in a transaction. Only the store's faults are errors.
void coordinator_meter_round(struct coordinator *c);
void coordinator_meter_start(struct coordinator *c);
void coordinator_meter_started(struct coordinator *c, struct worker *worker, const struct worker_command *command,
                               bool first);
bool coordinator_meter_settle(struct coordinator *c, struct worker *worker, struct error *error);
void coordinator_meter_end(struct coordinator *c);

// coordinator_faults.c
bool coordinator_disk_is_full(const char *path);
// True when the machine let the run down: its disk, a program or library that is missing, what the trainer says by its
// exit code. `said`: why it ended, in words.
bool coordinator_blames_environment(const struct coordinator *c, const struct worker *worker, const char *said);
// A worker ended without a result: notes whether all runs fail at once (c->fault).
void coordinator_note_fault(struct coordinator *c, struct worker *worker, bool environment, const char *message);
// A run is put off, since the machine let it down: after three in a row the others are not tried (c->fault).
void coordinator_put_off(struct coordinator *c, const char *message);
// The home is that of our beginning; else an error.
void coordinator_look_at_home(struct coordinator *c);
bool coordinator_home_there(const struct coordinator *c, struct error *error);
enum exit_code coordinator_fault_error(const struct coordinator *c, struct error *error);  // why runs were put off

// coordinator_jobs.c
// Registers experiment and runs, reads their states, takes over what an earlier coordinator left: adopts living
// workers, reads the logs of dead ones, queues what is to be trained.
bool coordinator_register(struct coordinator *c, struct error *error);
void coordinator_describe(struct coordinator *c, const struct job *job);  // into c->described
struct worker *coordinator_add_worker(struct coordinator *c, struct job *job);
void coordinator_remove_worker(struct coordinator *c, size_t i);
// True when the worker wrote anything; what is in the log otherwise is an earlier one's.
bool coordinator_wrote(const struct worker *worker);
// Reads what is new in the worker's log into the store, in a transaction of its own.
bool coordinator_read_log(struct coordinator *c, struct worker *worker, struct error *error);
// The same in a transaction of the caller's.
bool coordinator_ingest_log(struct coordinator *c, struct worker *worker, struct error *error);
bool coordinator_set_state(struct coordinator *c, struct job *job, enum run_state state, const char *message,
                           struct error *error);
// The run's results, when its log ends in one; measured_seconds where the log has no time, NAN: not known. In a
// transaction of the caller's.
bool coordinator_put_result(struct coordinator *c, struct job *job, const struct run_log *log, double measured_seconds,
                            struct error *error);

// coordinator_settle.c
// The run failed without another try, with this message.
bool coordinator_fail(struct coordinator *c, struct worker *worker, const char *message, struct error *error);
// The worker ended: reads the rest of its log and decides what becomes of the run.
bool coordinator_settle(struct coordinator *c, struct worker *worker, struct error *error);
