// Devices by the names that configurations use; see trainer.h.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/sizes.h"
#include "kernels/fast_dct.h"
#include "trainer/layout.h"
#include "trainer/optimizers/optimizer.h"
#include "trainer/trainer.h"

bool trainer_device_try(const struct ops *ops, const struct device_options *options, struct device **device) {
  struct error error = {0};
  *device = ops->open(options, &error);
  if (*device) return true;
  // A machine without GPUs has nothing to say here.
  if (!ops->present || ops->present())
    fprintf(stderr, "model.device auto: the CPU trains, for the GPU cannot be used: %s\n", error.text);
  return false;
}

// Programs of tests have the emulated device in place of a GPU.
static const struct ops *find_backend(const char *name, struct error *error) {
  struct error ignored = {0};
  const struct ops *emulated = strcmp(name, "cuda") == 0 ? ops_find("cuda-emulated", &ignored) : NULL;
  return emulated ? emulated : ops_find(name, error);
}

bool trainer_device_open(const char *name, int64_t threads, const struct ops **ops, struct device **device,
                         struct error *error) {
  struct device_options options = {.threads = (int)threads};
  if (strcmp(name, "auto") == 0) {
    struct error unknown = {0};
    *ops = find_backend("cuda", &unknown);
    if (*ops && trainer_device_try(*ops, &options, device)) return true;
    name = "cpu";
  }
  const char *backend = name;
  if (starts_with(name, "cuda:")) {
    int64_t number;
    backend = "cuda";
    if (!integer_parse(name + 5, &number) || number < 0 || number > 1023)
      return error_set(error, EXIT_USAGE_ERROR, "model.device '%s': a device number follows 'cuda:'", name);
    options.number = (int)number;
  }
  struct error unknown = {0};
  *ops = find_backend(backend, &unknown);
  if (!*ops && strcmp(backend, "cuda") == 0)
    return error_set(error, EXIT_ENVIRONMENT,
                     "model.device '%s': this build has no CUDA backend (docs/gpu.md says how to build it)", name);
  if (!*ops) return error_set(error, unknown.code, "model.device '%s': %s", name, unknown.text);
  *device = (*ops)->open(&options, error);
  return *device || error_context(error, "model.device '%s'", name);
}

bool trainer_device_plan(const char *name, int64_t threads, const struct ops **ops, struct device **device,
                         struct error *error) {
  if (!starts_with(name, "cuda")) return trainer_device_open(name, threads, ops, device, error);
  *ops = &cuda_planning_ops;
  *device = NULL;
  return true;
}

const char *trainer_dtype(const struct ops *ops, const struct device *device) {
  bool bfloat16 = ops->dtype_supported(device, DTYPE_BFLOAT16) && ops->dtype_fast(device, DTYPE_BFLOAT16);
  return dtype_name(bfloat16 ? DTYPE_BFLOAT16 : DTYPE_FLOAT32);
}

struct memory_plan trainer_memory(const struct ops *ops, const struct device *device,
                                  const struct run_config *resolved) {
  struct arena arena = {0};
  struct error error = {0};
  struct run_config config = *resolved;
  // What cannot be parsed is another trainer's.
  if (!config.parsed_format) config_parse_format(&config, &arena, &error);
  struct memory_plan plan = layout_memory(ops, device, &config, MODEL_TRAIN);
  arena_free(&arena);
  return plan;
}

bool trainer_has_libraries(const struct run_config *resolved, struct error *error) {
  return !optimizer_transforms(resolved) || fast_dct_needed(error);
}

bool trainer_supported(const struct ops *ops, const struct device *device, const struct run_config *resolved,
                       struct error *error) {
  struct arena arena = {0};
  struct run_config config = *resolved;
  bool parsed = config.parsed_format || config_parse_format(&config, &arena, error);
  bool fine = parsed && layout_supported(ops, device, &config, error);
  arena_free(&arena);
  return fine;
}

// Program, libraries and oneDNN's kernels: 14 MiB measured next to the plan of a small model, and as much to spare.
enum { CPU_PROCESS_BYTES = 32 << 20 };

int64_t trainer_process_bytes(const struct ops *ops) {
  return starts_with(ops->name, "cuda") ? CUDA_PROCESS_BYTES + CUDA_PRODUCTS_WORKSPACE : CPU_PROCESS_BYTES;
}

bool trainer_memory_advice(const struct ops *ops, const struct device *device, const struct run_config *resolved,
                           int64_t limit, struct memory_advice *advice) {
  int64_t sequences = resolved->train.batch_tokens / resolved->model.context;
  struct memory_advice least = {.total = INT64_MAX};
  int first = recompute_find(resolved->train.recompute);
  struct run_config config = *resolved;
  for (int word = first; word < RECOMPUTES; word++) {
    config.train.recompute = recompute_words[word];
    for (int64_t accumulation = resolved->train.accumulation; accumulation <= sequences; accumulation++) {
      if (sequences % accumulation) continue;
      config.train.accumulation = accumulation;
      int64_t total = trainer_memory(ops, device, &config).total + trainer_process_bytes(ops);
      if (total < least.total) least = (struct memory_advice){accumulation, recompute_words[word], total};
      if (total > limit) continue;
      *advice = (struct memory_advice){accumulation, recompute_words[word], total};
      return true;
    }
  }
  *advice = least;
  return false;
}

int64_t trainer_memory_bytes(const struct run_config *resolved, struct error *error) {
  const struct ops *ops;
  struct device *device;
  if (!trainer_device_open(resolved->model.device, resolved->train.threads, &ops, &device, error)) return -1;
  int64_t total = trainer_memory(ops, device, resolved).total;
  ops->close(device);
  return total;
}
