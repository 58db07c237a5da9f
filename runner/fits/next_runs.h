// Which runs to make next: a spec's runs that are not done, or points given, in the order in which they say most for
// their cost (fitting/design_next.h).
#pragma once
#include "runner/fits/design_specs.h"

struct next_request {
  bool asked;
  const char *until;                  // "10%" of the value, or a width of the interval in its unit; NULL: none
  struct option_list candidates, at;  // points: "N=1e6..1e8:5log,D=1e9|1e10,format=w4a4"
  int64_t limit;                      // runs listed; 0: all; -1: 20, or all with `until`
};

struct next_run {
  const char *name;  // begins with the id of the row's first run; NULL: a point
  const char *ids;  // of the runs that it stands for and of those before them, joined by blanks, without those that are
                    // done or listed before; NULL: a point
  const char *what;  // the categories of the law's columns: "w4a4"
  double parameters, tokens;
};

// The answer for one fit of one spec.
struct next_runs {
  struct arena arena;
  size_t done, pending;  // rows of the fit
  bool points;           // the candidates are --candidates
  const char *target;    // "alpha", "loss at N = 1e+09, D = 2e+10"; NULL: every coefficient
  double until;          // NAN: none
  bool share;            // of the value
  const char *as_in;     // the run whose other columns the points have; NULL: nothing was taken
  struct design_next_result result;
  struct next_run *runs;  // [result.count]
};

bool next_request_check(const struct next_request *request, const char *target, struct error *error);
// `table` is that of the entry with every run of the plan, all of them done. next_runs_free in either case.
bool next_runs_make(struct next_runs *next, const struct next_request *request, const char *target,
                    const struct design_spec *spec, const struct spec_fit *entry, const char *part,
                    const struct law *law, struct table *table, const struct fit_options *fit,
                    const struct design_options *options, struct error *error);
void next_runs_free(struct next_runs *next);
// `call` trains the spec as it was opened: "isoloss run spec.yaml --set model.layers=2".
void next_runs_print(const struct next_runs *next, const char *call, FILE *out);
// Members of an object.
void next_runs_json(const struct next_runs *next, const char *call, struct json_writer *writer);
