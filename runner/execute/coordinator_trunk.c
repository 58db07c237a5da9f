// Shared trunks (trainer/trunk.h): of the trainings that are the same at first, that which shares most is the trunk.
// The others wait, outside of the queue, for the checkpoint at which they branch off, and begin from it; where it will
// not come they train alone. The trunk's worker keeps these checkpoints; they are removed when nobody needs them.
#include <stdio.h>
#include <string.h>

#include "runner/execute/coordinator_state.h"
#include "runner/execute/worker.h"
#include "runner/plan/trunks.h"
#include "trainer/checkpoint.h"

static struct job *trunk_of(const struct coordinator *c, const struct job *job) {
  return job->trunk == NO_JOB ? NULL : &c->jobs[job->trunk];
}

static bool is_to_do(const struct job *job) {
  return !job->left_out && (job->state == RUN_PENDING || job->state == RUN_KILLED);
}

static bool has_checkpoint(const struct coordinator *c, const struct job *job, int64_t step) {
  struct arena scratch = {0};
  const char *folder = run_folder(&scratch, c->options->home, job->id);
  bool found = file_exists(path_join(&scratch, folder, checkpoint_name(&scratch, step)));
  arena_free(&scratch);
  return found;
}

static bool has_begun(const struct coordinator *c, const struct job *job) {
  struct arena scratch = {0};
  struct error ignored = {0};
  int64_t *steps;
  int count = 0;
  checkpoint_list(&scratch, run_folder(&scratch, c->options->home, job->id), &steps, &count, &ignored);
  arena_free(&scratch);
  return count > 0;
}

// ---- who branches off from whom ----

static void join(struct coordinator *c, struct job *job, size_t trunk, int64_t step, int64_t steps) {
  job->trunk = trunk;
  job->branch_step = step;
  job->steps = steps;
  job->next_branch = c->jobs[trunk].branch;
  c->jobs[trunk].branch = (size_t)(job - c->jobs);
  double left = 1 - (double)step / (double)steps;
  job->flops *= left;
  job->seconds *= left;
}

static bool has_checkpoint_of(void *context, size_t number, int64_t step) {
  const struct coordinator *c = context;
  return has_checkpoint(c, &c->jobs[number], step);
}

void coordinator_find_trunks(struct coordinator *c) {
  struct arena scratch = {0};
  size_t count = 0;
  struct trunk_member *members = arena_array(&scratch, c->set_count, sizeof *members);
  for (size_t i = 0; i < c->set_count; i++) c->jobs[i].trunk = c->jobs[i].branch = c->jobs[i].next_branch = NO_JOB;
  for (size_t i = 0; i < c->set_count && c->options->share_trunks; i++) {
    const struct job *job = &c->jobs[i];
    if (!job->may_share) continue;
    const struct job described = {.index = i};
    coordinator_describe(c, &described);
    if (!trunk_member_of(&c->described.file.config, c->described.file.corpus_digest, &members[count])) continue;
    members[count].leads = is_to_do(job) || (job->state == RUN_RUNNING && !job->left_out);
    members[count].branches = is_to_do(job) && !has_begun(c, job);
    members[count++].number = i;
  }
  trunk_members_link(members, count, has_checkpoint_of, c);
  for (size_t i = 0; i < count; i++)
    if (members[i].from != NO_TRUNK)
      join(c, &c->jobs[members[i].number], members[members[i].from].number, members[i].step, members[i].steps);
  arena_free(&scratch);
}

// ---- waiting ----

static bool is_past(const struct coordinator *c, const struct job *trunk, int64_t step) {
  for (size_t i = 0; i < c->worker_count; i++)
    if (c->workers[i]->job == trunk) return c->workers[i]->log.step > step;
  return false;
}

// In words why the trunk will give no checkpoint; NULL while it may.
static const char *hindrance(const struct coordinator *c, const struct job *trunk, int64_t step) {
  if (trunk->state == RUN_FAILED) return "failed";
  if (trunk->state == RUN_DIVERGED) return "diverged before";
  if (trunk->put_off) return "is put off";
  if (run_mark_holds(trunk->mark)) return trunk->mark == MARK_CANCELLED ? "is cancelled" : "is paused";
  if (run_state_has_result(trunk->state)) return "is done, and has no checkpoint of it";
  return is_past(c, trunk, step) ? "is past it, and has no checkpoint of it" : NULL;
}

