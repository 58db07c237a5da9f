// See collect.h.
#include "runner/slurm/collect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/terminal.h"
#include "runner/execute/ask.h"
#include "runner/execute/events_reader.h"
#include "runner/execute/home_lock.h"
#include "runner/execute/provenance.h"
#include "runner/execute/worker.h"
#include "runner/slurm/claim.h"

// A task that Slurm does not list, without a word from accounting or from the job itself, is believed gone after so
// many seconds: an answer may lack it for a moment.
enum { MISSED_SECONDS = 120 };

// ---- the right to write ----

enum lease_answer collector_begin(struct collector *collector, struct arena *arena, const char *home,
                                  struct lease_holder *holder, struct error *error) {
  const char *base = submissions_folder(arena, home);
  *collector = (struct collector){.lock = -1};
  if (!folder_make(base, error)) return LEASE_FAILED;
  enum lease_answer answer =
      lease_take(&collector->lease, base, "collector", store_marker(arena), false, holder, error);
  if (answer != LEASE_TAKEN) return answer;
  collector->lock = home_lock(home, false, NULL, error);
  if (collector->lock >= 0) return LEASE_TAKEN;
  lease_release(&collector->lease, NULL);
  return LEASE_FAILED;
}

void collector_end(struct collector *collector) {
  if (collector->lock >= 0) close(collector->lock);
  lease_release(&collector->lease, NULL);
}

// ---- looking ----

// Of an array whose number nobody wrote down: the job itself did, or Slurm knows its name.
static void find_job(struct collection *collection, struct submission *submission) {
  struct error ignored = {0};
  const char *path = path_join(&collection->arena, submission->folder, "job");
  const char *text = file_exists(path) ? file_read(&collection->arena, path, NULL, &ignored) : NULL;
  if (text && *text) submission->job = arena_copy(&collection->arena, text, strcspn(text, "\n"));
  if (!submission->job) submission->job = queue_find_name(&collection->queue, submission->job_name);
}

// How a task that has not ended as far as we know stands now.
static void look_at_task(struct collection *collection, struct submission *submission, size_t number,
                         const char *const **accounts, bool *asked, double now) {
  struct submitted_task *task = &submission->tasks[number];
  struct task_view *view = &collection->tasks[submission - collection->submissions][number];
  view->holder = lease_look(submission->folder, submitted_task_lease(&collection->arena, number), now);
  task->starts = view->holder.generation;
  if (submission->job) view->queued = queue_find(&collection->queue, submission->job, number);
  enum slurm_end end = view->queued ? slurm_end_of(view->queued->state) : SLURM_UNKNOWN;
  view->state = view->holder.alive ? TASK_AT_WORK : TASK_QUEUED;
  collection->counts.strange += view->queued && end == SLURM_UNKNOWN;
  if (view->queued) task->missed = 0;
  if (view->holder.alive || !collection->queue.answered || (view->queued && end <= SLURM_ACTIVE)) return;
  const char *ended = view->queued ? view->queued->state : NULL;
  if (!ended && submission->job && !*asked) {
    *accounts = accounting_ask(&collection->arena, submission);
    *asked = true;
  }
  if (!ended && *accounts && (*accounts)[number] && slurm_end_of((*accounts)[number]) > SLURM_ACTIVE)
    ended = (*accounts)[number];
  if (!ended && strcmp(view->holder.said, "complete") == 0) ended = "COMPLETED";
  if (!ended && task->missed == 0) task->missed = clock_wall();
  if (!ended && clock_wall() > task->missed + MISSED_SECONDS) ended = "";
  if (!ended) return;
  task->ended = ended;
  view->state = TASK_ENDED;
}

static void count_task(struct collection *collection, const struct submitted_task *task, const struct task_view *view) {
  struct task_counts *counts = &collection->counts;
  enum slurm_end end = task->ended ? slurm_end_of(task->ended) : SLURM_ACTIVE;
  counts->queued += view->state == TASK_QUEUED;
  counts->at_work += view->state == TASK_AT_WORK;
  counts->restarts += task->starts > 1 ? (size_t)task->starts - 1 : 0;
  if (view->state != TASK_ENDED) return;
  counts->ended[end == SLURM_ACTIVE ? SLURM_UNKNOWN : end]++;
  counts->never_started += end == SLURM_FAILED && task->starts == 0;
}

