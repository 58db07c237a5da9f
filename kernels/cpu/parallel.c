// Threads through OpenMP: oneDNN brings its runtime into the process anyway, and one pool of threads beats two.
#include "kernels/cpu/parallel.h"

#include <omp.h>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

int parallel_limit(void) { return 1024; }

void parallel_set_library_threads(int threads) { omp_set_num_threads(threads); }

void parallel_ranges(int threads, int64_t count, int64_t grain, range_pass *pass, const void *call) {
  if (count <= 0) return;
  int64_t grains = (count + grain - 1) / grain;
  int workers = (int)(grains < threads ? grains : threads);
  unsigned state = subnormals_flush();
  if (workers <= 1) {  // no parallel region: a one-thread run must not touch the pool
    pass(call, 0, count, 0);
    subnormals_restore(state);
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
  subnormals_restore(state);
}

void parallel_open(int threads) {
  if (threads <= 1) return;
  unsigned state = subnormals_flush();
#pragma omp parallel num_threads(threads)
  subnormals_flush();
  subnormals_restore(state);
}

// The flush-to-zero and denormals-are-zero bits of the SSE control register; on Arm FPCR.FZ, bit 24, which is both for
// float32 (Arm Architecture Reference Manual, "FPCR, Floating-point Control Register").
unsigned subnormals_flush(void) {
#if defined(__SSE2__)
  unsigned state = _mm_getcsr();
  _mm_setcsr(state | 0x8040);
  return state;
#elif defined(__aarch64__)
  uint64_t state;
  __asm__ volatile("mrs %0, fpcr" : "=r"(state));
  __asm__ volatile("msr fpcr, %0" : : "r"(state | 1u << 24));
  return (unsigned)state;
#else
  return 0;
#endif
}

void subnormals_restore(unsigned state) {
#if defined(__SSE2__)
  _mm_setcsr(state);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)state));
#endif
}
