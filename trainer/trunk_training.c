// Shared trunks in the training loop: what a trunk does for the runs that branch off from it, and how such a run
// begins. See trunk.h.
//
// A branch's folder looks as if the run had been trained alone, interrupted, and resumed: its log begins with the
// trunk's events of the shared part (those that the run itself would have written), its first checkpoint is the trunk's
// under the run's own name.
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/terminal.h"
#include "trainer/schedule.h"
#include "trainer/training.h"
#include "trainer/trunk.h"

// ---- the trunk ----

static int rising(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return x < y ? -1 : x > y;
}

void trunk_prepare(struct training *t) {
  size_t most = (size_t)t->file.config.train.evals, count = 0, kept = 0;
  t->branch_steps = arena_array(&t->arena, t->file.branch_count, sizeof *t->branch_steps);
  t->branch_evaluations = arena_array(&t->arena, t->file.branch_count * most, sizeof *t->branch_evaluations);
  for (size_t i = 0; i < t->file.branch_count; i++) {
    const struct run_branch *branch = &t->file.branches[i];
    int64_t *steps = t->branch_evaluations + count;
    size_t found = schedule_evaluations(branch->steps, (int64_t)most, steps);
    t->branch_steps[i] = branch->step;
    for (size_t e = 0; e < found && steps[e] <= branch->step; e++) count++;
  }
  if (count) qsort(t->branch_evaluations, count, sizeof *t->branch_evaluations, rising);
  for (size_t i = 0; i < count; i++)
    if (kept == 0 || t->branch_evaluations[kept - 1] != t->branch_evaluations[i])
      t->branch_evaluations[kept++] = t->branch_evaluations[i];
  t->branch_evaluation_count = kept;
}

bool trunk_is_branch_step(const struct training *t, int64_t step) {
  for (size_t i = 0; i < t->file.branch_count; i++)
    if (t->branch_steps[i] == step) return true;
  return false;
}

bool trunk_is_evaluation(const struct training *t, int64_t step) {
  return t->branch_evaluation_count > 0 &&
         bsearch(&step, t->branch_evaluations, t->branch_evaluation_count, sizeof step, rising);
}

bool trunk_evaluate(struct training *t, struct error *error) {
  const struct run_config *c = &t->file.config;
  struct evaluation evaluation;
  bool stopped;
  double before = training_seconds(t);
  int64_t windows = evaluation_windows(t->corpus, c->train.eval_tokens, c->model.context);
  // A loss that is not finite ends the branch when it trains alone, and not this run, which would not have looked.
  if (!evaluation_run(t->model, t->corpus, windows, &t->batch, NULL, &stopped, &evaluation, error) ||
      !report_branch_evaluation(t, &evaluation, error))
    return false;
  // Time that this run alone would not have taken is none of its own.
  t->clock_start += training_seconds(t) - before;
  return true;
}

// ---- the branch ----

struct reading {
  struct training *t;
  int64_t step;          // the last of the shared part
  int64_t steps, evals;  // events found
  bool evaluated;        // the newest evaluation's step was the run's own
};

static bool evaluates_after(const struct training *t, int64_t step) {
  for (size_t i = 0; i < t->evaluation_count; i++)
    if (t->evaluations[i] == step) return true;
  return false;
}

// Takes a line of the trunk's log where the run alone would have written it, too.
static void take(struct reading *s, const char *line, size_t length, const json_t *event) {
  static const char shown[] = "{\"event\":\"" TRUNK_EVALUATION "\"", own[] = "{\"event\":\"eval\"";
  struct training *t = s->t;
  const char *name = json_string_value(json_object_get(event, "event"));
  int64_t step = json_integer_value(json_object_get(event, "step"));
  if (!name || step > s->step) return;
  bool evaluation = strcmp(name, "eval") == 0, branch = strcmp(name, TRUNK_EVALUATION) == 0;
  if (evaluation || branch) {
    if (!evaluates_after(t, step) || !json_is_number(json_object_get(event, "loss"))) return;
    s->evals++;
    if (branch && (length < sizeof shown || memcmp(line, shown, sizeof shown - 1) != 0)) return;
    if (branch) {
      text_add(&t->trunk_events, own);
      line += sizeof shown - 1;
      length -= sizeof shown - 1;
    }
  } else if (strcmp(name, "step") == 0) {
    s->steps++;
  } else if (strcmp(name, "checkpoint") == 0) {
    // That of the last shared step the run writes itself.
    if (step == s->step || !schedule_checkpoint(&t->file.config, t->steps, step)) return;
  } else if (strcmp(name, "start") != 0) {
    return;
  }
  text_append(&t->trunk_events, line, length);
  text_char(&t->trunk_events, '\n');
}