bool coordinator_awaits_trunk(struct coordinator *c, struct job *job) {
  const struct job *trunk = trunk_of(c, job);
  job->awaits_trunk = false;
  if (!trunk || job->alone || has_checkpoint(c, trunk, job->branch_step)) return false;
  const char *why = hindrance(c, trunk, job->branch_step);
  // Between the two looks it may have been written.
  if (why && has_checkpoint(c, trunk, job->branch_step)) return false;
  if (!why) return job->awaits_trunk = true;
  job->alone = true;
  double left = 1 - (double)job->branch_step / (double)job->steps;
  job->flops /= left;
  job->seconds /= left;
  progress_note(&c->progress, true,
                "alone    %.8s  trains from its start: run %.8s, whose step %lld it was to begin from, %s", job->id,
                trunk->id, (long long)job->branch_step, why);
  return false;
}

void coordinator_release_branches(struct coordinator *c) {
  for (size_t i = 0; i < c->set_count && !c->stopping; i++) {
    struct job *job = &c->jobs[i];
    if (job->awaits_trunk && !run_mark_holds(job->mark) && !coordinator_awaits_trunk(c, job))
      c->queue[c->queue_count++] = job;
  }
}

// ---- what workers are told, and what stays behind ----

bool coordinator_branches_off(const struct job *job) { return job->trunk != NO_JOB && !job->alone; }

void coordinator_name_trunk(struct coordinator *c, const struct job *job, struct arena *arena) {
  struct run_file *file = &c->described.file;
  size_t count = 0;
  if (coordinator_branches_off(job)) memcpy(file->trunk, c->jobs[job->trunk].id, sizeof file->trunk);
  for (size_t i = job->branch; i != NO_JOB; i = c->jobs[i].next_branch) count++;
  struct run_branch *branches = arena_array(arena, count, sizeof *branches);
  for (size_t i = job->branch; i != NO_JOB; i = c->jobs[i].next_branch) {
    const struct job *branch = &c->jobs[i];
    if (run_state_has_result(branch->state) || branch->alone) continue;
    struct run_branch *named = &branches[file->branch_count++];
    memcpy(named->id, branch->id, sizeof named->id);
    named->step = branch->branch_step;
    named->steps = branch->steps;
  }
  file->branches = branches;
}

static bool is_needed(const struct coordinator *c, const struct job *trunk, int64_t step) {
  for (size_t i = trunk->branch; i != NO_JOB; i = c->jobs[i].next_branch)
    if (c->jobs[i].branch_step == step && !run_state_has_result(c->jobs[i].state)) return true;
  return false;
}

// Of a trunk that has its result: removes the checkpoints that no branch needs any more.
static void leave(struct coordinator *c, const struct job *trunk) {
  struct arena scratch = {0};
  struct error ignored = {0};  // what stays behind isoloss gc finds
  int64_t *steps;
  int count = 0;
  if (trunk->branch == NO_JOB || trunk->index == FOREIGN || !run_state_has_result(trunk->state)) return;
  const char *folder = run_folder(&scratch, c->options->home, trunk->id);
  coordinator_describe(c, trunk);
  checkpoint_list(&scratch, folder, &steps, &count, &ignored);
  // The newest ones stay in any case, as the run's settings say.
  for (int i = (int)c->described.file.config.train.keep_checkpoints; i < count; i++) {
    bool branched = false;
    for (size_t b = trunk->branch; b != NO_JOB; b = c->jobs[b].next_branch)
      branched |= c->jobs[b].branch_step == steps[i];
    if (branched && !is_needed(c, trunk, steps[i])) checkpoint_remove(folder, steps[i], &ignored);
  }
  arena_free(&scratch);
}

void coordinator_leave_trunk(struct coordinator *c, const struct job *ended) {
  leave(c, ended);
  if (ended->trunk != NO_JOB) leave(c, &c->jobs[ended->trunk]);
}
