// The GPUs that `isoloss run --gpus` hands out. The front holds no CUDA: what there is is asked of nvidia-smi, which
// comes with every driver.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/base.h"

struct gpu {
  const char *name;  // as CUDA_VISIBLE_DEVICES takes it: a number in the order of nvidia-smi, or a UUID
  double bytes;      // of memory; NAN: not known
  bool exclusive;    // its compute mode lets one process in at a time
  bool instance;     // of MIG, or a card that is split into such
};
struct gpu_list {
  struct gpu *items;
  size_t count;
};

// Reads "24G", "81920M" (binary), or bytes. False when it is none of them.
bool memory_size_parse(const char *text, double *bytes);
// Reads "0,1,GPU-5f3a..." or "all", in the arena. `memory` of each: "24G", "81920M", bytes; NULL: ask nvidia-smi (it
// stays unknown where there is none). `inherited` is the CUDA_VISIBLE_DEVICES of who calls, within which numbers count
// and UUIDs must be, and which is what `all` means; NULL: the machine's, by nvidia-smi's numbers. False with an error:
// EXIT_USAGE_ERROR for a list that is none, EXIT_ENVIRONMENT for a GPU that nvidia-smi does not know.
bool gpu_list_read(struct arena *arena, const char *text, const char *memory, const char *inherited,
                   struct gpu_list *list, struct error *error);
