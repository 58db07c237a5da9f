// Every command of the front: one function and one file each (commands/NAME.c). A command gets its own argv, prints its
// result on standard output (one JSON document with --json, and nothing else there), everything else on standard error,
// and returns an exit code (base/error.h). On failure it returns through command_fail.
#pragma once
#include "base/base.h"
#include "runner/terminal/options.h"
#include "runner/terminal/terminal.h"

typedef int command_function(int argc, char **argv);

command_function command_check, command_plan, command_schema, command_data, command_run, command_status, command_runs,
    command_show, command_fit, command_fit_compare, command_predict, command_import, command_isoflop, command_design,
    command_laws, command_report, command_formats, command_capacity, command_bench, command_train;
