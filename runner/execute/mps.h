// NVIDIA's Multi-Process Service for runs that share a GPU: without it the kernels of several processes take turns,
// with it they run at the same time. `isoloss run --mps` starts one of its own and stops it again.
#pragma once
#include "runner/execute/gpus.h"

struct mps {
  char folder[108];  // its pipes and logs; "": nothing was started
};

// Starts the service for this home's runs, or takes the one that an earlier call for the same home left, and sets
// CUDA_MPS_PIPE_DIRECTORY in our environment, which workers inherit. Where that is set already, somebody else's service
// is used and left alone. GPUs in an exclusive compute mode may then have several runs. False with an error:
// EXIT_USAGE_ERROR for instances of MIG, EXIT_ENVIRONMENT when the service cannot be started.
bool mps_begin(struct mps *mps, struct gpu_list *gpus, const char *home, struct error *error);
// Stops what mps_begin started. Runs that are still at work get ten seconds.
void mps_end(struct mps *mps);
