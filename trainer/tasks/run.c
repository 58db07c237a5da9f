// A run of a task from its start to its end; see program.h.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/terminal.h"
#include "base/version.h"
#include "trainer/tasks/program.h"

// ---- what a program says ----

bool task_stopped(const struct task_run *run) { return run->stop_asked && *run->stop_asked; }

bool task_point(struct task_run *run, int64_t step, double tokens, double loss, struct error *error) {
  struct json_writer *json = event_begin(&run->log, "step");
  json_key_integer(json, "step", step);
  if (isfinite(tokens)) json_key_number(json, "tokens", tokens);
  json_key_number(json, "loss", loss);
  json_key_number(json, "seconds", clock_seconds() - run->begun);
  return event_end(&run->log, error);
}

void task_report(struct task_run *run, const char *name, double value) {
  size_t skip = strlen(run->task->name) + 1;
  for (size_t i = 0; i < run->task->result_count; i++) {
    if (strcmp(run->task->results[i].name + skip, name) != 0) continue;
    run->results[i] = value;
    return;
  }
  run->unknown = name;
}

bool task_diverge(struct task_run *run, const char *why) {
  run->diverged = why;
  return false;
}

// ---- start and end ----

static bool report_start(struct task_run *run, struct error *error) {
  char host[256] = "";
  gethostname(host, sizeof host - 1);
  struct json_writer *json = event_begin(&run->log, "start");
  json_key_string(json, "trainer", "isoloss-train " ISOLOSS_VERSION);
  json_key_integer(json, "semantic_version", run->task->version);
  json_key_string(json, "id", run->file.id);
  json_key_string(json, "task", run->task->name);
  json_key_integer(json, "time", (int64_t)time(NULL));
  json_key_integer(json, "pid", getpid());
  json_key_string(json, "host", host);
  json_key_integer(json, "resumed_from", 0);
  json_key_string(json, "backend", "cpu");
  json_key_integer(json, "threads", run->threads);
  return event_end(&run->log, error);
}

static bool report_done(struct task_run *run, struct error *error) {
  struct rusage usage;
  struct run_quantities q = task_quantities(&run->file.config, run->task);
  getrusage(RUSAGE_SELF, &usage);
  double seconds = clock_seconds() - run->begun;
  struct json_writer *json = event_begin(&run->log, "done");
  if (q.steps != AUTO_INTEGER) json_key_integer(json, "step", q.steps);
  if (q.tokens != AUTO_INTEGER) json_key_integer(json, "tokens", q.tokens);
  if (isfinite(run->loss)) json_key_number(json, "loss", run->loss);
  json_key_number(json, "wall_seconds", seconds);
  json_key_number(json, "train_seconds", seconds);
  json_key_integer(json, "peak_memory", (int64_t)usage.ru_maxrss * 1024);
  json_key(json, "results");
  json_object_begin(json);
  for (size_t i = 0; i < run->task->result_count; i++)
    if (isfinite(run->results[i])) json_key_number(json, run->task->results[i].name, run->results[i]);
  json_object_end(json);
  return event_end(&run->log, error) && event_log_sync(&run->log, error);
}

static bool report_end(struct task_run *run, const char *event, const char *message, struct error *error) {
  struct json_writer *json = event_begin(&run->log, event);
  json_key_string(json, "message", message);
  return event_end(&run->log, error) && event_log_sync(&run->log, error);
}

// ---- the run ----

static task_work *find_work(const struct task *task) {
  for (size_t i = 0; task_programs[i].name; i++)
    if (strcmp(task_programs[i].name, task->name) == 0) return task_programs[i].work;
  return NULL;
}

static bool open_run(struct task_run *run, const char *config_path, task_work **work, bool *finished,
                     struct error *error) {
  if (!run_file_read(&run->arena, config_path, &run->file, error)) return false;
  run->task = task_of(&run->file.config);
  if (!run->task) return error_set(error, EXIT_USAGE_ERROR, "%s: it trains a language model, no task", config_path);
  *work = find_work(run->task);
  if (!*work)
    return error_set(error, EXIT_USAGE_ERROR, "%s: this program has no task %s", config_path, run->task->name);
  const char *slash = strrchr(config_path, '/');
  run->folder = slash ? arena_copy(&run->arena, config_path, (size_t)(slash - config_path + 1)) : ".";
  void *settings = arena_alloc(&run->arena, run->task->settings_size);
  // Whoever wrote the file: what it says together is looked at again.
  if (!task_resolve(&run->file.config, run->task, error)) return error_context(error, "%s", config_path);
  task_settings_read(&run->file.config, run->task, settings);
  run->settings = settings;
  run->seed = (uint64_t)run->file.config.seed;
  run->threads = (int)run->file.config.train.threads;
  run->results = arena_array(&run->arena, run->task->result_count + 1, sizeof *run->results);
  for (size_t i = 0; i < run->task->result_count; i++) run->results[i] = NAN;
  if (!event_log_open(&run->log, &run->arena, path_join(&run->arena, run->folder, "events.jsonl"), error)) return false;
  const char *last = event_log_last(&run->log, &run->arena, error);
  if (!last) return false;
  *finished = strcmp(last, "done") == 0 || strcmp(last, "diverged") == 0;
  // It starts over: what an earlier worker left is in its way.
  return *finished || (event_log_cut(&run->log, 0, error) && report_start(run, error));
}

// After the work: its end in the log. False on error.
static bool end(struct task_run *run, bool worked, enum exit_code *code, struct error *error) {
  *code = EXIT_DONE;
  if (run->unknown)
    return error_set(error, EXIT_USAGE_ERROR, "task %s reports '%s', which is none of its results", run->task->name,
                     run->unknown);
  if (worked) return report_done(run, error);
  if (error->code) return false;
  if (run->diverged) return report_end(run, "diverged", run->diverged, error);
  *code = EXIT_RUNS_FAILED;
  return report_end(run, "stopped", "stopped on request", error);
}

enum exit_code task_main(const struct trainer_options *options, struct error *error) {
  struct task_run run = {.log = {.file = -1}, .stop_asked = options->stop_asked, .begun = clock_seconds(), .loss = NAN};
  task_work *work = NULL;
  bool finished = false;
  enum exit_code code = EXIT_DONE;
  bool fine = open_run(&run, options->config_path, &work, &finished, error);
  if (fine && finished)
    notice_print("isoloss-train", "%s is already finished: nothing to do", run.log.path);
  else if (fine)
    fine = end(&run, work(&run, error), &code, error);
  if (!fine) code = error->code;
  if (!fine && run.log.file >= 0) {
    struct error ignored = {0};
    report_end(&run, "failed", error->text, &ignored);
  }
  event_log_close(&run.log);
  arena_free(&run.arena);
  return code;
}
