// The part of CUDA's runtime API that kernels/cuda uses, on the emulated device. Work of a stream is done when it is
// asked for, or, behind a gather among devices (nccl.h) that some device has not come to, when the stream is asked for
// after all have: what would block the host for others is an error. The first failure of a device sticks, as it does on
// a GPU, and every later call returns it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

namespace emulator {

struct dim3_type {
  unsigned x, y, z;
  dim3_type(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

enum runtime_error {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
};
using cudaError_t = runtime_error;
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };

struct stream_state;
struct event_state;
using cudaStream_t = stream_state *;
using cudaEvent_t = event_state *;
struct graph_state;
struct graph_program;
using cudaGraph_t = graph_state *;
using cudaGraphExec_t = graph_program *;
enum event_flags : unsigned { cudaEventBlockingSync = 1, cudaEventDisableTiming = 2 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor, multiProcessorCount;
  size_t sharedMemPerBlockOptin;
};

int emulated_capability();  // major * 10 + minor: 80 unless a test chooses another one

cudaError_t cudaGetDeviceCount(int *count);
// There is one device, or as many as a test asks for; which one is current is each thread's own, 0 at first. A stream
// is used while its device is the current one, or the work fails.
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDevice(int *device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaRuntimeGetVersion(int *version);
cudaError_t cudaMemGetInfo(size_t *free, size_t *total);
cudaError_t cudaMalloc(void **memory, size_t bytes);
cudaError_t cudaFree(void *memory);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *memory, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreate(cudaStream_t *stream);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamQuery(cudaStream_t stream);  // cudaErrorNotReady: not all that was asked of it is done
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreate(cudaEvent_t *event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaEventQuery(cudaEvent_t event);
cudaError_t cudaEventElapsedTime(float *milliseconds, cudaEvent_t from, cudaEvent_t to);
cudaError_t cudaMallocHost(void **memory, size_t bytes);
cudaError_t cudaFreeHost(void *memory);
// Between begin and end a stream's work is kept, not done; each launch of the program does it again, in order, with
// what then is in the memory it reads. As on a GPU, nothing may allocate or wait while a stream is captured, and
// copies from the host must read page-locked memory (cudaMallocHost), for they read it later.
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *program, cudaGraph_t graph, unsigned long long flags = 0);
cudaError_t cudaGraphLaunch(cudaGraphExec_t program, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t program);
cudaError_t cudaGetLastError();
const char *cudaGetErrorString(cudaError_t error);

// Launching: what language.h's `launch` comes to.
struct launch_call;
void submit(cudaStream_t stream, const launch_call &call, const std::function<void()> &body);
// For libraries: whether work for this stream is being captured, or waits behind other work; then it is handed over
// instead of done.
bool capturing(cudaStream_t stream);
bool put_off(cudaStream_t stream);
void capture(cudaStream_t stream, const std::function<void()> &work);
// What was asked of the stream, and what will be, waits until `ready`; then `work` comes first.
void wait_until(cudaStream_t stream, const std::function<bool()> &ready, const std::function<void()> &work);
bool of_current_device(cudaStream_t stream);
// A clock that only the reference libraries move, so that trials of their algorithms end as a test wants.
void pretend_time(double milliseconds);
uint64_t graph_launches();  // since the program began
void allow_shared(const void *kernel, size_t bytes);
size_t allowed_shared(const void *kernel);
// The sticky failure, for reference libraries that work on the device's memory.
cudaError_t sticky_error();
void stick(cudaError_t error);
// Forgets the failure and its text: for tests that plant faults.
void forget_error();

}  // namespace emulator
using namespace emulator;
