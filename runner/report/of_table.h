// The report of anybody's table: a law fitted to its rows now, shown as the fits of an experiment are.
#pragma once
#include "runner/fits/input.h"
#include "runner/report/data.h"

// Reads the table `source`, fits the law that the arguments name, refits without each size, token count and compute
// where the arguments leave nothing out, and fills the report. `given` is what is on the command line behind the
// source. report_free in either case; the fit is not kept in the store.
// Without `fitted` no law is fitted: the report has the rows, by the columns of the law named, and their figures.
bool report_of_table(struct report *report, const char *source, const struct fit_arguments *arguments,
                     const struct fit_options *options, const char *given, bool fitted, struct error *error);
