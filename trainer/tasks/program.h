// What a run of a task does: a function that works, says how far it is, and reports its results. Locks, logs, signals
// and ends are run.c's.
#pragma once
#include "trainer/events.h"
#include "trainer/tasks/list.h"
#include "trainer/tasks/task.h"
#include "trainer/trainer.h"

struct task_run {
  struct arena arena;  // the run's: freed at its end
  const struct task *task;
  const void *settings;  // the task's struct, resolved
  uint64_t seed;
  int threads;
  double loss;  // where the task has one: what `done` says of it; NAN: nothing

  // run.c's own.
  struct run_file file;
  const char *folder;
  struct event_log log;
  const volatile sig_atomic_t *stop_asked;
  double begun;
  double *results;  // [task->result_count], NAN: not reported
  const char *unknown, *diverged;
};

// Works from the start to the end. False on error, when it was asked to stop (task_stopped) and after task_diverge.
typedef bool task_work(struct task_run *run, struct error *error);

#define DECLARE_WORK(name) task_work name##_work;
EACH_TASK(DECLARE_WORK)

struct task_program {
  const char *name;  // of the task
  task_work *work;
};
extern const struct task_program task_programs[];  // ends with a name of NULL; one for each task

// Whether the run was asked to stop: to be looked at at least about every second. Work then returns false at once; it
// begins anew when the run is started again.
bool task_stopped(const struct task_run *run);
// A point of the run's curves, a `step` event: after `step` steps (from 1, rising), of its training (`tokens` NAN: it
// counts none).
bool task_point(struct task_run *run, int64_t step, double tokens, double loss, struct error *error);
// A result by its name without the task's: "accuracy" of boolean.accuracy. What is not finite is left out.
void task_report(struct task_run *run, const char *name, double value);
// The run's end as a diverged one, and why (text that lasts as long as the run). Returns false.
bool task_diverge(struct task_run *run, const char *why);

// The run of a task's config.json, from its lock to its end. Exit codes as of trainer_run.
enum exit_code task_main(const struct trainer_options *options, struct error *error);
