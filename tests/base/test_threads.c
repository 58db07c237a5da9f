// Clocks, the count of cores, and loops over threads.
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "tests/check.h"

static void clocks_go_on(void) {
  double start = clock_seconds(), worked = clock_thread_seconds();
  CHECK(fabs(clock_wall() - (double)time(NULL)) < 2);
  nanosleep(&(struct timespec){.tv_nsec = 60 * 1000 * 1000}, NULL);
  double passed = clock_seconds() - start;
  CHECK(passed >= 0.06 && passed < 60);
  CHECK(clock_thread_seconds() - worked < 0.05);  // asleep
  for (volatile int64_t i = 0; i < 1000000; i++) continue;
  CHECK(clock_thread_seconds() > worked);
}

static void cores_are_those_of_the_affinity(void) {
  cpu_set_t all, one;
  CHECK(sched_getaffinity(0, sizeof all, &all) == 0);
  CHECK(cores_usable() >= 1 && cores_usable() <= CPU_COUNT(&all));
  int first = 0;
  while (!CPU_ISSET(first, &all)) first++;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
  CHECK(cores_usable() == 1 && threads_wanted(0) == 1 && threads_wanted(-3) == 1);
  CHECK(sched_setaffinity(0, sizeof all, &all) == 0);
  CHECK(threads_wanted(7) == 7 && threads_wanted(100000) == 256);
}

// A /proc and /sys of our making.
static void put(const char *root, const char *path, const char *text) {
  struct arena arena = {0};
  struct error error = {0};
  char *full = path_join(&arena, root, path);
  char *slash = strrchr(full, '/');
  *slash = '\0';
  CHECK(folder_make(full, &error));
  *slash = '/';
  CHECK(file_write_atomic(full, text, strlen(text), &error));
  arena_free(&arena);
}

static void memory_is_the_least_of_machine_and_groups(void) {
  char root[] = "/tmp/isoloss-machine-XXXXXX";
  const char *limit = NULL;
  CHECK(mkdtemp(root) != NULL);
  CHECK(isinf(memory_usable_under(root, &limit)));
  put(root, "proc/meminfo", "MemTotal:        1000 kB\nMemFree:          10 kB\n");
  CHECK(memory_usable_under(root, &limit) == 1024000 && strcmp(limit, "this machine") == 0);
  put(root, "proc/self/cgroup", "12:cpu:/x\n0::/a/b\n");
  put(root, "sys/fs/cgroup/a/b/memory.max", "max\n");
  CHECK(memory_usable_under(root, &limit) == 1024000);
  put(root, "sys/fs/cgroup/a/memory.max", "500000\n");  // of the group around ours
  CHECK(memory_usable_under(root, &limit) == 500000 && strcmp(limit, "this control group") == 0);
  put(root, "sys/fs/cgroup/a/b/memory.max", "400000\n");
  CHECK(memory_usable_under(root, NULL) == 400000);
  put(root, "sys/fs/cgroup/memory.max", "300000\n");  // a container's mount shows its own group
  CHECK(memory_usable_under(root, NULL) == 300000);
  put(root, "proc/self/cgroup", "4:memory:/c\n");  // version 1
  put(root, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  CHECK(memory_usable_under(root, &limit) == 1024000 && strcmp(limit, "this machine") == 0);
  put(root, "sys/fs/cgroup/memory/c/memory.limit_in_bytes", "200000\n");
  CHECK(memory_usable_under(root, NULL) == 200000);
  CHECK(memory_usable(NULL) > 1 << 20);
  CHECK(folder_remove(root, &(struct error){0}));
}

enum { PIECES = 5000 };

struct visits {
  int limit;  // threads
  atomic_bool outside;
  unsigned char count[PIECES];
  double result[PIECES];
};

static void visit(void *context, size_t i, int thread) {
  struct visits *visits = context;
  if (thread < 0 || thread >= visits->limit || i >= PIECES) {
    atomic_store(&visits->outside, true);
    return;
  }
  visits->count[i]++;
  visits->result[i] = sin((double)i);
}

static void every_piece_is_done_once_by_any_number_of_threads(void) {
  static const int threads[] = {1, 2, 3, 17};
  static const size_t pieces[] = {0, 1, 2, 16, PIECES};
  struct visits *visits = memory_get(sizeof *visits);
  for (size_t t = 0; t < sizeof threads / sizeof *threads; t++)
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
      memset(visits, 0, sizeof *visits);
      visits->limit = threads[t];
      threads_each(pieces[p], threads[t], visit, visits);
      CHECK(!visits->outside);
      bool once = true, same = true;
      for (size_t i = 0; i < PIECES; i++) {
        once = once && visits->count[i] == (i < pieces[p]);
        same = same && visits->result[i] == (i < pieces[p] ? sin((double)i) : 0);
      }
      CHECK(once && same);
    }
  free(visits);
}

static void note_thread(void *context, size_t i, int thread) {
  atomic_int *meeting = context;
  // The first two pieces wait for each other: only two threads can do both.
  if (i < 2) {
    atomic_fetch_add(meeting, 1);
    for (int wait = 0; atomic_load(meeting) < 2 && wait < 10000; wait++)
      nanosleep(&(struct timespec){.tv_nsec = 1000 * 1000}, NULL);
  }
}

static void pieces_are_done_at_the_same_time(void) {
  atomic_int meeting = 0;
  double start = clock_seconds();
  threads_each(2, 2, note_thread, &meeting);
  CHECK(meeting == 2 && clock_seconds() - start < 9);
}

int main(void) {
  RUN(clocks_go_on);
  RUN(memory_is_the_least_of_machine_and_groups);
  RUN(cores_are_those_of_the_affinity);
  RUN(every_piece_is_done_once_by_any_number_of_threads);
  RUN(pieces_are_done_at_the_same_time);
  return check_end();
}
