// See runtime.h.
#include "kernels/cuda/emulator/runtime.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "kernels/cuda/emulator/execution.h"

namespace emulator {

struct graph_state {
  std::vector<std::function<void()>> work;
};
struct graph_program {
  std::vector<std::function<void()>> work;
};
struct waiting_work {
  std::function<bool()> ready;  // empty: once what is before it is done
  std::function<void()> work;
};
struct stream_state {
  int device;
  uint64_t work;         // pieces asked for
  graph_state *capture;  // where work goes instead, or NULL
  std::deque<waiting_work> waiting;
};
struct event_state {
  bool timed;
  bool recorded;
  double time;
  cudaStream_t stream;  // behind whose work it waits, or NULL
};

namespace {
struct runtime {
  std::map<int, cudaError_t> sticky;  // by device
  std::map<const void *, size_t> allowed;
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  std::set<cudaGraph_t> graphs;
  std::set<cudaGraphExec_t> programs;
  std::map<const char *, size_t> pinned;  // page-locked memory of the host
  int capability = 80, devices = 1;
  uint64_t launches = 0;
  double time = 0;
};
runtime &the_runtime() {
  static runtime runtime;
  return runtime;
}

cudaError_t failed(const char *what) {
  fault_note("%s", what);
  stick(cudaErrorInvalidValue);
  return sticky_error();
}

cudaError_t failed_in_capture(const char *what) {
  fault_note("%s while a stream is captured", what);
  stick(cudaErrorStreamCaptureUnsupported);
  return sticky_error();
}

// Captures that the calling thread has under way (cudaStreamCaptureModeThreadLocal).
int &captures() {
  static thread_local int captures = 0;
  return captures;
}
bool in_capture() { return captures() > 0; }

bool is_pinned(const void *from, size_t bytes) {
  const auto &pinned = the_runtime().pinned;
  auto after = pinned.upper_bound((const char *)from);
  if (after == pinned.begin()) return false;
  auto found = std::prev(after);
  return (const char *)from + bytes <= found->first + found->second;
}

bool known(cudaStream_t stream) {
  return !stream || (the_runtime().streams.count(stream) && stream->device == current_device());
}

bool waits(cudaStream_t stream) { return stream && !stream->waiting.empty(); }

// Does what can be done of the work that waits; true: something was.
bool advance(cudaStream_t stream) {
  bool moved = false;
  while (waits(stream)) {
    if (stream->waiting.front().ready && !stream->waiting.front().ready()) break;
    std::function<void()> work = std::move(stream->waiting.front().work);
    stream->waiting.pop_front();
    work();  // which may put a wait before the rest
    moved = true;
  }
  return moved;
}

// The same of all devices, which do not wait for the host to ask. True: nothing of this stream waits any more.
bool go_on(cudaStream_t stream) {
  int current = current_device();
  for (bool moved = waits(stream); moved;) {
    moved = false;
    for (cudaStream_t each : the_runtime().streams) {
      current_device() = each->device;
      moved = advance(each) || moved;
    }
  }
  current_device() = current;
  return !waits(stream);
}

bool pending(cudaEvent_t event) {
  if (event->stream && the_runtime().streams.count(event->stream)) go_on(event->stream);
  return event->stream != nullptr;
}

// Whether the host can go on at once: all that the stream has to do is done.
bool must_be_done(cudaStream_t stream, const char *what) {
  if (go_on(stream)) return true;
  failed(what);
  return false;
}
}  // namespace

int emulated_capability() { return the_runtime().capability; }
cudaError_t sticky_error() {
  turn turn(machine());
  return the_runtime().sticky[current_device()];
}

void stick(cudaError_t error) {
  turn turn(machine());
  cudaError_t &sticky = the_runtime().sticky[current_device()];
  if (sticky == cudaSuccess) sticky = error;
}

void forget_error() {
  turn turn(machine());
  the_runtime().sticky.clear();
  fault_clear();
}

cudaError_t cudaGetDeviceCount(int *count) {
  turn turn(machine());
  *count = the_runtime().devices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  turn turn(machine());
  if (device < 0 || device >= the_runtime().devices) return cudaErrorInvalidDevice;
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  turn turn(machine());
  if (device < 0 || device >= the_runtime().devices) return cudaErrorInvalidDevice;
  *properties = {};
  snprintf(properties->name, sizeof properties->name, "emulated device");
  properties->totalGlobalMem = memory_limit();
  properties->major = emulated_capability() / 10;
  properties->minor = emulated_capability() % 10;
  properties->multiProcessorCount = 1;
  properties->sharedMemPerBlockOptin = SHARED_DYNAMIC_LIMIT;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free, size_t *total) {
  turn turn(machine());
  *total = memory_limit();
  *free = memory_limit() - memory_in_use();
  return sticky_error();
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  turn turn(machine());
  *memory = nullptr;
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (in_capture()) return failed_in_capture("cudaMalloc");
  if (bytes == 0) return cudaSuccess;
  *memory = memory_allocate(bytes);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory) {
  turn turn(machine());
  if (in_capture()) return failed_in_capture("cudaFree");
  for (cudaStream_t stream : the_runtime().streams)  // it waits for all of the device
    if (stream->device == current_device() &&
        !must_be_done(stream, "cudaFree would block the host for a gather that not all devices have come to"))
      return sticky_error();
  if (!memory || memory_free(memory)) return sticky_error();
  return failed("cudaFree of what is no allocation of the device");
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  turn turn(machine());
  if (sticky_error() != cudaSuccess || bytes == 0) return sticky_error();
  if (!known(stream)) return failed("a copy on a stream that does not exist, or is another device's");
  if (capturing(stream)) {
    if (kind != cudaMemcpyDeviceToDevice && !is_pinned(kind == cudaMemcpyHostToDevice ? from : to, bytes))
      return failed_in_capture("a copy of pageable memory");
    capture(stream, [=] { cudaMemcpyAsync(to, from, bytes, kind, nullptr); });
    return sticky_error();
  }
  if (waits(stream) && kind == cudaMemcpyHostToDevice) {
    // The host's bytes are taken now.
    auto taken = std::make_shared<std::vector<char>>((const char *)from, (const char *)from + bytes);
    capture(stream, [=] { cudaMemcpyAsync(to, taken->data(), bytes, kind, nullptr); });
    return sticky_error();
  }
  if (waits(stream) && kind == cudaMemcpyDeviceToHost) {
    if (!must_be_done(stream, "a copy to the host would block it behind a gather that not all devices have come to"))
      return sticky_error();
  } else if (waits(stream)) {
    capture(stream, [=] { cudaMemcpyAsync(to, from, bytes, kind, nullptr); });
    return sticky_error();
  }
  region region;
  bool fine = false;
  if (kind == cudaMemcpyHostToDevice) {
    fine = memory_mark_written(to, bytes, &region);
    if (fine) memcpy(region.begin, from, bytes);
  } else if (kind == cudaMemcpyDeviceToHost) {
    fine = memory_need_written(from, bytes, &region);
    if (fine) memcpy(to, region.begin, bytes);
  } else {
    fine = memory_copy(to, from, bytes);
  }
  if (!fine) stick(cudaErrorInvalidValue);
  return sticky_error();
}

cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream) {
  turn turn(machine());
  if (sticky_error() != cudaSuccess || bytes == 0) return sticky_error();
  if (!known(stream)) return failed("a memset on a stream that does not exist, or is another device's");
  if (put_off(stream)) {
    capture(stream, [=] { cudaMemsetAsync(memory, value, bytes, nullptr); });
    return sticky_error();
  }
  region region;
  if (memory_mark_written(memory, bytes, &region))
    memset(region.begin, value, bytes);
  else
    stick(cudaErrorInvalidValue);
  return sticky_error();
}

