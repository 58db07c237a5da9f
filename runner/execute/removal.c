// See removal.h.
#include "runner/execute/removal.h"

#include <string.h>

#include "runner/execute/worker.h"

// ---- which runs ----

static bool is_experiment(struct store *store, const char *name, bool *is, struct error *error) {
  return store_experiment_exists(store, name, is, error);
}

static bool is_run_id(const char *id) {
  return strlen(id) == DIGEST_LENGTH && strspn(id, "0123456789abcdef") == DIGEST_LENGTH;
}

static bool look_at_run(struct removal *removal, struct removal_run *run, struct store *store, struct error *error) {
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

static bool add_run(struct removal *removal, size_t *room, const char *id, const char *state, const char *home,
                    struct error *error) {
  for (size_t i = 0; i < removal->count; i++)
    if (strcmp(removal->runs[i].id, id) == 0) return true;  // named twice
  if (!is_run_id(id))                                       // it would name a folder somewhere else
    return error_set(error, EXIT_ENVIRONMENT, "the store has a run whose id is none: '%s'", id);
  if (removal->count == *room) {
    removal->runs = arena_grow(&removal->arena, removal->runs, *room, 2 * *room + 16, sizeof *removal->runs);
    *room = 2 * *room + 16;
  }
  struct removal_run *run = &removal->runs[removal->count++];
  *run = (struct removal_run){.id = arena_string(&removal->arena, id), .state = arena_string(&removal->arena, state)};
  run->folder = run_folder(&removal->arena, home, run->id);
  return true;
}

// The runs of a query with columns id and state.
static bool add_rows(struct removal *removal, size_t *room, struct store_rows *rows, const char *home,
                     struct error *error) {
  while (rows && store_rows_next(rows, error))
    if (!add_run(removal, room, store_rows_get(rows, "id").text, store_rows_get(rows, "state").text, home, error))
      break;
  store_rows_close(rows);
  return !error->code;
}

static bool add_named(struct removal *removal, size_t *room, struct store *store, const char *prefix, const char *home,
                      struct error *error) {
  bool experiment;
  if (!is_experiment(store, prefix, &experiment, error)) return false;
  const char *id = experiment ? NULL : store_run_find(store, &removal->arena, prefix, error);
  if (experiment)
    return error_set(error, EXIT_USAGE_ERROR, "'%s' is an experiment: give it alone, or the ids of runs", prefix);
  if (!id) {
    const char *near = store_nearest_experiment(store, &removal->arena, prefix);
    return near ? error_hint(error, near, NULL) : false;
  }
  struct value value = store_text(id);
  return add_rows(removal, room, store_select(store, "SELECT id, state FROM runs WHERE id = ?1", &value, 1, error),
                  home, error);
}

static bool count_rows(struct store *store, const char *sql, const char *name, size_t *count, struct error *error) {
  struct value value = store_text(name);
  struct store_rows *rows = store_select(store, sql, &value, 1, error);
  if (rows && store_rows_next(rows, error)) *count = (size_t)store_rows_value(rows, 0).number;
  store_rows_close(rows);
  return !error->code;
}

// An experiment with the runs that it alone has.
static bool add_experiment(struct removal *removal, size_t *room, struct store *store, const char *name,
                           const char *home, struct error *error) {
  struct value value = store_text(name);
  removal->experiment = arena_string(&removal->arena, name);
  if (!count_rows(store, "SELECT count(*) FROM claims WHERE experiment = ?1", name, &removal->claims, error) ||
      !count_rows(store,
                  "SELECT count(*) FROM fits WHERE source = ?1 AND NOT EXISTS (SELECT 1 FROM imports WHERE name = ?1)",
                  name, &removal->fits, error))
    return false;
  static const char mine[] =
      "SELECT r.id, r.state FROM experiment_runs e JOIN runs r ON r.id = e.run WHERE e.experiment = ?1 AND NOT EXISTS "
      "(SELECT 1 FROM experiment_runs o WHERE o.run = e.run AND o.experiment <> ?1) ORDER BY e.position";
  static const char shared[] =
      "SELECT e.run FROM experiment_runs e WHERE e.experiment = ?1 AND EXISTS "
      "(SELECT 1 FROM experiment_runs o WHERE o.run = e.run AND o.experiment <> ?1) ORDER BY e.position";
  if (!add_rows(removal, room, store_select(store, mine, &value, 1, error), home, error)) return false;
  struct store_rows *rows = store_select(store, shared, &value, 1, error);
  for (size_t kept = 0; rows && store_rows_next(rows, error);) {
    if (removal->kept_count == kept) {
      removal->kept = arena_grow(&removal->arena, removal->kept, kept, 2 * kept + 16, sizeof *removal->kept);
      kept = 2 * kept + 16;
    }
    removal->kept[removal->kept_count++] = arena_string(&removal->arena, store_rows_value(rows, 0).text);
  }
  store_rows_close(rows);
  return !error->code;
}

// Of the experiment (NULL: of the store) where the condition holds.
static bool add_where(struct removal *removal, size_t *room, struct store *store, const char *experiment,
                      const char *where, const char *home, struct error *error) {
  bool exists = true;
  if (experiment && !is_experiment(store, experiment, &exists, error)) return false;
  if (!exists) {
    error_set(error, EXIT_USAGE_ERROR, "with --where, '%s' must be an experiment of the store", experiment);
    return error_hint(error, store_nearest_experiment(store, &removal->arena, experiment),
                      " (isoloss status lists them)");
  }
  struct run_query query = {.experiment = experiment, .where = where};
  if (!add_rows(removal, room, store_runs(store, &query, error), home, error)) return error_context(error, "--where");
  return removal->count > 0 || error_set(error, EXIT_USAGE_ERROR, "--where: the condition '%s' holds for no run%s%s",
                                         where, experiment ? " of " : "", experiment ? experiment : "");
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

bool removal_find(struct removal *removal, struct store *store, const char *home, const struct removal_request *request,
                  struct error *error) {
  size_t room = 0;
  bool fine = true, experiment = false;
  *removal = (struct removal){0};
  if (request->where && request->count > 1)
    return error_set(error, EXIT_USAGE_ERROR, "with --where give one experiment, or none for the whole store");
  if (request->where) {
    fine = add_where(removal, &room, store, request->count ? request->names[0] : NULL, request->where, home, error);
  } else if (request->count == 1 && !is_experiment(store, request->names[0], &experiment, error)) {
    fine = false;
  } else if (experiment) {
    fine = add_experiment(removal, &room, store, request->names[0], home, error);
  } else {
    for (size_t i = 0; i < request->count && fine; i++)
      fine = add_named(removal, &room, store, request->names[i], home, error);
  }
  for (size_t i = 0; i < removal->count && fine; i++) {
    struct removal_run *run = &removal->runs[i];
    fine = look_at_run(removal, run, store, error) && folder_bytes(run->folder, &run->bytes, error);
    run->alive = fine && worker_alive(&removal->arena, run->folder);
    removal->alive += run->alive;
    removal->bytes += run->bytes;
  }
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
