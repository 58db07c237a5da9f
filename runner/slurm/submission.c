// See submission.h.
#include "runner/slurm/submission.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FORMAT = 1 };

char *submissions_folder(struct arena *arena, const char *home) {
  char full[PATH_MAX];
  return arena_format(arena, "%s/slurm", realpath(home, full) ? full : home);
}

char *submitted_task_lease(struct arena *arena, size_t task) { return arena_format(arena, "task-%zu.lease", task); }

bool submission_open(const struct submission *submission) {
  for (size_t i = 0; i < submission->task_count; i++)
    if (!submission->refused && !submission->tasks[i].ended) return true;
  return false;
}

// ---- making ----

bool submission_make(struct submission *submission, struct arena *arena, const char *home, const char *experiment,
                     struct error *error) {
  char *base = submissions_folder(arena, home), *word = arena_string(arena, experiment);
  for (char *c = word; *c; c++)
    if (!isalnum((unsigned char)*c) && !strchr("-_.", *c)) *c = '_';
  if (!folder_make(base, error)) return false;
  for (int number = 1;; number++) {
    submission->arena = arena;
    submission->name = arena_format(arena, "%.80s-%d", word, number);
    submission->folder = path_join(arena, base, submission->name);
    if (mkdir(submission->folder, 0777) == 0) break;
    if (errno != EEXIST) return error_set_errno(error, EXIT_ENVIRONMENT, "cannot make %s", submission->folder);
  }
  // Other homes have folders of the same name.
  struct text text = {0};
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  text_format(&text, "%s %ld %lld %ld", submission->folder, (long)getpid(), (long long)now.tv_sec, now.tv_nsec);
  uint64_t hash = hash64(text.bytes, text.length, 0);
  text_free(&text);
  submission->job_name = arena_format(arena, "isoloss-%.60s-%08x", submission->name, (unsigned)(hash >> 32));
  submission->experiment = experiment;
  submission->submitted_at = (double)now.tv_sec;
  return true;
}

static bool write_file(const struct submission *submission, const char *name, struct text *text, struct error *error) {
  text_char(text, '\n');
  bool fine =
      file_write_atomic(path_join(submission->arena, submission->folder, name), text->bytes, text->length, error);
  text_free(text);
  return fine;
}

static void write_revision(struct json_writer *json, const char *name, const struct revision *revision) {
  json_key(json, name);
  json_object_begin(json);
  json_key_string(json, "commit", revision->commit);
  json_key_boolean(json, "dirty", revision->dirty);
  json_object_end(json);
}

bool submission_write(const struct submission *submission, struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, true);
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_submission", FORMAT);
  json_key_string(&json, "experiment", submission->experiment);
  json_key_string(&json, "job_name", submission->job_name);
  json_key_number(&json, "submitted_at", submission->submitted_at);
  json_key_string(&json, "spec_path", submission->spec_path);
  json_key_string(&json, "preset", submission->preset);
  json_key_string(&json, "dtype", submission->dtype);
  json_key_strings(&json, "set", submission->set, submission->set_count);
  write_revision(&json, "spec_revision", &submission->source.spec);
  write_revision(&json, "trainer_revision", &submission->source.trainer);
  json_key_integer(&json, "retries", submission->retries);
  json_key_integer(&json, "slots_per_gpu", submission->slots_per_gpu);
  json_key_number(&json, "time_seconds", submission->time_seconds);
  json_key_number(&json, "stop_before", submission->stop_before);
  json_key_boolean(&json, "keep_going", submission->keep_going);
  json_key(&json, "tasks");
  json_array_begin(&json);
  for (size_t i = 0; i < submission->task_count; i++) {
    const struct submitted_task *task = &submission->tasks[i];
    json_array_begin(&json);
    for (size_t j = 0; j < task->run_count; j++) json_put_string(&json, task->runs[j]);
    json_array_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  return write_file(submission, "submission.json", &text, error);
}

bool submission_write_state(const struct submission *submission, struct error *error) {
  struct text text = {0};
  struct json_writer json = json_writer(&text, false);
  json_object_begin(&json);
  json_key_integer(&json, "isoloss_submission", FORMAT);
  json_key_string(&json, "job", submission->job);
  json_key_boolean(&json, "refused", submission->refused);
  json_key(&json, "tasks");
  json_array_begin(&json);
  for (size_t i = 0; i < submission->task_count; i++) {
    json_object_begin(&json);
    json_key_string(&json, "ended", submission->tasks[i].ended);
    json_key_number(&json, "missed", submission->tasks[i].missed);
    json_key_integer(&json, "starts", submission->tasks[i].starts);
    json_object_end(&json);
  }
  json_array_end(&json);
  json_object_end(&json);
  return write_file(submission, "state.json", &text, error);
}

// ---- reading ----

static const char *text_of(struct arena *arena, const json_t *root, const char *key) {
  const char *text = json_string_value(json_object_get(root, key));
  return text ? arena_string(arena, text) : NULL;
}