cudaError_t cudaStreamCreate(cudaStream_t *stream) {
  turn turn(machine());
  the_runtime().streams.insert(*stream = new stream_state{current_device(), 0, nullptr, {}});
  return sticky_error();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  turn turn(machine());
  if (!the_runtime().streams.erase(stream)) return failed("cudaStreamDestroy of what is no stream");
  delete stream;
  return sticky_error();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  turn turn(machine());
  if (!known(stream)) return failed("cudaStreamSynchronize of what is no stream");
  if (in_capture()) return failed_in_capture("cudaStreamSynchronize");
  must_be_done(stream, "cudaStreamSynchronize would block the host for a gather that not all devices have come to");
  return sticky_error();
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  turn turn(machine());
  if (!known(stream)) return failed("cudaStreamQuery of what is no stream");
  if (in_capture()) return failed_in_capture("cudaStreamQuery");
  return go_on(stream) ? sticky_error() : cudaErrorNotReady;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  turn turn(machine());
  if (!known(stream) || !the_runtime().events.count(event)) return failed("cudaStreamWaitEvent of what does not exist");
  if (stream && pending(event)) {
    stream->waiting.push_back({[=] { return !the_runtime().events.count(event) || !event->stream; }, [] {}});
  }
  return sticky_error();
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  turn turn(machine());
  the_runtime().events.insert(*event = new event_state{!(flags & cudaEventDisableTiming), false, 0, nullptr});
  return sticky_error();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  turn turn(machine());
  if (!the_runtime().events.erase(event)) return failed("cudaEventDestroy of what is no event");
  delete event;
  return sticky_error();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  turn turn(machine());
  if (!known(stream) || !the_runtime().events.count(event)) return failed("cudaEventRecord of what does not exist");
  event->recorded = true;
  event->time = the_runtime().time;
  event->stream = nullptr;
  if (!waits(stream)) return sticky_error();
  event->stream = stream;
  stream->waiting.push_back({nullptr, [=] {
                               if (!the_runtime().events.count(event)) return;
                               event->stream = nullptr;
                               event->time = the_runtime().time;
                             }});
  return sticky_error();
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  turn turn(machine());
  if (!the_runtime().events.count(from) || !the_runtime().events.count(to) || !from->recorded || !to->recorded)
    return failed("cudaEventElapsedTime of events that were not recorded");
  if (!from->timed || !to->timed) return failed("cudaEventElapsedTime of events without times");
  *milliseconds = (float)(to->time - from->time);
  return sticky_error();
}

