// The coordinator: makes the set of finished runs equal a given set. It is the only writer of experiments, runs and
// metrics of its store, of which there is one at a time (coordinator.lock); workers are child processes that write
// event logs (docs/events.md) into run folders. What it knows it has from logs and store, so it may be killed at any
// point: workers go on, the next coordinator adopts those that live, reads the rest of the logs, and starts what is
// missing.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/base.h"
#include "results/store.h"
#include "runner/execute/gpus.h"
#include "trainer/config.h"

// One run of the set, as the caller describes it when asked.
struct coordinator_run {
  struct run_file file;      // id, corpus, resolved configuration: becomes the run's config.json
  struct run_record record;  // what the store keeps; record.config may be left NULL: it is file.config
  int64_t stop_step;         // where it stops, for others that decide whether it continues; 0: at its end
  size_t parent;             // the number of the run whose checkpoint it reads, before it in the set; SIZE_MAX: none
  double seconds;            // estimated duration, or NAN
  double work;               // FLOPs, as runs are weighed by; NAN: those of record.quantities
  double memory;             // estimated bytes on its device, its process included, or NAN
  char label[96];            // what sets it apart from the others, for people: "width 64, lr 0.002"
};

struct plan_halving;
struct provenance_source;

struct coordinator_set {
  size_t count;
  void *context;
  void (*describe)(void *context, size_t i, struct coordinator_run *run);  // strings must live until the next call
  // [count], or NULL: all. The others belong to the experiment, but none of them is started; those at work already are
  // followed like other experiments' runs.
  const bool *chosen;
};

struct coordinator_options {
  const char *home;        // folder of the store and the runs
  const char *store_home;  // folder of the store, where it is another one; NULL: home
  const struct experiment_record *experiment;
  const struct provenance_source *source;  // git revisions, as runs keep them; NULL: none are known
  const char *const *command;              // argv of a custom trainer with {placeholders}; NULL: isoloss-train
  size_t command_count;
  int64_t jobs;  // runs side by side; 0: as many as the cores hold, by the runs' threads
  // GPUs to hand out by CUDA_VISIBLE_DEVICES; none: workers inherit ours. Runs on one GPU at a time: per_gpu, or 0: as
  // many as their estimated memory fits into, one where an estimate or the GPU's memory is not known.
  struct gpu_list gpus;
  int64_t per_gpu;
  double memory;                       // bytes that runs on the cores may take side by side, by their estimates; 0: any
  int64_t retries;                     // of a crashed run, from its last checkpoint
  double time_limit, stall_limit;      // seconds of a run, and of a worker without an event; 0: none
  bool retry_stalled;                  // such a worker is killed and its run tried again; else it is reported
  const struct plan_halving *halving;  // the worst of the runs that compete are stopped on the way; NULL: none
  bool fail_fast;                      // stop at the first run that failed
  bool keep_going;                     // do not stop when the first runs all fail at once
  bool retry_failed;
  bool share_trunks;         // runs that differ in length alone begin from the longest one's checkpoints
  const char *const *again;  // ids of runs of the set whose results are removed first
  size_t again_count;
  bool wait;       // for whoever else is at work on the store
  bool quiet;      // no progress, only warnings and errors
  FILE *messages;  // standard error
};

struct coordinator_outcome {
  size_t total, already;  // runs of the set that are chosen; those that were finished before
  size_t left_out;        // runs of the set that are not chosen; the other counts leave them out
  size_t done, diverged, failed, killed, pending;
  size_t blocked;          // of those pending: follow a run that failed or diverged, or whose checkpoint is gone
  size_t paused;           // held back by isoloss pause, of whichever other state
  size_t cancelled;        // left out by isoloss cancel: not in `total`
  size_t halved, waiting;  // stopped by halving; those that wait for runs that they compete with. Not killed ones
  bool interrupted;
};

// Runs the set. The result is EXIT_DONE when every chosen run that nobody cancelled is done, diverged or stopped by
// halving, EXIT_RUNS_FAILED when some are not (outcome says), EXIT_ENVIRONMENT (or the workers' own code) with an
// error when it could not go on: another coordinator holds the store, the database or disk failed, the first runs all
// failed.
enum exit_code coordinator_execute(const struct coordinator_set *set, const struct coordinator_options *options,
                                   struct coordinator_outcome *outcome, struct error *error);
