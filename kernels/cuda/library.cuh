// cuBLASLt, found when a device is opened: a library of half a gigabyte that a run on the CPU need not load, and that a
// machine without GPUs need not have.
#pragma once
#include "kernels/cuda/c_headers.h"
#include "kernels/cuda/portable.cuh"
#if !defined(ISOLOSS_EMULATED)
#include <dlfcn.h>
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

inline void library_close(lt_library *) {}
#else
template <class Function>
bool library_symbol(lt_library *library, Function *function, const char *name, struct error *error) {
  void *symbol = dlsym(library->handle, name);
  if (!symbol) return error_set(error, EXIT_ENVIRONMENT, "cuBLASLt lacks %s", name);
  std::memcpy(function, &symbol, sizeof symbol);
  return true;
}

inline void library_close(lt_library *library) {
  if (library->handle) dlclose(library->handle);
  library->handle = nullptr;
}

// ISOLOSS_CUBLASLT, set by the build, is the library's name with the version that was compiled against.
inline bool library_open(lt_library *library, struct error *error) {
  *library = {};
  const char *names[] = {ISOLOSS_CUBLASLT, ISOLOSS_CUBLASLT_PATH};
  for (const char *name : names)
    if (!library->handle) library->handle = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  if (!library->handle)
    return error_set(error, EXIT_ENVIRONMENT, "cuBLASLt cannot be loaded: %s; install it or set LD_LIBRARY_PATH",
                     dlerror());
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
  library_close(library);
  return false;
}
#endif

}  // namespace
