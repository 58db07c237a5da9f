// See meter.h. RAPL: Documentation/power/powercap in the kernel's source: zones intel-rapl:N (AMD's too) with name,
// energy_uj and max_energy_range_uj, at which the counter begins again. The zones of a package hold its cores; memory
// ("dram") is a zone in it whose energy is not in the package's; "psys" holds the packages and is left out. NVML:
// nvmlDeviceGetTotalEnergyConsumption, millijoules since the driver was loaded.
#include "runner/execute/meter.h"

#include <dirent.h>
#include <dlfcn.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ZONES = 64, MOST_GPUS = 64, NVML_TEXT = 96 };

struct zone {
  char path[512];
  double range, last;  // microjoules
  bool lost;
};

struct meter_gpu {
  void *device;
  char name[NVML_TEXT], uuid[NVML_TEXT];
  double last;  // joules
  bool lost;
};

struct meter {
  struct zone zones[MOST_ZONES];
  size_t zone_count;
  struct meter_gpu gpus[MOST_GPUS];
  size_t gpu_count;
  void *library;
  int (*gpu_energy)(void *device, unsigned long long *millijoules);
  int (*shutdown)(void);
  char source[200], driver[NVML_TEXT];
  double read_at;  // monotonic
};
// No package takes so much: a counter that began anew looks like one that ran over.
static const double most_watts = 10000;

// ---- processors ----

static bool read_line(const char *folder, const char *name, char line[64]) {
  char path[640];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *file = fopen(path, "re");
  bool fine = file && fgets(line, 64, file);
  if (file) fclose(file);
  if (fine) line[strcspn(line, "\n")] = '\0';
  return fine;
}

static bool read_count(const char *folder, const char *name, double *value) {
  char line[64];
  return read_line(folder, name, line) && number_parse(line, value) && *value >= 0;
}

static int by_name(const void *left, const void *right) {
  return strcmp(((const struct zone *)left)->path, ((const struct zone *)right)->path);
}

// "intel-rapl:0", and "intel-rapl:0:1" for what is in it. The same counters by memory-mapped registers
// ("intel-rapl-mmio:0") would count twice.
static void find_zones(struct meter *meter, const char *powercap) {
  DIR *entries = opendir(powercap);
  if (!entries) return;
  struct text names = {0};
  for (struct dirent *entry; (entry = readdir(entries)) && meter->zone_count < MOST_ZONES;) {
    struct zone *zone = &meter->zones[meter->zone_count];
    char name[64];
    const char *number = strchr(entry->d_name, ':');
    if (!starts_with(entry->d_name, "intel-rapl:") || !number) continue;
    snprintf(zone->path, sizeof zone->path, "%s/%.200s", powercap, entry->d_name);
    bool inner = strchr(number + 1, ':') != NULL;
    bool wanted =
        read_line(zone->path, "name", name) && (inner ? strcmp(name, "dram") == 0 : starts_with(name, "package"));
    if (wanted && read_count(zone->path, "energy_uj", &zone->last) &&
        read_count(zone->path, "max_energy_range_uj", &zone->range))
      meter->zone_count++;
  }
  closedir(entries);
  qsort(meter->zones, meter->zone_count, sizeof *meter->zones, by_name);
  for (size_t i = 0; i < meter->zone_count; i++) {
    char name[64] = "";
    read_line(meter->zones[i].path, "name", name);
    text_format(&names, "%s%s", i ? ", " : "RAPL ", name);
  }
  snprintf(meter->source, sizeof meter->source, "%.150s", text_string(&names));
  text_free(&names);
}

// ---- GPUs ----

// A function of the library in a pointer of its type; ISO C has no conversion between the two kinds.
static bool find_function(void *library, const char *name, void *function) {
  void *found = dlsym(library, name);
  memcpy(function, &found, sizeof found);
  return found != NULL;
}

