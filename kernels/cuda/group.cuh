// Groups of devices: gathers and sums among the GPUs of one process, each driven by a thread of its own.
//
// A sum is a gather of all parts, which each device then adds up by a kernel of its own in the order of the ranks.
// NCCL's own sums (rings, trees, switches that add) have an order that follows from how the GPUs are connected and how
// many they are: the same run would have other bits on another machine. Moved bytes have none. It costs (ranks - 1)
// parts received by each device where a ring would receive two parts' worth.
//
// What the ranks ask for is compared on the host before anything is issued, for a transport that is given other sizes
// by each would wait for ever or mix them up. Whoever waits for a device of a group asks again and again instead of
// blocking: a rank that failed or never came ends the others' waits with an error.
#pragma once
#include <pthread.h>
#include <time.h>

#include "kernels/cuda/device.cuh"
#include "kernels/cuda/elementwise.cuh"

constexpr int GROUP_RANKS = 64;          // at most
constexpr int GROUP_CALLS = 64;          // that one rank may be ahead of another and still be compared
constexpr double GROUP_PATIENCE = 1800;  // seconds, where ISOLOSS_GROUP_TIMEOUT does not say

enum group_call_kind { GROUP_CALL_SUM, GROUP_CALL_GATHER };
struct group_call {
  group_call_kind kind;
  int64_t count;  // numbers of a sum, bytes of a gather
  int rank;       // that asked first
  uint64_t number;
};

struct device_group {
  pthread_mutex_t mutex;
  group_library library;
  int ranks;
  struct device *devices[GROUP_RANKS];
  ncclComm_t links[GROUP_RANKS];  // null: given up
  uint64_t issued[GROUP_RANKS];   // calls asked for so far
  group_call calls[GROUP_CALLS];  // the newest, by number
  double patience;
  struct error error;  // the first failure of any rank
};

namespace {

inline const char *group_call_name(const group_call &call) {
  return call.kind == GROUP_CALL_SUM ? "numbers in a sum" : "bytes in a gather";
}

// The device's own part of the group's failure: what waits for others there is given up.
inline void group_give_up(struct device *device) {
  struct device_group *group = device->group;
  pthread_mutex_lock(&group->mutex);
  ncclComm_t link = group->links[device->rank];
  group->links[device->rank] = nullptr;
  if (going(device)) device->error = group->error;
  pthread_mutex_unlock(&group->mutex);
  if (link) (void)group->library.abort(link);
}

// The group fails with the device's error, or with `text`.
inline void group_fail(struct device *device, const char *text) {
  struct device_group *group = device->group;
  pthread_mutex_lock(&group->mutex);
  if (group->error.code == EXIT_DONE)
    error_set(&group->error, EXIT_ENVIRONMENT, "GPU %d (rank %d of %d): %s", device->number, device->rank, group->ranks,
              text);
  pthread_mutex_unlock(&group->mutex);
  group_give_up(device);
}

inline bool group_failed(struct device_group *group) {
  pthread_mutex_lock(&group->mutex);
  bool failed = group->error.code != EXIT_DONE;
  pthread_mutex_unlock(&group->mutex);
  return failed;
}

// Notes the device's next call and compares it with what the others asked for. False: the group has failed.
inline bool group_enter(struct device *device, group_call_kind kind, int64_t count) {
  struct device_group *group = device->group;
  char text[300] = "";
  if (!going(device)) {
    group_fail(device, device->error.text);
    return false;
  }
  pthread_mutex_lock(&group->mutex);
  uint64_t number = ++group->issued[device->rank];
  group_call *call = &group->calls[number % GROUP_CALLS];
  if (call->number < number)
    *call = {kind, count, device->rank, number};
  else if (call->number == number && (call->kind != kind || call->count != count))
    std::snprintf(text, sizeof text, "ranks disagree in call %llu: rank %d has %lld %s, rank %d has %lld %s",
                  (unsigned long long)number, call->rank, (long long)call->count, group_call_name(*call), device->rank,
                  (long long)count, group_call_name({kind, count, 0, 0}));
  pthread_mutex_unlock(&group->mutex);
  if (text[0]) group_fail(device, text);
  if (!group_failed(group)) return true;
  group_give_up(device);
  return false;
}

// Why nothing comes, after so many seconds.
inline void group_late(struct device *device, double seconds, char *text, size_t bytes) {
  struct device_group *group = device->group;
  pthread_mutex_lock(&group->mutex);
  uint64_t mine = group->issued[device->rank];
  int late = -1;
  for (int rank = 0; rank < group->ranks && late < 0; rank++)
    if (group->issued[rank] < mine) late = rank;
  if (late >= 0)
    std::snprintf(text, bytes,
                  "rank %d did not come within %g seconds: it has asked for %llu sums and gathers, this one for %llu "
                  "(ISOLOSS_GROUP_TIMEOUT gives it longer)",
                  late, seconds, (unsigned long long)group->issued[late], (unsigned long long)mine);
  else
    std::snprintf(text, bytes,
                  "all ranks have asked for their sums and gathers, and what they asked for was not done within %g "
                  "seconds (ISOLOSS_GROUP_TIMEOUT gives it longer)",
                  seconds);
  pthread_mutex_unlock(&group->mutex);
}

// Asks until `query` says that it is done.
template <class Query>
bool group_wait(struct device *device, Query query, const char *what) {
  struct device_group *group = device->group;
  double begin = clock_seconds();
  char text[300];
  for (long nanoseconds = 20000;;) {
    cudaError_t status = query();
    if (status != cudaErrorNotReady) {
      if (check(device, status, what)) return true;
      group_fail(device, device->error.text);
      return false;
    }
    ncclResult_t broken = ncclSuccess;
    ncclComm_t link = group->links[device->rank];
    if (link && group->library.error(link, &broken) == ncclSuccess && broken != ncclSuccess) {
      std::snprintf(text, sizeof text, "the transport between the GPUs failed: %s", group->library.text(broken));
      group_fail(device, text);
    } else if (clock_seconds() - begin > group->patience) {
      group_late(device, group->patience, text, sizeof text);
      group_fail(device, text);
    }
    if (group_failed(group)) {
      group_give_up(device);
      return false;
    }
    struct timespec pause = {0, nanoseconds};
    nanosleep(&pause, nullptr);
    if (nanoseconds < 1000000) nanoseconds *= 2;
  }
}

// Waits for all that was asked of the device.
inline bool wait_for(struct device *device) {
  if (!going(device)) return false;
  if (device->group && !group_wait(
                           device, [=] { return cudaStreamQuery(device->stream); }, "the work asked of it"))
    return false;
  device->gathers = false;
  return check(device, cudaStreamSynchronize(device->stream), "the work asked of it");
}

inline bool wait_for(struct device *device, cudaEvent_t event) {
  if (!going(device)) return false;
  if (device->group && !group_wait(
                           device, [=] { return cudaEventQuery(event); }, "the work asked of it"))
    return false;
  return check(device, cudaEventSynchronize(event), "the work asked of it");
}

// Before a call that may block the host until what the device has to do is done.
bool group_settle(struct device *device) { return !device->gathers || wait_for(device); }

}  // namespace
