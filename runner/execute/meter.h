// What the machine says of the energy that it uses: counters of the processors (RAPL, by the kernel's powercap files)
// and of NVIDIA's GPUs (NVML, by dlopen). A counter that may not be read is not there.
#pragma once
#include <stdbool.h>
#include <stddef.h>

#include "base/base.h"

struct meter;

// Looks for counters. `powercap`: the folder with the kernel's zones (/sys/class/powercap); `nvml`: the library
// (libnvidia-ml.so.1). NULL leaves one out. Never NULL; meter_close.
struct meter *meter_open(const char *powercap, const char *nvml);
// That of this machine, of its GPUs where they are wanted. ISOLOSS_POWERCAP names another folder of zones.
struct meter *meter_of_machine(bool gpus);
void meter_close(struct meter *meter);  // NULL is fine

// Which counters there are, in words: "RAPL package-0, dram; NVML 2 GPUs"; "" for none.
const char *meter_source(const struct meter *meter);
bool meter_reads_processors(const struct meter *meter);
size_t meter_gpu_count(const struct meter *meter);
// The GPU that CUDA_VISIBLE_DEVICES calls so (a number in the order of the bus, or a UUID); -1: none that has a
// counter.
int meter_gpu_find(const struct meter *meter, const char *name);
const char *meter_gpu_name(const struct meter *meter, size_t gpu);  // "NVIDIA H200"
const char *meter_driver(const struct meter *meter);  // version of NVIDIA's driver; "" where it is not known

// Joules since the last reading, or since meter_open: of all processors together (*processors), and gpus
// [meter_gpu_count]. A counter that fails now, or fell without running over, gives NAN; it is left out from then on.
void meter_read(struct meter *meter, double *processors, double *gpus);
