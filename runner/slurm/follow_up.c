// See follow_up.h.
#include "runner/slurm/follow_up.h"

#include <stdio.h>
#include <string.h>

#include "runner/execute/ask.h"
#include "runner/slurm/script.h"

enum { SBATCH_SECONDS = 120 };

bool follow_up_wanted(const struct slurm_profile *profile, const struct plan *plan) {
  return profile->follow_up_given ? profile->follow_up : plan->halving != NULL;
}

static bool submit(const char *path, struct error *error) {
  struct asked asked;
  char words[304];
  const char *const arguments[] = {"sbatch", "--parsable", path, NULL};
  asked_run(&asked, arguments, SBATCH_SECONDS);
  bool fine = asked.ran && asked.code == 0;
  if (!fine)
    error_set(error, EXIT_ENVIRONMENT,
              "sbatch did not take the job that follows (%s): %s; the runs are submitted, and the next isoloss run "
              "continues from them",
              path, asked_words(&asked, words));
  asked_free(&asked);
  return fine;
}

bool follow_up_submit(const struct slurm_profile *profile, const struct slurm_request *request, const char *arrays,
                      const char *folder, struct arena *arena, struct error *error) {
  const struct spec *spec = request->set->plan->spec;
  if (!request->dry_run && (!arrays || !*arrays || !folder)) return true;
  const char *place = folder ? folder : "";
  struct follow_up follow = {.folder = place,
                             .home = path_canonical(arena, request->home),
                             .experiment = spec->name,
                             .preset = spec->preset,
                             .job_name = arena_format(arena, "isoloss-follow-%.60s", spec->name),
                             .arrays = arrays && *arrays ? arrays : "JOBS",
                             .set = request->options,
                             .retries = request->retries,
                             .keep_going = request->keep_going};
  struct text script = {0};
  script_follow_up(profile, &follow, &script);
  const char *path = path_join(arena, place, "follow-up.sh");
  bool fine = true;
  if (request->dry_run)
    fwrite(script.bytes, 1, script.length, stdout);
  else
    fine = file_write_atomic(path, script.bytes, script.length, error) && submit(path, error);
  text_free(&script);
  return fine;
}
