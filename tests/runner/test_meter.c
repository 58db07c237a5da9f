// Counters of energy: a folder as the kernel's powercap has it, and a library in NVML's place.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"
#include "runner/execute/meter.h"
#include "tests/check.h"

static struct arena arena;
static char folder[256];

static const char *put(const char *name, const char *text) {
  struct error error = {0};
  const char *path = path_join(&arena, folder, name);
  char *parent = arena_string(&arena, path), *slash = strrchr(parent, '/');
  *slash = '\0';
  CHECK(folder_make(parent, &error) && file_write_atomic(path, text, strlen(text), &error));
  return path;
}

static void put_zone(const char *zone, const char *name, const char *energy) {
  put(arena_format(&arena, "%s/name", zone), name);
  put(arena_format(&arena, "%s/max_energy_range_uj", zone), "1000000000\n");
  put(arena_format(&arena, "%s/energy_uj", zone), energy);
}

static void reads_packages_and_memory(void) {
  double joules, gpus[1];
  put_zone("intel-rapl:0", "package-0\n", "5000000\n");
  put_zone("intel-rapl:0:0", "core\n", "70000000\n");  // in the package's
  put_zone("intel-rapl:0:1", "dram\n", "1000000\n");
  put_zone("intel-rapl:1", "package-1\n", "999000000\n");
  put_zone("intel-rapl:2", "psys\n", "1\n");                  // holds both packages
  put_zone("intel-rapl-mmio:0", "package-0\n", "5000000\n");  // the same counter again
  struct meter *meter = meter_open(folder, NULL);
  CHECK_TEXT(meter_source(meter), "RAPL package-0, dram, package-1");
  CHECK(meter_reads_processors(meter) && meter_gpu_count(meter) == 0);
  put("intel-rapl:0/energy_uj", "7500000\n");
  put("intel-rapl:0:1/energy_uj", "1250000\n");
  put("intel-rapl:1/energy_uj", "2000000\n");  // ran over: 1 J to its end, 2 J from the start
  put("intel-rapl:0:0/energy_uj", "900000000\n");
  meter_read(meter, &joules, gpus);
  CHECK_NEAR(joules, 2.5 + 0.25 + 3, 1e-12);
  meter_read(meter, &joules, gpus);
  CHECK_NEAR(joules, 0, 0);
  // A counter that goes leaves no number that looks whole.
  CHECK(unlink(path_join(&arena, folder, "intel-rapl:1/energy_uj")) == 0);
  meter_read(meter, &joules, gpus);
  CHECK(isnan(joules));
  put("intel-rapl:1/energy_uj", "3000000\n");
  meter_read(meter, &joules, gpus);
  CHECK(isnan(joules));
  meter_close(meter);
}

static void a_counter_that_began_anew_is_no_energy(void) {
  double joules, gpus[1];
  put("intel-rapl:1/max_energy_range_uj", "900000000000000\n");
  put("intel-rapl:1/energy_uj", "800000000\n");
  struct meter *meter = meter_open(folder, NULL);
  put("intel-rapl:1/energy_uj", "10\n");
  meter_read(meter, &joules, gpus);
  CHECK(isnan(joules));
  meter_close(meter);
}

static void without_counters_there_is_none(void) {
  double joules, gpus[1];
  struct meter *meter = meter_open(path_join(&arena, folder, "nowhere"), "libno-such-library.so.1");
  meter_read(meter, &joules, gpus);
  CHECK(isnan(joules) && !meter_reads_processors(meter) && meter_gpu_count(meter) == 0);
  CHECK_TEXT(meter_source(meter), "");
  CHECK(meter_gpu_find(meter, "0") == -1);
  meter_close(meter);
}

static void reads_gpus(void) {
  double joules, gpus[2];
  setenv("FAKE_NVML0", put("gpu0", "1000\n"), 1);
  unsetenv("FAKE_NVML1");
  struct meter *meter = meter_open(NULL, getenv("FAKE_NVML"));
  CHECK(meter_gpu_count(meter) == 2);
  CHECK_TEXT(meter_source(meter), "NVML 1 GPU");
  CHECK_TEXT(meter_gpu_name(meter, 1), "Fake GPU");
  CHECK_TEXT(meter_driver(meter), "999.1");
  CHECK(meter_gpu_find(meter, "1") == 1 && meter_gpu_find(meter, "2") == -1 && meter_gpu_find(meter, "GPU-11") == 1);
  CHECK(meter_gpu_find(meter, "GPU-22") == -1 && meter_gpu_find(meter, "") == -1);
  put("gpu0", "3500\n");
  meter_read(meter, &joules, gpus);
  CHECK(isnan(joules) && isnan(gpus[1]));
  CHECK_NEAR(gpus[0], 2.5, 1e-12);
  meter_close(meter);
}

int main(int argc, char **argv) {
  struct error error = {0};
  snprintf(folder, sizeof folder, "%s/isoloss-meter-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
  if (!mkdtemp(folder)) return 1;
  RUN(reads_packages_and_memory);
  RUN(a_counter_that_began_anew_is_no_energy);
  RUN(without_counters_there_is_none);
  RUN(reads_gpus);
  folder_remove(folder, &error);
  arena_free(&arena);
  return check_end();
}