void pretend_time(double milliseconds) {
  turn turn(machine());
  the_runtime().time += milliseconds;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  turn turn(machine());
  if (in_capture()) return failed_in_capture("cudaEventSynchronize");
  if (!the_runtime().events.count(event)) return failed("cudaEventSynchronize of what is no event");
  return pending(event) ? failed(
                              "cudaEventSynchronize would block the host for a gather that not all devices have come "
                              "to")
                        : sticky_error();
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  turn turn(machine());
  if (in_capture()) return failed_in_capture("cudaEventQuery");
  if (!the_runtime().events.count(event)) return failed("cudaEventQuery of what is no event");
  return pending(event) ? cudaErrorNotReady : sticky_error();
}

// ---- graphs ----
cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  turn turn(machine());
  *memory = malloc(bytes ? bytes : 1);
  if (!*memory) return cudaErrorMemoryAllocation;
  the_runtime().pinned[(const char *)*memory] = bytes;
  return sticky_error();
}

cudaError_t cudaFreeHost(void *memory) {
  turn turn(machine());
  if (!the_runtime().pinned.erase((const char *)memory)) return failed("cudaFreeHost of what is no such memory");
  free(memory);
  return sticky_error();
}

bool capturing(cudaStream_t stream) { return stream && stream->capture; }
bool put_off(cudaStream_t stream) { return capturing(stream) || waits(stream); }
bool of_current_device(cudaStream_t stream) { return known(stream); }

void capture(cudaStream_t stream, const std::function<void()> &work) {
  if (capturing(stream))
    stream->capture->work.push_back(work);
  else
    stream->waiting.push_back({nullptr, work});
}

