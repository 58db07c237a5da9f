// See nccl.h.
#include "kernels/cuda/emulator/nccl.h"

#include <cstring>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/cuda/emulator/memory.h"

namespace emulator {

namespace {
struct gather_round {
  size_t bytes = 0;  // of a part, as the first to come has it
  int came = 0;
  std::vector<std::vector<char>> parts;  // as they were when their rank came
};

struct link;
struct gathering {
  std::deque<std::shared_ptr<gather_round>> rounds;  // those that not all ranks have come to, the oldest first
  uint64_t before = 0;                               // rounds that are no more among them
  std::vector<link *> ranks;                         // null: given up
};

// What a rank has of it. Work that waits on a stream may outlive the rank's handle.
struct link {
  std::shared_ptr<gathering> all;
  int rank, device;
  uint64_t calls = 0;
  bool aborted = false;
  ncclResult_t error = ncclSuccess;
};

constexpr int MOST_RANKS = 64;
struct transport {
  int faults[MOST_RANKS] = {};
};
transport &the_transport() {
  static transport transport;
  return transport;
}
}  // namespace

struct nccl_rank {
  std::shared_ptr<struct link> link;
};

ncclResult_t ncclCommInitAll(ncclComm_t *ranks, int count, const int *devices) {
  turn turn(machine());
  int there = 0;
  (void)cudaGetDeviceCount(&there);
  if (count < 1 || count > MOST_RANKS) return ncclInvalidArgument;
  for (int i = 0; i < count; i++)
    for (int j = 0; j <= i; j++)
      if (devices[i] < 0 || devices[i] >= there || (j < i && devices[j] == devices[i])) return ncclInvalidArgument;
  auto all = std::make_shared<gathering>();
  for (int i = 0; i < count; i++) {
    ranks[i] = new nccl_rank{std::make_shared<link>()};
    ranks[i]->link->all = all;
    ranks[i]->link->rank = i;
    ranks[i]->link->device = devices[i];
    all->ranks.push_back(ranks[i]->link.get());
  }
  return ncclSuccess;
}

// The round that this is the rank's call of; null where the ranks disagree.
static std::shared_ptr<gather_round> come(link *rank, size_t bytes) {
  gathering &all = *rank->all;
  size_t index = (size_t)(rank->calls++ - all.before);
  while (all.rounds.size() <= index) all.rounds.push_back(std::make_shared<gather_round>());
  std::shared_ptr<gather_round> round = all.rounds[index];
  if (round->came == 0) {
    round->bytes = bytes;
    round->parts.resize(all.ranks.size());
  } else if (round->bytes != bytes) {
    for (link *other : all.ranks)
      if (other) other->error = ncclInvalidUsage;
    return nullptr;
  }
  return round;
}

static void gather(const void *send, void *recv, size_t bytes, const std::shared_ptr<link> &rank, cudaStream_t stream) {
  std::shared_ptr<gathering> all = rank->all;
  if (rank->aborted || sticky_error() != cudaSuccess) return;
  region from, to;
  size_t ranks = all->ranks.size(), own = (size_t)rank->rank * bytes;
  bool in_place = (const char *)recv + own == (const char *)send;
  if (!memory_need_written(send, bytes, &from)) return stick(cudaErrorInvalidValue);
  std::vector<char> part(from.begin, from.end);
  if (!memory_forget_written(recv, ranks * bytes, &to)) return stick(cudaErrorInvalidValue);
  int fault = the_transport().faults[rank->rank];
  the_transport().faults[rank->rank] = GATHER_FINE;
  if (fault == GATHER_BROKEN) rank->error = ncclRemoteError;
  std::shared_ptr<gather_round> round = come(rank.get(), bytes);
  if (round && fault == GATHER_FINE) {
    round->parts[(size_t)rank->rank] = part;
    round->came++;
    while (!all->rounds.empty() && all->rounds.front()->came == (int)ranks) {
      all->rounds.pop_front();
      all->before++;
    }
  }
  wait_until(
      stream, [=] { return rank->aborted || (round && round->came == (int)ranks); },
      [=] {
        region source, target;
        if (rank->aborted) return;
        if (!in_place &&
            (!memory_need_written(send, bytes, &source) || std::memcmp(source.begin, part.data(), bytes) != 0)) {
          fault_note("the part of a gather was changed before it was done");
          return stick(cudaErrorInvalidValue);
        }
        if (!memory_mark_written(recv, ranks * bytes, &target)) return stick(cudaErrorInvalidValue);
        for (size_t i = 0; i < ranks; i++) std::memcpy(target.begin + i * bytes, round->parts[i].data(), bytes);
      });
}

ncclResult_t ncclAllGather(const void *send, void *recv, size_t count, ncclDataType_t type, ncclComm_t handle,
                           cudaStream_t stream) {
  turn turn(machine());
  std::shared_ptr<link> rank = handle->link;
  if (type != ncclInt8 || !stream || !of_current_device(stream) || current_device() != rank->device)
    return ncclInvalidArgument;
  if (rank->aborted) return ncclInvalidUsage;
  if (the_transport().faults[rank->rank] == GATHER_REFUSED) {
    the_transport().faults[rank->rank] = GATHER_FINE;
    return ncclSystemError;
  }
  // A graph's gather is one each time it is launched.
  if (put_off(stream))
    capture(stream, [=] { gather(send, recv, count, rank, stream); });
  else
    gather(send, recv, count, rank, stream);
  return ncclSuccess;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t rank, ncclResult_t *error) {
  turn turn(machine());
  *error = rank->link->error;
  return ncclSuccess;
}

ncclResult_t ncclCommAbort(ncclComm_t rank) {
  turn turn(machine());
  rank->link->aborted = true;
  rank->link->all->ranks[(size_t)rank->link->rank] = nullptr;
  delete rank;
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t rank) { return ncclCommAbort(rank); }

const char *ncclGetErrorString(ncclResult_t error) {
  switch (error) {
    case ncclSuccess:
      return "no error";
    case ncclSystemError:
      return "unhandled system error";
    case ncclInvalidArgument:
      return "invalid argument";
    case ncclInvalidUsage:
      return "invalid usage";
    case ncclRemoteError:
      return "remote process exited or there was a network error";
  }
  return "unknown error";
}

}  // namespace emulator

// For tests in C: a fault (enum gather_fault) of a rank's next gather.
extern "C" void isoloss_emulator_gather_fault(int rank, int fault);
void isoloss_emulator_gather_fault(int rank, int fault) {
  emulator::turn turn(emulator::machine());
  emulator::the_transport().faults[rank] = fault;
}
