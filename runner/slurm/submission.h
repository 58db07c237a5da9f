// What was submitted: HOME/slurm/NAME/, one folder for each call of sbatch.
//
//   spec.yaml         the spec's text, as it was
//   submission.json   what a job needs to know: written once, before sbatch is called
//   job.sh            the script
//   state.json        the array's number, and how its tasks ended, as far as it is known: by whoever collects
//   task-K.lease-G    that somebody is at work on task K (lease.h): by the job
//   job               the array's number, by the first job that begins
//   output-K.txt      what task K printed
//
// A submission without a number is one whose sbatch may or may not have been heard: its jobs are found by their name,
// which no other submission has.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "runner/execute/provenance.h"

struct submitted_task {
  const char **runs;  // ids
  size_t run_count;
  const char *ended;  // Slurm's word for its end ("TIMEOUT"); "" where it is gone without one; NULL: not that we know
  double missed;      // since when Slurm has not listed it, seconds since 1970; 0: it does
  int starts;         // how often a job of it began to work
};

struct submission {
  struct arena *arena;
  const char *folder, *name;  // the name is the folder's last part
  const char *experiment, *job_name;
  const char *spec_path, *preset, *dtype;  // preset NULL: none
  const char **set;                        // of --set
  size_t set_count;
  struct provenance_source source;
  int64_t retries, slots_per_gpu;
  double time_seconds, stop_before;  // of a job; 0: no limit that we know
  bool keep_going;
  double submitted_at;
  const char *job;  // number of the array; NULL: not known
  bool refused;     // sbatch took nothing of it: no job has its name
  struct submitted_task *tasks;
  size_t task_count;
};

// HOME/slurm, absolute where possible; in the arena.
char *submissions_folder(struct arena *arena, const char *home);
// Makes a folder of a new name for the experiment; submission->folder, name and job_name are set.
bool submission_make(struct submission *submission, struct arena *arena, const char *home, const char *experiment,
                     struct error *error);
bool submission_write(const struct submission *submission, struct error *error);        // submission.json
bool submission_write_state(const struct submission *submission, struct error *error);  // state.json
// Reads both. False with an error when submission.json cannot be read.
bool submission_read(struct submission *submission, struct arena *arena, const char *folder, struct error *error);
// All submissions of a home, by their times. One that is being made at the moment is left out.
struct submission *submissions_read(struct arena *arena, const char *home, size_t *count, struct error *error);
// Not all of its tasks have ended.
bool submission_open(const struct submission *submission);
char *submitted_task_lease(struct arena *arena, size_t task);  // "task-3.lease"
