// isoloss work: what a job of Slurm's does.
#include "runner/slurm/work.h"

#include "runner/commands.h"

void command_work(struct command_line *line) {
  int64_t task = -1;
  const struct option options[] = {{"task", 0, OPTION_INTEGER, &task, "K", "the job's number in its array, from 0"},
                                   {0}};
  const struct command_usage usage = {
      "isoloss work FOLDER --task K",
      "Trains the runs of one job that isoloss run --executor slurm submitted; the job's script calls it. FOLDER is the\n"
      "submission's, in $ISOLOSS_HOME/slurm. Runs that are finished, or that another job has, are left alone. SIGTERM and\n"
      "SIGUSR1 stop it: the runs write a checkpoint first.",
      1, 1, "one folder of a submission"};
  if (!command_begin(line, &usage, options)) return;
  if (task < 0)
    error_set(&line->error, EXIT_USAGE_ERROR, "work: give --task, the job's number in its array");
  else
    line->code = slurm_work(line->arguments[0], task, &line->error);
}
