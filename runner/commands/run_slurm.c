// See run_slurm.h.
#include "runner/commands/run_slurm.h"

#include <stdio.h>

static void print_words(const struct slurm_outcome *outcome, const struct spec *spec, bool dry) {
  FILE *out = dry ? stderr : stdout;
  fprintf(out, "%s: %zu runs: %zu done", spec->name, outcome->total, outcome->done);
  if (outcome->diverged) fprintf(out, ", %zu diverged", outcome->diverged);
  if (outcome->failed) fprintf(out, ", %zu failed", outcome->failed);
  if (outcome->at_work) fprintf(out, ", %zu in jobs at work", outcome->at_work);
  if (outcome->queued) fprintf(out, ", %zu in Slurm's queue", outcome->queued);
  if (outcome->submitted || dry)
    fprintf(out, ", %zu %s in %zu job%s", outcome->submitted, dry ? "would be submitted" : "submitted", outcome->jobs,
            outcome->jobs == 1 ? "" : "s");
  if (outcome->halved) fprintf(out, ", %zu stopped by halving", outcome->halved);
  if (outcome->waiting)
    fprintf(out, ", %zu wait%s at a rung of halving for others", outcome->waiting, outcome->waiting == 1 ? "s" : "");
  if (outcome->no_room) fprintf(out, ", %zu wait for room in Slurm (call again, or with --follow)", outcome->no_room);
  if (outcome->blocked)
    fprintf(out, ", %zu follow%s a run that failed or is held", outcome->blocked, outcome->blocked == 1 ? "s" : "");
  if (outcome->held) fprintf(out, ", %zu paused", outcome->held);
  if (outcome->cancelled) fprintf(out, "; %zu cancelled and left out", outcome->cancelled);
  fprintf(out, "\n");
  if (outcome->words[0]) fprintf(out, "Slurm: %s\n", outcome->words);
  if (outcome->failed)
    fprintf(out, "failed runs: isoloss runs %s --where 'state == \"failed\"'; isoloss run --retry-failed tries again\n",
            spec->name);
  if (outcome->interrupted) fprintf(out, "no longer followed; the jobs go on, and the same call continues them\n");
}

enum exit_code run_slurm(const struct slurm_request *request, bool json, struct error *error) {
  struct slurm_outcome outcome;
  enum exit_code code = slurm_run(request, &outcome, error);
  if (!error->code && !json) print_words(&outcome, request->set->plan->spec, request->dry_run);
  return code;
}

bool run_refuses_slurms(const struct plan_set *set, const char *home, struct error *error) {
  size_t count;
  if (!slurm_has_runs(set, home, &count, error)) return false;
  return count == 0 ||
         error_set(error, EXIT_ENVIRONMENT,
                   "%zu run%s of %s %s in the hands of Slurm's jobs: isoloss run --executor slurm collects what they "
                   "did; isoloss cancel takes them back",
                   count, count == 1 ? "" : "s", set->plan->spec->name, count == 1 ? "is" : "are");
}
