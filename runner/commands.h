// Every command of the front: one function and one file each (command_NAME.c). A command gets its own argv, prints its
// result on standard output (one JSON document with --json, and nothing else there), everything else on standard error,
// and returns an exit code (base/error.h). On failure it returns through command_fail.
#pragma once
#include <stdio.h>

#include "base/base.h"
#include "runner/options.h"

typedef int command_function(int argc, char **argv);

// command_check.c, command_plan.c, command_schema.c: spec; command_data.c: data; command_run.c, command_status.c,
// command_runs.c, command_show.c: runs; command_fit.c, command_predict.c, command_import.c, command_isoflop.c,
// command_design.c, command_laws.c: fits; command_report.c: report.
command_function command_check, command_plan, command_schema, command_data, command_run, command_status, command_runs,
    command_show, command_fit, command_predict, command_import, command_isoflop, command_design, command_laws,
    command_report, command_formats, command_capacity, command_bench, command_train;

// Prints "isoloss: TEXT" on standard error (in red on a terminal) and returns the error's code.
int command_fail(const struct error *error);
// True when `stream` is a terminal and NO_COLOR is not set.
bool colour_wanted(FILE *stream);