static int by_id(const void *left, const void *right) {
  const struct submitted_run *a = left, *b = right;
  int order = strcmp(a->id, b->id);
  if (order) return order;
  return a->submission != b->submission ? (a->submission < b->submission ? -1 : 1) : 0;
}

// Of each run its last task.
static void list_runs(struct collection *collection) {
  size_t total = 0, kept = 0;
  for (size_t i = 0; i < collection->count; i++)
    for (size_t j = 0; j < collection->submissions[i].task_count; j++)
      total += collection->submissions[i].tasks[j].run_count;
  struct submitted_run *runs = arena_array(&collection->arena, total + 1, sizeof *runs);
  total = 0;
  for (size_t i = 0; i < collection->count; i++)
    for (size_t j = 0; j < collection->submissions[i].task_count && !collection->submissions[i].refused; j++)
      for (size_t k = 0; k < collection->submissions[i].tasks[j].run_count; k++)
        runs[total++] = (struct submitted_run){collection->submissions[i].tasks[j].runs[k], i, j};
  qsort(runs, total, sizeof *runs, by_id);
  for (size_t i = 0; i < total; i++)
    if (i + 1 == total || strcmp(runs[i].id, runs[i + 1].id) != 0) runs[kept++] = runs[i];
  collection->runs = runs;
  collection->run_count = kept;
}

bool collection_look(struct collection *collection, const char *home, struct error *error) {
  *collection = (struct collection){.home = home};
  collection->base = submissions_folder(&collection->arena, home);
  collection->submissions = submissions_read(&collection->arena, home, &collection->count, error);
  if (error->code) return false;
  bool open = false;
  for (size_t i = 0; i < collection->count; i++) open = open || submission_open(&collection->submissions[i]);
  if (open) queue_ask(&collection->queue, &collection->arena);
  double now = open ? lease_now(collection->base) : 0;
  collection->tasks = arena_array(&collection->arena, collection->count + 1, sizeof *collection->tasks);
  for (size_t i = 0; i < collection->count; i++) {
    struct submission *submission = &collection->submissions[i];
    const char *const *accounts = NULL;
    bool asked = false;
    collection->tasks[i] = arena_array(&collection->arena, submission->task_count, sizeof **collection->tasks);
    if (submission_open(submission) && !submission->job) find_job(collection, submission);
    // Nobody has heard of it, and whoever called sbatch has had the time to say so.
    if (!submission->job && collection->queue.answered && clock_wall() > submission->submitted_at + MISSED_SECONDS)
      submission->refused = true;
    for (size_t j = 0; j < submission->task_count; j++) {
      struct task_view *view = &collection->tasks[i][j];
      view->state = TASK_ENDED;
      if (submission->refused) continue;
      if (!submission->tasks[j].ended) look_at_task(collection, submission, j, &accounts, &asked, now);
      count_task(collection, &submission->tasks[j], view);
    }
  }
  list_runs(collection);
  return true;
}

void collection_free(struct collection *collection) { arena_free(&collection->arena); }

