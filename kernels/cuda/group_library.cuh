// NCCL, found when a group of devices is opened: a run on one GPU needs none, and a build does not either, so that what
// is used of it is declared here.
#pragma once
#include "kernels/cuda/library.cuh"
#if defined(ISOLOSS_EMULATED)
#include "kernels/cuda/emulator/nccl.h"
#else
struct ncclComm;
using ncclComm_t = ncclComm *;
enum ncclResult_t : int { ncclSuccess = 0, ncclInProgress = 7 };
enum ncclDataType_t : int { ncclInt8 = 0 };
#endif

struct group_library {
  void *handle;
  ncclResult_t (*init)(ncclComm_t *ranks, int count, const int *devices);
  ncclResult_t (*gather)(const void *send, void *recv, size_t count, ncclDataType_t type, ncclComm_t rank,
                         cudaStream_t stream);
  ncclResult_t (*error)(ncclComm_t rank, ncclResult_t *error);
  ncclResult_t (*destroy)(ncclComm_t rank);
  ncclResult_t (*abort)(ncclComm_t rank);
  const char *(*text)(ncclResult_t error);
};

namespace {

#if defined(ISOLOSS_EMULATED)
inline bool group_library_open(group_library *library, struct error *) {
  *library = {nullptr,         ncclCommInitAll, ncclAllGather,     ncclCommGetAsyncError,
              ncclCommDestroy, ncclCommAbort,   ncclGetErrorString};
  return true;
}
#else
template <class Function>
bool group_symbol(const group_library *library, Function *function, const char *name, struct error *error) {
  void *symbol = dlsym(library->handle, name);
  if (!symbol) return error_set(error, EXIT_ENVIRONMENT, "NCCL lacks %s", name);
  std::memcpy(function, &symbol, sizeof symbol);
  return true;
}

// ISOLOSS_NCCL in the environment is a path that is taken, or refused. Else the loader's own folders, the program's
// folder and its lib, and NVIDIA's packages for Python.
inline bool group_library_open(group_library *library, struct error *error) {
  static const char *const packages[] = {"/usr/lib/python3*/*-packages", "/usr/local/lib/python3*/*-packages",
                                         "/opt/*/lib/python3*/site-packages", "~/.local/lib/python3*/site-packages"};
  *library = {};
  const char *wanted = std::getenv("ISOLOSS_NCCL");
  struct arena arena = {};
  struct text first = {};
  if (wanted && *wanted) {
    library->handle = library_load(wanted);
    if (!library->handle) return error_set(error, EXIT_ENVIRONMENT, "ISOLOSS_NCCL: %s", dlerror());
  }
  if (!library->handle) library->handle = library_load("libnccl.so.2");
  if (!library->handle) text_add(&first, dlerror());
  const char *folder = library->handle ? "" : program_folder(&arena);
  for (const char *place : {"", "/lib", "/../lib"})
    if (!library->handle && *folder)
      library->handle = library_load(arena_format(&arena, "%s%s/libnccl.so.2", folder, place));
  for (const char *place : packages) {
    glob_t found = {};
    const char *pattern = arena_format(&arena, "%s/nvidia/nccl/lib/libnccl.so.2", place);
    if (!library->handle && glob(pattern, GLOB_TILDE, nullptr, &found) == 0)
      for (size_t i = 0; i < found.gl_pathc && !library->handle; i++) library->handle = library_load(found.gl_pathv[i]);
    globfree(&found);
  }
  if (!library->handle)
    error_set(error, EXIT_ENVIRONMENT,
              "several GPUs need NCCL, which cannot be loaded: %s; install it, or give its path in ISOLOSS_NCCL",
              text_string(&first));
  arena_free(&arena);
  text_free(&first);
  return library->handle && group_symbol(library, &library->init, "ncclCommInitAll", error) &&
         group_symbol(library, &library->gather, "ncclAllGather", error) &&
         group_symbol(library, &library->error, "ncclCommGetAsyncError", error) &&
         group_symbol(library, &library->destroy, "ncclCommDestroy", error) &&
         group_symbol(library, &library->abort, "ncclCommAbort", error) &&
         group_symbol(library, &library->text, "ncclGetErrorString", error);
}
#endif

}  // namespace
