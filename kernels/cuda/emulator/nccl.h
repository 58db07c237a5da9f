// The part of NCCL that kernels/cuda uses, among the emulated devices of one process. A gather copies nothing before
// all ranks have come to it (the latest a GPU may), and what it writes counts as never written until then: who reads it
// without waiting is found, and so is who changes what it reads meanwhile. Ranks that ask for different sizes, or a
// rank that never comes, leave the others waiting as on GPUs, where nothing returns either; the error of the former can
// be asked for.
#pragma once
#include "kernels/cuda/emulator/runtime.h"

namespace emulator {

enum ncclResult_t {
  ncclSuccess = 0,
  ncclSystemError = 2,
  ncclInvalidArgument = 4,
  ncclInvalidUsage = 5,
  ncclRemoteError = 6
};
enum ncclDataType_t { ncclInt8 = 0 };
struct nccl_rank;
using ncclComm_t = nccl_rank *;

ncclResult_t ncclCommInitAll(ncclComm_t *ranks, int count, const int *devices);
// recv [ranks, count]; send may be its own part of recv.
ncclResult_t ncclAllGather(const void *send, void *recv, size_t count, ncclDataType_t type, ncclComm_t rank,
                           cudaStream_t stream);
ncclResult_t ncclCommGetAsyncError(ncclComm_t rank, ncclResult_t *error);
ncclResult_t ncclCommDestroy(ncclComm_t rank);
ncclResult_t ncclCommAbort(ncclComm_t rank);  // what waits for others is given up
const char *ncclGetErrorString(ncclResult_t error);

// Faults of the transport that tests plant in one rank's next gather.
enum gather_fault {
  GATHER_FINE,
  GATHER_REFUSED,  // the call fails
  GATHER_BROKEN,   // the call is fine, and the transport says later that it failed
  GATHER_LOST,     // the call is fine, and nobody ever hears of it
};

}  // namespace emulator
