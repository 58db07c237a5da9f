// See checkpoint.h.
#include "trainer/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trainer/checkpoint_files.h"

static const char making[] = ".making-", removing[] = ".removing-", checksums[] = "checksums.xxh128";
static const char *const checked[] = {MODEL_FILE, CONFIG_FILE, STATE_FILE, SCALES_FILE};
enum { CHECKED = sizeof checked / sizeof checked[0], ALWAYS = 3 };  // the last one: formats with learned scales only

char *checkpoint_name(struct arena *arena, int64_t step) {
  return arena_format(arena, "checkpoints/step-%" PRId64, step);
}

static char *checkpoints_of(struct arena *arena, const char *run_folder) {
  return path_join(arena, run_folder, "checkpoints");
}

// ---- writing ----

static bool write_files(struct arena *arena, struct model *model, const struct checkpoint_state *state,
                        const char *folder, struct error *error) {
  struct digest digests[CHECKED], weights[2];
  struct model_stamp stamp = model_stamp(model, state->step, arena);
  if (!model_files_write(arena, model, &stamp, folder, weights, error) ||
      !model_config_write(model, &stamp, path_join(arena, folder, checked[1]), &digests[1], error) ||
      !state_file_write(arena, model, state, path_join(arena, folder, checked[2]), &digests[2], error))
    return false;
  digests[0] = weights[0];
  digests[ALWAYS] = weights[1];
  struct text lines = {0};
  for (int i = 0; i < CHECKED; i++)
    if (digests[i].hex[0]) text_format(&lines, "%s  %s\n", digests[i].hex, checked[i]);
  bool fine = file_write_atomic(path_join(arena, folder, checksums), lines.bytes, lines.length, error);
  text_free(&lines);
  return fine && folder_sync(folder, error);
}

// Renames a folder out of the way and removes it: a kill in between leaves no half folder of its old name.
static bool remove_checkpoint(struct arena *arena, const char *parent, int64_t step, struct error *error) {
  char *folder = arena_format(arena, "%s/step-%" PRId64, parent, step);
  char *aside = arena_format(arena, "%s/%s%" PRId64, parent, removing, step);
  if (!folder_remove(aside, error)) return false;
  if (rename(folder, aside) != 0 && errno != ENOENT)
    return error_set_errno(error, EXIT_ENVIRONMENT, "cannot rename %s", folder);
  return folder_remove(aside, error);
}

bool checkpoint_write(struct model *model, const struct checkpoint_state *state, const char *run_folder,
                      struct error *error) {
  struct arena arena = {0};
  char *parent = checkpoints_of(&arena, run_folder);
  char *temporary = arena_format(&arena, "%s/%s%" PRId64, parent, making, state->step);
  char *folder = arena_format(&arena, "%s/step-%" PRId64, parent, state->step);
  bool fine = folder_make(parent, error) && folder_remove(temporary, error) && folder_make(temporary, error) &&
              write_files(&arena, model, state, temporary, error);
  // One of the same step can only be one that could not be used.
  if (fine) fine = remove_checkpoint(&arena, parent, state->step, error);
  if (fine && rename(temporary, folder) != 0)
    fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot rename %s", temporary);
  if (fine) fine = folder_sync(parent, error);
  if (!fine) {
    struct error ignored = {0};
    folder_remove(temporary, &ignored);
    error_context(error, "checkpoint of step %" PRId64, state->step);
  }
  arena_free(&arena);
  return fine;
}

// ---- finding ----

static int newest_first(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x > y ? -1 : x < y;
}

bool checkpoint_list(struct arena *arena, const char *run_folder, int64_t **steps, int *count, struct error *error) {
  *steps = NULL;
  *count = 0;
  const char *parent = checkpoints_of(arena, run_folder);
  DIR *folder = opendir(parent);
  if (!folder) return errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot open folder %s", parent);
  int capacity = 0;
  struct dirent *entry;
  while ((entry = readdir(folder))) {
    int64_t step;
    if (!starts_with(entry->d_name, "step-") || !integer_parse(entry->d_name + 5, &step) || step < 1) continue;
    if (*count == capacity) {
      *steps = arena_grow(arena, *steps, (size_t)capacity, (size_t)capacity + 16, sizeof **steps);
      capacity += 16;
    }
    (*steps)[(*count)++] = step;
  }
  closedir(folder);
  if (*count) qsort(*steps, (size_t)*count, sizeof **steps, newest_first);
  return true;
}

