// See work.h.
#include "runner/slurm/work.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner/execute/coordinator.h"
#include "runner/execute/selection.h"
#include "runner/execute/worker.h"
#include "runner/slurm/claim.h"
#include "runner/slurm/keeper.h"
#include "runner/slurm/submission.h"

// A task's runs, of the plan's.
struct task_set {
  struct plan_set *plan;
  const size_t *numbers;  // [count] in the plan's order
  const int64_t *stops;   // [count]
  size_t count;
};

static void describe(void *context, size_t i, struct coordinator_run *run) {
  const struct task_set *set = context;
  plan_set_describe(set->plan, set->numbers[i], run);
  size_t parent = SIZE_MAX;
  for (size_t j = 0; run->parent != SIZE_MAX && j < i; j++)
    if (set->numbers[j] == run->parent) parent = j;
  run->parent = parent;  // one that is not of the task has ended
  run->stop_step = set->stops[i];
}

struct work {
  struct arena arena;
  struct submission submission;
  size_t task;
  const char *base, *home, *owner;  // HOME/slurm, HOME, "SUBMISSION/K"
  struct spec spec;
  struct plan plan;
  struct plan_set plan_set;
  bool planned;
  size_t *numbers;  // of the runs that are ours
  const char **ids;
  int64_t *stops;  // where they stop for a decision; 0: at their ends
  size_t count;
  const char *store_home;
};

// ---- the plan ----

static bool open_plan(struct work *work, struct error *error) {
  const struct submission *submission = &work->submission;
  struct diagnostics diagnostics = {0};
  size_t length;
  const char *path = path_join(&work->arena, submission->folder, "spec.yaml");
  const char *text = file_read(&work->arena, path, &length, error);
  if (!text) return false;
  const struct spec_options options = {
      .preset = submission->preset, .overrides = submission->set, .override_count = submission->set_count};
  bool fine = spec_parse(&work->spec, submission->spec_path, text, length, &options, &diagnostics, error);
  diagnostics_tell(&diagnostics, error);
  diagnostics_free(&diagnostics);
  struct plan_options plan_options = {.prepare = false, .dtype = submission->dtype, .messages = stderr};
  if (!fine || !plan_open(&work->plan, &work->spec, &plan_options, error)) return false;
  work->planned = true;
  return plan_set_begin(&work->plan_set, &work->plan, error);
}

static int64_t stop_of(const struct submitted_task *task, const char *id) {
  for (size_t i = 0; i < task->run_count && task->stops; i++)
    if (strcmp(task->runs[i], id) == 0) return task->stops[i];
  return 0;
}

static int by_text(const void *left, const void *right) {
  return strcmp(*(const char *const *)left, *(const char *const *)right);
}

// The places of the task's runs in the plan.
static bool find_runs(struct work *work, struct error *error) {
  const struct submitted_task *task = &work->submission.tasks[work->task];
  const char **sorted = arena_array(&work->arena, task->run_count, sizeof *sorted);
  memcpy(sorted, task->runs, task->run_count * sizeof *sorted);
  qsort(sorted, task->run_count, sizeof *sorted, by_text);
  work->numbers = arena_array(&work->arena, task->run_count, sizeof *work->numbers);
  work->ids = arena_array(&work->arena, task->run_count, sizeof *work->ids);
  work->stops = arena_array(&work->arena, task->run_count, sizeof *work->stops);
  for (size_t i = 0; i < work->plan.count; i++) {
    struct planned_run run;
    plan_run(&work->plan, i, &run);
    const char *id = run.id;
    if (!bsearch(&id, sorted, task->run_count, sizeof *sorted, by_text)) continue;
    if (work->count == task->run_count) break;
    work->ids[work->count] = arena_string(&work->arena, run.id);
    work->stops[work->count] = stop_of(task, run.id);
    work->numbers[work->count++] = i;
  }
  return work->count == task->run_count ||
         error_set(error, EXIT_ENVIRONMENT,
                   "of the %zu runs of this job the spec gives only %zu here: another version of isoloss, or other "
                   "corpora, than where it was submitted",
                   task->run_count, work->count);
}

// Leaves those that are ours.
static bool claim_runs(struct work *work, struct error *error) {
  double now = lease_now(work->base);
  size_t kept = 0;
  for (size_t i = 0; i < work->count; i++) {
    struct claim claim;
    char by[96];
    const char *folder = run_folder(&work->arena, work->home, work->ids[i]);
    enum run_mark mark = held_read(folder, by);
    if (mark != MARK_NONE) {
      fprintf(stderr, "%s %.8s  by %s\n", run_mark_name(mark), work->ids[i], by);
      continue;
    }
    if (!claim_take(folder, work->base, work->owner, now, &claim, error)) {
      if (error->code) return false;
      fprintf(stderr, "left     %.8s  to %s on %s, which is at work on it\n", work->ids[i], claim.task,
              claim.holder.host);
      continue;
    }
    work->ids[kept] = work->ids[i];
    work->stops[kept] = work->stops[i];
    work->numbers[kept++] = work->numbers[i];
  }
  work->count = kept;
  return true;
}

