// A libnvidia-ml with two GPUs whose counters say what the files named by FAKE_NVML0 and FAKE_NVML1 hold, in
// millijoules; a counter without its file is not supported.
#include <stdio.h>
#include <stdlib.h>

enum { NOT_SUPPORTED = 3, GPUS = 2 };
static int numbers[GPUS] = {0, 1};

#define SHOWN __attribute__((visibility("default")))
SHOWN int nvmlInit_v2(void);
SHOWN int nvmlShutdown(void);
SHOWN int nvmlDeviceGetCount_v2(unsigned *count);
SHOWN int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
SHOWN int nvmlDeviceGetName(void *device, char *name, unsigned length);
SHOWN int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length);
SHOWN int nvmlSystemGetDriverVersion(char *version, unsigned length);
SHOWN int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy);

int nvmlInit_v2(void) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) {
  *count = GPUS;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  *device = &numbers[index];
  return 0;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  snprintf(name, length, "Fake GPU");
  return 0;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
  snprintf(uuid, length, "GPU-%d%d-fake", *(int *)device, *(int *)device);
  return 0;
}
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
  snprintf(version, length, "999.1");
  return 0;
}
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *energy) {
  const char *path = getenv(*(int *)device ? "FAKE_NVML1" : "FAKE_NVML0");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return NOT_SUPPORTED;
  int got = fscanf(file, "%llu", energy);
  fclose(file);
  return got == 1 ? 0 : NOT_SUPPORTED;
}
