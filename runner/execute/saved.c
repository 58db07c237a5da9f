// See saved.h.
#include "runner/execute/saved.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "results/store.h"
#include "runner/execute/worker.h"
#include "trainer/checkpoint.h"
#include "trainer/trainer.h"

static bool is_folder(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// The newest checkpoint whose files are what was written; *why has the reason of the last one that is not.
static bool newest_checkpoint(const char *run, struct arena *arena, struct saved_model *saved, struct error *error) {
  int64_t *steps;
  int count;
  struct error why = {0};
  if (!checkpoint_list(arena, run, &steps, &count, error)) return false;
  for (int i = 0; i < count; i++) {
    const char *folder = path_join(arena, run, checkpoint_name(arena, steps[i]));
    why = (struct error){0};
    if (!checkpoint_verify(folder, &why)) continue;
    saved->weights = folder;
    saved->config = path_join(arena, run, "config.json");
    saved->run = run;
    return true;
  }
  if (why.code) {
    *error = why;
    return false;
  }
  return error_set(error, EXIT_USAGE_ERROR,
                   "%s has no checkpoint: the run has not got to its first one (at its end, or earlier with "
                   "train.checkpoint_steps), or its trainer is not isoloss-train",
                   run);
}

static bool of_folder(const char *folder, struct arena *arena, struct saved_model *saved, struct error *error) {
  const char *exported = path_join(arena, folder, EXPORT_RUN_FILE);
  if (file_exists(exported)) {
    *saved = (struct saved_model){.config = exported, .weights = folder};
    return true;
  }
  if (file_exists(path_join(arena, folder, "state.bin"))) {  // RUN/checkpoints/step-N
    char *run = realpath(path_join(arena, folder, "../.."), NULL);
    if (run) saved->run = arena_string(arena, run);
    free(run);
    if (!saved->run) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot find the run of %s", folder);
    saved->config = path_join(arena, saved->run, "config.json");
    saved->weights = folder;
    if (!checkpoint_verify(folder, error)) return false;
    return file_exists(saved->config) ||
           error_set(error, EXIT_USAGE_ERROR, "%s is a checkpoint without its run: %s is not there", folder,
                     saved->config);
  }
  if (file_exists(path_join(arena, folder, "checkpoints"))) return newest_checkpoint(folder, arena, saved, error);
  return error_set(
      error, EXIT_USAGE_ERROR,
      "%s is neither a run's folder with checkpoints, nor a checkpoint, nor an export of isoloss (which has "
      "an " EXPORT_RUN_FILE ")",
      folder);
}

bool saved_model_find(const char *name, struct arena *arena, struct saved_model *saved, struct error *error) {
  *saved = (struct saved_model){0};
  if (is_folder(name)) return of_folder(name, arena, saved, error);
  struct store *store = store_open_home(STORE_READ, error);
  const char *id = store ? store_run_find(store, arena, name, error) : NULL;
  store_close(store);
  if (!id) return false;
  const char *folder = run_folder(arena, isoloss_home(arena), id);
  if (!file_exists(folder))
    return error_set(error, EXIT_USAGE_ERROR, "the folder of run %s is not there: %s", id, folder);
  return newest_checkpoint(folder, arena, saved, error);
}
