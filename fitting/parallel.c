// Loops over independent pieces of work on several threads.
#include "fitting/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { THREAD_LIMIT = 256 };

struct loop {
  atomic_size_t next;
  size_t count;
  void (*body)(void *context, size_t index, int thread);
  void *context;
};

struct worker {
  struct loop *loop;
  int thread;
  pthread_t handle;
};

int parallel_threads(int threads) {
  if (threads <= 0) {
    cpu_set_t set;
    threads = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  }
  return threads < 1 ? 1 : threads > THREAD_LIMIT ? THREAD_LIMIT : threads;
}

static void *work(void *argument) {
  struct worker *worker = argument;
  struct loop *loop = worker->loop;
  for (size_t i; (i = atomic_fetch_add(&loop->next, 1)) < loop->count;) loop->body(loop->context, i, worker->thread);
  return NULL;
}

void parallel_tasks(size_t count, int threads, void (*body)(void *context, size_t index, int thread), void *context) {
  struct loop loop = {.count = count, .body = body, .context = context};
  struct worker workers[THREAD_LIMIT];
  int wanted = parallel_threads(threads), started = 1;
  if ((size_t)wanted > count) wanted = count ? (int)count : 1;
  for (; started < wanted; started++) {
    workers[started] = (struct worker){.loop = &loop, .thread = started};
    if (pthread_create(&workers[started].handle, NULL, work, &workers[started])) break;  // fewer threads do it too
  }
  workers[0] = (struct worker){.loop = &loop};
  work(&workers[0]);
  for (int i = 1; i < started; i++) pthread_join(workers[i].handle, NULL);
}
