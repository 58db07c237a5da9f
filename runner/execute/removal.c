// See removal.h.
#include "runner/execute/removal.h"

#include <string.h>

#include "runner/execute/worker.h"

// ---- which runs ----

static bool add_experiments(struct removal *removal, struct removal_run *run, struct store *store,
                            struct error *error) {
  struct value id = store_text(run->id);
  struct store_rows *rows = store_select(
      store, "SELECT experiment FROM experiment_runs WHERE run = ?1 GROUP BY experiment ORDER BY experiment", &id, 1,
      error);
  for (size_t room = 0; rows && store_rows_next(rows, error);) {
    if (run->experiment_count == room) {
      run->experiments = arena_grow(&removal->arena, run->experiments, room, 2 * room + 4, sizeof *run->experiments);
      room = 2 * room + 4;
    }
    run->experiments[run->experiment_count++] = arena_string(&removal->arena, store_rows_value(rows, 0).text);
  }
  store_rows_close(rows);
  return !error->code;
}

static bool count_rows(struct store *store, const char *sql, const char *name, size_t *count, struct error *error) {
  struct value value = store_text(name);
  struct store_rows *rows = store_select(store, sql, &value, 1, error);
  if (rows && store_rows_next(rows, error)) *count = (size_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  return !error->code;
}

static bool count_what_goes_too(struct removal *removal, struct store *store, struct error *error) {
  const char *name = removal->experiment;
  return !name ||
         (count_rows(store, "SELECT count(*) FROM claims WHERE experiment = ?1", name, &removal->claims, error) &&
          count_rows(
              store,
              "SELECT count(*) FROM fits WHERE source = ?1 AND NOT EXISTS (SELECT 1 FROM imports WHERE name = ?1)",
              name, &removal->fits, error));
}

static bool look_at_run(struct removal *removal, const struct named_run *named, struct store *store, const char *home,
                        struct error *error) {
  struct removal_run *run = &removal->runs[removal->count];
  *run = (struct removal_run){.id = arena_string(&removal->arena, named->id), .state = run_state_name(named->state)};
  if (!add_experiments(removal, run, store, error)) return false;
  if (removal->experiment && run->experiment_count > 1) {  // the others keep it
    removal->kept[removal->kept_count++] = run->id;
    return true;
  }
  run->folder = run_folder(&removal->arena, home, run->id);
  if (!folder_bytes(run->folder, &run->bytes, error)) return false;
  run->alive = worker_alive(&removal->arena, run->folder);
  removal->alive += run->alive;
  removal->bytes += run->bytes;
  removal->count++;
  return true;
}

static bool goes(const struct removal *removal, const char *id) {
  for (size_t i = 0; i < removal->count; i++)
    if (strcmp(removal->runs[i].id, id) == 0) return true;
  return false;
}

static bool count_orphans(struct removal *removal, struct store *store, struct error *error) {
  for (size_t i = 0; i < removal->count && !error->code; i++) {
    struct value id = store_text(removal->runs[i].id);
    struct store_rows *rows = store_select(store, "SELECT id FROM runs WHERE parent = ?1", &id, 1, error);
    while (rows && store_rows_next(rows, error)) removal->orphans += !goes(removal, store_rows_value(rows, 0).text);
    store_rows_close(rows);
  }
  return !error->code;
}

bool removal_find(struct removal *removal, struct store *store, const char *home, const struct runs_request *request,
                  struct error *error) {
  struct named_runs named;
  *removal = (struct removal){0};
  bool fine = named_runs_find(&named, store, request, error);
  if (fine) {
    removal->runs = arena_array(&removal->arena, named.count, sizeof *removal->runs);
    removal->kept = arena_array(&removal->arena, named.count, sizeof *removal->kept);
    if (named.experiment) removal->experiment = arena_string(&removal->arena, named.experiment);
    fine = count_what_goes_too(removal, store, error);
  }
  for (size_t i = 0; fine && i < named.count; i++) fine = look_at_run(removal, &named.runs[i], store, home, error);
  named_runs_free(&named);
  return fine && count_orphans(removal, store, error);
}

// ---- doing it ----

bool removal_do(const struct removal *removal, struct store *store, struct error *error) {
  for (size_t i = 0; i < removal->count; i++)
    if (removal->runs[i].alive)
      return error_set(error, EXIT_ENVIRONMENT,
                       "a worker is at work on run %.8s: nothing is removed; stop it first (Ctrl-C in its `isoloss "
                       "run`, or end its process)",
                       removal->runs[i].id);
  bool fine = store_begin(store, error);
  if (!fine) return false;
  for (size_t i = 0; i < removal->count && fine; i++) fine = store_run_remove(store, removal->runs[i].id, error);
  if (fine && removal->experiment) fine = store_experiment_remove(store, removal->experiment, error);
  if (!fine || !store_commit(store, error)) {
    store_rollback(store);
    return false;
  }
  for (size_t i = 0; i < removal->count; i++)
    if (!folder_remove(removal->runs[i].folder, error))
      return error_context(error, "the store has the %zu run%s no more, but files stay (isoloss gc finds them)",
                           removal->count, removal->count == 1 ? "" : "s");
  return true;
}

void removal_free(struct removal *removal) { arena_free(&removal->arena); }
