// See runtime.h.
#include "kernels/cuda/emulator/runtime.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
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
struct stream_state {
  int device;
  uint64_t work;         // pieces asked for, all of them done
  graph_state *capture;  // where work goes instead, or NULL
};
struct event_state {
  bool timed;
  bool recorded;
  double time;
};

namespace {
struct runtime {
  cudaError_t sticky = cudaSuccess;
  std::map<const void *, size_t> allowed;
  std::set<cudaStream_t> streams;
  std::set<cudaEvent_t> events;
  std::set<cudaGraph_t> graphs;
  std::set<cudaGraphExec_t> programs;
  std::map<const char *, size_t> pinned;  // page-locked memory of the host
  int captures = 0;                       // under way
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

bool in_capture() { return the_runtime().captures > 0; }

bool is_pinned(const void *from, size_t bytes) {
  const auto &pinned = the_runtime().pinned;
  auto after = pinned.upper_bound((const char *)from);
  if (after == pinned.begin()) return false;
  auto found = std::prev(after);
  return (const char *)from + bytes <= found->first + found->second;
}

// The current device of the calling thread.
int &current_device() {
  static thread_local int current = 0;
  return current;
}

bool known(cudaStream_t stream) {
  return !stream || (the_runtime().streams.count(stream) && stream->device == current_device());
}
}  // namespace

int emulated_capability() { return the_runtime().capability; }
cudaError_t sticky_error() { return the_runtime().sticky; }

void stick(cudaError_t error) {
  if (the_runtime().sticky == cudaSuccess) the_runtime().sticky = error;
}

void forget_error() {
  the_runtime().sticky = cudaSuccess;
  fault_clear();
}

cudaError_t cudaGetDeviceCount(int *count) {
  *count = the_runtime().devices;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= the_runtime().devices) return cudaErrorInvalidDevice;
  current_device() = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = current_device();
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
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
  *total = memory_limit();
  *free = memory_limit() - memory_in_use();
  return sticky_error();
}

cudaError_t cudaMalloc(void **memory, size_t bytes) {
  *memory = nullptr;
  if (sticky_error() != cudaSuccess) return sticky_error();
  if (in_capture()) return failed_in_capture("cudaMalloc");
  if (bytes == 0) return cudaSuccess;
  *memory = memory_allocate(bytes);
  return *memory ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFree(void *memory) {
  if (in_capture()) return failed_in_capture("cudaFree");
  if (!memory || memory_free(memory)) return sticky_error();
  return failed("cudaFree of what is no allocation of the device");
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (sticky_error() != cudaSuccess || bytes == 0) return sticky_error();
  if (!known(stream)) return failed("a copy on a stream that does not exist, or is another device's");
  if (capturing(stream)) {
    if (kind != cudaMemcpyDeviceToDevice && !is_pinned(kind == cudaMemcpyHostToDevice ? from : to, bytes))
      return failed_in_capture("a copy of pageable memory");
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
  if (sticky_error() != cudaSuccess || bytes == 0) return sticky_error();
  if (!known(stream)) return failed("a memset on a stream that does not exist, or is another device's");
  if (capturing(stream)) {
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
  the_runtime().streams.insert(*stream = new stream_state{current_device(), 0, nullptr});
  return sticky_error();
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  if (!the_runtime().streams.erase(stream)) return failed("cudaStreamDestroy of what is no stream");
  delete stream;
  return sticky_error();
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (!known(stream)) return failed("cudaStreamSynchronize of what is no stream");
  return in_capture() ? failed_in_capture("cudaStreamSynchronize") : sticky_error();
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (!known(stream) || !the_runtime().events.count(event)) return failed("cudaStreamWaitEvent of what does not exist");
  return sticky_error();
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return cudaEventCreateWithFlags(event, 0); }

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) {
  the_runtime().events.insert(*event = new event_state{!(flags & cudaEventDisableTiming), false, 0});
  return sticky_error();
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (!the_runtime().events.erase(event)) return failed("cudaEventDestroy of what is no event");
  delete event;
  return sticky_error();
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (!known(stream) || !the_runtime().events.count(event)) return failed("cudaEventRecord of what does not exist");
  event->recorded = true;
  event->time = the_runtime().time;
  return sticky_error();
}

cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to) {
  if (!the_runtime().events.count(from) || !the_runtime().events.count(to) || !from->recorded || !to->recorded)
    return failed("cudaEventElapsedTime of events that were not recorded");
  if (!from->timed || !to->timed) return failed("cudaEventElapsedTime of events without times");
  *milliseconds = (float)(to->time - from->time);
  return sticky_error();
}

void pretend_time(double milliseconds) { the_runtime().time += milliseconds; }

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (in_capture()) return failed_in_capture("cudaEventSynchronize");
  return the_runtime().events.count(event) ? sticky_error() : failed("cudaEventSynchronize of what is no event");
}

