// cuBLASLt, found when a device is opened: a library of half a gigabyte that a run on the CPU need not load, and that a
// machine without GPUs need not have.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/portable.cuh"
#if !defined(ISOLOSS_EMULATED)
#include <dlfcn.h>
#include <glob.h>
#include <unistd.h>
#endif

struct lt_library {
  void *handle;
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtMatmulDescCreate) description_create;
  decltype(&cublasLtMatmulDescDestroy) description_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) description_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) multiply;
};

namespace {

#if defined(ISOLOSS_EMULATED)
inline bool library_open(lt_library *library, struct error *) {
  *library = {nullptr,
              cublasLtCreate,
              cublasLtDestroy,
              cublasLtGetVersion,
              cublasLtMatmulDescCreate,
              cublasLtMatmulDescDestroy,
              cublasLtMatmulDescSetAttribute,
              cublasLtMatrixLayoutCreate,
              cublasLtMatrixLayoutDestroy,
              cublasLtMatmulPreferenceCreate,
              cublasLtMatmulPreferenceDestroy,
              cublasLtMatmulPreferenceSetAttribute,
              cublasLtMatmulAlgoGetHeuristic,
              cublasLtMatmul};
  return true;
}

#else
template <class Function>
bool library_symbol(lt_library *library, Function *function, const char *name, struct error *error) {
  void *symbol = dlsym(library->handle, name);
  if (!symbol) return error_set(error, EXIT_ENVIRONMENT, "cuBLASLt lacks %s", name);
  std::memcpy(function, &symbol, sizeof symbol);
  return true;
}

// The folder of the program that runs; "" when it is not known.
inline const char *program_folder(struct arena *arena) {
  char path[4096];
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  if (length <= 0) return "";
  path[length] = '\0';
  char *end = std::strrchr(path, '/');
  if (!end) return "";
  *end = '\0';
  return arena_format(arena, "%s", path);
}

// A library that is open stays so until the process ends: it is half a gigabyte to load again, and code that a driver
// or profiler may still call.
inline void *library_load(const char *path) { return dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE); }

// ISOLOSS_CUBLASLT in the environment is a path that is taken, or refused. Else, in this order: the loader's own
// folders (LD_LIBRARY_PATH), the program's folder and its lib and ../lib, the CUDA that was built with, and NVIDIA's
// packages for Python. ISOLOSS_CUBLASLT, set by the build, is the library's name with the version that was compiled
// against.
inline bool library_open(lt_library *library, struct error *error) {
  static const char *const packages[] = {"/usr/lib/python3*/*-packages", "/usr/local/lib/python3*/*-packages",
                                         "/opt/*/lib/python3*/site-packages", "~/.local/lib/python3*/site-packages"};
  *library = {};
  const char *wanted = std::getenv("ISOLOSS_CUBLASLT");
  if (wanted && *wanted) {
    library->handle = library_load(wanted);
    if (!library->handle) return error_set(error, EXIT_ENVIRONMENT, "ISOLOSS_CUBLASLT: %s", dlerror());
  }
  if (!library->handle) library->handle = library_load(ISOLOSS_CUBLASLT);
  struct text first = {};
  if (!library->handle) text_add(&first, dlerror());
  struct arena arena = {};
  const char *folder = library->handle ? "" : program_folder(&arena);
  for (const char *place : {"", "/lib", "/../lib"})
    if (!library->handle && *folder)
      library->handle = library_load(arena_format(&arena, "%s%s/" ISOLOSS_CUBLASLT, folder, place));
  if (!library->handle) library->handle = library_load(ISOLOSS_CUBLASLT_PATH);
  for (const char *place : packages) {
    glob_t found = {};
    const char *pattern = arena_format(&arena, "%s/nvidia/cu*/lib/" ISOLOSS_CUBLASLT, place);
    if (!library->handle && glob(pattern, GLOB_TILDE, nullptr, &found) == 0)
      for (size_t i = 0; i < found.gl_pathc && !library->handle; i++) library->handle = library_load(found.gl_pathv[i]);
    globfree(&found);
  }
  arena_free(&arena);
  bool loaded = library->handle != nullptr;
  if (!loaded)
    error_set(error, EXIT_ENVIRONMENT, "cuBLASLt cannot be loaded: %s; install it, or give its path in %s",
              text_string(&first), "ISOLOSS_CUBLASLT");
  text_free(&first);
  if (!loaded) return false;
  if (library_symbol(library, &library->create, "cublasLtCreate", error) &&
      library_symbol(library, &library->destroy, "cublasLtDestroy", error) &&
      library_symbol(library, &library->version, "cublasLtGetVersion", error) &&
      library_symbol(library, &library->description_create, "cublasLtMatmulDescCreate", error) &&
      library_symbol(library, &library->description_destroy, "cublasLtMatmulDescDestroy", error) &&
      library_symbol(library, &library->description_set, "cublasLtMatmulDescSetAttribute", error) &&
      library_symbol(library, &library->layout_create, "cublasLtMatrixLayoutCreate", error) &&
      library_symbol(library, &library->layout_destroy, "cublasLtMatrixLayoutDestroy", error) &&
      library_symbol(library, &library->preference_create, "cublasLtMatmulPreferenceCreate", error) &&
      library_symbol(library, &library->preference_destroy, "cublasLtMatmulPreferenceDestroy", error) &&
      library_symbol(library, &library->preference_set, "cublasLtMatmulPreferenceSetAttribute", error) &&
      library_symbol(library, &library->heuristic, "cublasLtMatmulAlgoGetHeuristic", error) &&
      library_symbol(library, &library->multiply, "cublasLtMatmul", error))
    return true;
  return false;
}
#endif

}  // namespace
