// What Slurm says of jobs. Its word is a hint: a state that we do not know, an error and an answer that lacks a job
// mean nothing, and change nothing.
#pragma once
#include "runner/slurm/submission.h"

// Why a task ended.
enum slurm_end {
  SLURM_UNKNOWN,  // no state that we know, or none at all
  SLURM_ACTIVE,   // waits or runs
  SLURM_COMPLETED,
  SLURM_FAILED,  // its program ended with an error
  SLURM_CANCELLED,
  SLURM_TIMED_OUT,
  SLURM_PREEMPTED,
  SLURM_NODE_FAILED,
  SLURM_OUT_OF_MEMORY,
  SLURM_ENDS
};
enum slurm_end slurm_end_of(const char *state);   // of Slurm's word: "TIMEOUT"; "CANCELLED by 0" too
const char *slurm_end_words(enum slurm_end end);  // "reached its time limit"

struct queued {
  const char *job, *state, *reason, *node, *name;  // job: of the array
  int64_t task;
};
struct queue {
  bool answered;     // squeue did, without an error
  const char *said;  // else: what it said
  struct queued *items;
  size_t count;
};
// Our own jobs, those too that ended not long ago.
void queue_ask(struct queue *queue, struct arena *arena);
const struct queued *queue_find(const struct queue *queue, const char *job, size_t task);
// The array of this name; NULL: there is none.
const char *queue_find_name(const struct queue *queue, const char *name);
// What accounting says of an array's tasks, [submission->task_count] Slurm's words, NULL where it says nothing; NULL
// where there is no accounting.
const char **accounting_ask(struct arena *arena, const struct submission *submission);

// What bounds an array, by `scontrol show config`, and how many jobs Slurm has in all; 0: not known.
struct slurm_limits {
  int64_t array_size, jobs, present;
};
void slurm_limits_ask(struct slurm_limits *limits, struct arena *arena);
