// See script.h.
#include "runner/slurm/script.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void put(struct text *out, const char *option, const char *value) {
  if (value) text_format(out, "#SBATCH --%s=%s\n", option, value);
}

// As sbatch takes a duration: minutes are its unit.
static void put_time(struct text *out, double seconds) {
  long long whole = (long long)ceil(seconds);
  if (whole > 0)
    text_format(out, "#SBATCH --time=%lld-%02lld:%02lld:%02lld\n", whole / 86400, whole / 3600 % 24, whole / 60 % 60,
                whole % 60);
}

// Where a task's output goes; sbatch reads quotes and backslashes as a shell does, and %a as the task's number.
static void put_output_file(struct text *out, const char *folder, const char *name) {
  text_add(out, "#SBATCH --output=\"");
  for (const char *c = folder; *c; c++) {
    if (*c == '%') text_char(out, '%');
    if (*c == '"' || *c == '\\') text_char(out, '\\');
    text_char(out, *c);
  }
  text_format(out, "/%s\"\n", name);
}

static void put_prologue(const struct slurm_profile *profile, struct text *out) {
  if (!profile->prologue || !*profile->prologue) return;
  text_add(out, profile->prologue);
  if (!ends_with(profile->prologue, "\n")) text_char(out, '\n');
}

static void put_exported(struct text *out, const char *name) {
  const char *value = getenv(name);
  if (!value) return;
  text_format(out, "export %s=", name);
  text_add_shell(out, value);
  text_char(out, '\n');
}

// Words of a shell that start the program `name`, in the profile's container.
static void put_program(const struct slurm_profile *profile, struct text *out) {
  struct arena scratch = {0};
  if (profile->container) text_format(out, "%s ", profile->container);
  text_add_shell(out, path_of_program(&scratch, "isoloss"));
  arena_free(&scratch);
}

// A daemon of the job's own. Numbers of GPUs mean others to its clients than to itself, identifiers the same. The
// daemon is to be ended after the runs: the shell stays, and hands its signals on.
static const char mps_begin[] =
    "case ${CUDA_VISIBLE_DEVICES-} in\n"
    "  MIG*) echo 'slurm: mps: parts of a GPU (MIG) share nothing by MPS' >&2; exit 3 ;;\n"
    "  [0-9]*) CUDA_VISIBLE_DEVICES=$(nvidia-smi -i \"$CUDA_VISIBLE_DEVICES\" --query-gpu=uuid --format=csv,noheader |"
    " paste -sd,) ;;\n"
    "esac\n"
    "export CUDA_VISIBLE_DEVICES\n"
    "CUDA_MPS_PIPE_DIRECTORY=$(mktemp -d \"${TMPDIR:-/tmp}/isoloss-mps-XXXXXX\") || exit 3\n"
    "export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY=$CUDA_MPS_PIPE_DIRECTORY\n"
    "nvidia-cuda-mps-control -d || { echo 'slurm: mps: nvidia-cuda-mps-control does not start' >&2; exit 3; }\n";
static const char mps_end[] =
    "&\n"
    "work=$!\n"
    "trap 'kill -TERM $work' TERM\n"
    "trap 'kill -USR1 $work' USR1\n"
    "code=129\n"
    "while [ $code -gt 128 ] && kill -0 $work 2>/dev/null; do wait $work; code=$?; done\n"
    "echo quit | nvidia-cuda-mps-control\n"
    "rm -rf \"$CUDA_MPS_PIPE_DIRECTORY\"\n"
    "exit $code\n";

void script_write(const struct slurm_profile *profile, const struct submission *submission, struct text *out) {
  text_add(out, "#!/bin/bash\n");
  put(out, "job-name", submission->job_name);
  text_format(out, "#SBATCH --array=0-%zu", submission->task_count - 1);
  if (profile->array_cap) text_format(out, "%%%lld", (long long)profile->array_cap);
  text_char(out, '\n');
  put(out, "partition", profile->partition);
  put(out, "account", profile->account);
  put(out, "qos", profile->qos);
  put(out, "constraint", profile->constraint);
  put(out, "gres", profile->gres);
  put(out, "mem", profile->memory);
  put_time(out, profile->time_seconds);
  if (profile->cpus) text_format(out, "#SBATCH --cpus-per-task=%lld\n", (long long)profile->cpus);
  // To the shell alone, which the command takes the place of.
  if (profile->time_seconds > 0) text_format(out, "#SBATCH --signal=B:USR1@%.0f\n", ceil(profile->stop_before));
  text_add(out, "#SBATCH --requeue\n#SBATCH --open-mode=append\n");
  put_output_file(out, submission->folder, "output-%a.txt");
  for (size_t i = 0; i < profile->option_count; i++) text_format(out, "#SBATCH %s\n", profile->options[i]);
  put_exported(out, "XDG_CACHE_HOME");
  put_exported(out, "ISOLOSS_DATA");
  put_prologue(profile, out);
  text_add(out, profile->mps ? mps_begin : "exec ");
  put_program(profile, out);
  text_add(out, " work ");
  text_add_shell(out, submission->folder);
  text_format(out, " --task \"$SLURM_ARRAY_TASK_ID\"%s", profile->mps ? " " : "\n");
  if (profile->mps) text_add(out, mps_end);
}

void script_follow_up(const struct slurm_profile *profile, const struct follow_up *follow, struct text *out) {
  text_format(out, "#!/bin/bash\n#SBATCH --job-name=%s\n#SBATCH --dependency=afterany:%s\n", follow->job_name,
              follow->arrays);
  put(out, "partition", profile->partition);
  put(out, "account", profile->account);
  put(out, "qos", profile->qos);
  put(out, "constraint", profile->constraint);
  text_add(out,
           "#SBATCH --cpus-per-task=1\n#SBATCH --time=0-01:00:00\n#SBATCH --requeue\n#SBATCH --open-mode=append\n");
  put_output_file(out, follow->folder, "follow-up.txt");
  put_exported(out, "XDG_CACHE_HOME");
  put_exported(out, "XDG_CONFIG_HOME");
  put_exported(out, "ISOLOSS_DATA");
  text_add(out, "export ISOLOSS_HOME=");
  text_add_shell(out, follow->home);
  text_char(out, '\n');
  put_prologue(profile, out);
  // Somebody else may be collecting; runs that failed are no reason to try again.
  text_add(out, "for try in 1 2 3 4 5; do\n  ");
  put_program(profile, out);
  text_add(out, " run ");
  text_add_shell(out, follow->experiment);
  text_format(out, " --executor slurm --retries %lld", (long long)follow->retries);
  if (follow->keep_going) text_add(out, " --keep-going");
  if (follow->preset) {
    text_add(out, " --preset ");
    text_add_shell(out, follow->preset);
  }
  for (size_t i = 0; i < follow->set.count; i++) {
    text_add(out, " --set ");
    text_add_shell(out, follow->set.items[i]);
  }
  text_add(out, "\n  [ $? -le 1 ] && exit 0\n  sleep 30\ndone\nexit 3\n");
}
