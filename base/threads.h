// How many cores there are for us, and loops over independent pieces of work on several threads.
#pragma once
#include <stddef.h>

// The cores that this process may use: those of its affinity (taskset, a cpuset), fewer where a control group limits
// its CPU time. At least 1.
int cores_usable(void);

// As many threads as asked for; 0 or less: as many as cores_usable. At most 256.
int threads_wanted(int asked);

// Calls body(context, i, thread) for every i below count, on threads_wanted(threads) threads, the caller's among them;
// `thread` is below that number. Which thread takes which i is left open, so a body writes only to places of its i and
// to memory of its thread: then results do not depend on the number of threads. Where the system gives fewer threads,
// those do all the work.
typedef void threads_body(void *context, size_t index, int thread);
void threads_each(size_t count, int threads, threads_body *body, void *context);
