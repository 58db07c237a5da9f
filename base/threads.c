// See threads.h.
#include "base/threads.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { THREAD_LIMIT = 256 };

// ---- cores ----

// The share of a control group's folder in cores: quota over period of its cpu.max; INFINITY where it has no limit.
static double group_cores(const char *folder) {
  char path[4200];
  double quota, period;
  snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", folder);
  FILE *file = fopen(path, "r");
  if (!file) return INFINITY;
  bool limited = fscanf(file, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0;
  fclose(file);
  return limited ? quota / period : INFINITY;
}

// The least share among our control group and those around it (version 2: the line "0::/PATH").
static double quota_cores(void) {
  char line[4096], *folder = NULL;
  FILE *file = fopen("/proc/self/cgroup", "r");
  while (file && !folder && fgets(line, sizeof line, file))
    if (strncmp(line, "0::/", 4) == 0) folder = line + 3;
  if (file) fclose(file);
  double least = group_cores("");
  if (!folder) return least;
  folder[strcspn(folder, "\n")] = '\0';
  for (char *end = folder + strlen(folder); end > folder; end = strrchr(folder, '/')) {
    *end = '\0';
    least = fmin(least, group_cores(folder));
  }
  return least;
}

int cores_usable(void) {
  cpu_set_t set;
  long cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : sysconf(_SC_NPROCESSORS_ONLN);
  double quota = ceil(quota_cores());
  if (quota < (double)cores) cores = (long)quota;
  return cores < 1 ? 1 : (int)cores;
}

// ---- loops ----

int threads_wanted(int asked) {
  int threads = asked > 0 ? asked : cores_usable();
  return threads > THREAD_LIMIT ? THREAD_LIMIT : threads;
}

struct loop {
  atomic_size_t next;
  size_t count;
  threads_body *body;
  void *context;
};

struct worker {
  struct loop *loop;
  int thread;
  pthread_t handle;
};

static void *work(void *argument) {
  struct worker *worker = argument;
  struct loop *loop = worker->loop;
  for (size_t i; (i = atomic_fetch_add(&loop->next, 1)) < loop->count;) loop->body(loop->context, i, worker->thread);
  return NULL;
}

void threads_each(size_t count, int threads, threads_body *body, void *context) {
  struct loop loop = {.count = count, .body = body, .context = context};
  struct worker workers[THREAD_LIMIT];
  int wanted = threads_wanted(threads), started = 1;
  if ((size_t)wanted > count) wanted = count ? (int)count : 1;
  for (; started < wanted; started++) {
    workers[started] = (struct worker){.loop = &loop, .thread = started};
    if (pthread_create(&workers[started].handle, NULL, work, &workers[started])) break;
  }
  workers[0] = (struct worker){.loop = &loop};
  work(&workers[0]);
  for (int i = 1; i < started; i++) pthread_join(workers[i].handle, NULL);
}