void wait_until(cudaStream_t stream, const std::function<bool()> &ready, const std::function<void()> &work) {
  stream->waiting.push_front({ready, work});
}
uint64_t graph_launches() { return the_runtime().launches; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  turn turn(machine());
  if (!stream || !known(stream) || stream->capture) return failed("cudaStreamBeginCapture of a stream that cannot be");
  stream->capture = new graph_state{};
  captures()++;
  return sticky_error();
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  turn turn(machine());
  *graph = nullptr;
  if (!stream || !known(stream) || !stream->capture) return failed("cudaStreamEndCapture of a stream that is not");
  *graph = stream->capture;
  the_runtime().graphs.insert(*graph);
  stream->capture = nullptr;
  captures()--;
  return sticky_error();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *program, cudaGraph_t graph, unsigned long long) {
  turn turn(machine());
  *program = nullptr;
  if (!the_runtime().graphs.count(graph)) return failed("cudaGraphInstantiate of what is no graph");
  *program = new graph_program{graph->work};
  the_runtime().programs.insert(*program);
  return sticky_error();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t program, cudaStream_t stream) {
  turn turn(machine());
  if (!known(stream) || !the_runtime().programs.count(program)) return failed("cudaGraphLaunch of what does not exist");
  if (capturing(stream)) return failed_in_capture("cudaGraphLaunch");
  the_runtime().launches++;
  for (const auto &work : program->work)
    if (waits(stream))
      capture(stream, work);
    else if (sticky_error() == cudaSuccess)
      work();
  return sticky_error();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  turn turn(machine());
  if (!the_runtime().graphs.erase(graph)) return failed("cudaGraphDestroy of what is no graph");
  delete graph;
  return sticky_error();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t program) {
  turn turn(machine());
  if (!the_runtime().programs.erase(program)) return failed("cudaGraphExecDestroy of what is no such");
  delete program;
  return sticky_error();
}

cudaError_t cudaGetLastError() { return sticky_error(); }

const char *cudaGetErrorString(cudaError_t error) {
  if (error != cudaSuccess && fault_text()) return fault_text();
  switch (error) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unknown error";
}

void submit(cudaStream_t stream, const launch_call &call, const std::function<void()> &body) {
  turn turn(machine());
  if (sticky_error() != cudaSuccess) return;
  if (!known(stream)) {
    failed("a launch on a stream that does not exist, or is another device's");
    return;
  }
  if (capturing(stream)) {
    // Views made for it are good or bad now.
    if (fault_text()) return stick(cudaErrorLaunchFailure);
    return capture(stream, [=] { submit(nullptr, call, body); });
  }
  if (waits(stream)) {
    if (fault_text()) return stick(cudaErrorLaunchFailure);
    return capture(stream, [=] { submit(nullptr, call, body); });
  }
  if (stream) stream->work++;
  // A fault may stand already: a view of memory that is not there was made for this launch.
  if (fault_text() || !run_kernel(call, body)) stick(cudaErrorLaunchFailure);
}

void allow_shared(const void *kernel, size_t bytes) {
  turn turn(machine());
  if (bytes > SHARED_DYNAMIC_LIMIT) failed("more shared memory than every architecture has");
  the_runtime().allowed[kernel] = bytes;
}

size_t allowed_shared(const void *kernel) {
  turn turn(machine());
  auto found = the_runtime().allowed.find(kernel);
  return found == the_runtime().allowed.end() ? SHARED_STATIC_LIMIT : found->second;
}

}  // namespace emulator

// For tests in C.
extern "C" unsigned long long isoloss_emulator_graph_launches(void);
unsigned long long isoloss_emulator_graph_launches(void) { return emulator::graph_launches(); }
// The compute capability of devices that are opened from now on, major * 10 + minor.
extern "C" void isoloss_emulator_capability(int capability);
void isoloss_emulator_capability(int capability) { emulator::the_runtime().capability = capability; }
// Failures of devices are forgotten, as by a process that begins anew.
extern "C" void isoloss_emulator_forget_errors(void);
void isoloss_emulator_forget_errors(void) { emulator::forget_error(); }
// How many devices there are from now on.
extern "C" void isoloss_emulator_devices(int count);
void isoloss_emulator_devices(int count) { emulator::the_runtime().devices = count; }
