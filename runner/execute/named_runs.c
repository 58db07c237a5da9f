// See named_runs.h.
#include "runner/execute/named_runs.h"

#include <string.h>

static bool is_run_id(const char *id) {
  return strlen(id) == DIGEST_LENGTH && strspn(id, "0123456789abcdef") == DIGEST_LENGTH;
}

static bool add_run(struct named_runs *named, const char *id, const char *state, const char *mark,
                    struct error *error) {
  if (!is_run_id(id))  // it would name a folder somewhere else
    return error_set(error, EXIT_ENVIRONMENT, "the store has a run whose id is none: '%s'", id);
  if (named->count == named->room) {
    named->runs = arena_grow(&named->arena, named->runs, named->room, 2 * named->room + 16, sizeof *named->runs);
    named->room = 2 * named->room + 16;
  }
  named->runs[named->count++] =
      (struct named_run){arena_string(&named->arena, id), run_state_parse(state), run_mark_parse(mark)};
  return true;
}

static bool is_there(const struct named_runs *named, const char *id) {
  for (size_t i = 0; i < named->count; i++)
    if (strcmp(named->runs[i].id, id) == 0) return true;
  return false;
}

static bool add_rows(struct named_runs *named, struct store_rows *rows, struct error *error) {
  while (rows && store_rows_next(rows, error))
    if (!add_run(named, store_rows_get(rows, "id").text, store_rows_get(rows, "state").text,
                 store_rows_get(rows, "mark").text, error))
      break;
  store_rows_close(rows);
  return !error->code;
}

static bool add_named(struct named_runs *named, struct store *store, const char *prefix, struct error *error) {
  bool experiment;
  if (!store_experiment_exists(store, prefix, &experiment, error)) return false;
  const char *id = experiment ? NULL : store_run_find(store, &named->arena, prefix, error);
  if (experiment)
    return error_set(error, EXIT_USAGE_ERROR, "'%s' is an experiment: give it alone, or the ids of runs", prefix);
  if (!id && (strlen(prefix) < 4 || strspn(prefix, "0123456789abcdef") != strlen(prefix))) {
    *error = (struct error){.told = error->told};
    error_set(error, EXIT_USAGE_ERROR,
              "'%s' is neither an experiment of the store (isoloss status lists them) nor the first characters of a "
              "run's id, at least 4 of 0-9a-f",
              prefix);
  }
  if (!id) {
    const char *near = store_nearest_experiment(store, &named->arena, prefix);
    return near ? error_hint(error, near, NULL) : false;
  }
  if (is_there(named, id)) return true;  // named twice
  struct value value = store_text(id);
  return add_rows(named,
                  store_select(store, "SELECT id, state, mark FROM runs LEFT JOIN marks ON run = id WHERE id = ?1",
                               &value, 1, error),
                  error);
}

// Of the experiment (NULL: of the store) where the condition holds.
static bool add_where(struct named_runs *named, struct store *store, const char *experiment, const char *where,
                      struct error *error) {
  bool exists = true;
  if (experiment && !store_experiment_exists(store, experiment, &exists, error)) return false;
  if (!exists) {
    error_set(error, EXIT_USAGE_ERROR, "with --where, '%s' must be an experiment of the store", experiment);
    return error_hint(error, store_nearest_experiment(store, &named->arena, experiment),
                      " (isoloss status lists them)");
  }
  struct run_query query = {.experiment = experiment, .where = where};
  if (!add_rows(named, store_runs(store, &query, error), error)) return error_context(error, "--where");
  return named->count > 0 || error_set(error, EXIT_USAGE_ERROR, "--where: the condition '%s' holds for no run%s%s",
                                       where, experiment ? " of " : "", experiment ? experiment : "");
}

bool named_runs_find(struct named_runs *named, struct store *store, const struct runs_request *request,
                     struct error *error) {
  *named = (struct named_runs){0};
  if (request->where && request->count > 1)
    return error_set(error, EXIT_USAGE_ERROR, "with --where give one experiment, or none for the whole store");
  if (request->where) return add_where(named, store, request->count ? request->names[0] : NULL, request->where, error);
  bool experiment = false;
  if (request->count == 1 && !store_experiment_exists(store, request->names[0], &experiment, error)) return false;
  if (experiment) {
    struct run_query query = {.experiment = named->experiment = arena_string(&named->arena, request->names[0])};
    return add_rows(named, store_runs(store, &query, error), error);
  }
  for (size_t i = 0; i < request->count; i++)
    if (!add_named(named, store, request->names[i], error)) return false;
  return true;
}

void named_runs_free(struct named_runs *named) { arena_free(&named->arena); }
