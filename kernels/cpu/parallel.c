// Threads through OpenMP: oneDNN brings its runtime into the process anyway, and one pool of threads beats two.
#include "kernels/cpu/parallel.h"

#include <omp.h>

int parallel_limit(void) { return 1024; }

void parallel_set_library_threads(int threads) { omp_set_num_threads(threads); }

void parallel_for(int threads, int64_t count, int64_t grain, range_pass *pass, const void *call) {
  if (count <= 0) return;
  int64_t grains = (count + grain - 1) / grain;
  int workers = (int)(grains < threads ? grains : threads);
  if (workers <= 1) {  // no parallel region: a one-thread run must not touch the pool
    pass(call, 0, count, 0);
    return;
  }
#pragma omp parallel num_threads(workers)
  {
    int worker = omp_get_thread_num(), present = omp_get_num_threads();
    // Whoever did not come (a limit on threads) leaves its part to the others.
    for (int part = worker; part < workers; part += present) {
      int64_t begin = grains * part / workers * grain, end = grains * (part + 1) / workers * grain;
      if (end > count) end = count;
      pass(call, begin, end, worker);
    }
  }
}