bool checkpoint_clean(const char *run_folder, struct error *error) {
  struct arena arena = {0};
  const char *parent = checkpoints_of(&arena, run_folder);
  DIR *folder = opendir(parent);
  bool fine = folder || errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot open folder %s", parent);
  struct dirent *entry;
  while (folder && fine && (entry = readdir(folder)))
    if (starts_with(entry->d_name, making) || starts_with(entry->d_name, removing))
      fine = folder_remove(path_join(&arena, parent, entry->d_name), error);
  if (folder) closedir(folder);
  arena_free(&arena);
  return fine;
}

static bool is_among(int64_t step, const int64_t *steps, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (steps[i] == step) return true;
  return false;
}

bool checkpoint_prune(const char *run_folder, int64_t step, int64_t keep, const int64_t *branches, size_t branch_count,
                      struct error *error) {
  struct arena arena = {0};
  int64_t *steps;
  int count;
  bool fine = checkpoint_list(&arena, run_folder, &steps, &count, error);
  for (int i = 0; i < count && fine; i++)
    if (steps[i] <= step && !is_among(steps[i], branches, branch_count) && keep-- <= 0)
      fine = remove_checkpoint(&arena, checkpoints_of(&arena, run_folder), steps[i], error);
  arena_free(&arena);
  return fine;
}

bool checkpoint_remove(const char *run_folder, int64_t step, struct error *error) {
  struct arena arena = {0};
  bool fine = remove_checkpoint(&arena, checkpoints_of(&arena, run_folder), step, error);
  arena_free(&arena);
  return fine;
}

// ---- reading ----

bool checkpoint_verify(const char *folder, struct error *error) {
  struct arena arena = {0};
  size_t length;
  char *lines = file_read(&arena, path_join(&arena, folder, checksums), &length, error);
  bool fine = lines != NULL;
  for (int i = 0; i < CHECKED && fine; i++) {
    // "HEX  NAME\n", as xxhsum -c reads it.
    char *path = path_join(&arena, folder, checked[i]);
    const char *end = strstr(lines, arena_format(&arena, "  %s\n", checked[i]));
    struct digest digest;
    if (!end && i >= ALWAYS) continue;
    if (!end || end - lines < DIGEST_LENGTH)
      fine =
          error_set(error, EXIT_USAGE_ERROR, "%s has no line for %s", path_join(&arena, folder, checksums), checked[i]);
    else if ((fine = digest_file(path, &digest, error)) && memcmp(digest.hex, end - DIGEST_LENGTH, DIGEST_LENGTH) != 0)
      fine = error_set(error, EXIT_USAGE_ERROR, "%s is damaged: its checksum is not the recorded one", path);
  }
  arena_free(&arena);
  return fine;
}

bool checkpoint_load_weights(struct model *model, const char *folder, int64_t *step, struct error *error) {
  struct arena arena = {0};
  int64_t done;
  bool fine = model_files_read(&arena, model, folder, &done, error);
  arena_free(&arena);
  if (fine) model_prepare(model, done);
  if (fine && step) *step = done;
  return fine;
}

bool checkpoint_load(struct model *model, const char *folder, const struct digest *config,
                     struct checkpoint_state *state, struct error *error) {
  struct arena arena = {0};
  bool fine = checkpoint_verify(folder, error) &&
              state_file_read(&arena, model, path_join(&arena, folder, checked[2]), config, state, error) &&
              model_files_read(&arena, model, folder, NULL, error);
  arena_free(&arena);
  if (fine) model_prepare(model, state->step);
  return fine;
}
