// Running a pass over a range of rows (or blocks, heads, elements) on the device's threads.
#pragma once
#include <stdint.h>

// A pass works on items [begin, end) of a call; `worker` is below the thread count and picks per-thread scratch.
typedef void range_pass(const void *call, int64_t begin, int64_t end, int worker);

// Runs `pass` over [0, count) on up to `threads` threads, the caller among them, and returns when all is done. Parts
// are contiguous and begin at multiples of `grain`, so that what a pass sums within a grain does not depend on the
// thread count.
void parallel_ranges(int threads, int64_t count, int64_t grain, range_pass *pass, const void *call);

// The largest thread count that parallel_ranges can use in this build.
int parallel_limit(void);
// Tells the OpenMP runtime, which oneDNN asks, how many threads this thread's regions may have.
void parallel_set_library_threads(int threads);

// Float32 subnormals cost a hundred times an ordinary operation on many CPUs and mean nothing here (a moment that
// decays after its token was last seen walks through them for hundreds of steps): between these two calls the calling
// thread treats them as zero. Worker threads do so always.
unsigned subnormals_flush(void);
void subnormals_restore(unsigned state);
// Sets up the workers for a device of this many threads.
void parallel_open(int threads);
