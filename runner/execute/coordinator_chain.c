// Chains: a run of a later stage starts when its parent is done and has a checkpoint. Until then it waits outside of
// the queue; where its parent ends without a result it stays pending, and says why.
#include <stdio.h>
#include <string.h>

#include "runner/execute/coordinator_state.h"
#include "runner/execute/worker.h"
#include "trainer/checkpoint.h"

void coordinator_link(struct coordinator *c, size_t i, size_t parent) {
  struct job *job = &c->jobs[i];
  job->parent = parent;
  job->child = NO_JOB;
  job->sibling = NO_JOB;
  if (parent == NO_JOB) return;
  job->sibling = c->jobs[parent].child;
  c->jobs[parent].child = i;
}

// In the words of the message of a run that follows it; false when it can start.
static bool hindrance(const struct coordinator *c, const struct job *parent, struct text *why) {
  struct arena scratch = {0};
  struct error ignored = {0};
  int64_t *steps;
  int count = 0;
  if (parent->state == RUN_FAILED || parent->state == RUN_DIVERGED) {
    text_format(why, "not started: run %.8s, which it follows, %s", parent->id,
                parent->state == RUN_FAILED ? "failed (isoloss run with --retry-failed tries it again)" : "diverged");
  } else if (parent->state != RUN_DONE && parent->mark == MARK_CANCELLED) {
    text_format(why, "not started: run %.8s, which it follows, was cancelled (isoloss retry %.8s takes that back)",
                parent->id, parent->id);
  } else if (parent->halved) {
    text_format(why, "not started: run %.8s, which it follows, was stopped by halving", parent->id);
  } else if (parent->state != RUN_DONE && parent->left_out) {
    text_format(why, "not started: run %.8s, which it follows, is left out by --only", parent->id);
  } else if (parent->state != RUN_DONE && parent->blocked) {
    text_format(why, "not started: run %.8s, which it follows, cannot start either", parent->id);
  } else if (parent->state == RUN_DONE) {
    checkpoint_list(&scratch, run_folder(&scratch, c->options->home, parent->id), &steps, &count, &ignored);
    if (count == 0)
      text_format(why,
                  "not started: run %.8s, which it follows, has no checkpoint any more: isoloss run with --again %.8s "
                  "makes it anew",
                  parent->id, parent->id);
  }
  arena_free(&scratch);
  return why->length > 0;
}

// The job and all that follow it stay pending.
static bool block(struct coordinator *c, struct job *job, const char *why, size_t *blocked, struct error *error) {
  job->blocked = true;
  job->waits = false;
  if (!job->left_out) {
    ++*blocked;
    if (!coordinator_set_state(c, job, RUN_PENDING, why, error)) return false;
  }
  for (size_t i = job->child; i != NO_JOB; i = c->jobs[i].sibling) {
    struct job *child = &c->jobs[i];
    struct text further = {0};
    if (run_state_has_result(child->state) || child->blocked) continue;
    child->blocked_for_good = job->blocked_for_good;
    bool fine = !hindrance(c, job, &further) || block(c, child, text_string(&further), blocked, error);
    text_free(&further);
    if (!fine) return false;
  }
  return true;
}

bool coordinator_queue(struct coordinator *c, struct job *job, struct error *error) {
  struct job *parent = job->parent == NO_JOB ? NULL : &c->jobs[job->parent];
  struct text why = {0};
  size_t blocked = 0;
  bool fine = true;
  if (run_mark_holds(job->mark)) return true;  // queued when that is taken back
  job->blocked = job->blocked_for_good = false;
  if (!parent) {
    if (!coordinator_awaits_trunk(c, job)) c->queue[c->queue_count++] = job;
  } else if (hindrance(c, parent, &why)) {
    job->blocked_for_good =
        parent->state == RUN_DIVERGED || parent->halved || parent->blocked_for_good || parent->mark == MARK_CANCELLED;
    fine = block(c, job, text_string(&why), &blocked, error);
    if (fine && blocked) progress_note(&c->progress, true, "pending  %.8s  %s", job->id, text_string(&why));
  } else if (parent->state == RUN_DONE) {
    job->waits = false;
    c->queue[c->queue_count++] = job;
  } else {
    job->waits = true;
  }
  text_free(&why);
  return fine;
}

static size_t first_child(const struct coordinator *c, const struct job *parent) {
  return parent >= c->jobs && parent < c->jobs + c->set_count ? parent->child : NO_JOB;
}

bool coordinator_release(struct coordinator *c, const struct job *parent, struct error *error) {
  bool ended = run_state_has_result(parent->state) || parent->state == RUN_FAILED || parent->halved ||
               parent->mark == MARK_CANCELLED;
  bool of_set = parent >= c->jobs && parent < c->jobs + c->set_count;
  if (of_set && run_state_has_result(parent->state)) coordinator_leave_trunk(c, parent);
  if (parent->state == RUN_DONE && !coordinator_await(c, parent, error)) return false;
  for (size_t i = ended ? first_child(c, parent) : NO_JOB; i != NO_JOB; i = c->jobs[i].sibling)
    if (c->jobs[i].waits && !coordinator_queue(c, &c->jobs[i], error)) return false;
  return true;
}

bool coordinator_await(struct coordinator *c, const struct job *parent, struct error *error) {
  for (size_t i = first_child(c, parent); i != NO_JOB; i = c->jobs[i].sibling) {
    struct job *child = &c->jobs[i];
    if (!child->blocked) continue;
    child->blocked = child->blocked_for_good = false;
    child->waits = !child->left_out;
    if (!child->left_out && !coordinator_set_state(c, child, RUN_PENDING, NULL, error)) return false;
    if (!coordinator_await(c, child, error)) return false;
  }
  return true;
}