static json_t *read_json(struct arena *arena, const char *path, struct error *error) {
  size_t length;
  char words[160];
  json_error_t problem;
  const char *bytes = file_read(arena, path, &length, error);
  if (!bytes) return NULL;
  json_t *root = json_loadb(bytes, length, 0, &problem);
  if (root && json_integer_value(json_object_get(root, "isoloss_submission")) == FORMAT) return root;
  if (root)
    error_set(error, EXIT_ENVIRONMENT, "%s: not of this version of isoloss", path);
  else
    error_set(error, EXIT_ENVIRONMENT, "%s:%d:%d: %s", path, problem.line, problem.column,
              json_problem(problem.text, words));
  json_decref(root);
  return NULL;
}

static struct revision read_revision(struct arena *arena, const json_t *root, const char *name) {
  const json_t *object = json_object_get(root, name);
  return (struct revision){.commit = text_of(arena, object, "commit"),
                           .dirty = json_is_true(json_object_get(object, "dirty"))};
}

static void read_tasks(struct submission *submission, const json_t *tasks) {
  struct arena *arena = submission->arena;
  json_t *runs, *id;
  size_t i, j;
  submission->tasks = arena_array(arena, json_array_size(tasks) + 1, sizeof *submission->tasks);
  json_array_foreach(tasks, i, runs) {
    struct submitted_task *task = &submission->tasks[submission->task_count++];
    task->runs = arena_array(arena, json_array_size(runs) + 1, sizeof *task->runs);
    json_array_foreach(runs, j, id) {
      const char *text = json_string_value(id);
      if (text) task->runs[task->run_count++] = arena_string(arena, text);
    }
  }
}

static bool read_state(struct submission *submission, struct error *error) {
  const char *path = path_join(submission->arena, submission->folder, "state.json");
  if (!file_exists(path)) return true;  // sbatch was not heard yet
  json_t *root = read_json(submission->arena, path, error), *task;
  size_t i;
  if (!root) return false;
  submission->job = text_of(submission->arena, root, "job");
  submission->refused = json_is_true(json_object_get(root, "refused"));
  json_array_foreach(json_object_get(root, "tasks"), i, task) {
    if (i >= submission->task_count) break;
    submission->tasks[i].ended = text_of(submission->arena, task, "ended");
    submission->tasks[i].missed = json_number_value(json_object_get(task, "missed"));
    submission->tasks[i].starts = (int)json_integer_value(json_object_get(task, "starts"));
  }
  json_decref(root);
  return true;
}

bool submission_read(struct submission *submission, struct arena *arena, const char *folder, struct error *error) {
  json_t *root = read_json(arena, path_join(arena, folder, "submission.json"), error), *item;
  size_t i;
  if (!root) return false;
  const char *slash = strrchr(folder, '/');
  *submission = (struct submission){
      .arena = arena,
      .folder = arena_string(arena, folder),
      .name = arena_string(arena, slash ? slash + 1 : folder),
      .experiment = text_of(arena, root, "experiment"),
      .job_name = text_of(arena, root, "job_name"),
      .spec_path = text_of(arena, root, "spec_path"),
      .preset = text_of(arena, root, "preset"),
      .dtype = text_of(arena, root, "dtype"),
      .source = {read_revision(arena, root, "spec_revision"), read_revision(arena, root, "trainer_revision")},
      .retries = json_integer_value(json_object_get(root, "retries")),
      .slots_per_gpu = json_integer_value(json_object_get(root, "slots_per_gpu")),
      .time_seconds = json_number_value(json_object_get(root, "time_seconds")),
      .stop_before = json_number_value(json_object_get(root, "stop_before")),
      .keep_going = json_is_true(json_object_get(root, "keep_going")),
      .submitted_at = json_number_value(json_object_get(root, "submitted_at")),
  };
  json_t *set = json_object_get(root, "set");
  submission->set = arena_array(arena, json_array_size(set) + 1, sizeof *submission->set);
  json_array_foreach(set, i, item) if (json_is_string(item)) submission->set[submission->set_count++] =
      arena_string(arena, json_string_value(item));
  read_tasks(submission, json_object_get(root, "tasks"));
  bool whole = submission->experiment && submission->job_name && submission->spec_path && submission->task_count > 0;
  json_decref(root);
  if (!whole) return error_set(error, EXIT_ENVIRONMENT, "%s/submission.json is not whole", folder);
  return read_state(submission, error);
}

static int by_time(const void *left, const void *right) {
  const struct submission *a = left, *b = right;
  if (a->submitted_at != b->submitted_at) return a->submitted_at < b->submitted_at ? -1 : 1;
  size_t x = strlen(a->name), y = strlen(b->name);
  return x != y ? (x < y ? -1 : 1) : strcmp(a->name, b->name);
}

struct submission *submissions_read(struct arena *arena, const char *home, size_t *count, struct error *error) {
  const char *base = submissions_folder(arena, home);
  struct submission *list = NULL;
  *count = 0;
  DIR *entries = opendir(base);
  if (!entries) return NULL;
  for (struct dirent *entry; (entry = readdir(entries)) && !error->code;) {
    if (entry->d_name[0] == '.') continue;
    const char *folder = path_join(arena, base, entry->d_name);
    if (!file_exists(path_join(arena, folder, "submission.json"))) continue;
    list = arena_grow(arena, list, *count, *count + 1, sizeof *list);
    if (submission_read(&list[*count], arena, folder, error)) (*count)++;
  }
  closedir(entries);
  if (*count > 1) qsort(list, *count, sizeof *list, by_time);
  return list;
}
