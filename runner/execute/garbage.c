// See garbage.h.
#include "runner/execute/garbage.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "runner/execute/worker.h"
#include "trainer/checkpoint.h"

static bool is_folder(const char *path) {
  struct stat status;
  return lstat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool add(struct garbage *garbage, const char *path, const char *what, struct error *error) {
  if (garbage->count == garbage->room) {
    garbage->items =
        arena_grow(&garbage->arena, garbage->items, garbage->room, 2 * garbage->room + 16, sizeof *garbage->items);
    garbage->room = 2 * garbage->room + 16;
  }
  struct garbage_item *item = &garbage->items[garbage->count++];
  *item = (struct garbage_item){.path = arena_string(&garbage->arena, path), .what = what};
  if (!folder_bytes(path, &item->bytes, error)) return false;
  garbage->bytes += item->bytes;
  return true;
}

static bool find_state(struct store *store, const char *id, bool *known, bool *finished, struct error *error) {
  struct value value = store_text(id);
  struct store_rows *rows = store_select(store, "SELECT state FROM runs WHERE id = ?1", &value, 1, error);
  *known = rows && store_rows_next(rows, error);
  *finished = *known && run_state_has_result(run_state_parse(store_rows_value(rows, 0).text));
  store_rows_close(rows);
  return error->code == EXIT_DONE;
}

// Whether a run that has no result yet may begin from this checkpoint. A config.json that cannot be read names none.
static bool is_awaited(struct garbage *garbage, struct store *store, const char *folder, int64_t step, bool *awaited,
                       struct error *error) {
  struct run_file file;
  struct error unread = {0};
  bool known, finished;
  *awaited = false;
  if (!run_file_read(&garbage->arena, path_join(&garbage->arena, folder, "config.json"), &file, &unread)) return true;
  for (size_t i = 0; i < file.branch_count && !*awaited; i++) {
    if (file.branches[i].step != step) continue;
    if (!find_state(store, file.branches[i].id, &known, &finished, error)) return false;
    *awaited = known && !finished;
  }
  return true;
}

// Checkpoints but the newest whole one and those that runs wait for; where none is whole, all stay.
static bool add_checkpoints(struct garbage *garbage, struct store *store, const char *folder, struct error *error) {
  struct arena *arena = &garbage->arena;
  int64_t *steps;
  int count, newest = 0;
  if (!is_folder(folder) || !is_folder(path_join(arena, folder, "checkpoints")) || worker_alive(arena, folder))
    return true;
  if (!checkpoint_list(arena, folder, &steps, &count, error)) return false;
  for (; newest < count && count > 1; newest++) {
    struct error damaged = {0};
    if (checkpoint_verify(path_join(arena, folder, checkpoint_name(arena, steps[newest])), &damaged)) break;
  }
  for (int i = 0; i < count && newest < count && count > 1; i++) {
    bool awaited;
    if (i == newest) continue;
    if (!is_awaited(garbage, store, folder, steps[i], &awaited, error)) return false;
    if (!awaited && !add(garbage, path_join(arena, folder, checkpoint_name(arena, steps[i])),
                         "checkpoint of a finished run, not the newest whole one", error))
      return false;
  }
  return true;
}

static bool look_at(struct garbage *garbage, struct store *store, const char *home, const char *id,
                    struct error *error) {
  const char *folder = run_folder(&garbage->arena, home, id);
  bool known, finished;
  if (!find_state(store, id, &known, &finished, error)) return false;
  if (known) return !finished || add_checkpoints(garbage, store, folder, error);
  if (worker_alive(&garbage->arena, folder)) {
    garbage->alive++;
    return true;
  }
  return add(garbage, folder, "folder of a run that the store does not have", error);
}

bool garbage_find(struct garbage *garbage, struct store *store, const char *home, struct error *error) {
  *garbage = (struct garbage){0};
  const char *runs = path_join(&garbage->arena, home, "runs");
  DIR *folder = opendir(runs);
  if (!folder) return errno == ENOENT || error_set_errno(error, EXIT_ENVIRONMENT, "cannot open folder %s", runs);
  bool fine = true;
  for (struct dirent *entry; fine && (entry = readdir(folder));) {
    const char *name = entry->d_name;
    bool id = strlen(name) == DIGEST_LENGTH && strspn(name, "0123456789abcdef") == DIGEST_LENGTH;
    if (id) fine = look_at(garbage, store, home, name, error);  // others are not ours
  }
  closedir(folder);
  return fine;
}

bool garbage_remove(const struct garbage *garbage, struct error *error) {
  for (size_t i = 0; i < garbage->count; i++)
    if (!folder_remove(garbage->items[i].path, error)) return false;
  return true;
}

void garbage_free(struct garbage *garbage) { arena_free(&garbage->arena); }