// What the log of the run alone holds up to this step.
static int64_t expected_steps(const struct training *t, int64_t step) {
  int64_t every = t->file.config.train.log_steps;
  return step / every + (every > 1);  // the first one is in it, too
}

static int64_t expected_evaluations(const struct training *t, int64_t step) {
  int64_t count = 0;
  for (size_t i = 0; i < t->evaluation_count; i++) count += t->evaluations[i] <= step;
  return count;
}

// The events of the shared part, from the trunk's log up to its checkpoint.
static bool select_events(struct training *t, const char *path, int64_t step, int64_t log_size, struct error *error) {
  struct arena arena = {0};
  struct reading s = {.t = t, .step = step};
  size_t length;
  const char *log = file_read(&arena, path, &length, error);
  bool fine = log != NULL;
  if (fine && (log_size < 1 || (size_t)log_size > length || log[log_size - 1] != '\n'))
    fine = error_set(error, EXIT_USAGE_ERROR, "%s is not the log that its checkpoint was written with", path);
  for (const char *line = log, *end; fine && line < log + log_size; line = end + 1) {
    end = memchr(line, '\n', (size_t)(log + log_size - line));
    json_t *event = json_loadb(line, (size_t)(end - line), 0, NULL);
    if (event) take(&s, line, (size_t)(end - line), event);
    json_decref(event);
  }
  if (fine && (s.steps != expected_steps(t, step) || s.evals != expected_evaluations(t, step)))
    fine = error_set(error, EXIT_USAGE_ERROR,
                     "%s has %" PRId64 " steps and %" PRId64 " evaluations of the run up to step %" PRId64
                     ", not %" PRId64 " and %" PRId64,
                     path, s.steps, s.evals, step, expected_steps(t, step), expected_evaluations(t, step));
  arena_free(&arena);
  return fine;
}

// The step up to which the run at `folder` trains the same: the later of both kinds; *identity is what its checkpoints
// were written under.
static bool find_trunk_step(struct training *t, const char *folder, int64_t *step, struct digest *identity,
                            struct error *error) {
  struct run_file other;
  const char *path = path_join(&t->arena, folder, "config.json"), *corpus = t->file.corpus_digest;
  if (!run_file_read(&t->arena, path, &other, error)) return false;
  int64_t wanted = 0;
  *step = 0;
  for (enum trunk_kind kind = TRUNK_SAME_LENGTH; kind <= TRUNK_ANY_LENGTH && !*step; kind++) {
    struct digest key = trunk_key(&t->file.config, corpus, kind);
    struct digest others = trunk_key(&other.config, other.corpus_digest, kind);
    wanted = trunk_steps(&t->file.config, kind);
    if (wanted >= 1 && trunk_steps(&other.config, kind) >= wanted && memcmp(key.hex, others.hex, sizeof key.hex) == 0)
      *step = wanted;
  }
  if (!*step)
    return error_set(error, EXIT_USAGE_ERROR, "run %s trains otherwise before step %" PRId64, t->file.trunk, wanted);
  *identity = config_identity(&other.config, corpus, "state", "");
  return true;
}

bool trunk_begin(struct training *t, struct error *error) {
  const char *folder = arena_format(&t->arena, "%s/../%s", t->run_folder, t->file.trunk);
  int64_t step;
  struct digest identity;
  struct checkpoint_state state;
  struct error why = {0};
  bool fine = find_trunk_step(t, folder, &step, &identity, &why) &&
              checkpoint_load(t->model, path_join(&t->arena, folder, checkpoint_name(&t->arena, step)), &identity,
                              &state, &why) &&
              select_events(t, path_join(&t->arena, folder, "events.jsonl"), step, state.log_size, &why);
  if (!fine) {
    text_clear(&t->trunk_events);
    notice_print("isoloss-train", "the trunk is not used: %s; training from the start", why.text);
    return t->ops->synchronize(t->device, error) && false;
  }
  notice_print("isoloss-train", "begins from step %" PRId64 " of run %s", step, t->file.trunk);
  t->done = state;
  t->done.config = t->identity;
  t->done.log_size = 0;
  t->resumed_from = t->trunk_step = step;
  return true;
}
