// N emulated devices, each worked on by a thread of its own.
#pragma once
#include <pthread.h>
#include <stdlib.h>

#include "kernels/ops.h"
#include "tests/check.h"

enum { MOST_RANKS = 4 };
void isoloss_emulator_devices(int count);

// Calls `work` for each rank at once and waits for all.
struct rank_call {
  void (*work)(void *context, int rank);
  void *context;
  int rank;
};
static void *rank_begin(void *argument) {
  struct rank_call *call = argument;
  call->work(call->context, call->rank);
  return NULL;
}
static inline void ranks_run(int ranks, void (*work)(void *context, int rank), void *context) {
  struct rank_call calls[MOST_RANKS];
  pthread_t threads[MOST_RANKS];
  for (int i = 0; i < ranks; i++) {
    calls[i] = (struct rank_call){work, context, i};
    if (pthread_create(&threads[i], NULL, rank_begin, &calls[i]) != 0) exit(1);
  }
  for (int i = 0; i < ranks; i++) pthread_join(threads[i], NULL);
}
