// The entries of groups; see group.cuh and kernels/ops.h.
#pragma once
#include "kernels/cuda/group.cuh"

namespace {

// sum = before + part 0 + part 1 + ..., parts [ranks, stride]; without `before` it begins with part 0.
template <int N>
__global__ void __launch_bounds__(ELEMENT_THREADS)
    add_parts_kernel(int64_t pieces, int64_t stride, int ranks, bool more, device_pointer<const float> before,
                     device_pointer<const float> parts, device_pointer<float> sum) {
  for (int64_t piece = first_piece(); piece < pieces; piece += piece_stride()) {
    floats<N> total = more ? load_floats<N>(before, piece * N) : load_floats<N>(parts, piece * N);
    for (int rank = more ? 0 : 1; rank < ranks; rank++) {
      floats<N> part = load_floats<N>(parts, rank * stride + piece * N);
#pragma unroll
      for (int i = 0; i < N; i++) total.at[i] += part.at[i];
    }
    store_floats<N>(sum, piece * N, total);
  }
}

__global__ void __launch_bounds__(WARP_THREADS)
    total_losses_kernel(int count, device_pointer<const double> nats, device_pointer<const int64_t> targets,
                        device_pointer<double> sum_nats, device_pointer<int64_t> sum_targets) {
  if (threadIdx.x != 0) return;
  double total = nats[0];
  int64_t counted = targets[1];
  for (int i = 1; i < count; i++) {
    total += nats[2 * i];
    counted += targets[2 * i + 1];
  }
  sum_nats[0] = total;
  sum_targets[1] = counted;
}

// Asks the transport; false where it refused, or the group has failed.
inline bool group_issue(struct device *device, const void *part, void *all, size_t bytes) {
  struct device_group *group = device->group;
  ncclComm_t link = group->links[device->rank];
  char text[200];
  if (!link || !going(device)) return false;
  ncclResult_t status = group->library.gather(part, all, bytes, ncclInt8, link, device->stream);
  device->gathers = true;
  if (status == ncclSuccess) return true;
  std::snprintf(text, sizeof text, "the transport between the GPUs refused a gather of %zu bytes: %s", bytes,
                group->library.text(status));
  group_fail(device, text);
  return false;
}

inline bool group_there(struct device *device) {
  if (device->group) return true;
  if (going(device))
    error_set(&device->error, EXIT_ENVIRONMENT, "a device that is in no group has nobody to add up with");
  return false;
}

void group_gather(struct device *device, size_t bytes, const void *part, void *all) {
  if (!group_there(device) || !group_enter(device, GROUP_CALL_GATHER, (int64_t)bytes)) return;
  if (issue(device, part, all, bytes)) group_issue(device, part, all, bytes);
}

void group_sum(struct device *device, int64_t count, const float *before, const float *part, float *sum) {
  if (!group_there(device) || !group_enter(device, GROUP_CALL_SUM, count)) return;
  int ranks = device->group->ranks;
  // As much at a time as the workspace holds, in whole lines.
  constexpr int64_t LINE = 64;
  size_t least = (size_t)(LINE * ranks) * sizeof(float);
  float *parts = (float *)scratch(device, least, "a sum of devices");
  int64_t most = (int64_t)(device->workspace_bytes / least) * LINE;
  for (int64_t at = 0, n; at < count && parts; at += n) {
    n = count - at < most ? count - at : most;
    size_t bytes = (size_t)n * sizeof(float);
    if (issue(device, part + at, parts, bytes) && !group_issue(device, part + at, parts, bytes)) return;
    const float *earlier = before ? before + at : parts;
    auto add = [&](auto kernel, int64_t pieces) {
      run(device, kernel, {"add_parts", element_blocks(pieces), ELEMENT_THREADS, 0}, pieces, n, ranks,
          before != nullptr, view(earlier, n), view((const float *)parts, n * ranks), view(sum + at, n));
    };
    if (wide(4, n, earlier, parts, sum + at))
      add(add_parts_kernel<4>, n / 4);
    else
      add(add_parts_kernel<1>, n);
  }
}

void add_losses(struct device *device, int count, const struct loss_sum *parts, struct loss_sum *sum) {
  static_assert(sizeof(struct loss_sum) == 2 * sizeof(double), "nats, then targets");
  run(device, total_losses_kernel, {"add_losses", 1, WARP_THREADS, 0}, count, view((const double *)parts, 2 * count),
      view((const int64_t *)parts, 2 * count), view((double *)sum, 2), view((int64_t *)sum, 2));
}

void group_leave(struct device *device, const char *why) {
  if (device->group && (why || !going(device))) group_fail(device, why ? why : device->error.text);
}

void group_close(struct device_group *group) {
  if (!group) return;
  for (int rank = 0; rank < group->ranks; rank++) {
    struct device *device = group->devices[rank];
    int current = 0;
    (void)cudaGetDevice(&current);
    (void)cudaSetDevice(device->number);
    if (group->links[rank])
      (void)(group->error.code == EXIT_DONE ? group->library.destroy : group->library.abort)(group->links[rank]);
    (void)cudaSetDevice(current);
    device->group = nullptr;
  }
  pthread_mutex_destroy(&group->mutex);
  std::free(group);
}

struct device_group *group_open(struct device *const *devices, int ranks, struct error *error) {
  int numbers[GROUP_RANKS];
  if (ranks < 2 || ranks > GROUP_RANKS) {
    error_set(error, EXIT_USAGE_ERROR, "a group of %d devices: 2 to %d", ranks, GROUP_RANKS);
    return nullptr;
  }
  for (int i = 0; i < ranks; i++) {
    numbers[i] = devices[i]->number;
    const struct cudaDeviceProp *first = &devices[0]->properties, *here = &devices[i]->properties;
    // Other units sum products in another order: the ranks' shards, and what each computes for itself, would have other
    // bits.
    if (std::strcmp(first->name, here->name) != 0 || first->major != here->major || first->minor != here->minor ||
        first->multiProcessorCount != here->multiProcessorCount) {
      error_set(error, EXIT_ENVIRONMENT,
                "GPU %d (%s) and GPU %d (%s) are not alike: a run on several needs GPUs of one kind",
                devices[0]->number, first->name, devices[i]->number, here->name);
      return nullptr;
    }
  }
  struct device_group *group = (struct device_group *)memory_get(sizeof *group);
  pthread_mutex_init(&group->mutex, nullptr);
  group->patience = GROUP_PATIENCE;
  const char *wanted = std::getenv("ISOLOSS_GROUP_TIMEOUT");
  double seconds;
  bool fine = true;
  if (wanted && *wanted) {
    fine = number_parse(wanted, &seconds) && seconds > 0;
    if (fine)
      group->patience = seconds;
    else
      error_set(error, EXIT_USAGE_ERROR, "ISOLOSS_GROUP_TIMEOUT=%s: a number of seconds above 0", wanted);
  }
  if (fine && group_library_open(&group->library, error)) {
    ncclResult_t status = group->library.init(group->links, ranks, numbers);
    if (status == ncclSuccess) {
      group->ranks = ranks;
      for (int i = 0; i < ranks; i++) {
        group->devices[i] = devices[i];
        devices[i]->group = group;
        devices[i]->rank = i;
      }
      return group;
    }
    error_set(error, EXIT_ENVIRONMENT, "NCCL cannot connect %d GPUs: %s", ranks, group->library.text(status));
  }
  pthread_mutex_destroy(&group->mutex);
  std::free(group);
  return nullptr;
}

}  // namespace