// ---- the allocation ----

static int64_t number_in_environment(const char *name) {
  const char *text = getenv(name);
  return text ? strtoll(text, NULL, 10) : 0;
}

// Runs side by side: as many as the allocation's cores hold, whatever else the machine has.
static int64_t runs_side_by_side(struct task_set *set) {
  int64_t cores = number_in_environment("SLURM_CPUS_PER_TASK"), threads = 1;
  if (cores <= 0) cores = number_in_environment("SLURM_CPUS_ON_NODE");
  if (cores <= 0) return 0;
  if (cores > cores_usable()) cores = cores_usable();
  for (size_t i = 0; i < set->count; i++) {
    struct planned_run run;
    plan_run_quick(set->plan->plan, set->numbers[i], &run);
    if (run.config.train.threads > threads) threads = run.config.train.threads;
  }
  return cores > threads ? cores / threads : 1;
}

// The memory of the allocation, where each run fits into it; 0: no bound.
static double allocated_memory(struct task_set *set) {
  double bytes = 1048576.0 * (double)number_in_environment("SLURM_MEM_PER_NODE");
  if (bytes <= 0)
    bytes =
        1048576.0 * (double)(number_in_environment("SLURM_MEM_PER_CPU") * number_in_environment("SLURM_CPUS_ON_NODE"));
  for (size_t i = 0; i < set->count && bytes > 0; i++) {
    struct planned_run run;
    plan_run_quick(set->plan->plan, set->numbers[i], &run);
    if (plan_needs(set->plan->plan, &run) > bytes) return 0;
  }
  return bytes;
}

static bool allocated_gpus(struct work *work, struct gpu_list *gpus, struct error *error) {
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  bool wanted = plan_on_gpu(&work->plan) || !spec_trains_model(&work->spec);
  *gpus = (struct gpu_list){0};
  return !wanted || !visible || !*visible || !number_in_environment("SLURM_JOB_ID") ||
         gpu_list_read(&work->arena, visible, NULL, NULL, gpus, error) || error_context(error, "CUDA_VISIBLE_DEVICES");
}

// When the job's time ends, in seconds since 1970, less what its runs need to stop; 0: no limit that we know.
static double deadline(const struct submission *submission) {
  double now = clock_wall(), end = (double)number_in_environment("SLURM_JOB_END_TIME");
  if (end > now) return end - submission->stop_before;
  return submission->time_seconds > 0 ? now + submission->time_seconds - submission->stop_before : 0;
}

// ---- what is reported ----

// The array's number, for whoever collects: the one who called sbatch may not have lived to write it down.
static bool tell_job(struct work *work, struct error *error) {
  const char *job = getenv("SLURM_ARRAY_JOB_ID"), *path = path_join(&work->arena, work->submission.folder, "job");
  return !job || !*job || file_exists(path) ||
         file_write_atomic(path, arena_format(&work->arena, "%s\n", job), strlen(job) + 1, error);
}

static bool tell_verdicts(struct work *work, struct error *error) {
  struct store *store = store_open(path_join(&work->arena, work->store_home, "isoloss.db"), STORE_READ, error);
  bool fine = store != NULL;
  for (size_t i = 0; i < work->count && fine; i++) {
    struct value id = store_text(work->ids[i]);
    struct store_rows *rows =
        store_select(store, "SELECT state, message, attempts FROM runs WHERE id = ?1", &id, 1, error);
    if (rows && store_rows_next(rows, error)) {
      const char *message = store_rows_value(rows, 1).text;
      struct verdict verdict = {.state = run_state_parse(store_rows_value(rows, 0).text),
                                .message = message,
                                .attempts = (int64_t)store_rows_value(rows, 2).number};
      snprintf(verdict.task, sizeof verdict.task, "%s", work->owner);
      if (!run_state_has_result(verdict.state))
        fine = verdict_write(run_folder(&work->arena, work->home, work->ids[i]), &verdict, error);
    }
    store_rows_close(rows);
    fine = fine && !error->code;
  }
  store_close(store);
  return fine;
}

// ---- the whole ----

