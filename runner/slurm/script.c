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
static void put_output(struct text *out, const char *folder) {
  text_add(out, "#SBATCH --output=\"");
  for (const char *c = folder; *c; c++) {
    if (*c == '%') text_char(out, '%');
    if (*c == '"' || *c == '\\') text_char(out, '\\');
    text_char(out, *c);
  }
  text_add(out, "/output-%a.txt\"\n");
}

static void put_exported(struct text *out, const char *name) {
  const char *value = getenv(name);
  if (!value) return;
  text_format(out, "export %s=", name);
  text_add_shell(out, value);
  text_char(out, '\n');
}

void script_write(const struct slurm_profile *profile, const struct submission *submission, struct text *out) {
  struct arena scratch = {0};
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
  put_output(out, submission->folder);
  for (size_t i = 0; i < profile->option_count; i++) text_format(out, "#SBATCH %s\n", profile->options[i]);
  put_exported(out, "XDG_CACHE_HOME");
  put_exported(out, "ISOLOSS_DATA");
  if (profile->prologue && *profile->prologue) {
    text_add(out, profile->prologue);
    if (!ends_with(profile->prologue, "\n")) text_char(out, '\n');
  }
  text_add(out, "exec ");
  if (profile->container) text_format(out, "%s ", profile->container);
  text_add_shell(out, path_of_program(&scratch, "isoloss"));
  text_add(out, " work ");
  text_add_shell(out, submission->folder);
  text_add(out, " --task \"$SLURM_ARRAY_TASK_ID\"\n");
  arena_free(&scratch);
}
