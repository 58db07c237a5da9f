// See claim.h.
#include "runner/slurm/claim.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/slurm/submission.h"

static json_t *read_object(struct arena *arena, const char *path) {
  struct error ignored = {0};
  size_t length;
  struct stat status;
  if (stat(path, &status) != 0) return NULL;
  const char *bytes = file_read(arena, path, &length, &ignored);
  return bytes ? json_loadb(bytes, length, 0, NULL) : NULL;
}

static void copy_text(char *out, size_t size, const json_t *value) {
  const char *text = json_string_value(value);
  snprintf(out, size, "%s", text ? text : "");
}

// ---- claims ----

// The lease of the task "SUBMISSION/K".
static struct lease_holder look_at_task(struct arena *arena, const char *base, const char *task, double now) {
  const char *slash = strrchr(task, '/');
  if (!slash || slash == task) return (struct lease_holder){0};
  const char *folder = path_join(arena, base, arena_copy(arena, task, (size_t)(slash - task)));
  return lease_look(folder, submitted_task_lease(arena, strtoul(slash + 1, NULL, 10)), now);
}

struct claim claim_look(const char *folder, const char *base, double now) {
  struct claim claim = {.generation = generation_last(folder, "claim")};
  struct arena scratch = {0};
  if (!claim.generation) return claim;
  json_t *root = read_object(&scratch, arena_format(&scratch, "%s/claim-%d", folder, claim.generation));
  copy_text(claim.task, sizeof claim.task, json_object_get(root, "task"));
  json_decref(root);
  claim.holder = look_at_task(&scratch, base, claim.task, now);
  arena_free(&scratch);
  return claim;
}

bool claim_take(const char *folder, const char *base, const char *task, double now, struct claim *claim,
                struct error *error) {
  if (!folder_make(folder, error)) return false;
  *claim = claim_look(folder, base, now);
  if (claim->generation && strcmp(claim->task, task) == 0) return true;  // of an earlier job of this task
  if (claim->holder.alive) return false;
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_object_begin(&json);
  json_key_string(&json, "task", task);
  json_object_end(&json);
  text_char(&text, '\n');
  bool made = generation_make(folder, "claim", claim->generation + 1, text_string(&text), error);
  text_free(&text);
  if (!made && !error->code) *claim = claim_look(folder, base, now);  // somebody was faster
  return made;
}

// ---- verdicts ----

bool verdict_write(const char *folder, const struct verdict *verdict, struct error *error) {
  struct arena scratch = {0};
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_object_begin(&json);
  json_key_string(&json, "task", verdict->task);
  json_key_string(&json, "state", run_state_name(verdict->state));
  json_key_integer(&json, "attempts", verdict->attempts);
  json_key_string(&json, "message", verdict->message);
  json_object_end(&json);
  text_char(&text, '\n');
  bool fine = file_write_atomic(path_join(&scratch, folder, "verdict.json"), text.bytes, text.length, error);
  text_free(&text);
  arena_free(&scratch);
  return fine;
}

bool verdict_read(const char *folder, struct verdict *verdict, struct arena *arena) {
  json_t *root = read_object(arena, path_join(arena, folder, "verdict.json"));
  const char *state = json_string_value(json_object_get(root, "state")),
             *message = json_string_value(json_object_get(root, "message"));
  *verdict = (struct verdict){.attempts = json_integer_value(json_object_get(root, "attempts"))};
  copy_text(verdict->task, sizeof verdict->task, json_object_get(root, "task"));
  if (state) verdict->state = run_state_parse(state);
  if (message) verdict->message = arena_string(arena, message);
  json_decref(root);
  return state != NULL;
}

// ---- what is asked ----

enum run_mark held_read(const char *folder, char by[96]) {
  struct arena scratch = {0};
  json_t *root = read_object(&scratch, path_join(&scratch, folder, "held"));
  const char *word = json_string_value(json_object_get(root, "mark"));
  enum run_mark mark = word ? run_mark_parse(word) : MARK_NONE;
  copy_text(by, 96, json_object_get(root, "by"));
  json_decref(root);
  arena_free(&scratch);
  return run_mark_holds(mark) ? mark : MARK_NONE;
}

bool held_write(const char *folder, enum run_mark mark, const char *by, struct error *error) {
  struct arena scratch = {0};
  char before[96];
  const char *path = path_join(&scratch, folder, "held");
  bool fine = true;
  enum run_mark stands = held_read(folder, before);
  if (mark == MARK_NONE && stands != MARK_NONE && unlink(path) != 0 && errno != ENOENT)
    fine = error_set_errno(error, EXIT_ENVIRONMENT, "cannot remove %s", path);
  if (mark != MARK_NONE && mark != stands) {
    struct text text = {0};
    struct json_writer json = json_writer(&text, false);
    json_object_begin(&json);
    json_key_string(&json, "mark", run_mark_name(mark));
    json_key_string(&json, "by", by);
    json_object_end(&json);
    text_char(&text, '\n');
    fine = folder_make(folder, error) && file_write_atomic(path, text.bytes, text.length, error);
    text_free(&text);
  }
  arena_free(&scratch);
  return fine;
}
