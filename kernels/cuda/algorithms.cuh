// Which of cuBLASLt's algorithms a product takes: the fastest of a short trial, found once per GPU, driver, library and
// shape, and kept in a file of the cache folder, so that later runs, and a run that is resumed, take the same one and
// get the same bits. A line of the file is
//   shape <tab> algorithm (64 bytes in hexadecimal, as cuBLASLt lets it be kept) <tab> workspace <tab> check
// Lines that do not check are not used. Runs that start together wait for each other's trials.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include "kernels/cuda/device.cuh"

struct chosen_algorithm {
  cublasLtMatmulAlgo_t algorithm;
  size_t workspace;
};

namespace {

constexpr int TRIAL_CANDIDATES = 8;
constexpr int TRIAL_ROUNDS = 5;

// ISOLOSS_TRIALS=off takes the library's first proposal, unmeasured.
inline bool trials_wanted() {
  const char *choice = std::getenv("ISOLOSS_TRIALS");
  return !choice || std::strcmp(choice, "off") != 0;
}

// The file's path, for what decides how fast an algorithm is; made of names and versions.
inline char *algorithms_path(struct arena *arena, const struct device *device) {
  int driver = 0, runtime = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  char *name = arena_format(arena, "%s-sm%d%d-%dmp-driver%d-cuda%d-cublaslt%zu", device->properties.name,
                            device->properties.major, device->properties.minor, device->properties.multiProcessorCount,
                            driver, runtime, device->library.version());
  for (char *c = name; *c; c++)
    if (!std::isalnum((unsigned char)*c) && *c != '-') *c = '_';
  return path_join(arena, path_join(arena, isoloss_cache(arena), "gpu"), arena_format(arena, "%s.algorithms", name));
}

inline void algorithm_line(const char *shape, const chosen_algorithm &chosen, struct text *out) {
  unsigned char bytes[sizeof chosen.algorithm];
  std::memcpy(bytes, &chosen.algorithm, sizeof bytes);
  text_format(out, "%s\t", shape);
  for (unsigned char byte : bytes) text_format(out, "%02x", byte);
  text_format(out, "\t%zu", chosen.workspace);
  uint64_t check = hash64(out->bytes, out->length, 0);
  text_format(out, "\t%016llx\n", (unsigned long long)check);
}

inline bool algorithm_read(const char *line, size_t length, const char *shape, chosen_algorithm *chosen) {
  size_t name = std::strlen(shape), digits = 2 * sizeof chosen->algorithm;
  if (length < name + digits + 4 || std::strncmp(line, shape, name) != 0 || line[name] != '\t') return false;
  unsigned char bytes[sizeof chosen->algorithm];
  for (size_t i = 0; i < sizeof bytes; i++) {
    unsigned value;
    if (std::sscanf(line + name + 1 + 2 * i, "%2x", &value) != 1) return false;
    bytes[i] = (unsigned char)value;
  }
  std::memcpy(&chosen->algorithm, bytes, sizeof bytes);
  chosen->workspace = (size_t)std::strtoull(line + name + 1 + digits, nullptr, 10);
  if (chosen->workspace > CUDA_PRODUCTS_WORKSPACE) return false;
  // The line that these values make is the line that is there.
  struct text again = {};
  algorithm_line(shape, *chosen, &again);
  bool same = again.length == length && std::memcmp(again.bytes, line, length) == 0;
  text_free(&again);
  return same;
}

// The first good line of the shape.
inline bool algorithm_find(const char *path, const char *shape, chosen_algorithm *chosen) {
  struct arena arena = {};
  struct error ignored = {};
  size_t length = 0;
  bool found = false;
  const char *text = file_exists(path) ? file_read(&arena, path, &length, &ignored) : nullptr;
  for (const char *line = text, *end = text ? text + length : nullptr; line < end && !found;) {
    const char *next = (const char *)std::memchr(line, '\n', (size_t)(end - line));
    next = next ? next + 1 : end;
    found = algorithm_read(line, (size_t)(next - line), shape, chosen);
    line = next;
  }
  arena_free(&arena);
  return found;
}

// Adds a line, in one write; a file that ends in the middle of a line (a crash, a full disk) gets an end first.
inline bool algorithm_keep(const char *path, const char *shape, const chosen_algorithm &chosen) {
  int file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  if (file < 0) return false;
  struct text line = {};
  char last = '\n';
  off_t size = lseek(file, 0, SEEK_END);
  if (size > 0 && pread(file, &last, 1, size - 1) == 1 && last != '\n') text_char(&line, '\n');
  struct text bare = {};
  algorithm_line(shape, chosen, &bare);
  text_add(&line, text_string(&bare));
  bool fine = write(file, line.bytes, line.length) == (ssize_t)line.length;
  close(file);
  text_free(&line);
  text_free(&bare);
  return fine;
}

// Where no line can be kept, no trial is made: what it finds would not be found again.
inline int algorithms_lock(const char *path, struct error *error) {
  struct arena arena = {};
  int lock = file_lock_wait(arena_format(&arena, "%s.lock", path), 60, error);
  arena_free(&arena);
  return lock;
}

// Milliseconds of the fastest of some rounds of `once`, or a negative number when it fails.
template <class Once>
float trial_time(struct device *device, cudaEvent_t before, cudaEvent_t after, Once once) {
  float best = -1;
  for (int round = 0; round <= TRIAL_ROUNDS; round++) {  // the first one warms up
    float took = 0;
    if (cudaEventRecord(before, device->stream) != cudaSuccess || once() != CUBLAS_STATUS_SUCCESS) return -1;
    if (cudaEventRecord(after, device->stream) != cudaSuccess || cudaEventSynchronize(after) != cudaSuccess) return -1;
    if (cudaEventElapsedTime(&took, before, after) != cudaSuccess) return -1;
    if (round > 0 && (best < 0 || took < best)) best = took;
  }
  return best;
}

}  // namespace
