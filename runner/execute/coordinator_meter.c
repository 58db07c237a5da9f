// What workers were started from and on, and their shares of the machine's time and energy: RUN/provenance.jsonl.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runner/execute/coordinator_state.h"

static const double reading_seconds = 5;  // counters run over within minutes at the earliest

struct metering {
  struct meter *meter;
  const char *common;
  double shared_at;  // monotonic: until when time and energy have been shared out
  double *gpu_joules;
  size_t *gpu_workers;
  bool told;  // that something could not be kept
};

static struct metering *begin(struct coordinator *c, bool gpus) {
  static const struct provenance_source unknown;
  struct metering *metering = arena_alloc(&c->arena, sizeof *metering);
  metering->meter = meter_of_machine(gpus);
  metering->common = provenance_common(c->options->source ? c->options->source : &unknown, metering->meter, &c->arena);
  size_t count = meter_gpu_count(metering->meter) + 1;
  metering->gpu_joules = arena_array(&c->arena, count, sizeof *metering->gpu_joules);
  metering->gpu_workers = arena_array(&c->arena, count, sizeof *metering->gpu_workers);
  metering->shared_at = clock_seconds();
  return metering;
}

void coordinator_meter_end(struct coordinator *c) {
  if (c->metering) meter_close(c->metering->meter);
}

// The counters of the GPUs that the worker sees, as bits. Numbers mean the same to CUDA as to NVML only in the order of
// the bus, or where all GPUs are alike.
static uint64_t counters_of(const struct metering *metering, const char *visible, bool by_bus) {
  const struct meter *meter = metering->meter;
  size_t count, gpus = meter_gpu_count(meter);
  struct arena scratch = {0};
  const char *order = getenv("CUDA_DEVICE_ORDER");
  uint64_t bits = 0;
  by_bus = by_bus || (order && strcmp(order, "PCI_BUS_ID") == 0);
  for (size_t i = 1; i < gpus && !by_bus; i++)
    if (strcmp(meter_gpu_name(meter, 0), meter_gpu_name(meter, i)) != 0) gpus = 0;
  const char **names = text_split(&scratch, visible, ",", &count);
  for (size_t i = 0; i < count && gpus; i++) {
    int gpu = meter_gpu_find(meter, names[i]);
    if (gpu >= 0 && gpu < 64) bits |= (uint64_t)1 << gpu;
  }
  arena_free(&scratch);
  return bits;
}

static void share_energy(struct coordinator *c, struct worker *worker, double part, double processors, double seconds) {
  const struct metering *metering = c->metering;
  bool read = meter_reads_processors(metering->meter);
  double joules = read ? part * processors : 0;
  for (size_t i = 0; i < meter_gpu_count(metering->meter); i++) {
    if (!(worker->gpu_bits >> i & 1)) continue;
    joules += metering->gpu_joules[i] / (double)metering->gpu_workers[i];
    read = true;
  }
  if (!read || isnan(joules)) return;
  worker->share.joules = (isnan(worker->share.joules) ? 0 : worker->share.joules) + joules;
  worker->share.joules_seconds += seconds;
}

// Shares out what was used since the last time among the workers that were at work since.
static void share_out(struct coordinator *c) {
  struct metering *metering = c->metering;
  double now = clock_seconds(), seconds = now - metering->shared_at, processors, threads = 0;
  size_t gpus = meter_gpu_count(metering->meter);
  metering->shared_at = now;
  meter_read(metering->meter, &processors, metering->gpu_joules);
  for (size_t i = 0; i < gpus; i++) metering->gpu_workers[i] = 0;
  for (size_t i = 0; i < c->worker_count; i++) {
    threads += c->workers[i]->job->threads > 0 ? c->workers[i]->job->threads : 1;
    for (size_t g = 0; g < gpus; g++) metering->gpu_workers[g] += c->workers[i]->gpu_bits >> g & 1;
  }
  for (size_t i = 0; i < c->worker_count; i++) {
    struct worker *worker = c->workers[i];
    double part = (worker->job->threads > 0 ? worker->job->threads : 1) / threads;
    worker->share.machine_seconds += part * seconds;
    share_energy(c, worker, part, processors, seconds);
  }
}

void coordinator_meter_round(struct coordinator *c) {
  if (!c->worker_count) return;
  if (!c->metering) c->metering = begin(c, c->options->gpus.count > 0 || c->options->command);
  if (clock_seconds() > c->metering->shared_at + reading_seconds) share_out(c);
}

void coordinator_meter_start(struct coordinator *c) {
  bool gpus =
      c->options->gpus.count > 0 || c->options->command || strcmp(c->described.file.config.model.device, "cuda") == 0;
  if (!c->metering) c->metering = begin(c, gpus);
  share_out(c);
}

static void tell(struct coordinator *c, const struct error *fault) {
  if (!c->metering->told)
    progress_note(&c->progress, true, "what runs are trained from and on cannot be kept: %s", fault->text);
  c->metering->told = true;
}

void coordinator_meter_started(struct coordinator *c, struct worker *worker, const struct worker_command *command) {
  struct error fault = {0};
  const char *given = worker->gpu == NO_GPU ? NULL : c->options->gpus.items[worker->gpu].name, *visible = given;
  bool cuda = strcmp(c->described.file.config.model.device, "cuda") == 0;
  if (!visible && (cuda || c->options->command)) visible = getenv("CUDA_VISIBLE_DEVICES");
  if (!visible && cuda) visible = "0";
  if (visible && !given && cuda && !c->options->command)
    visible = arena_copy(&worker->arena, visible, strcspn(visible, ","));
  worker->gpu_bits = visible ? counters_of(c->metering, visible, given != NULL) : 0;
  if (!provenance_begin(worker->folder, c->metering->common, command->environment, visible, c->metering->meter, &fault))
    tell(c, &fault);
}

bool coordinator_meter_settle(struct coordinator *c, struct worker *worker, struct error *error) {
  struct error fault = {0};
  if (!c->metering) c->metering = begin(c, false);
  share_out(c);
  if (!provenance_end(worker->folder, &worker->share, meter_source(c->metering->meter), &fault)) tell(c, &fault);
  return provenance_ingest(c->store, worker->job->id, worker->folder, error);
}