static void find_gpus(struct meter *meter, const char *nvml) {
  int (*initialise)(void), (*count_of)(unsigned *), (*device_of)(unsigned, void **);
  int (*name_of)(void *, char *, unsigned), (*uuid_of)(void *, char *, unsigned), (*driver_of)(char *, unsigned);
  unsigned count = 0;
  meter->library = dlopen(nvml, RTLD_NOW | RTLD_LOCAL);
  if (!meter->library) return;
  bool whole = find_function(meter->library, "nvmlInit_v2", &initialise) &&
               find_function(meter->library, "nvmlShutdown", &meter->shutdown) &&
               find_function(meter->library, "nvmlDeviceGetCount_v2", &count_of) &&
               find_function(meter->library, "nvmlDeviceGetHandleByIndex_v2", &device_of) &&
               find_function(meter->library, "nvmlDeviceGetName", &name_of) &&
               find_function(meter->library, "nvmlDeviceGetUUID", &uuid_of) &&
               find_function(meter->library, "nvmlSystemGetDriverVersion", &driver_of) &&
               find_function(meter->library, "nvmlDeviceGetTotalEnergyConsumption", &meter->gpu_energy);
  if (!whole || initialise() != 0) {
    meter->shutdown = NULL;
    return;
  }
  if (driver_of(meter->driver, NVML_TEXT) != 0) meter->driver[0] = '\0';
  if (count_of(&count) != 0) count = 0;
  size_t counted = 0;
  for (unsigned i = 0; i < count && i < MOST_GPUS; i++) {
    struct meter_gpu *gpu = &meter->gpus[meter->gpu_count++];  // in the order of NVML: numbers are places
    unsigned long long now = 0;
    gpu->lost = device_of(i, &gpu->device) != 0 || meter->gpu_energy(gpu->device, &now) != 0;
    gpu->last = (double)now / 1e3;
    counted += !gpu->lost;
    if (!gpu->device || name_of(gpu->device, gpu->name, NVML_TEXT) != 0) gpu->name[0] = '\0';
    if (!gpu->device || uuid_of(gpu->device, gpu->uuid, NVML_TEXT) != 0) gpu->uuid[0] = '\0';
  }
  size_t used = strlen(meter->source);
  if (counted)
    snprintf(meter->source + used, sizeof meter->source - used, "%sNVML %zu GPU%s", used ? "; " : "", counted,
             counted == 1 ? "" : "s");
}

// ---- both ----

struct meter *meter_open(const char *powercap, const char *nvml) {
  struct meter *meter = memory_get(sizeof *meter);
  if (powercap) find_zones(meter, powercap);
  if (nvml) find_gpus(meter, nvml);
  meter->read_at = clock_seconds();
  return meter;
}

struct meter *meter_of_machine(bool gpus) {
  const char *zones = getenv("ISOLOSS_POWERCAP");
  return meter_open(zones && *zones ? zones : "/sys/class/powercap", gpus ? "libnvidia-ml.so.1" : NULL);
}

void meter_close(struct meter *meter) {
  if (!meter) return;
  if (meter->shutdown) meter->shutdown();
  if (meter->library) dlclose(meter->library);
  free(meter);
}

const char *meter_source(const struct meter *meter) { return meter->source; }
bool meter_reads_processors(const struct meter *meter) { return meter->zone_count > 0; }
size_t meter_gpu_count(const struct meter *meter) { return meter->gpu_count; }
const char *meter_gpu_name(const struct meter *meter, size_t gpu) { return meter->gpus[gpu].name; }
const char *meter_driver(const struct meter *meter) { return meter->driver; }

int meter_gpu_find(const struct meter *meter, const char *name) {
  int64_t number;
  if (integer_parse(name, &number)) return number >= 0 && (size_t)number < meter->gpu_count ? (int)number : -1;
  for (size_t i = 0; i < meter->gpu_count; i++)
    if (*name && starts_with(meter->gpus[i].uuid, name)) return (int)i;  // CUDA takes the beginning of one
  return -1;
}

static double read_zone(struct zone *zone, double seconds) {
  double now, used;
  if (zone->lost || !read_count(zone->path, "energy_uj", &now)) {
    zone->lost = true;
    return NAN;
  }
  used = now - zone->last;
  if (used < 0) used += zone->range;
  zone->last = now;
  if (used >= 0 && used / 1e6 <= most_watts * (seconds + 1)) return used / 1e6;
  zone->lost = true;
  return NAN;
}

static double read_gpu(struct meter *meter, struct meter_gpu *gpu) {
  unsigned long long now;
  if (gpu->lost || meter->gpu_energy(gpu->device, &now) != 0) {
    gpu->lost = true;
    return NAN;
  }
  double used = (double)now / 1e3 - gpu->last;
  gpu->last = (double)now / 1e3;
  gpu->lost = used < 0;
  return used < 0 ? NAN : used;
}

void meter_read(struct meter *meter, double *processors, double *gpus) {
  double now = clock_seconds(), seconds = now - meter->read_at;
  meter->read_at = now;
  *processors = meter->zone_count ? 0 : NAN;
  for (size_t i = 0; i < meter->zone_count; i++) *processors += read_zone(&meter->zones[i], seconds);
  for (size_t i = 0; i < meter->gpu_count; i++) gpus[i] = read_gpu(meter, &meter->gpus[i]);
}