const struct submitted_run *collection_find(const struct collection *collection, const char *id) {
  struct submitted_run key = {.id = id};
  size_t low = 0, high = collection->run_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    int order = strcmp(collection->runs[middle].id, key.id);
    if (order == 0) return &collection->runs[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return NULL;
}

const struct task_view *collection_task(const struct collection *collection, const struct submitted_run *run) {
  return &collection->tasks[run->submission][run->task];
}

// ---- reading ----

struct reading {
  struct collection *collection;
  struct store *store;
  FILE *messages;
  double now;
};

// What becomes of a run in the store.
struct finding {
  enum run_state state;
  const char *message, *host;
  double seconds, attempts;  // NAN: not known
};

static bool put_finding(const struct reading *reading, const char *id, const struct finding *found,
                        enum run_state before, struct error *error) {
  bool over = found->state != RUN_PENDING && found->state != RUN_RUNNING;
  struct store_field fields[6];
  size_t used = 0;
  fields[used++] = (struct store_field){"state", store_text(run_state_name(found->state))};
  fields[used++] = (struct store_field){"message", store_text(found->message)};
  if (found->state != before) {
    fields[used++] = (struct store_field){"finished_at", store_number(over ? (double)time(NULL) : NAN)};
    if (found->state == RUN_RUNNING)
      fields[used++] = (struct store_field){"started_at", store_number((double)time(NULL))};
  }
  if (found->host && *found->host) fields[used++] = (struct store_field){"host", store_text(found->host)};
  if (!isnan(found->attempts)) fields[used++] = (struct store_field){"attempts", store_number(found->attempts)};
  struct store_field wall = {"wall_seconds", store_number(found->seconds)};
  if (!store_run_update(reading->store, id, fields, used, error) ||
      !store_run_update(reading->store, id, &wall, isnan(found->seconds) ? 0 : 1, error))
    return false;
  if (run_state_has_result(found->state) && !store_mark_set(reading->store, id, MARK_NONE, NULL, error)) return false;
  if (reading->messages && found->state != before && found->state != RUN_PENDING)
    fprintf(reading->messages, "%-8s %.8s%s%s\n", run_state_name(found->state), id, found->message ? "  " : "",
            found->message ? visible(&reading->collection->arena, found->message) : "");
  return true;
}

// What the job says of a run without a result, or what follows from how it ended.
static void judge(const struct reading *reading, const struct submitted_run *run, const struct run_log *log,
                  const char *folder, enum run_state before, struct finding *found) {
  struct arena *arena = &reading->collection->arena;
  const struct submission *submission = &reading->collection->submissions[run->submission];
  const struct submitted_task *task = &submission->tasks[run->task];
  const struct task_view *view = collection_task(reading->collection, run);
  struct claim claim = claim_look(folder, reading->collection->base, reading->now);
  struct verdict verdict;
  // What an earlier task said was heard then: this one may not have come to the run yet.
  const char *owner = arena_format(arena, "%s/%zu", submission->name, run->task);
  bool told = verdict_read(folder, &verdict, arena) && strcmp(verdict.task, owner) == 0;
  *found = (struct finding){.state = before, .host = claim.holder.host, .seconds = NAN, .attempts = NAN};
  if (claim.holder.alive) {
    // Not all of a job's runs are at work at a time.
    if (log->started && log->end != EVENT_STOPPED && log->end != EVENT_FAILED) found->state = RUN_RUNNING;
  } else if (log->unreadable[0]) {
    found->state = RUN_FAILED;
    found->message = arena_string(arena, log->unreadable);
  } else if (told) {
    found->state = verdict.state == RUN_RUNNING ? RUN_KILLED : verdict.state;
    found->message = verdict.message;
    found->attempts = (double)verdict.attempts;
  } else if (view->state == TASK_ENDED) {
    const char *ended = task->ended ? task->ended : "";
    found->state = log->started ? RUN_KILLED : RUN_PENDING;
    found->message = arena_format(arena, "Slurm's job %s_%zu %s%s%s%s; isoloss run --executor slurm continues it",
                                  submission->job ? submission->job : "?", run->task,
                                  slurm_end_words(slurm_end_of(ended)), *ended ? " (" : "", ended, *ended ? ")" : "");
  } else if (before == RUN_RUNNING) {
    found->state = log->started ? RUN_KILLED : RUN_PENDING;
    found->message = "its job is gone; Slurm has it in its queue again";
  }
}

static bool read_run(const struct reading *reading, const struct submitted_run *run, struct error *error) {
  struct arena scratch = {0};
  struct value id = store_text(run->id);
  struct run_log log;
  enum run_state before = RUN_DONE;
  double bytes_per_token = NAN;
  char message[2048] = "";
  bool there = false, changed = false, halved = false;
  struct store_rows *rows =
      store_select(reading->store,
                   "SELECT state, log_offset, log_check, bytes_per_token, message, halved_at FROM runs WHERE id = ?1",
                   &id, 1, error);
  if (rows && store_rows_next(rows, error)) {
    there = true;
    before = run_state_parse(store_rows_value(rows, 0).text);
    run_log_init(&log, (int64_t)store_rows_value(rows, 1).number, (int64_t)store_rows_value(rows, 2).number);
    struct value bytes = store_rows_value(rows, 3), said = store_rows_value(rows, 4);
    if (bytes.kind == VALUE_NUMBER) bytes_per_token = bytes.number;
    halved = store_rows_value(rows, 5).kind == VALUE_NUMBER;
    if (said.kind == VALUE_TEXT) snprintf(message, sizeof message, "%s", said.text);
  }
  store_rows_close(rows);
  // A failed run stays so until it is submitted again, and so does one that halving stopped.
  bool open = there && !error->code && !run_state_has_result(before) && !halved;
  const char *folder = run_folder(&scratch, reading->collection->home, run->id);
  struct finding found;
  bool fine = !error->code;
  if (open)
    fine = run_log_ingest(&log, reading->store, run->id, path_join(&scratch, folder, "events.jsonl"), bytes_per_token,
                          &changed, error);
  if (fine && open) {
    if (log.end == EVENT_DONE || log.end == EVENT_DIVERGED) {
      found = (struct finding){.state = log.end == EVENT_DONE ? RUN_DONE : RUN_DIVERGED,
                               .message = log.message[0] ? log.message : NULL,
                               .host = log.host,
                               .seconds = log.seconds,
                               .attempts = NAN};
    } else {
      judge(reading, run, &log, folder, before, &found);
    }
    bool same = found.state == before && strcmp(message, found.message ? found.message : "") == 0;
    fine = same || put_finding(reading, run->id, &found, before, error);
  }
  arena_free(&scratch);
  return fine;
}

static bool read_provenance(const struct reading *reading, const char *id, struct error *error) {
  struct arena scratch = {0};
  bool fine = provenance_ingest(reading->store, id, run_folder(&scratch, reading->collection->home, id), error);
  arena_free(&scratch);
  return fine;
}

// The runs of a task, in a transaction.
static bool read_task(const struct reading *reading, size_t submission, size_t task, struct error *error) {
  const struct submitted_task *read = &reading->collection->submissions[submission].tasks[task];
  struct error inner = {0};
  if (!store_begin(reading->store, error)) return false;
  bool fine = true;
  for (size_t i = 0; i < read->run_count && fine; i++) {
    const struct submitted_run *run = collection_find(reading->collection, read->runs[i]);
    if (!run || run->submission != submission || run->task != task) continue;
    // A job writes what a run took of its machine after the run's end: that is whole once the task has ended.
    fine = read_run(reading, run, &inner) && read_provenance(reading, run->id, &inner);
  }
  if (fine) return store_commit(reading->store, error);
  store_rollback(reading->store);
  error_take(error, &inner);
  return false;
}

bool collection_read(struct collection *collection, struct store *store, FILE *messages, struct error *error) {
  struct arena scratch = {0};
  struct reading reading = {collection, store, messages, lease_now(collection->base)};
  for (size_t i = 0; i < collection->count && !error->code; i++) {
    struct submission stored;
    const struct submission *submission = &collection->submissions[i];
    // What state.json says is what was read when it was written.
    if (!submission_read(&stored, &scratch, submission->folder, error)) break;
    if (!submission_open(&stored)) continue;
    for (size_t j = 0; j < submission->task_count; j++) {
      // A job that has not begun has done nothing.
      bool idle = collection->tasks[i][j].state == TASK_QUEUED && submission->tasks[j].starts == 0;
      if (!idle && !stored.tasks[j].ended && !read_task(&reading, i, j, error)) break;
    }
    if (!error->code) submission_write_state(submission, error);
  }
  arena_free(&scratch);
  return !error->code && collection_hand_marks(collection, store, error);
}

// ---- marks ----

// Takes back, where nothing of the task is left to do and it has not begun.
static void cancel_task(const struct submission *submission, size_t task) {
  struct arena scratch = {0};
  struct asked asked;
  const char *const arguments[] = {"scancel", arena_format(&scratch, "%s_%zu", submission->job, task), NULL};
  asked_run(&asked, arguments, 60);  // that it is gone shows in the queue, or does not: then it ends by itself
  asked_free(&asked);
  arena_free(&scratch);
}

static bool hand_to_task(struct collection *collection, struct store *store, size_t i, size_t j, struct error *error) {
  const struct submission *submission = &collection->submissions[i];
  const struct submitted_task *task = &submission->tasks[j];
  struct arena scratch = {0};
  size_t idle = 0;
  for (size_t k = 0; k < task->run_count && !error->code; k++) {
    struct value id = store_text(task->runs[k]);
    struct store_rows *rows = store_select(
        store, "SELECT m.mark, m.marked_by, r.state FROM runs r LEFT JOIN marks m ON m.run = r.id WHERE r.id = ?1", &id,
        1, error);
    if (rows && store_rows_next(rows, error)) {
      struct value word = store_rows_value(rows, 0);
      enum run_mark mark = word.kind == VALUE_TEXT ? run_mark_parse(word.text) : MARK_NONE;
      if (!run_mark_holds(mark)) mark = MARK_NONE;
      enum run_state state = run_state_parse(store_rows_value(rows, 2).text);
      idle += mark != MARK_NONE || run_state_has_result(state);
      if (!run_state_has_result(state))
        held_write(run_folder(&scratch, collection->home, task->runs[k]), mark, store_rows_value(rows, 1).text, error);
    }
    store_rows_close(rows);
  }
  arena_free(&scratch);
  // One that is ending by itself is not called cancelled.
  const struct task_view *view = &collection->tasks[i][j];
  bool waits = view->state == TASK_QUEUED && view->queued && strcmp(view->queued->state, "PENDING") == 0;
  if (!error->code && idle == task->run_count && submission->job && waits) cancel_task(submission, j);
  return !error->code;
}

bool collection_hand_marks(struct collection *collection, struct store *store, struct error *error) {
  for (size_t i = 0; i < collection->count; i++)
    for (size_t j = 0; j < collection->submissions[i].task_count; j++)
      if (collection->tasks[i][j].state != TASK_ENDED && !hand_to_task(collection, store, i, j, error)) return false;
  return true;
}

bool slurm_follow_marks(const char *home, struct store *store, struct error *error) {
  struct collection collection = {0};
  bool fine = collection_look(&collection, home, error) && collection_hand_marks(&collection, store, error);
  collection_free(&collection);
  return fine;
}

// ---- words ----

void collection_words(const struct collection *collection, struct text *out) {
  static const char *const ended[SLURM_ENDS] = {
      [SLURM_UNKNOWN] = "gone",
      [SLURM_COMPLETED] = "ended",
      [SLURM_FAILED] = "failed",
      [SLURM_CANCELLED] = "cancelled",
      [SLURM_TIMED_OUT] = "timed out",
      [SLURM_PREEMPTED] = "preempted",
      [SLURM_NODE_FAILED] = "lost their nodes",
      [SLURM_OUT_OF_MEMORY] = "out of memory",
  };
  const struct task_counts *counts = &collection->counts;
  if (!collection->count) return;
  text_format(out, "%zu job%s at work, %zu wait%s", counts->at_work, counts->at_work == 1 ? "" : "s", counts->queued,
              counts->queued == 1 ? "s" : "");
  for (enum slurm_end i = SLURM_UNKNOWN; i < SLURM_ENDS; i++)
    if (counts->ended[i]) text_format(out, ", %zu %s", counts->ended[i], ended[i]);
  if (counts->restarts) text_format(out, ", %zu begun again", counts->restarts);
  if (counts->strange) text_format(out, ", %zu in a state that is not known and means nothing", counts->strange);
}