// ---- graphs ----
cudaError_t cudaMallocHost(void **memory, size_t bytes) {
  *memory = malloc(bytes ? bytes : 1);
  if (!*memory) return cudaErrorMemoryAllocation;
  the_runtime().pinned[(const char *)*memory] = bytes;
  return sticky_error();
}

cudaError_t cudaFreeHost(void *memory) {
  if (!the_runtime().pinned.erase((const char *)memory)) return failed("cudaFreeHost of what is no such memory");
  free(memory);
  return sticky_error();
}

bool capturing(cudaStream_t stream) { return stream && stream->capture; }
void capture(cudaStream_t stream, const std::function<void()> &work) { stream->capture->work.push_back(work); }
uint64_t graph_launches() { return the_runtime().launches; }

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (!stream || !known(stream) || stream->capture) return failed("cudaStreamBeginCapture of a stream that cannot be");
  stream->capture = new graph_state{};
  the_runtime().captures++;
  return sticky_error();
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph) {
  *graph = nullptr;
  if (!stream || !known(stream) || !stream->capture) return failed("cudaStreamEndCapture of a stream that is not");
  *graph = stream->capture;
  the_runtime().graphs.insert(*graph);
  stream->capture = nullptr;
  the_runtime().captures--;
  return sticky_error();
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t *program, cudaGraph_t graph, unsigned long long) {
  *program = nullptr;
  if (!the_runtime().graphs.count(graph)) return failed("cudaGraphInstantiate of what is no graph");
  *program = new graph_program{graph->work};
  the_runtime().programs.insert(*program);
  return sticky_error();
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t program, cudaStream_t stream) {
  if (!known(stream) || !the_runtime().programs.count(program)) return failed("cudaGraphLaunch of what does not exist");
  if (capturing(stream)) return failed_in_capture("cudaGraphLaunch");
  the_runtime().launches++;
  for (const auto &work : program->work)
    if (sticky_error() == cudaSuccess) work();
  return sticky_error();
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  if (!the_runtime().graphs.erase(graph)) return failed("cudaGraphDestroy of what is no graph");
  delete graph;
  return sticky_error();
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t program) {
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
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorLaunchFailure:
      return "unspecified launch failure";
  }
  return "unknown error";
}

void submit(cudaStream_t stream, const launch_call &call, const std::function<void()> &body) {
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
  if (stream) stream->work++;
  // A fault may stand already: a view of memory that is not there was made for this launch.
  if (fault_text() || !run_kernel(call, body)) stick(cudaErrorLaunchFailure);
}

void allow_shared(const void *kernel, size_t bytes) {
  if (bytes > SHARED_DYNAMIC_LIMIT) failed("more shared memory than every architecture has");
  the_runtime().allowed[kernel] = bytes;
}

size_t allowed_shared(const void *kernel) {
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
// How many devices there are from now on.
extern "C" void isoloss_emulator_devices(int count);
void isoloss_emulator_devices(int count) { emulator::the_runtime().devices = count; }
