// See status.h.
#include "runner/slurm/status.h"

#include "runner/execute/worker.h"
#include "runner/slurm/claim.h"

static void collect(struct slurm_status *status, const char *home, struct collection *collection) {
  struct collector collector;
  struct lease_holder holder = {0};
  struct error error = {0};
  enum lease_answer answer = collector_begin(&collector, &status->arena, home, &holder, &error);
  if (answer == LEASE_HELD) status->why = arena_format(&status->arena, "%s collects at the moment", holder.owner);
  struct store *store = answer == LEASE_TAKEN && store_exists_home() ? store_open_home(STORE_WRITE, &error) : NULL;
  // Looked at anew: whoever collected before us has written since.
  if (collection_look(collection, home, &error) && store)
    status->collected = collection_read(collection, store, NULL, &error);
  store_close(store);
  if (answer == LEASE_TAKEN) collector_end(&collector);
  if (error.code && !status->why) status->why = arena_string(&status->arena, error.text);
}

void slurm_status_take(struct slurm_status *status, const char *home) {
  struct collection collection = {0};
  struct error error = {0};
  struct text words = {0};
  *status = (struct slurm_status){0};
  struct submission *submissions = submissions_read(&status->arena, home, &collection.count, &error);
  bool open = false;
  for (size_t i = 0; i < collection.count; i++) open = open || submission_open(&submissions[i]);
  status->any = collection.count > 0 || error.code;
  if (open)
    collect(status, home, &collection);
  else if (status->any)
    collection_look(&collection, home, &error);
  if (error.code) status->why = arena_string(&status->arena, error.text);
  if (collection.queue.said) status->said = arena_string(&status->arena, collection.queue.said);
  status->counts = collection.counts;
  collection_words(&collection, &words);
  status->words = arena_string(&status->arena, text_string(&words));
  text_free(&words);
  collection_free(&collection);
}

void slurm_status_free(struct slurm_status *status) { arena_free(&status->arena); }

void slurm_status_json(const struct slurm_status *status, struct json_writer *json) {
  static const char *const ended[SLURM_ENDS] = {
      [SLURM_UNKNOWN] = "gone",          [SLURM_COMPLETED] = "completed",         [SLURM_FAILED] = "failed",
      [SLURM_CANCELLED] = "cancelled",   [SLURM_TIMED_OUT] = "timed_out",         [SLURM_PREEMPTED] = "preempted",
      [SLURM_NODE_FAILED] = "node_fail", [SLURM_OUT_OF_MEMORY] = "out_of_memory",
  };
  if (!status->any) {
    json_put_null(json);
    return;
  }
  json_object_begin(json);
  json_key_boolean(json, "collected", status->collected);
  json_key_string(json, "why_not", status->why);
  json_key_string(json, "squeue_said", status->said);
  json_key_integer(json, "at_work", (int64_t)status->counts.at_work);
  json_key_integer(json, "queued", (int64_t)status->counts.queued);
  json_key_integer(json, "restarts", (int64_t)status->counts.restarts);
  json_key_integer(json, "strange", (int64_t)status->counts.strange);
  json_key(json, "ended");
  json_object_begin(json);
  for (enum slurm_end i = SLURM_UNKNOWN; i < SLURM_ENDS; i++)
    if (ended[i]) json_key_integer(json, ended[i], (int64_t)status->counts.ended[i]);
  json_object_end(json);
  json_object_end(json);
}

const char *slurm_run_host(struct arena *arena, const char *home, const char *id) {
  const char *folder = run_folder(arena, home, id), *base = submissions_folder(arena, home);
  if (!generation_last(folder, "claim")) return NULL;
  struct claim claim = claim_look(folder, base, lease_now(base));
  return claim.holder.alive ? arena_string(arena, claim.holder.host) : NULL;
}

bool slurm_leaves_alone(const char *home, const char *const *ids, size_t count, const char *what, struct error *error) {
  struct arena scratch = {0};
  size_t held = 0;
  const char *base = submissions_folder(&scratch, home), *first = NULL, *host = "";
  if (!file_exists(base)) return true;
  double now = lease_now(base);
  for (size_t i = 0; i < count; i++) {
    struct claim claim = claim_look(run_folder(&scratch, home, ids[i]), base, now);
    if (!claim.holder.alive) continue;
    if (!held++) {
      first = ids[i];
      host = arena_string(&scratch, claim.holder.host);
    }
  }
  if (held)
    error_set(
        error, EXIT_ENVIRONMENT,
        "Slurm's jobs are at work on %zu of these runs (%.8s on %s): nothing is %s before they end (isoloss cancel "
        "stops them)",
        held, first, host, what);
  arena_free(&scratch);
  return held == 0;
}
