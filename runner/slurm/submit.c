// See submit.h.
#include "runner/slurm/submit.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "runner/execute/ask.h"
#include "runner/slurm/queue.h"
#include "runner/slurm/script.h"

enum { SBATCH_SECONDS = 120, DEFAULT_ARRAY_SIZE = 1001 };

static bool write_text(const struct submission *submission, const char *name, const char *bytes, size_t length,
                       struct error *error) {
  return file_write_atomic(path_join(submission->arena, submission->folder, name), bytes, length, error);
}

// The number that sbatch --parsable printed: "123", or "123;cluster"; NULL: none.
static const char *number_of(struct arena *arena, const char *said) {
  size_t length = strspn(said, "0123456789");
  if (length == 0 || (said[length] && !strchr(";\n\r", said[length]))) return NULL;
  return arena_copy(arena, said, length);
}

// Calls sbatch. What it said is not always what happened: an array whose number was not heard is looked for by its
// name, and where Slurm does not answer it is found by a later call.
static bool call_sbatch(struct submission *submission, struct error *error) {
  struct asked asked;
  char words[304];
  const char *const arguments[] = {"sbatch", "--parsable", path_join(submission->arena, submission->folder, "job.sh"),
                                   NULL};
  asked_run(&asked, arguments, SBATCH_SECONDS);
  if (asked.ran && asked.code == 0) submission->job = number_of(submission->arena, text_string(&asked.out));
  const char *said = arena_string(submission->arena, asked_words(&asked, words));
  bool refused = asked.ran && asked.code != 0;
  bool missing = !asked.ran && starts_with(text_string(&asked.said), "cannot start");
  asked_free(&asked);
  if (!submission->job && !missing) {
    struct queue queue;
    queue_ask(&queue, submission->arena);
    submission->job = queue_find_name(&queue, submission->job_name);
    refused = refused && queue.answered;
  }
  if (submission->job) return submission_write_state(submission, error);
  submission->refused = refused || missing;
  if (submission->refused && !submission_write_state(submission, error)) return false;
  return error_set(error, EXIT_ENVIRONMENT, "sbatch did not take the jobs of %s: %s%s", submission->folder, said,
                   submission->refused ? "" : "; whether Slurm has them shows when isoloss run is called again");
}

static bool submit_array(const struct submit_request *request, struct submission *submission, struct error *error) {
  const struct spec *spec = request->plan->spec;
  struct text script = {0};
  if (!request->dry_run && !submission_make(submission, submission->arena, request->home, spec->name, error))
    return false;
  script_write(request->profile, submission, &script);
  bool fine = true;
  if (request->dry_run)
    fwrite(script.bytes, 1, script.length, stdout);
  else
    fine = write_text(submission, "spec.yaml", spec->source, spec->source_length, error) &&
           write_text(submission, "job.sh", script.bytes, script.length, error) &&
           submission_write(submission, error) && call_sbatch(submission, error);
  text_free(&script);
  return fine;
}

bool submit_tasks(const struct submit_request *request, struct arena *arena, struct submitted_task *tasks, size_t count,
                  size_t *begun, struct error *error) {
  const struct spec *spec = request->plan->spec;
  struct slurm_limits limits;
  slurm_limits_ask(&limits, arena);
  size_t most = limits.array_size > 0 ? (size_t)limits.array_size : DEFAULT_ARRAY_SIZE, room = count;
  // An array takes one place more than it has tasks.
  if (limits.jobs > 0) room = limits.jobs > limits.present + 1 ? (size_t)(limits.jobs - limits.present - 1) : 0;
  *begun = 0;
  for (int number = 1; *begun < count && room > 0; number++) {
    size_t here = count - *begun;
    if (here > most) here = most;
    if (here > room) here = room;
    struct submission submission = {
        .arena = arena,
        .experiment = spec->name,
        .spec_path = path_canonical(arena, spec->path),
        .preset = spec->preset,
        .dtype = request->plan->dtype,
        .set = (const char **)(size_t)request->set.items,
        .set_count = request->set.count,
        .retries = request->retries,
        .slots_per_gpu = request->profile->slots_per_gpu,
        .time_seconds = request->profile->time_seconds,
        .stop_before = request->profile->stop_before,
        .keep_going = request->keep_going,
        .tasks = tasks + *begun,
        .task_count = here,
    };
    if (request->source) submission.source = *request->source;
    if (request->dry_run) {
      submission.name = arena_format(arena, "%s-N%d", spec->name, number);
      submission.folder = path_join(arena, submissions_folder(arena, request->home), submission.name);
      submission.job_name = arena_format(arena, "isoloss-%s", submission.name);
    }
    bool fine = submit_array(request, &submission, error);
    if (!fine && (submission.refused || !submission.folder)) return false;
    *begun += here;
    room -= here < room ? here : room;
    if (room > 0) room--;
    if (!fine) return false;
  }
  return true;
}
