#pragma once
#include <stddef.h>

// Calls body(context, i, thread) for every i below count, on `threads` threads (0: as many as cores); thread is below
// the number returned by parallel_threads(threads). Which thread takes which i is left open, so a body writes only to
// places of its own i and to memory of its own thread.
void parallel_tasks(size_t count, int threads, void (*body)(void *context, size_t index, int thread), void *context);
int parallel_threads(int threads);
