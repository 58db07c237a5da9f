// See keeper.h.
#include "runner/slurm/keeper.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "results/store.h"
#include "runner/execute/worker.h"
#include "runner/slurm/claim.h"

static const long round_nanoseconds = 250 * 1000 * 1000;
static const double marks_seconds = 1;

static volatile sig_atomic_t asked_to_stop;

static void stop_once(void) {
  if (asked_to_stop) return;  // a second signal would kill the runs
  asked_to_stop = 1;
  kill(getpid(), SIGTERM);
}

static void on_signal(int number) { stop_once(); }

void keeper_signals(void) {
  struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGUSR1, &action, NULL);
}

// ---- a lease that is lost ----

static volatile sig_atomic_t frozen;

static void freeze(int number) {
  frozen = 1;
  for (;;) pause();
}

// The coordinator, on the thread that started the keeper, does nothing more: it would start again what is ended.
static void freeze_coordinator(const struct keeper *keeper) {
  enum { PATIENCE = 200 };
  const struct timespec pause_time = {.tv_nsec = 10 * 1000 * 1000};
  struct sigaction action = {.sa_handler = freeze};
  sigfillset(&action.sa_mask);
  sigaction(SIGRTMIN, &action, NULL);
  pthread_kill(keeper->coordinator, SIGRTMIN);
  for (int i = 0; i < PATIENCE && !frozen; i++) nanosleep(&pause_time, NULL);
}

// Hands what the runs' folders ask to the coordinator, which follows the marks of its store.
static void follow_marks(const struct keeper *keeper, enum run_mark *known, struct store **store) {
  for (size_t i = 0; i < keeper->count; i++) {
    struct arena scratch = {0};
    struct error ignored = {0};
    char by[96];
    enum run_mark mark = held_read(run_folder(&scratch, keeper->home, keeper->ids[i]), by);
    arena_free(&scratch);
    if (mark == known[i]) continue;
    if (!*store) *store = store_open(keeper->store_path, STORE_WRITE, &ignored);
    // Not there yet, or busy: the next round tries again.
    if (*store && store_mark_set(*store, keeper->ids[i], mark, by, &ignored)) known[i] = mark;
  }
}

static void *keep(void *argument) {
  struct keeper *keeper = argument;
  enum run_mark *known = memory_get((keeper->count + 1) * sizeof *known);
  struct store *store = NULL;
  double beat = clock_seconds(), looked = beat;
  for (; !atomic_load(&keeper->ending); nanosleep(&(struct timespec){.tv_nsec = round_nanoseconds}, NULL)) {
    double now = clock_seconds();
    if (keeper->deadline > 0 && !asked_to_stop && clock_wall() >= keeper->deadline) {
      fprintf(stderr, "the job's time ends: the runs write a checkpoint and stop\n");
      stop_once();
    }
    if (now >= looked + marks_seconds) {
      follow_marks(keeper, known, &store);
      looked = now;
    }
    if (now < beat + LEASE_BEAT_SECONDS) continue;
    beat = now;
    if (lease_beat(keeper->lease)) continue;
    // Somebody believes us dead and continues with our runs: nothing more may be written to them.
    freeze_coordinator(keeper);
    worker_end_orphans(keeper->home);
    fprintf(stderr, "another job has taken over this task: everything is ended at once\n");
    _exit(EXIT_ENVIRONMENT);
  }
  store_close(store);
  free(known);
  return NULL;
}

bool keeper_start(struct keeper *keeper, struct error *error) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the coordinator's
  atomic_init(&keeper->ending, false);
  keeper->coordinator = pthread_self();
  int code = pthread_create(&keeper->thread, NULL, keep, keeper);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code == 0 || error_set(error, EXIT_ENVIRONMENT, "cannot start a thread");
}

void keeper_stop(struct keeper *keeper) {
  atomic_store(&keeper->ending, true);
  pthread_join(keeper->thread, NULL);
  keeper->time_over = asked_to_stop;
}
