// How runs are submitted to Slurm: `run: {slurm: ...}` of a spec, over the same keys in ~/.config/isoloss/slurm.yaml.
// No part of a run's identity.
#pragma once
#include <stdint.h>

#include "base/base.h"
#include "base/document.h"

// Texts are NULL and numbers 0 where nobody gave them: then Slurm's own defaults hold.
struct slurm_profile {
  const char *partition, *account, *qos, *constraint, *gres, *memory;  // as sbatch takes them
  const char *time;                                                    // of a job, as written
  double time_seconds;                                                 // the same; 0: not given
  int64_t cpus;                                                        // of a job
  int64_t array_cap;                                                   // jobs of an array that run at a time
  int64_t runs_per_job;                                                // at least 1
  int64_t slots_per_gpu;                                               // 0: as many as the GPU's memory holds
  double stop_before;    // seconds before the end of a job at which its runs are asked to stop
  const char **options;  // further options of sbatch, one word each
  size_t option_count;
  bool mps;               // NVIDIA's MPS for the runs that share a GPU
  bool follow_up;         // a small job collects, and submits what is missing, when the others have ended
  bool follow_up_given;   // else where halving needs it
  const char *prologue;   // lines of bash before the runs, as they are
  const char *container;  // words in front of the command: apptainer exec --nv image.sif
};

// What holds where nothing is given.
void slurm_profile_default(struct slurm_profile *profile);
// Lays what the mapping gives over the profile; texts live in the arena. Mistakes are diagnostics at their places.
void slurm_profile_read(const struct node *mapping, struct slurm_profile *profile, struct arena *arena,
                        struct diagnostics *diagnostics);
// A file of such keys at its top level; one that is not there changes nothing. False with an error after its mistakes
// were told.
bool slurm_profile_load(const char *path, struct slurm_profile *profile, struct arena *arena, struct error *error);
// A job's time limit in seconds: "6 h" as elsewhere, or Slurm's "30:00", "6:00:00", "1-12", "1-12:00:00". NAN: neither
// (a bare number would be minutes for sbatch and seconds elsewhere).
double slurm_time_seconds(const char *text);