static enum exit_code train(struct work *work, struct lease *lease, struct error *error) {
  struct task_set task = {&work->plan_set, work->numbers, work->stops, work->count};
  struct coordinator_set set = {work->count, &task, describe, NULL};
  struct coordinator_outcome outcome = {0};
  struct gpu_list gpus;
  if (work->count == 0) return EXIT_DONE;
  if (!allocated_gpus(work, &gpus, error)) return error->code;
  work->store_home = folder_temporary(&work->arena, "isoloss-work", error);
  if (!work->store_home) return error->code;
  struct experiment_record experiment = {work->spec.name, work->spec.path, work->spec.source, work->spec.about};
  struct coordinator_options options = {
      .home = work->home,
      .store_home = work->store_home,
      .experiment = &experiment,
      .source = &work->submission.source,
      .command = work->spec.trainer.node ? work->spec.trainer.command : NULL,
      .command_count = work->spec.trainer.command_count,
      .jobs = gpus.count ? 0 : runs_side_by_side(&task),
      .gpus = gpus,
      .per_gpu = work->submission.slots_per_gpu,
      .memory = gpus.count ? 0 : allocated_memory(&task),
      .retries = work->submission.retries,
      .time_limit = work->spec.limits.time,
      .stall_limit = work->spec.limits.stall,
      .retry_stalled = work->spec.limits.retry_stalled,
      .keep_going = work->submission.keep_going,
      .share_trunks = spec_shares_trunks(&work->spec),
      .retry_failed = true,  // it was submitted for that
      .messages = stderr,
  };
  struct keeper keeper = {.lease = lease,
                          .home = work->home,
                          .store_path = path_join(&work->arena, work->store_home, "isoloss.db"),
                          .ids = work->ids,
                          .count = work->count,
                          .deadline = deadline(&work->submission)};
  if (!keeper_start(&keeper, error)) return error->code;
  enum exit_code code = coordinator_execute(&set, &options, &outcome, error);
  keeper_stop(&keeper);
  struct error telling = {0};
  if (!tell_verdicts(work, &telling) && !error->code) error_take(error, &telling);
  fprintf(stderr, "%zu runs: %zu done, %zu diverged, %zu failed, %zu wait at a rung, %zu stopped%s\n", outcome.total,
          outcome.done, outcome.diverged, outcome.failed, outcome.waiting, outcome.killed + outcome.pending,
          keeper.time_over ? ": the job's time ends" : "");
  struct text said = {0};
  if (error->code)
    text_format(&said, "error: %s", error->text);
  else
    text_add(&said, keeper.time_over ? "time" : outcome.interrupted ? "stopped" : "complete");
  lease_release(lease, text_string(&said));
  text_free(&said);
  // Runs that failed are reported by their verdicts: the job itself did what it should.
  return error->code ? error->code : code == EXIT_RUNS_FAILED ? EXIT_DONE : code;
}

enum exit_code slurm_work(const char *folder, int64_t task, struct error *error) {
  struct work work = {.task = (size_t)task};
  struct lease lease;
  struct lease_holder holder;
  enum exit_code code = EXIT_ENVIRONMENT;
  const char *full = path_canonical(&work.arena, folder);
  if (!submission_read(&work.submission, &work.arena, full, error)) goto end;
  if (task < 0 || (size_t)task >= work.submission.task_count) {
    code = EXIT_USAGE_ERROR;
    error_set(error, code, "%s has tasks 0 to %zu, not %lld", full, work.submission.task_count - 1, (long long)task);
    goto end;
  }
  work.base = path_join(&work.arena, full, "..");
  work.base = path_canonical(&work.arena, work.base);
  work.home = path_canonical(&work.arena, path_join(&work.arena, work.base, ".."));
  work.owner = arena_format(&work.arena, "%s/%zu", work.submission.name, work.task);
  keeper_signals();
  switch (lease_take(&lease, work.submission.folder, submitted_task_lease(&work.arena, work.task), work.owner, true,
                     &holder, error)) {
    case LEASE_HELD:
      fprintf(stderr, "task %zu is at work on %s already: left to it\n", work.task, holder.host);
      code = EXIT_DONE;
      goto end;
    case LEASE_FAILED:
      goto end;
    case LEASE_TAKEN:
      break;
  }
  if (tell_job(&work, error) && open_plan(&work, error) && find_runs(&work, error) && claim_runs(&work, error))
    code = train(&work, &lease, error);
  lease_release(&lease, error->code ? arena_format(&work.arena, "error: %s", error->text) : "complete");
  struct error ignored = {0};
  if (work.store_home) folder_remove(work.store_home, &ignored);
end:
  if (error->code) code = error->code;
  plan_set_end(&work.plan_set);
  if (work.planned) plan_free(&work.plan);
  spec_free(&work.spec);
  arena_free(&work.arena);
  return code;
}
