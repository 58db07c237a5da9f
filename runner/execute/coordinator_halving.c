// Runs that compete: where they stop, wait, and go on; see coordinator_halving.h.
#include "runner/execute/coordinator_halving.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "runner/plan/halving.h"

static struct competition *competition_of(const struct coordinator *c, const struct job *job) {
  size_t index = (size_t)(job - c->jobs);
  size_t of = c->halving && index < c->set_count ? c->halving->of_job[index] : 0;
  return of ? &c->halving->competitions[of - 1] : NULL;
}

// The runs and all that decides about them; what the losses are is no part.
static void name_competition(const struct coordinator *c, struct competition *one) {
  struct text text = {0};
  const struct plan_halving *plan = c->halving->plan;
  text_format(&text, "%s keep %.17g", plan->over, plan->rule->keep);
  if (plan->average) text_format(&text, " average %s", plan->average);
  for (size_t r = 0; r < plan->rule->rung_count; r++)
    text_format(&text, " %.17g:%" PRId64, plan->rule->at[r], one->group->rungs[r]);
  for (size_t m = 0; m < one->group->count; m++) text_format(&text, " %s", c->jobs[one->group->runs[m]].id);
  struct digest digest = digest_string(text_string(&text));
  memcpy(one->id, digest.hex, sizeof digest.hex);
  text_free(&text);
}

// ---- states ----

// A run that crashed behind its rung's evaluation waits in the queue of those that are tried again.
static void leave_queue(struct coordinator *c, const struct job *job) {
  size_t kept = 0;
  for (size_t i = 0; i < c->retry_count; i++)
    if (c->retries[i] != job) c->retries[kept++] = c->retries[i];
  c->retry_count = kept;
}

static bool put_state(struct coordinator *c, struct job *job, const char *message, double halved_at,
                      struct error *error) {
  struct store_field fields[] = {
      {"state", store_text(run_state_name(RUN_KILLED))},
      {"message", store_text(message)},
      {"halved_at", store_number(halved_at)},
      {"finished_at", store_number((double)time(NULL))},
  };
  job->state = RUN_KILLED;
  return store_run_update(c->store, job->id, fields, sizeof fields / sizeof *fields, error);
}

static bool put_stopped(struct coordinator *c, const struct competition *one, struct job *job, struct error *error) {
  struct text message = {0};
  size_t r = one->decided - 1;
  text_format(&message,
              "%s halving over %s at step %" PRId64 " of %" PRId64
              "%s; without halving in the spec, isoloss run trains it on",
              job->absent ? "left out by" : "stopped by", c->halving->plan->over, one->group->rungs[r],
              one->group->steps, job->absent ? ", where the others were compared without it" : "");
  bool fine = put_state(c, job, text_string(&message), c->halving->plan->rule->at[r], error);
  text_free(&message);
  return fine;
}

// A run that does not go on from the rung that was decided last. One that has ended keeps its end.
static bool stop_run(struct coordinator *c, const struct competition *one, struct job *job, bool absent,
                     struct error *error) {
  job->waiting = false;
  if (run_state_has_result(job->state) || job->halved) return true;
  job->halved = true;
  job->absent = absent;
  leave_queue(c, job);
  // It keeps its end, and its mark's words, until somebody asks for it again.
  if (job->state == RUN_FAILED || job->mark == MARK_CANCELLED) return true;
  bool fine = true, at_work = job->state == RUN_RUNNING;
  if (!at_work) fine = put_stopped(c, one, job, error);
  for (size_t i = 0; i < c->worker_count && at_work; i++)  // by one who knew no halving
    if (c->workers[i]->job == job && job->index != FOREIGN) coordinator_signal(c->workers[i], SIGTERM);
  return fine;
}

static void queue_again(struct coordinator *c, struct job *job) {
  job->waiting = false;
  job->not_before = 0;
  c->retries[c->retry_count++] = job;
}

// Decides all that can be decided, in a transaction of its own; then sets where each member stops next.
static bool advance(struct coordinator *c, struct competition *one, struct error *error) {
  const struct halving_group *group = one->group;
  size_t rungs = c->halving->plan->rule->rung_count;
  bool done = true, fine = store_begin(c->store, error);
  while (fine && done) {
    fine = competition_decide(c, one, &done, error);
    for (size_t m = 0; m < group->count && fine && done; m++)
      if (one->out[m]) fine = stop_run(c, one, &c->jobs[group->runs[m]], one->absent[m], error);
  }
  fine = fine && store_commit(c->store, error);
  if (!fine) store_rollback(c->store);
  for (size_t m = 0; m < group->count && fine; m++) {
    struct job *job = &c->jobs[group->runs[m]];
    enum arrival arrival = ON_THE_WAY;
    if (one->out[m]) {
      fine = coordinator_release(c, job, error);
      continue;
    }
    job->rung_step = one->decided < rungs ? group->rungs[one->decided] : 0;
    if (job->rung_step) fine = competition_arrival(c, one, m, &arrival, error);
    bool waits = arrival == ARRIVED && (job->state == RUN_PENDING || job->state == RUN_KILLED) && !job->left_out;
    if (waits) leave_queue(c, job);
    if (job->waiting && !waits && !run_mark_holds(job->mark)) queue_again(c, job);
    job->waiting = waits;
  }
  return fine;
}

