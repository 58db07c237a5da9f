// Where runs go: cores, and GPUs by their memory. See coordinator_state.h.
#include <math.h>
#include <string.h>

#include "runner/execute/coordinator_state.h"

static int busy_cores(const struct coordinator *c) {
  int busy = 0;
  for (size_t i = 0; i < c->worker_count; i++) busy += c->workers[i]->job->threads;
  return busy;
}

struct load {
  size_t runs;
  double bytes;  // of their estimates; NAN: one is not known
  bool alone;    // one of them must not have company
};

// A run that crashed may have done so for want of memory.
static bool wants_it_alone(const struct job *job) { return job->failures > 0; }

static struct load load_of(const struct coordinator *c, int gpu) {
  struct load load = {0};
  for (size_t i = 0; i < c->worker_count; i++) {
    const struct worker *worker = c->workers[i];
    if (worker->gpu != gpu) continue;
    load.runs++;
    load.bytes += worker->job->memory;
    load.alone = load.alone || wants_it_alone(worker->job);
  }
  return load;
}

// Bytes that stay free when the job goes there (more is better), or -1 when it cannot.
static double room(const struct coordinator *c, const struct job *job, int gpu) {
  const struct coordinator_options *options = c->options;
  struct load load = load_of(c, gpu);
  if (options->gpus.items[gpu].exclusive && load.runs > 0) return -1;
  if (options->per_gpu > 0) return load.runs < (size_t)options->per_gpu ? (double)(options->per_gpu - load.runs) : -1;
  double bytes = options->gpus.items[gpu].bytes;
  if (load.runs == 0) return isnan(bytes) ? HUGE_VAL : bytes;
  // Beside others only where all is known, and while there are cores: each run keeps one busy.
  double left = bytes - load.bytes - job->memory;
  bool company = !load.alone && !wants_it_alone(job) && busy_cores(c) + job->threads <= c->cores;
  return company && left >= 0 ? left : -1;
}

// Whether the job's estimate fits next to those at work. A run alone always starts: what fits nowhere was refused
// before.
static bool memory_holds(const struct coordinator *c, const struct job *job) {
  double bytes = isnan(job->memory) ? 0 : job->memory;
  for (size_t i = 0; i < c->worker_count; i++)
    if (!isnan(c->workers[i]->job->memory)) bytes += c->workers[i]->job->memory;
  return c->worker_count == 0 || !(c->options->memory > 0) || bytes <= c->options->memory;
}

bool coordinator_fits(const struct coordinator *c, const struct job *job) {
  const struct coordinator_options *options = c->options;
  if (isnan(job->memory)) return true;
  if (options->gpus.count == 0) return !(options->memory > 0) || job->memory <= options->memory;
  for (size_t i = 0; i < options->gpus.count; i++)
    if (!(job->memory > options->gpus.items[i].bytes)) return true;
  return false;
}

bool coordinator_place(const struct coordinator *c, const struct job *job, int *gpu) {
  const struct coordinator_options *options = c->options;
  *gpu = NO_GPU;
  if (options->jobs > 0 && c->worker_count >= (size_t)options->jobs) return false;
  if (options->gpus.count == 0)
    return memory_holds(c, job) &&
           (options->jobs > 0 || c->worker_count == 0 || busy_cores(c) + job->threads <= c->cores);
  double most = -1;
  for (int i = 0; i < (int)options->gpus.count; i++) {
    double here = room(c, job, i);
    if (here <= most) continue;
    most = here;
    *gpu = i;
  }
  return *gpu != NO_GPU;
}

int coordinator_gpu_of(const struct coordinator *c, const char *folder, pid_t pid) {
  struct arena scratch = {0};
  const char *name = c->options->gpus.count ? worker_gpu(&scratch, folder, pid) : NULL;
  int gpu = NO_GPU;
  for (size_t i = 0; name && i < c->options->gpus.count; i++)
    if (strcmp(c->options->gpus.items[i].name, name) == 0) gpu = (int)i;
  arena_free(&scratch);
  return gpu;
}
