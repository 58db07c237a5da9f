// What a report is of: a spec's file, an experiment of the store, or anybody's table, as a command's arguments name it.
// Shared by the commands that show one (report, plot).
#pragma once
#include "runner/fits/arguments.h"
#include "runner/report/data.h"

struct report_request {
  const char *command;               // "report": for messages
  const char *named;                 // the argument
  struct fit_arguments *fit;         // of a table; its choices are of a spec
  const struct option_given *given;  // the options that were given
  size_t given_count;
  const struct option *own;  // the command's own options, which are for specs and experiments too
  bool rows_alone;           // a table without a law is shown as rows, without a fit
  bool every_figure;  // all figures with names are gathered, else those that the spec asks for, or the usual ones
};

// A report, and what it points into.
struct report_source {
  struct report report;
  struct spec spec;
  struct diagnostics diagnostics;
  struct store *store;
};

// Reads the source and gathers its report. report_source_close in either case. Errors: a name that there is not, a
// table without a law, options that are for tables only (EXIT_USAGE_ERROR), no store (EXIT_ENVIRONMENT).
bool report_source_open(struct report_source *source, const struct report_request *request, struct error *error);
void report_source_close(struct report_source *source);
