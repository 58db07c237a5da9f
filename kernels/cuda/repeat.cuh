// A training step as one piece of work: CUDA graphs. The first round of a repeated sequence runs call by call
// (libraries make their plans, uploads are counted), the next two are recorded, one graph each, and from then on a
// round's calls only fill the memory that its graph's uploads read; repeat_end launches the graph. Two graphs take
// turns, so that the host fills one while the other runs. A kind of step that comes once or twice (a schedule's event)
// is never replayed and costs what it costs without graphs.
#pragma once
#include "kernels/cuda/group.cuh"

namespace {

// ISOLOSS_GRAPHS=off runs call by call: for profilers that want to see single kernels, and for tests. Same results.
inline void repeat_open(struct device *device) {
  const char *choice = std::getenv("ISOLOSS_GRAPHS");
  device->repeat.enabled = !choice || std::strcmp(choice, "off") != 0;
}

void repeat_begin(struct device *device, int sequence) {
  struct repeat *r = &device->repeat;
  if (!r->enabled || !going(device)) return;
  if (sequence < 0 || sequence >= REPEAT_SEQUENCES) {
    error_set(&device->error, EXIT_ENVIRONMENT, "there is no repeated sequence %d", sequence);
    return;
  }
  r->now = &r->sequences[sequence];
  repeat_instance *instance = r->now->turn();
  r->calls = 0;
  r->staged_end = 0;
  if (r->now->rounds == 0) {
    r->mode = REPEAT_COUNTING;
  } else if (instance->graph) {
    r->mode = REPEAT_REPLAYING;
    wait_for(device, instance->done);
  } else {
    void *staged = nullptr;
    // Whoever waits for it sleeps: a run's host thread would keep a core busy otherwise.
    cudaError_t status = cudaEventCreateWithFlags(&instance->done, cudaEventBlockingSync | cudaEventDisableTiming);
    if (status == cudaSuccess) status = cudaMallocHost(&staged, r->now->staged_bytes ? r->now->staged_bytes : 1);
    instance->staged = (char *)staged;
    // The stream is this thread's alone: what other threads do is no part of it.
    if (status == cudaSuccess) status = cudaStreamBeginCapture(device->stream, cudaStreamCaptureModeThreadLocal);
    if (check(device, status, "recording a step")) r->mode = REPEAT_RECORDING;
  }
}

void repeat_end(struct device *device) {
  struct repeat *r = &device->repeat;
  repeat_mode mode = r->mode;
  r->mode = REPEAT_NONE;
  if (mode == REPEAT_NONE) return;
  repeat_sequence *now = r->now;
  repeat_instance *instance = now->turn();
  if (mode == REPEAT_RECORDING) {
    // The capture ends whatever happened in between: a stream that is captured can do nothing else.
    cudaGraph_t graph = nullptr;
    cudaError_t status = cudaStreamEndCapture(device->stream, &graph);
    if (status == cudaSuccess && going(device)) status = cudaGraphInstantiate(&instance->graph, graph, 0);
    if (graph) (void)cudaGraphDestroy(graph);
    check(device, status, "recording a step");
  }
  if (!going(device)) return;
  if (mode == REPEAT_COUNTING) {
    now->expected_calls = r->calls;
    now->staged_bytes = r->staged_end;
  } else if (r->calls != now->expected_calls || r->staged_end != now->staged_bytes) {
    error_set(&device->error, EXIT_ENVIRONMENT, "a repeated step differs from the first in more than its numbers");
    return;
  } else {
    check(device, cudaGraphLaunch(instance->graph, device->stream), "a recorded step");
    check(device, cudaEventRecord(instance->done, device->stream), "a recorded step");
  }
  now->rounds++;
}

void repeat_forget(struct device *device) {
  struct repeat *r = &device->repeat;
  for (repeat_sequence &sequence : r->sequences) {
    for (repeat_instance &instance : sequence.instances) {
      if (instance.done) (void)cudaEventSynchronize(instance.done);
      if (instance.graph) (void)cudaGraphExecDestroy(instance.graph);
      if (instance.done) (void)cudaEventDestroy(instance.done);
      if (instance.staged) (void)cudaFreeHost(instance.staged);
    }
    sequence = {};
  }
  r->mode = REPEAT_NONE;
  r->now = nullptr;
}

}  // namespace