bool coordinator_halving_begin(struct coordinator *c, struct error *error) {
  const struct plan_halving *plan = c->options->halving;
  if (!plan) return true;
  struct halving *halving = arena_alloc(&c->arena, sizeof *halving);
  *halving = (struct halving){.plan = plan, .count = plan->group_count};
  halving->competitions = arena_array(&c->arena, plan->group_count + 1, sizeof *halving->competitions);
  halving->of_job = arena_array(&c->arena, c->set_count + 1, sizeof *halving->of_job);
  c->halving = halving;
  bool fine = true;
  for (size_t g = 0; g < halving->count && fine; g++) {
    struct competition *one = &halving->competitions[g];
    *one = (struct competition){.group = &plan->groups[g]};
    one->out = arena_array(&c->arena, one->group->count + 1, sizeof *one->out);
    one->absent = arena_array(&c->arena, one->group->count + 1, sizeof *one->absent);
    for (size_t m = 0; m < one->group->count; m++) halving->of_job[one->group->runs[m]] = g + 1;
    name_competition(c, one);
    fine = advance(c, one, error);
  }
  size_t kept = 0;
  for (size_t i = 0; i < c->queue_count; i++)
    if (!c->queue[i]->halved && !c->queue[i]->waiting) c->queue[kept++] = c->queue[i];
  c->queue_count = kept;
  return fine;
}

// ---- workers ----

void coordinator_halving_command(const struct coordinator *c, const struct job *job, struct arena *arena,
                                 struct worker_command *command) {
  bool by_step = c->halving ? c->halving->plan->stops_by_step : !c->options->command;
  if (!job->rung_step || !by_step) return;
  size_t count = 0;
  while (command->arguments[count]) count++;
  char **arguments = arena_array(arena, count + 3, sizeof *arguments);
  memcpy(arguments, command->arguments, count * sizeof *arguments);
  arguments[count] = "--steps";
  arguments[count + 1] = arena_format(arena, "%" PRId64, job->rung_step);
  arguments[count + 2] = NULL;
  command->arguments = arguments;
  command->shown = arena_format(arena, "%s --steps %" PRId64, command->shown, job->rung_step);
}

double coordinator_halving_left(const struct coordinator *c, const struct job *job, int64_t step, double alone) {
  const struct competition *one = competition_of(c, job);
  if (!one) return alone;
  return halving_steps_left(one->group, c->halving->plan->rule->rung_count, step) / (double)one->group->steps;
}

void coordinator_halving_watch(struct worker *worker) {
  const struct job *job = worker->job;
  if (!job->rung_step || worker->rung_asked || job->index == FOREIGN || worker->log.step <= job->rung_step) return;
  worker->rung_asked = true;
  coordinator_signal(worker, SIGTERM);
}

bool coordinator_halving_arrived(const struct coordinator *c, const struct worker *worker) {
  const struct job *job = worker->job;
  if (job->index == FOREIGN || (!job->rung_step && !job->halved)) return false;
  if (job->halved || worker->rung_asked) return true;
  return worker->log.end == EVENT_STOPPED && worker->log.step >= job->rung_step;
}

bool coordinator_halving_wait(struct coordinator *c, struct worker *worker, struct error *error) {
  struct job *job = worker->job;
  struct text message = {0};
  const struct competition *one = competition_of(c, job);
  bool ignored = worker->child && WIFSIGNALED(worker->status) && WTERMSIG(worker->status) == SIGTERM;
  if (ignored)
    progress_note(&c->progress, true,
                  "warning  %.8s  %s: its trainer does not answer SIGTERM by saving its state: with halving, what it "
                  "trained since its last checkpoint is trained again",
                  job->id, worker->label);
  int64_t steps = one ? one->group->steps : worker->log.steps;
  text_format(&message, "at step %lld of %lld: waits for those that it competes with%s%s", (long long)worker->log.step,
              (long long)steps, one ? " over " : "", one ? c->halving->plan->over : "");
  bool fine = job->halved ? put_stopped(c, one, job, error) : put_state(c, job, text_string(&message), NAN, error);
  job->stopped_at = worker->log.step;
  double trained = job->flops * (double)worker->log.step / (double)(steps > 0 ? steps : 1);
  c->flops_done += trained - job->flops_counted;
  job->flops_counted = trained;
  job->waiting = !job->halved;
  text_free(&message);
  return fine;
}

bool coordinator_halving_left_out(struct coordinator *c, struct job *job, struct error *error) {
  const struct competition *one = competition_of(c, job);
  if (!put_stopped(c, one, job, error)) return false;
  progress_note(&c->progress, true, "halved   %.8s  the runs that it competes with were compared without it", job->id);
  return true;
}

bool coordinator_halving_next(struct coordinator *c, const struct job *job, struct error *error) {
  struct competition *one = competition_of(c, job);
  return !one || advance(c, one, error);
}
