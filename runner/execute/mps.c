// See mps.h. The pipes are sockets, whose paths are short: the folder is one in /tmp, named after user and home, so
// that the next runner of a home finds the service of one that was killed, and with it the workers that live on.
#include "runner/execute/mps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The user's own folder, and nobody else's.
static bool private_folder(const char *path, struct error *error) {
  struct stat status;
  if (mkdir(path, 0700) != 0 && lstat(path, &status) != 0)
    return error_set_errno(error, EXIT_ENVIRONMENT, "--mps: cannot make %s", path);
  if (lstat(path, &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != getuid() || (status.st_mode & 077) != 0)
    return error_set(error, EXIT_ENVIRONMENT, "--mps: %s is not a folder of this user's alone; remove it", path);
  return true;
}

// Whether the command succeeds; what it prints goes to the folder's log.
static bool done(struct arena *arena, const char *folder, const char *command) {
  return system(arena_format(arena, "( %s ) >>'%s/isoloss.log' 2>&1", command, folder)) == 0;
}

bool mps_begin(struct mps *mps, struct gpu_list *gpus, const char *home, struct error *error) {
  *mps = (struct mps){{0}};
  for (size_t i = 0; i < gpus->count; i++)
    if (gpus->items[i].instance)
      return error_set(error, EXIT_USAGE_ERROR,
                       "--mps: GPU %s is (an instance) of MIG, which MPS is not used with here", gpus->items[i].name);
  for (size_t i = 0; i < gpus->count; i++) gpus->items[i].exclusive = false;
  if (getenv("CUDA_MPS_PIPE_DIRECTORY")) return true;
  struct arena arena = {0};
  char folder[sizeof mps->folder], *whole = realpath(home, NULL);
  const char *name = whole ? whole : home;
  snprintf(folder, sizeof folder, "/tmp/isoloss-mps-%lld-%016llx", (long long)getuid(),
           (unsigned long long)hash64(name, strlen(name), 0));
  free(whole);
  bool fine = private_folder(folder, error);
  if (fine) {
    setenv("CUDA_MPS_PIPE_DIRECTORY", folder, 1);
    setenv("CUDA_MPS_LOG_DIRECTORY", folder, 1);
    // The service sees all GPUs in nvidia-smi's order, so that the numbers that runs are given hold there too.
    bool there = done(&arena, folder, "echo get_server_list | nvidia-cuda-mps-control");
    fine = there ||
           done(&arena, folder, "unset CUDA_VISIBLE_DEVICES; CUDA_DEVICE_ORDER=PCI_BUS_ID nvidia-cuda-mps-control -d");
    if (!fine) {
      error_set(error, EXIT_ENVIRONMENT, "--mps: nvidia-cuda-mps-control does not start; %s/isoloss.log says why",
                folder);
      unsetenv("CUDA_MPS_PIPE_DIRECTORY");
      unsetenv("CUDA_MPS_LOG_DIRECTORY");
    } else {
      memcpy(mps->folder, folder, sizeof folder);
    }
  }
  arena_free(&arena);
  return fine;
}

void mps_end(struct mps *mps) {
  if (!mps->folder[0]) return;
  struct arena arena = {0};
  struct error ignored = {0};
  if (done(&arena, mps->folder, "echo 'quit -t 10' | nvidia-cuda-mps-control")) folder_remove(mps->folder, &ignored);
  unsetenv("CUDA_MPS_PIPE_DIRECTORY");
  unsetenv("CUDA_MPS_LOG_DIRECTORY");
  mps->folder[0] = '\0';
  arena_free(&arena);
}
